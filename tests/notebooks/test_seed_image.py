"""tests/notebooks/seed_image.py: cells that are listed must differ and may not raise, all others must not differ."""

import os
import shutil
import subprocess
import sys

import nbformat

from tests.notebooks.seed_image import LIST, listed
from tests.support import ROOT

NOTEBOOKS = ROOT / "notebooks"
# id, source, committed result: the first three are listed
CELLS = [
    ("differs", "6 * 7", "41"),
    ("equal", "6 * 7", "42"),
    ("raises", "6 / 0", "42"),
    ("differs-too", "6 * 7", "41"),
    ("equal-too", "6 * 7", "42"),
]


def compare(folder, names):
    """Run the cells under nbval with the plugin and a list of these names -> (exit code, what pytest said)"""
    (folder / "tests").mkdir()
    shutil.copy(LIST.with_suffix(".py"), folder / "tests")
    (folder / "tests" / LIST.name).write_text("[tiny]\n" + "".join(f"{name} = because\n" for name in names))
    cells = []
    for number, (name, source, result) in enumerate(CELLS, 1):
        output = nbformat.v4.new_output("execute_result", {"text/plain": result}, execution_count=number)
        cells.append(nbformat.v4.new_code_cell(source, id=name, execution_count=number, outputs=[output]))
    kernel = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), folder / "tiny.ipynb")
    command = [sys.executable, "-m", "pytest", "--nbval", "-p", "seed_image", "-p", "no:cacheprovider", "-rA"]
    environment = {**os.environ, "PYTHONPATH": "tests"}
    done = subprocess.run([*command, "tiny.ipynb"], cwd=folder, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_listed_cells_must_differ_and_others_must_not(tmp_path):
    code, out = compare(tmp_path, ["differs", "equal", "raises"])
    lines = [line.split() for line in out.splitlines() if line.startswith(("PASSED", "FAILED"))]
    said = {number: word for word, _, number, *_ in lines}
    assert code == 1 and said == {"0": "PASSED", "1": "FAILED", "2": "FAILED", "3": "FAILED", "4": "PASSED"}
    assert "this output is as committed, though seed_image.cfg says: because" in out


def test_a_listed_cell_must_be_there(tmp_path):
    code, out = compare(tmp_path, ["gone"])
    assert code == 4 and "seed_image.cfg names cells that are not there: [('tiny', 'gone')]" in out


def test_the_list_is_about_cells_of_the_series_and_gives_reasons():
    cells = {(p.stem, cell.id) for p in NOTEBOOKS.glob("[0-9]*.ipynb") for cell in nbformat.read(p, as_version=4).cells}
    assert set(listed()) <= cells
    assert all(len(reason) > 10 for reason in listed().values())
