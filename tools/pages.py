"""What becomes a page of the site: the README, notebooks, exercises, documents, and whatever these link to.

A page is named by its English file, in every language: notebooks/01-quick-start, code/train.py. So a page and its
translations have the same address below the folder of their language. What a language does not have stays English.
"""

import json
import os
import re
import shutil
from collections import namedtuple
from pathlib import Path
from urllib.parse import unquote

from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound

from tools import ROOT, TRANSLATIONS, cog_blocks, editions

ENGLISH = "en"
LANGUAGES = (ENGLISH, *TRANSLATIONS)
GUIDE = ROOT / "workshop" / "guide.md"
TEXTS = (".md", ".ipynb")
PICTURES = (".svg", ".png")
LONG = 15  # lines of a log

# english: the file that names the page; source: the file of this language; name: its address without .html
Page = namedtuple("Page", "english source name")


def of_language(language):
    """The files of a language, there or not yet, by the English file."""
    if language == ENGLISH:
        return {}
    return {path: ROOT / language / name for name, path in editions.beside().items()} | editions.twins(language)


# A file of any language -> the English file and the language
ORIGINS = {twin: (path, code) for code in LANGUAGES for path, twin in of_language(code).items()}


def name(path):
    """The English file -> the name of its page, without dots that would hide it."""
    if path == ROOT / "README.md":
        return "index"
    inside = path.relative_to(ROOT).as_posix().removeprefix("docs/").removeprefix(".")
    return re.sub(r"\.(md|ipynb)$", "", inside)


def texts(path):
    """The Markdown of a document or notebook."""
    if path.suffix == ".md":
        return path.read_text(encoding="utf-8")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def origin(source, address):
    """Where a link leads: the English file, its language, and the place in it."""
    file, hash, place = address.partition("#")
    target = (source.parent / unquote(file)).resolve()
    return *ORIGINS.get(target, (target, ENGLISH)), hash + place


def pages(language):
    """All pages of a language, by the English file."""
    found, own = {}, of_language(language)
    waiting = [ROOT / "README.md", *editions.notebooks(), *editions.documents(), *filter(Path.exists, [GUIDE])]
    while waiting:
        path = waiting.pop(0)
        if path in found or not path.exists():
            continue  # Sphinx says which link leads nowhere
        source = own[path] if path in own and own[path].exists() else path
        page = found[path] = Page(path, source, name(path))
        if path.is_dir():
            waiting += sorted(file for file in path.iterdir() if file.is_file())
        elif path.suffix in TEXTS:
            targets = (origin(page.source, address) for address in editions.LINK.findall(texts(page.source)))
            waiting += [target for target, other, _ in targets if other in (language, ENGLISH)]
    return found


def address(page):
    """The file that Sphinx reads for a page, or shows on one."""
    if page.english.suffix in PICTURES:
        return page.name
    return page.name + (page.english.suffix if page.english.suffix in TEXTS else ".md")


def way(here, language, there, other):
    """The link from a page of a language to one of another, both by their names."""
    up = "../" * (here.count("/") + (language != ENGLISH))
    return f"{up}{'' if other == ENGLISH else other + '/'}{there}.html"


def relinked(text, page, language, found):
    """The Markdown of a page with its links as Sphinx wants them; those to another language begin with edition:"""

    def link(match):
        target, other, place = origin(page.source, match[0])
        if other not in (language, ENGLISH) or (other != language and target == page.english != page.source):
            return f"edition:{way(page.name, language, name(target), other)}{place}"
        if target not in found:
            return match[0]
        return os.path.relpath(address(found[target]), os.path.dirname(page.name) or ".") + place

    return editions.LINK.sub(link, text)


def folded(cell):
    """Whether a cell's output is a long log: logs are not compared, what else is long is the lesson."""
    lines = sum("".join(output.get("text", "")).count("\n") for output in cell["outputs"])
    return lines > LONG and "nbval-ignore-output" in cell["metadata"].get("tags", [])


def prepared(text, page, language, found):
    """The text of a document or notebook as Sphinx reads it."""
    if page.english.suffix == ".md":
        return relinked(cog_blocks.without_comments(text), page, language, found)
    notebook = json.loads(text)
    notebook["metadata"]["language_info"]["pygments_lexer"] = "ipython3"  # knows lines that begin with ! or %
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = relinked("".join(cell["source"]), page, language, found)
        elif folded(cell):
            cell["metadata"]["tags"].append("hide-output")
    return json.dumps(notebook)


def shown(path):
    """A page for a file that is no text: its lines, and the file itself; for a folder, its files."""
    title = f"---\norphan: true\nnosearch: true\n---\n# `{path.relative_to(ROOT).as_posix()}`\n\n"
    if path.is_dir():
        files = [(file.name, f"{name(path)}/{file.name}.md") for file in sorted(path.iterdir()) if file.is_file()]
        return title + "".join(f"- [{file}](/{address})\n" for file, address in files)
    try:
        language = get_lexer_for_filename(path.name).aliases[0]
    except ClassNotFound:
        language = "text"
    return f"{title}{{download}}`{path.name}`\n\n```{{literalinclude}} {path.name}\n:language: {language}\n```\n"


def write(folder, found):
    """Lay out the files of all pages, unchanged, as Sphinx wants them."""
    for page in found.values():
        place = folder / address(page)
        place.parent.mkdir(parents=True, exist_ok=True)
        if page.english.suffix in (*TEXTS, *PICTURES):
            shutil.copy(page.source, place)
        else:
            place.write_text(shown(page.english), encoding="utf-8")
            if page.english.is_file():
                shutil.copy(page.english, folder / page.name)
