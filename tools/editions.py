"""The editions in other languages: each notebook, exercise and document, made from gettext catalogues.

python -m tools.editions update LANGUAGE …   catalogues follow the English text: what changed is fuzzy, new is empty,
                                             and numbers alone that changed follow
python -m tools.editions build LANGUAGE …    writes the edition; English stands where an entry is missing
python -m tools.editions check LANGUAGE …    names what is missing, fuzzy, lost in translation, or not as built

An edition is a top-level folder named by its language (ko), and its catalogues are in translations/ko. An entry is
a Markdown cell of a notebook, a paragraph of a document, a sentence of a program's say(), or a text in a picture that
is no code name. Code cells and outputs are the same bytes in all editions. The form of a catalogue:
https://www.gnu.org/software/gettext/manual/html_node/PO-Files.html
"""

import ast
import difflib
import json
import os
import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import nbformat
import polib
from markdown_it import MarkdownIt

from tools import ROOT, TEMPLATE, cog_blocks, reference, sheet
from tools.notebook_form import in_form

FOLDERS = ("notebooks", "exercises", "workshop")  # of notebooks
DOCUMENTS = (
    "README.md",
    "docs/where-to-run.md",
    "docs/troubleshooting.md",
    "docs/sandbox.md",
    "docs/tested.md",
    "docs/reference.md",
    "docs/glossary.md",
    "workshop/guide.md",
    "workshop/sheet.md",
)
SENTENCES = ("exercises/checks.py", "docs/conf.py")  # programs that say() something
LINK = re.compile(r"(?<=\]\()(?!https?:|#)[^)\s]+")
MARKDOWN = MarkdownIt("commonmark").enable("table")
NUMBER = re.compile(r"\d+")
WORDS = "words"  # the catalogue of sentences and pictures
# Documents with texts that are filled in from the notebooks of their language.
FILLED = {"docs/reference.md": reference.filled, "workshop/sheet.md": sheet.filled}
SVG_TEXT = re.compile(r"(<text[^>]*>)([^<]+)(</text>)")
ENGLISH_WORD = re.compile(
    r"\b(billed|container|disk|home|image|images|kernels|notebook|notebooks|permissions|role|script|time|model|gradients|log|way|prints|memory|namespaces|proxy|job)\b"
)


def notebooks(root=ROOT):
    """The English notebooks, exercises and slides of the series."""
    found = [path for folder in FOLDERS for path in sorted((root / folder).glob("*.ipynb"))]
    return [path for path in found if path.name != TEMPLATE]


def documents(root=ROOT):
    """The English documents that are translated."""
    return [root / name for name in DOCUMENTS]


def twins(language, root=ROOT):
    """The notebooks and documents of a language, by the English file."""
    return {path: root / language / path.name for path in (*notebooks(root), *documents(root))}


def beside(root=ROOT):
    """What the notebooks use beside them, and the pictures of the documents: files, by their path within an edition."""
    files = [path for path in sorted((root / "notebooks").rglob("*")) if path.is_file()]
    kept = [
        path for path in files if path.suffix in (".py", ".json", ".svg") and ".ipynb_checkpoints" not in path.parts
    ]
    pictures = {path.relative_to(root / "docs"): path for path in sorted((root / "docs" / "pictures").glob("*.svg"))}
    return {path.relative_to(root / "notebooks"): path for path in kept} | pictures


def catalogue_folder(language, root=ROOT):
    return root / "translations" / language


def paragraphs(path):
    """A document's paragraphs and what stands between them, in turn; a block of code is in one paragraph."""
    parts = []
    for part in re.split(r"(\n{2,})", cog_blocks.to_translate(path.read_text(encoding="utf-8"))):
        if parts and parts[-1].count("```") % 2:
            parts[-1] += part
        else:
            parts.append(part)
    return parts


