"""The lesson first: a job trains early, few helpers are defined, and what a cell shows is a value.

That a cell has at most 15 lines is in test_series.py.
"""

import re

import nbformat

from tests.support import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
ONLY_TRUE = re.compile(r"[\s()\[\],]*(?:(?:True|False)[\s()\[\],]*)+")


def code_cells():
    """-> [(notebook, cell)]"""
    found = [(path.stem, cell) for path in NOTEBOOKS for cell in nbformat.read(path, as_version=4).cells]
    return [(name, cell) for name, cell in found if cell.cell_type == "code"]


def shown(cell):
    """The text of a cell's outputs."""
    return " ".join(output.get("text") or output.get("data", {}).get("text/plain") or "" for output in cell.outputs)


def test_the_first_job_trains_at_the_12th_code_cell_at_the_latest():
    sources = [cell.source for name, cell in code_cells() if not name.startswith("00-")]
    assert next(number for number, source in enumerate(sources, 1) if ".fit(" in source) <= 12


def test_the_notebooks_define_at_most_15_functions_and_classes():
    sources = [cell.source for _, cell in code_cells()]
    found = [line for source in sources for line in re.findall(r"(?m)^\s*(?:def|class) .*", source)]
    assert len(found) <= 15, found


def test_at_most_five_outputs_only_say_true_or_false():
    found = [(name, cell.source) for name, cell in code_cells() if ONLY_TRUE.fullmatch(shown(cell))]
    assert len(found) <= 5, found
