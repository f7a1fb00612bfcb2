"""python -m tools.slides: workshop/slides.ipynb and its translations as slides, a cell each, in handouts/.

nbconvert makes the slides (https://nbconvert.readthedocs.io/en/latest/usage.html#html); its page loads reveal.js,
require.js and more from the network. Here pictures, styles and reveal.js are in the file.
"""

import re
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from traitlets.config import Config

from tools import ROOT
from tools.sheet import handouts, with_pictures

REVEAL = ROOT / ".slides" / "sphinx_revealjs" / "_static" / "revealjs"
WIDTH, HEIGHT = 1280, 720
PAGE = """\
{%% extends "reveal/index.html.j2" %%}
{%% block html_head_js %%}{%% endblock %%}
{%% block html_head_js_mathjax %%}{%% endblock %%}
{%% block footer_js %%}
<script>%(reveal)s</script>
<script>Reveal.initialize({width: %(width)d, height: %(height)d, margin: 0.04, hash: true, slideNumber: "c/t"})</script>
{%% endblock %%}
"""
STYLE = """\
:root { --r-main-font: system-ui, "Noto Sans CJK KR", sans-serif; --r-heading-font: var(--r-main-font); }
.reveal { font-family: var(--r-main-font); word-break: keep-all; }
.reveal h1, .reveal h2 { font-family: var(--r-main-font); text-transform: none; text-align: left; letter-spacing: 0; }
.reveal h1 { font-size: 72px !important; } .reveal h2 { font-size: 44px !important; margin: 0 0 24px !important; }
.reveal p, .reveal li { font-size: 30px !important; line-height: 1.4 !important; text-align: left; }
.reveal td, .reveal th { font-size: 23px !important; line-height: 1.15 !important; padding: 4px 18px !important; }
.reveal pre { font-size: 26px !important; line-height: 1.35 !important; padding: 16px !important; box-shadow: none; }
.reveal pre { background: #f6f8fa; }
.reveal code { font-size: 0.9em !important; } .reveal pre code { font-size: 1em !important; max-height: none; }
.reveal section img { display: block; width: auto; height: 560px; max-width: 100%; margin: 0 auto !important; }
.reveal .jp-Cell, .reveal .jp-InputArea, .reveal .jp-Cell-inputWrapper { display: block; padding: 0; }
.reveal .jp-InputPrompt, .reveal .jp-Collapser, .reveal .jp-InputCollapser { display: none; }
"""


def inlined(text, reveal):
    """A page with the style sheets of reveal.js in it; the fonts that they would load stay out."""

    def style(match):
        sheet = (reveal / match[1]).read_text(encoding="utf-8")
        return "<style>" + re.sub(r"@import[^;]*;", "", sheet) + "</style>"

    text = re.sub(r'<link[^>]*href="REVEAL/([^"]*)"[^>]*>', style, text)
    return text.replace("</head>", f"<style>{STYLE}</style>\n</head>", 1)


def slides(reveal, path, language):
    """The slides of a notebook, as HTML."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata.slideshow = {"slide_type": "slide"}
    notebook.metadata.title = notebook.cells[0].source.splitlines()[0].strip("# ")
    settings = {"SlidesExporter": {"reveal_url_prefix": "REVEAL", "language_code": language}}
    program = (reveal / "dist" / "reveal.js").read_text(encoding="utf-8")
    page = PAGE % {"reveal": "{% raw %}" + program + "{% endraw %}", "width": WIDTH, "height": HEIGHT}
    exporter = SlidesExporter(config=Config(settings), raw_template=page)
    text, _ = exporter.from_notebook_node(notebook)
    return with_pictures(inlined(text, reveal), Path(path).parent)


if __name__ == "__main__":
    for path, file, language in handouts("slides.ipynb"):
        file.write_text(slides(REVEAL, path, language), encoding="utf-8")
        print(file.relative_to(ROOT))