def entries(path):
    """The texts of an English file that are translated, in their order."""
    if path.suffix == ".ipynb":
        return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    if path.suffix == ".svg":
        return [text for _, text, _ in SVG_TEXT.findall(path.read_text(encoding="utf-8")) if is_prose(text)]
    if path.suffix == ".py":
        calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
        return [call.args[0].value for call in calls if getattr(call.func, "id", "") == "say"]
    return [text for text in paragraphs(path)[::2] if text.strip()]


def is_prose(text):
    return bool(ENGLISH_WORD.search(text)) and not re.search(r"[./(_=]", text)


def catalogues(root=ROOT):
    """The name of each catalogue -> its English texts, each once and in order."""
    found = {path.stem: entries(path) for path in documents(root)}
    for path in notebooks(root):
        if not path.stem.endswith("-exercise"):  # its text is that of its solution
            found[path.stem] = entries(path)
    pictures = [path for path in beside(root).values() if path.suffix == ".svg"]
    programs = [root / name for name in SENTENCES]
    found[WORDS] = [text for path in (*pictures, *programs) for text in entries(path)]
    return {name: list(dict.fromkeys(texts)) for name, texts in found.items()}


def renumbered(before, after, text):
    """The translation of a text of which only numbers have changed, with the new ones. None where more has changed, or
    the translation has them in another order."""
    if NUMBER.sub("", before) != NUMBER.sub("", after) or NUMBER.findall(before) != NUMBER.findall(text):
        return None
    numbers = iter(NUMBER.findall(after))
    return NUMBER.sub(lambda match: next(numbers), text)


def update(language, root=ROOT):
    """Write the catalogues of a language anew: what is translated stays, what changed is fuzzy, beside the old text."""
    folder = catalogue_folder(language, root)
    folder.mkdir(parents=True, exist_ok=True)
    elsewhere = {entry.msgid: entry for path in folder.glob("*.po") for entry in polib.pofile(str(path))}
    for name, texts in catalogues(root).items():
        path = folder / f"{name}.po"
        old = {entry.msgid: entry for entry in polib.pofile(str(path))} if path.exists() else {}
        gone = [text for text in old if text not in texts and old[text].msgstr]
        new = polib.POFile(wrapwidth=120)
        new.metadata = {
            "Language": language,
            "Content-Type": "text/plain; charset=UTF-8",
            "Content-Transfer-Encoding": "8bit",
        }
        for text in texts:
            near = [] if text in old or text in elsewhere else difflib.get_close_matches(text, gone, 1, 0.6)
            if near:
                gone.remove(near[0])
                known = old[near[0]]
                if (same := renumbered(near[0], text, known.msgstr)) and not known.fuzzy:
                    entry = polib.POEntry(msgid=text, msgstr=same)
                else:
                    entry = polib.POEntry(msgid=text, msgstr=known.msgstr, flags=["fuzzy"], previous_msgid=near[0])
            else:
                entry = old.get(text) or elsewhere.get(text) or polib.POEntry(msgid=text)  # a text can move
            new.append(entry)
        new.save(str(path))


def translations(language, root=ROOT):
    """All entries of a language that are translated: English text -> text."""
    files = [polib.pofile(str(path)) for path in sorted(catalogue_folder(language, root).glob("*.po"))]
    return {entry.msgid: entry.msgstr for file in files for entry in file if entry.msgstr and not entry.fuzzy}


