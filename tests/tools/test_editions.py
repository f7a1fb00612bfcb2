"""The editions in other languages, and the program that makes them: tools/editions.py."""

import re
import shutil

import nbformat
import polib
import pytest

from tests.support import ROOT
from tools import TRANSLATIONS, editions


@pytest.fixture
def root(tmp_path):
    """A copy of all that an edition is made from, with the Korean one."""
    for name in ("notebooks", "exercises", "workshop", "ko", "translations"):
        shutil.copytree(
            ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        )
    shutil.copytree(ROOT / "docs" / "pictures", tmp_path / "docs" / "pictures")
    for name in (*editions.DOCUMENTS, *editions.SENTENCES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def change(root, catalogue, beginning, function):
    """Change the entry of a catalogue whose English text begins so."""
    path = str(root / "translations" / "ko" / f"{catalogue}.po")
    file = polib.pofile(path)
    [entry] = [entry for entry in file if entry.msgid.startswith(beginning)]
    function(entry)
    file.save(path)


def faults(root):
    return list(editions.check("ko", root))


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_code_and_outputs_are_the_same_bytes(language):
    for path in editions.notebooks():
        ours, theirs = (nbformat.read(file, as_version=4).cells for file in (path, ROOT / language / path.name))
        assert [cell for cell in ours if cell.cell_type == "code"] == [
            cell for cell in theirs if cell.cell_type == "code"
        ]
        assert len(ours) == len(theirs)


def anchors(page):
    """Those of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_links_lead_somewhere(language):
    pages = {path: "\n".join(editions.entries(path)) for path in (ROOT / language).glob("*.ipynb")}
    documents = [ROOT / language / path.name for path in editions.documents()] + editions.documents()
    pages |= {path: path.read_text(encoding="utf-8") for path in documents}
    for path, text in pages.items():
        for target in editions.LINK.findall(text) + (re.findall(r"(?<=\]\()#[^)]*", text) if path in documents else []):
            place, _, anchor = target.partition("#")
            page = (path.parent / place).resolve() if place else path
            assert page.exists(), (path, target)
            if anchor and page.suffix == ".md":
                assert anchor in anchors(page), (path, target)


def test_a_document_in_a_folder_links_to_the_edition(root):
    [link] = set(
        re.findall(r"\[\S+\(channel\)\]\((.*?)\)", editions.built("ko", root)[root / "ko/glossary.md"].decode())
    )
    assert link == "03-data-upload.ipynb"


def test_what_cog_has_written_is_translated_without_its_comments(root):
    page = root / "docs" / "tested.md"
    page.write_text("# T\n\n<!-- [[[cog\nfrom a import b\n\ncog.outl(b) ]]] -->\n| a |\n<!-- [[[end]]] -->\n\nText\n")
    assert editions.entries(page) == ["# T", "| a |", "Text\n"]


def test_a_text_that_is_filled_in_needs_one_translation_whatever_fills_it(root):
    page = root / "docs" / "reference.md"
    before, entries = editions.built("ko", root)[root / "ko" / "reference.md"].decode(), editions.entries(page)
    assert "| variable | what it is | value there |\n|---|---|---|\n{variables}" in entries
    page.write_text(page.read_text(encoding="utf-8").replace("`/opt/ml/model`", "`/elsewhere`"), encoding="utf-8")
    assert editions.entries(page) == entries
    notebook = root / "notebooks" / "05-sm-variables.ipynb"
    notebook.write_text(
        notebook.read_text(encoding="utf-8").replace(">/opt/ml/model<", ">/elsewhere<"), encoding="utf-8"
    )
    after = editions.built("ko", root)[root / "ko" / "reference.md"].decode()
    assert before.count("`/opt/ml/model` |") == 1 and after == before.replace("`/opt/ml/model` |", "`/elsewhere` |")


def test_as_it_is(root):
    assert faults(root) == []


def test_a_missing_entry(root):
    change(root, "02-session-and-role", "# 2. ", lambda entry: setattr(entry, "msgstr", ""))
    assert any("is not translated" in fault and "# 2. Session" in fault for fault in faults(root))


@pytest.mark.parametrize(
    ("lose", "what"),
    [
        (
            lambda text: text.replace("01-quick-start.ipynb", "02-session-and-role.ipynb"),
            "link lost: 01-quick-start.ipynb",
        ),
        (lambda text: text.replace("# 2.", "## 2."), "mark lost: <h1>"),
        (lambda text: text.replace("*", "", 2), "mark lost: <em>"),
    ],
)
def test_what_is_lost_in_translation(root, lose, what):
    change(root, "02-session-and-role", "# 2. ", lambda entry: setattr(entry, "msgstr", lose(entry.msgstr)))
    assert any(what in fault for fault in faults(root)), faults(root)


def test_lost_code_and_places(root):
    change(root, "words", "`tokyo` is in", lambda entry: setattr(entry, "msgstr", "tokyo"))
    assert any("code lost: ap-northeast-1 tokyo" in fault or "code lost: tokyo" in fault for fault in faults(root))
    assert any("place lost: {region}" in fault for fault in faults(root))


def test_a_file_that_was_changed_by_hand(root):
    file = root / "ko" / "01-quick-start.ipynb"
    file.write_text(file.read_text(encoding="utf-8").replace("MNIST", "mnist", 1), encoding="utf-8")
    assert faults(root) == ["ko/01-quick-start.ipynb is not what the catalogues give"]


def change_english(root, notebook, before, after):
    """Change the English text of a notebook, and bring the edition up to date."""
    path = root / "notebooks" / f"{notebook}.ipynb"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(before, after), encoding="utf-8")
    editions.update("ko", root)
    editions.build("ko", root)


def test_a_change_in_english_marks_exactly_what_has_to_be_translated_again(root):
    change_english(root, "02-session-and-role", "This notebook takes both apart.", "Here both are taken apart.")
    [fault] = faults(root)
    assert "02-session-and-role.po: '# 2. Session and role' is fuzzy" in fault
    [entry] = [entry for entry in polib.pofile(str(root / "translations/ko/02-session-and-role.po")) if entry.fuzzy]
    assert "takes both apart" in entry.previous_msgid and entry.msgstr


def test_numbers_alone_that_changed_follow(root):
    change_english(root, "08-managed-training", "about 6 US cents", "about 7 US cents")
    assert faults(root) == []
    assert "약 7센트" in (root / "ko" / "08-managed-training.ipynb").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "before, after, text",
    [
        ("2 of 9", "2 of 8", "9개 중 2개"),  # in another order
        ("2 of 9", "2 from 9", "9개 중 2개"),  # more than a number has changed
        ("two of 9", "two of 8", "9개 중 2개"),  # a number that is a word in English
    ],
)
def test_other_changes_of_numbers_are_for_the_translator(before, after, text):
    assert editions.renumbered(before, after, text) is None


def test_a_third_language_begins_with_three_entries(root):
    editions.update("de", root)
    path = str(root / "translations" / "de" / "01-quick-start.po")
    file = polib.pofile(path)
    german = ["# 1. Schnellstart", "## Was Sie können werden", "## Bevor Sie beginnen"]
    for entry, text in zip(file, german, strict=False):
        entry.msgstr = text
    file.save(path)
    editions.build("de", root)
    texts = editions.entries(root / "de" / "01-quick-start.ipynb")
    assert texts[:3] == german
    assert texts[3] == editions.entries(root / "notebooks" / "01-quick-start.ipynb")[3]
    assert "is not translated" in "\n".join(editions.check("de", root))
