"""The site of the series, from the committed notebooks: https://www.sphinx-doc.org/en/master/usage/configuration.html

Each language is a site of its own, built with `-D language=ko`. The sources are laid out by pages.py as they are; their
links, and the tags that fold long logs, are made fit when Sphinx reads them, so a reader downloads what is committed.
"""

import os
import sys
from pathlib import Path

import nbformat
from babel import Locale

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]
import editions  # noqa: E402
import pages  # noqa: E402
import reference  # noqa: E402
from search_ko import Korean  # noqa: E402

extensions = ["myst_nb", "sphinx_book_theme", "sphinx_copybutton"]
nb_execution_mode = "off"
nb_merge_streams = True
myst_heading_anchors = 4
myst_url_schemes = {"http": None, "https": None, "mailto": None, "edition": {"url": "{{path}}#{{fragment}}"}}
templates_path = ["templates"]
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme = "sphinx_book_theme"
html_theme_options = {
    "article_header_end": ["languages.html", "article-header-buttons.html"],
    "footer_content_items": [],
    "home_page_in_toc": True,
    "use_fullscreen_button": False,
}
html_sourcelink_suffix = ""  # a notebook's download has its name
html_use_index = False


def tree(caption, names, *options):
    return "\n".join(["", "", "```{toctree}", *options, f":caption: {caption}" if caption else "", "", *names, "```", ""])


def setup(app):
    language = app.config.language
    known = {} if language == pages.ENGLISH else editions.translations(language)
    found = pages.pages(language)
    named = {page.name: page for page in found.values()}

    def say(text):
        return known.get(text, text)

    app.config.project = app.config.html_title = editions.entries(found[pages.ROOT / "README.md"].source)[0].strip("# ")
    app.config.nb_code_prompt_show = say("Show the log")
    app.config.nb_code_prompt_hide = say("Hide the log")

    def group(beginning, end=""):
        return sorted(name for name in named if name.startswith(beginning) and name.endswith(end))

    lists = {"exercises": (say("Exercises"), "-exercise"), "solutions": (say("Solutions"), "-solution")}

    def write(app):
        pages.write(Path(app.srcdir), found)
        for name, (title, end) in lists.items():
            text = f"# {title}\n" + tree("", group("exercises/", end))
            Path(app.srcdir, f"{name}.md").write_text(text, encoding="utf-8")

    def contents():
        notebooks = [page.name for page in found.values() if page.english.parent.name == "notebooks"]
        documents = [name for name in named if named[name].english.suffix == ".md" and name != "index"]
        yield tree(say("Notebooks"), sorted(name for name in notebooks if named[name].english.suffix == ".ipynb"), ":hidden:")
        yield tree(say("Practice"), lists, ":hidden:")
        yield tree(say("To look up"), documents, ":hidden:")

    def notebook(number):
        [path] = (pages.ROOT / "notebooks").glob(f"{number:02}-*.ipynb")
        return found[path].source

    def tables(page):
        four, five, ten = (nbformat.read(notebook(number), as_version=4) for number in (4, 5, 10))
        address = os.path.relpath(notebook(4), page.source.parent)
        return {
            "parameters": reference.parameters(four, ten, address),
            "variables": reference.variables(five),
            "more": reference.names(five),
            "sdk_3": reference.names(ten),
        }

    def read(app, name, source):
        if page := named.get(name):
            if page.english.suffix not in pages.TEXTS:
                return
            text = source[0]
            if name == "reference":
                text = text.format(**tables(page))
            text = pages.prepared(text, page, language, found)
            source[0] = text + "".join(contents()) if name == "index" else text

    def switch(app, name, template, context, doctree):
        up = "../" * (name.count("/") + (language != pages.ENGLISH))
        context["languages_label"] = say("Language")
        context["languages"] = [
            (code, Locale(code).get_display_name(), f"{up}{'' if code == pages.ENGLISH else code + '/'}{name}.html")
            for code in pages.LANGUAGES
        ]

    app.add_search_language(Korean)
    app.connect("builder-inited", write)
    app.connect("source-read", read)
    app.connect("html-page-context", switch)