def built(language, root=ROOT):
    """What the edition must hold: path -> bytes. A file without any translation is English."""
    known, edition, other = translations(language, root), root / language, twins(language, root)

    def translate(text, source):
        def target(match):
            address, hash, anchor = match[0].partition("#")
            place = (source.parent / address).resolve()
            beside_it = edition / Path(*place.relative_to(root).parts[1:]) if place.is_relative_to(root) else place
            if place != source or source.suffix == ".ipynb":  # a document's link to itself names the English one
                place = other.get(place) or (beside_it if place.suffix == ".svg" else place)
            return os.path.relpath(place, edition) + hash + anchor

        return LINK.sub(target, known.get(text, text))

    files = {edition / name: path.read_bytes() for name, path in beside(root).items()}
    for path, content in files.items():
        if path.suffix == ".svg":
            svg = SVG_TEXT.sub(lambda match: match[1] + known.get(match[2], match[2]) + match[3], content.decode())
            files[path] = svg.encode()
    sentences = {text: known.get(text, text) for text in entries(root / "exercises" / "checks.py")}
    files[edition / "sentences.json"] = (json.dumps(sentences, ensure_ascii=False, indent=1) + "\n").encode()
    made = {}
    for path in notebooks(root):
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = translate(cell.source, path)
        files[other[path]] = in_form(nbformat.writes(notebook)).encode()
        if path.parent.name == "notebooks":
            made[other[path]] = notebook
    for path in documents(root):
        parts = paragraphs(path)
        parts[::2] = [translate(part, path) for part in parts[::2]]
        text = "".join(parts)
        if fill := FILLED.get(path.relative_to(root).as_posix()):
            text = fill(text, made, edition)
        files[other[path]] = text.encode()
    return files


def build(language, root=ROOT):
    for path, content in built(language, root).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def marks(text):
    """What a translation keeps, as often as it stands there: links, code, headings, emphasis, tags, rows of tables."""
    found = {name: Counter() for name in ("code", "link", "tag", "mark", "place")}

    def walk(tokens):
        for token in tokens:
            address = token.attrGet("href") or token.attrGet("src") or ""
            if token.type in ("fence", "code_inline"):
                found["code"][" ".join(token.content.split())] += 1
            elif token.type in ("link_open", "image"):
                found["link"][unquote(address).partition("#")[0]] += 1
            elif token.type.startswith("html"):
                found["tag"].update(re.findall(r"</?\w+>", token.content))
            elif token.nesting > 0:
                found["mark"][f"<{token.tag}>"] += 1
            if token.type != "image":
                walk(token.children or [])

    walk(MARKDOWN.parse(text))
    found["place"].update(re.findall(r"\{\w*[:}]", text))
    return found


def lost(english, text):
    """How a translation differs from its text in what must stay."""
    ours, theirs = marks(english), marks(text)
    for name in ours:
        for what, wrong in ("lost", ours[name] - theirs[name]), ("added", theirs[name] - ours[name]):
            if wrong:
                yield f"{name} {what}: {' '.join(wrong)}"


def check(language, root=ROOT):
    """What is wrong with an edition, one line each."""
    for name, texts in catalogues(root).items():
        path = catalogue_folder(language, root) / f"{name}.po"
        if not path.exists():
            yield f"{path.relative_to(root)} is missing"
            continue
        found = {entry.msgid: entry for entry in polib.pofile(str(path))}
        for text in texts:
            place = f"{path.relative_to(root)}: {text.splitlines()[0][:60]!r}"
            if text not in found or not found[text].msgstr:
                yield f"{place} is not translated"
            elif found[text].fuzzy:
                yield f"{place} is fuzzy: its English has changed"
            else:
                yield from (f"{place}: {fault}" for fault in lost(text, found[text].msgstr))
        for text in set(found) - set(texts):
            yield f"{path.relative_to(root)}: {text.splitlines()[0][:60]!r} is no longer there in English"
    expected = built(language, root)
    for path, content in expected.items():
        if not path.exists() or path.read_bytes() != content:
            yield f"{path.relative_to(root)} is not what the catalogues give"
    for path in (root / language).glob("*.ipynb"):
        if path not in expected:
            yield f"{path.relative_to(root)} has no English notebook"


def main(command, *languages):
    for language in languages:
        if command == "check":
            if faults := list(check(language)):
                sys.exit("\n".join([*faults, "`make editions` brings catalogues and editions up to date."]))
        elif command == "update":
            update(language)
        else:
            shutil.rmtree(ROOT / language / "pictures", ignore_errors=True)
            build(language)


if __name__ == "__main__":
    main(*sys.argv[1:])
