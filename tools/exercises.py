"""python -m tools.exercises [--check]: write each exercise from its solution, or with --check name those that differ.

A cell of exercises/NN-solution.ipynb with `blank` in its metadata is what a learner writes: NN-exercise.ipynb has the
blank in its place, and no outputs. `another` in the metadata is a second right answer, for the tests.
"""

import sys

import nbformat

from tools import ROOT
from tools.notebook_form import in_form

FOLDER = ROOT / "exercises"


def exercise_of(path):
    """A solution with blanks in its cells of answers, and without outputs."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.source = cell.metadata.get("blank", cell.source)
            cell.metadata = {"tags": cell.metadata.tags} if "tags" in cell.metadata else {}
    return notebook


def main(check):
    differ = []
    for path in sorted(FOLDER.glob("*-solution.ipynb")):
        exercise = path.with_name(path.name.replace("solution", "exercise"))
        text = in_form(nbformat.writes(exercise_of(path)))
        if not exercise.exists() or exercise.read_text(encoding="utf-8") != text:
            differ.append(exercise.name)
            if not check:
                exercise.write_text(text, encoding="utf-8")
    if check and differ:
        sys.exit(f"not what the solutions give: {', '.join(differ)}; `make editions` writes them")


if __name__ == "__main__":
    main("--check" in sys.argv)
