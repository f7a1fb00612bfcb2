"""The instructor's guide: its tables are those that tools/minutes.py computes, and its routes fit into their time."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tools import minutes

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
    assert minutes.time_line(notebook) == (9, 4)
    begin, first, second, end = minutes.sections(notebook)
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
        assert [part.waiting for part in minutes.sections(notebook)[1:3]] == waiting


def test_the_clock_of_a_route_with_and_without_waiting(notebook, monkeypatch):
    monkeypatch.setattr(minutes, "notebooks", lambda: {"01": notebook})
    monkeypatch.setattr(minutes, "link", lambda path, text: text)
    monkeypatch.setattr(minutes, "cost", lambda path: 0)
    *_, first, questions, end = minutes.route_table([("Welcome", 10), ("01",)]).splitlines()
    assert first == "| 9:10 | 8 | 4 | 01 A title |"
    assert questions == "| 9:18 | 2 |  | Questions, and whatever went slower |"
    assert end == "| 9:20 |  |  | **The end**; in the sandbox, where nobody waits for AWS, at 9:16 |"


def test_what_can_be_left_out(notebook):
    """`est` is made again by the second section; `name` is needed at the end."""
    assert list(minutes.left_out(notebook)) == ["First"]


def test_a_section_that_starts_a_job_is_needed_where_its_estimator_is_used(notebook):
    whole = nbformat.read(notebook, as_version=4)
    whole.cells[-1].source = "print(name, est)"
    whole.cells[6].source = "name = 'n'"
    whole.cells[2].source = "bucket = est = 'b'"
    whole.cells[4].source = "est.fit(1)"
    nbformat.write(whole, notebook)
    assert list(minutes.left_out(notebook)) == []
    whole.cells[4].source = "print(est)"
    nbformat.write(whole, notebook)
    assert list(minutes.left_out(notebook)) == ["First"]


def test_the_tables_are_what_the_notebooks_give():
    text = minutes.GUIDE.read_text(encoding="utf-8")
    assert minutes.written(text) == text, "`make editions` writes the tables"


@pytest.mark.parametrize("name", minutes.ROUTES)
def test_each_route_fits_and_leaves_out_only_what_nobody_needs(name):
    rows = minutes.with_questions(minutes.ROUTES[name])
    taken = sum(row[0] for row in rows)
    assert 0.85 * LENGTHS[name] <= taken <= LENGTHS[name]
    for number, *left_out in minutes.ROUTES[name]:
        if left_out and isinstance(left_out[0], str):
            free = [title.strip("`") for title in minutes.left_out(minutes.notebooks()[number])]
            for beginning in left_out:
                assert [title for title in free if title.startswith(beginning)], (number, beginning)


def test_the_breaks_come_in_time():
    """Nobody sits longer than two and a quarter hours."""
    for route in minutes.ROUTES.values():
        sitting = 0
        for taken, *_, what in minutes.with_questions(route):
            sitting = 0 if what in minutes.BREAKS else sitting + taken
            assert sitting <= 135, what


def test_the_slides_show_the_routes():
    numbers = list(minutes.notebooks())
    [table] = [
        cell.source for cell in minutes.cells(minutes.ROOT / "workshop" / "slides.ipynb") if "| ● |" in cell.source
    ]
    shown = [
        [text.strip() for text in line.strip("|").split("|")] for line in table.splitlines() if line[2:4].isdigit()
    ]
    routes = [[stop[0] for stop in route] for route in minutes.ROUTES.values()]
    assert [[row[0][:2], *row[1:]] for row in shown] == [
        [number, *("●" if number in route else "" for route in routes)] for number in numbers
    ]


def test_a_seat_costs_what_its_jobs_and_its_hours_cost():
    path = minutes.notebooks()["09"]
    assert minutes.cost(path) == pytest.approx(100 * minutes.figures()[path.stem][1])
    assert minutes.cost(minutes.exercise("08")) == 3 and minutes.cost(minutes.exercise("02")) == 0
