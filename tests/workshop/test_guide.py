"""The instructor's guide: its tables, which tools/guide_tables.py computes, and that its routes fit into their time."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.support import ROOT
from tools import costs, guide_tables

LENGTHS = {"two-hours": 2 * 60, "half-day": 4 * 60, "full-day": 8 * 60}

WORDS = "word " * 148


@pytest.fixture
def notebook(tmp_path):
    """A notebook of two minutes of prose, three cells, and four minutes of waiting for two jobs."""
    cells = [
        new_markdown_cell("# 1. A title"),
        new_markdown_cell("## Before you start\n\n- **Time:** 9 minutes, 4 of them waiting on AWS."),
        new_code_cell("import os\nbucket = 'b'"),
        new_markdown_cell(f"## First\n\n{WORDS}\n\n<details><summary>Answer</summary>\n\n{WORDS}\n\n</details>"),
        new_code_cell("%env A=1\nest = bucket\nest.fit(1)"),
        new_markdown_cell(f"## Second\n\n[{WORDS}](a/b/c/d e f g h)"),
        new_code_cell("est = bucket\nname = 'n'\nest.fit(2)"),
        new_markdown_cell("## Clean up"),
        new_code_cell("print(name)"),
    ]
    nbformat.write(new_notebook(cells=cells), path := tmp_path / "01-a.ipynb")
    return path


def test_minutes_of_words_cells_and_waiting(notebook):
    assert guide_tables.time_line(notebook) == (9, 4)
    begin, first, second, end = guide_tables.sections(notebook)
    assert (begin.title, first.title, second.title, end.title) == ("Begin", "First", "Second", "End")
    assert first.waiting == second.waiting == 2 and begin.waiting == end.waiting == 0
    assert first.reading == pytest.approx(150 / 150 + 20 / 60)
    assert second.reading == pytest.approx(150 / 150 + 20 / 60)
    assert end.reading == pytest.approx(3 / 150 + 20 / 60)


def test_a_request_that_is_refused_takes_no_time(notebook):
    whole = nbformat.read(notebook, as_version=4)
    for ename, waiting in (("ClientError", [4, 0]), ("UnexpectedStatusException", [2, 2])):
        whole.cells[6].outputs = [new_output("error", ename=ename, evalue="", traceback=[])]
        nbformat.write(whole, notebook)
        assert [part.waiting for part in guide_tables.sections(notebook)[1:3]] == waiting


def test_the_clock_of_a_route_with_and_without_waiting(notebook, monkeypatch):
    monkeypatch.setattr(guide_tables, "notebooks", lambda: {"01": notebook})
    monkeypatch.setattr(guide_tables, "link", lambda path, text: text)
    monkeypatch.setattr(guide_tables, "cost", lambda path: 0)
    monkeypatch.setattr(guide_tables, "ROUTES", {"short": [{"talk": "Welcome", "minutes": 10}, {"notebook": "01"}]})
    *_, first, questions, end = guide_tables.route_table("short").splitlines()
    assert first == "| 9:10 | 8 | 4 | 01 A title |"
    assert questions == "| 9:18 | 2 |  | Questions, and whatever went slower |"
    assert end == "| 9:20 |  |  | **The end**; in the sandbox, where nobody waits for AWS, at 9:16 |"


def test_what_can_be_left_out(notebook):
    """`est` is made again by the second section; `name` is needed at the end."""
    assert list(guide_tables.left_out(notebook)) == ["First"]


def test_a_section_that_starts_a_job_is_needed_where_its_estimator_is_used(notebook):
    whole = nbformat.read(notebook, as_version=4)
    whole.cells[-1].source = "print(name, est)"
    whole.cells[6].source = "name = 'n'"
    whole.cells[2].source = "bucket = est = 'b'"
    whole.cells[4].source = "est.fit(1)"
    nbformat.write(whole, notebook)
    assert list(guide_tables.left_out(notebook)) == []
    whole.cells[4].source = "print(est)"
    nbformat.write(whole, notebook)
    assert list(guide_tables.left_out(notebook)) == ["First"]


@pytest.mark.parametrize("name", guide_tables.ROUTES)
def test_each_route_fits_and_leaves_out_only_what_nobody_needs(name):
    taken = sum(stop.minutes for stop in guide_tables.with_questions(name))
    assert 0.85 * LENGTHS[name] <= taken <= LENGTHS[name]
    for entry in guide_tables.ROUTES[name]:
        for beginning in entry.get("without", ()):
            free = [title.strip("`") for title in guide_tables.left_out(guide_tables.notebooks()[entry["notebook"]])]
            assert [title for title in free if title.startswith(beginning)], (entry["notebook"], beginning)


def test_the_breaks_come_in_time():
    """Nobody sits longer than two and a quarter hours."""
    for name in guide_tables.ROUTES:
        sitting = 0
        for stop in guide_tables.with_questions(name):
            sitting = 0 if stop.is_break else sitting + stop.minutes
            assert sitting <= 135, stop.what


def test_the_slides_show_the_routes():
    numbers = list(guide_tables.notebooks())
    [table] = [cell.source for cell in guide_tables.cells(ROOT / "workshop" / "slides.ipynb") if "| ● |" in cell.source]
    shown = [
        [text.strip() for text in line.strip("|").split("|")] for line in table.splitlines() if line[2:4].isdigit()
    ]
    routes = [[entry.get("notebook") for entry in route] for route in guide_tables.ROUTES.values()]
    assert [[row[0][:2], *row[1:]] for row in shown] == [
        [number, *("●" if number in route else "" for route in routes)] for number in numbers
    ]


def test_a_seat_costs_what_its_jobs_and_its_hours_cost():
    path = guide_tables.notebooks()["09"]
    assert guide_tables.cost(path) == pytest.approx(100 * costs.figures()[path.stem].usd)
    assert guide_tables.cost(guide_tables.exercise("08")) == 3 and guide_tables.cost(guide_tables.exercise("02")) == 0
