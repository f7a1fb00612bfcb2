"""python -m tools.sheet: workshop/sheet.md and its translations, each as one HTML file of two A4 pages in handouts/.

The rows of its tables are those of the committed outputs of notebooks 04 and 05. Where there is a Chromium, a PDF is
printed beside the file.
"""

import base64
import re
import shutil
import subprocess

import nbformat
from markdown_it import MarkdownIt

from tools import ROOT, TRANSLATIONS, cog_blocks
from tools.reference import ESTIMATOR, VARIABLES, table
from tools.tables import row

TABLES = {"parameters": ("04-estimator-parameters", ESTIMATOR), "variables": ("05-sm-variables", VARIABLES)}
PAGE = """\
<!DOCTYPE html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
@page {{ size: A4; margin: 11mm 12mm; }}
body {{ font: 8.6pt/1.32 system-ui, "Noto Sans", "Noto Sans CJK KR", sans-serif; color: #1f2328; max-width: 186mm;
  margin: 0 auto; word-break: keep-all; }}
h1 {{ font-size: 15pt; margin: 0 0 2mm; }}
h2 {{ font-size: 11pt; margin: 4mm 0 1mm; break-after: avoid; }}
p {{ margin: 1mm 0; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ border-bottom: 0.3pt solid #aaa; padding: 0.55mm 2mm 0.55mm 0; text-align: left; vertical-align: top; }}
tr, img {{ break-inside: avoid; }}
code {{ font: 7.6pt "Noto Sans Mono", "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }}
td:not(:last-child) code {{ white-space: nowrap; }}
img {{ display: block; width: 150mm; max-width: 100%; height: auto; }}
h2:nth-of-type(3) {{ break-before: page; }}
@media screen {{ body {{ padding: 8mm; }} }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


def handouts(name):
    """A file of workshop/ and its translations -> [(path, the file of the handout, language)]"""
    folder, stem = ROOT / "handouts", name.partition(".")[0]
    folder.mkdir(exist_ok=True)
    yield ROOT / "workshop" / name, folder / f"{stem}.html", "en"
    for language in TRANSLATIONS:
        yield ROOT / language / name, folder / f"{stem}.{language}.html", language


def rows(name):
    """The rows of a table of the sheet, as lists of texts."""
    notebook, columns = TABLES[name]
    return table(nbformat.read(ROOT / "notebooks" / f"{notebook}.ipynb", as_version=4), columns)


def filled(text, notebooks=None, folder=None):
    """A text of the sheet with the rows in its tables; they are the same in all languages, and have no links."""
    for name in TABLES:
        lines = [row(*(f"`{value}`".replace("|", r"\|") for value in values)) for values in rows(name)]
        text = re.sub(rf"^\| \{{{name}\}}.*$", lambda match, lines=lines: "\n".join(lines), text, flags=re.MULTILINE)
    return text


def with_pictures(page, folder):
    """A page with its SVG pictures in it, whose addresses count from this folder."""

    def picture(match):
        content = base64.b64encode((folder / match[1]).resolve().read_bytes()).decode()
        return f'src="data:image/svg+xml;base64,{content}"'

    return re.sub(r'src="([^":]*\.svg)"', picture, page)


def sheet(path, language):
    """The sheet as HTML."""
    text = cog_blocks.without_comments(path.read_text(encoding="utf-8"))
    body = with_pictures(MarkdownIt("commonmark").enable("table").render(text), path.parent)
    return PAGE.format(language=language, title=text.splitlines()[0].strip("# "), body=body)


def main():
    for path, file, language in handouts("sheet.md"):
        file.write_text(sheet(path, language), encoding="utf-8")
        print_to_pdf(file)
        print(file.relative_to(ROOT))


def print_to_pdf(file):
    """Print a page beside itself, where there is a browser for it."""
    if browser := shutil.which("chromium") or shutil.which("google-chrome"):
        options = ["--headless", "--no-sandbox", "--no-pdf-header-footer", f"--print-to-pdf={file.with_suffix('.pdf')}"]
        subprocess.run([browser, *options, file.resolve().as_uri()], check=True, capture_output=True, timeout=120)


if __name__ == "__main__":
    main()
