"""The series as a reader gets it: every notebook has one shape, and its committed outputs come from a run."""

import json
import re
import subprocess
import sys

import nbformat
import pytest

from tests.support import ROOT
from tests.support.seed import PARAMETERS, VARIABLES

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
EXERCISES = sorted((ROOT / "exercises").glob("*.ipynb"))

TAGS = {"nbval-ignore-output", "raises-exception", "seed"}
MAX_LINES = 15
SEED = """\
est = TensorFlow(
    entry_point="train.py",
    source_dir="../code",  # directory of your training script
    role=role,
    framework_version="2.3.1",
    model_dir=False,  # don't pass --model_dir to your training script
    py_version="py37",
    instance_type=instance_type,
    instance_count=1,
    volume_size=250,
    output_path=output_path,
    hyperparameters={
        "batch-size": 512,
        "epochs": 1,
        "learning-rate": 1e-3,
        "beta_1": 0.9,
        "beta_2": 0.999,
    },
)"""


def read(path):
    return nbformat.read(path, as_version=4)


def headings(path):
    """The headings of the second level, in their order."""
    markdown = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    return re.findall(r"^## (.+)$", "\n".join(markdown), re.MULTILINE)


# The form of a notebook is that of the template; what differs from notebook to notebook stands between the two ends.
FORM = headings(ROOT / "notebooks" / "template.ipynb")
HEADINGS = [heading for heading in FORM if heading not in ("Set up", "One idea")]


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tags(cell):
    return set(cell.metadata.get("tags", []))


def compared_output(path):
    """What nbval compares, as one text."""
    cells = [cell for cell in code_cells(path) if "nbval-ignore-output" not in tags(cell)]
    return "\n".join(json.dumps(cell.outputs) for cell in cells)


each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def test_the_series_is_complete_and_in_order():
    numbers = [path.name[:3] for path in NOTEBOOKS]
    assert numbers == [f"{number:02}-" for number in range(len(NOTEBOOKS))]
    assert len(numbers) >= 6


@each_notebook
def test_shape(path):
    markdown = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    assert re.match(rf"# {int(path.name[:2])}\. \S", markdown[0])
    found = headings(path)
    assert [heading for heading in found if heading in HEADINGS] == HEADINGS
    assert found[:2] == HEADINGS[:2] and found[-4:] == HEADINGS[2:]
    before = "\n".join(markdown).partition("## Before you start")[2].partition("\n## ")[0]
    assert re.search(r"\bminutes\b", before) and re.search(r"\bcosts?\b", before, re.IGNORECASE)
    assert "<details>" in "\n".join(markdown)


@pytest.mark.parametrize("path", [*NOTEBOOKS, *EXERCISES], ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", cell.source):
                assert (path.parent / target).exists(), target


@each_notebook
def test_cells_are_small_and_prose_leads(path):
    cells = read(path).cells
    for before, cell in zip([None, *cells], cells, strict=False):
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= MAX_LINES or tags(cell) == {"seed"}, cell.source
            assert tags(cell) <= TAGS
        elif before is not None:
            assert cell.source.strip()
    assert cells[0].cell_type == "markdown"


@each_notebook
def test_outputs_come_from_one_run_from_top_to_bottom(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@each_notebook
def test_errors_are_meant(path):
    for cell in code_cells(path):
        failed = any(output.output_type == "error" for output in cell.outputs)
        assert failed == ("raises-exception" in tags(cell)), cell.source


@each_notebook
def test_ignored_outputs_are_pictures_logs_and_timings(path):
    for cell in code_cells(path):
        if "nbval-ignore-output" in tags(cell):
            picture = any("image/png" in output.get("data", {}) for output in cell.outputs)
            waits = re.search(r"\b(fit|train|deploy)\(|\blog|\bwait|\btime|train\.py", cell.source)
            assert picture or waits, cell.source


@each_notebook
def test_what_is_not_sagemaker_stands_beside_the_notebooks(path):
    if not path.name.startswith("00-"):
        sdk = "prepare(sdk=3)" if path.name.startswith("10-") else "prepare()"
        assert code_cells(path)[0].source.startswith("from not_sagemaker import ")
        assert any(sdk in cell.source for cell in code_cells(path)[:2])


@pytest.mark.parametrize("order", (("short_errors()", "old = install()"), ("old = install()", "short_errors()")))
def test_an_error_is_one_line_whenever_a_library_brings_its_own_way(order):
    """Under SDK 3 of July 2026 `import sagemaker.core` does, maybe in the very cell that fails."""
    script = f"""
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("from not_sagemaker import short_errors")
for line in {[*order, "old = install(); 1 / 0"]}:
    shell.run_cell(f"from rich.traceback import install; {{line}}")
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT / "notebooks", capture_output=True, text=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", done.stdout) == "ZeroDivisionError: division by zero\n\n", done


@pytest.mark.parametrize("path", [*NOTEBOOKS, *EXERCISES], ids=lambda path: path.stem)
def test_pure_sdk_code(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    for word in ("moto", "nbval", "pytest", "sandbox", "from tests", "%run"):
        assert word not in text.lower(), word


@each_notebook
def test_the_kernel_is_that_of_the_sdk_which_the_notebook_is_about(path):
    assert read(path).metadata.kernelspec.name == ("sagemaker-v3" if path.name.startswith("10-") else "python3")


def test_the_seeds_estimator_stands_as_it_is():
    cells = [cell.source for path in NOTEBOOKS for cell in code_cells(path) if "seed" in tags(cell)]
    assert cells == [SEED]


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_is_in_an_output(name):
    assert name in compared_output(ROOT / "notebooks" / "04-estimator-parameters.ipynb")


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_is_in_an_output(name):
    assert name in compared_output(ROOT / "notebooks" / "05-sm-variables.ipynb")


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_is_in_the_table_of_both_sdks(name):
    assert name in compared_output(ROOT / "notebooks" / "10-model-trainer.ipynb")


def test_the_readme_lists_every_notebook():
    readme = (ROOT / "README.md").read_text()
    listed = re.findall(r"\(notebooks/(\d\d-[\w-]+\.ipynb)\)", readme)
    assert listed == [path.name for path in NOTEBOOKS]
