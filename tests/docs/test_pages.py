"""What makes the pages of the site: the programs in tools/, without Sphinx."""

import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.support import ROOT
from tests.support.seed import PARAMETERS, VARIABLES
from tools import links, pages, reference

PAGES = {language: pages.pages(language) for language in pages.LANGUAGES}
each_language = pytest.mark.parametrize("language", pages.LANGUAGES)


def page(language, path):
    return PAGES[language][ROOT / path]


def relinked(language, path, text):
    return pages.relinked(text, page(language, path), language, PAGES[language])


# --- reference ------------------------------------------------------------------------------------


@each_language
def test_the_reference_has_all_that_the_notebooks_show(language):
    text = page(language, "docs/reference.md").source.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| \[`(\w+)`\]", text, re.MULTILINE)) == set(PARAMETERS)
    patterns = [re.sub(r"\{\w+\}", r"\\w+", name) for name in re.findall(r"^\| `(SM_.+?)` \|", text, re.MULTILINE)]
    assert len(patterns) == len(VARIABLES)
    assert all(any(re.fullmatch(pattern, name) for pattern in patterns) for name in VARIABLES)
    assert "| `ResourceConfig.VolumeSizeInGB` | `compute.volume_size_in_gb` | `250` |" in text
    assert "`SM_OUTPUT_DATA_DIR`" in text and "`SM_MASTER_ADDR`" in text


def shown(html="", stdout=""):
    """A notebook with one table of these cells, or one text that is printed."""
    table = new_output("execute_result", {"text/html": html})
    printed = new_output("stream", name="stdout", text=stdout)
    return new_notebook(cells=[new_code_cell(outputs=[table, printed])])


TABLE = "<table><thead><tr><th>variable</th><th>value</th></tr></thead><tbody>{}</tbody></table>"
ROW = "<tr><td>SM_HPS</td><td>{&quot;a|b&quot;:1}</td></tr>"


def test_a_table_is_found_by_its_columns():
    notebook = shown(TABLE.format(ROW))
    assert reference.table(notebook, ("variable", "value")) == [["SM_HPS", '{"a|b":1}']]
    with pytest.raises(ValueError, match="one table with the columns field, value, and there are 0"):
        reference.table(notebook, ("field", "value"))


def test_variables_need_the_same_names_in_both_tables():
    notebook = shown(TABLE.format(ROW))
    notebook.cells.append(new_markdown_cell("| variable | what |\n|---|---|\n| `SM_HPS` | all of them |\n"))
    assert reference.variables(notebook) == r'| `SM_HPS` | all of them | `{"a\|b":1}` |'
    notebook.cells[-1].source += "| `SM_HOSTS` | one more |\n"
    with pytest.raises(ValueError, match="do not have the same names"):
        reference.variables(notebook)


def test_a_parameter_leads_to_its_heading():
    notebook = new_notebook(cells=[new_markdown_cell("## `role`와 `py_version`\n\nText with `role`.")])
    assert reference.place(notebook, "py_version") == "#role와-py_version"
    with pytest.raises(ValueError, match="one heading with `volume_size`"):
        reference.place(notebook, "volume_size")


def test_names_are_those_of_the_one_list():
    assert reference.names(shown(stdout="SM_A\nSM_B\n")) == "`SM_A`, `SM_B`"
    with pytest.raises(ValueError, match="one list"):
        reference.names(shown(stdout="SM_A and other words\n"))


# --- pages ----------------------------------------------------------------------------------------


@each_language
def test_all_of_a_language_has_a_page_with_the_name_of_the_english_one(language):
    names = {page.name for page in PAGES[language].values()}
    notebooks = [*(ROOT / "notebooks").glob("[0-9]*.ipynb"), *(ROOT / "exercises").glob("*.ipynb")]
    assert {str(path.relative_to(ROOT).with_suffix("")) for path in notebooks} <= names
    assert {"index", "glossary", "reference", "code/train.py", "data/README", "locks"} <= names
    assert names == {page.name for page in PAGES["en"].values()}


def test_what_a_language_does_not_have_is_english():
    assert page("ko", "notebooks/01-quick-start.ipynb").source == ROOT / "ko" / "01-quick-start.ipynb"
    assert page("ko", "notebooks/pictures/role.svg").source == ROOT / "ko" / "pictures" / "role.svg"
    assert page("ko", "notebooks/COST.md").source == ROOT / "notebooks" / "COST.md"


@pytest.mark.parametrize(
    ("language", "path", "link", "expected"),
    [
        ("en", "notebooks/01-quick-start.ipynb", "02-session-and-role.ipynb#a", "02-session-and-role.ipynb#a"),
        ("en", "notebooks/01-quick-start.ipynb", "../README.md", "../index.md"),
        ("en", "notebooks/01-quick-start.ipynb", "../code/train.py", "../code/train.py.md"),
        ("en", "README.md", ".devcontainer", "devcontainer.md"),
        ("en", "README.md", "README.md", "index.md"),
        ("en", "README.md", "ko/README.md", "edition:ko/index.html"),
        ("en", "docs/glossary.md", "../notebooks/01-quick-start.ipynb", "notebooks/01-quick-start.ipynb"),
        ("en", "README.md", "not/there.md", "not/there.md"),
        ("en", "README.md", "https://aws.amazon.com", "https://aws.amazon.com"),
        ("ko", "notebooks/01-quick-start.ipynb", "02-exercise.ipynb#a", "../exercises/02-exercise.ipynb#a"),
        ("ko", "notebooks/02-session-and-role.ipynb", "pictures/role.svg", "pictures/role.svg"),
        ("ko", "notebooks/01-quick-start.ipynb", "../notebooks/COST.md", "COST.md"),
        ("ko", "README.md", "../code/train.py", "code/train.py.md"),
        ("ko", "README.md", "../README.md", "edition:../index.html"),
        ("ko", "README.md", "README.md", "index.md"),
        ("ko", "notebooks/COST.md", "00-setup.ipynb", "00-setup.ipynb"),
    ],
)
def test_links(language, path, link, expected):
    assert relinked(language, path, f"[text]({link})") == f"[text]({expected})"


def test_a_page_has_no_comments_of_cog():
    text = "<!-- [[[cog a ]]] -->\n[t](../README.md)\n<!-- [[[end]]] -->\n"
    assert pages.prepared(text, page("en", "docs/tested.md"), "en", PAGES["en"]) == "[t](index.md)\n"


@pytest.mark.parametrize(
    ("lines", "tags", "expected"),
    [(16, ["nbval-ignore-output"], True), (16, [], False), (15, ["nbval-ignore-output"], False)],
)
def test_only_long_logs_are_folded(lines, tags, expected):
    output = new_output("stream", name="stdout", text="line\n" * lines)
    notebook = new_notebook(cells=[new_code_cell(outputs=[output], metadata={"tags": tags})])
    notebook.metadata.language_info = {"name": "python"}
    path = "notebooks/01-quick-start.ipynb"
    [cell] = json.loads(pages.prepared(nbformat.writes(notebook), page("en", path), "en", PAGES["en"]))["cells"]
    assert ("hide-output" in cell["metadata"]["tags"]) == expected


# --- links ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "fault"),
    [
        ("b/c.html#place", None),
        ("#top", None),
        ("https://aws.amazon.com/#x", None),
        ("b/c.html#%ED%91%9C", None),
        ("b/d.html", "a.html: b/d.html is not there"),
        ("../a.html", "a.html: ../a.html is not there"),
        ("b", "a.html: b is not there"),
        ("b/c.html#gone", "a.html: b/c.html#gone: there is no such place on that page"),
    ],
)
def test_broken_links_are_named(tmp_path, link, fault):
    (tmp_path / "b").mkdir()
    (tmp_path / "a.html").write_text(f'<p id="top"><a href="{link}">text</a></p>')
    (tmp_path / "b" / "c.html").write_text('<h1 id="place">…</h1><h2 id="표">…</h2><img src="../a.html">')
    assert list(links.faults(tmp_path)) == ([fault] if fault else [])
