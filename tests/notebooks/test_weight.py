"""The lesson first: how heavy the series may be. A job trains early, cells are small, and what they show is a value."""

import re
import statistics

import nbformat

from tests.support import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ONLY_TRUE = re.compile(r"[\s()\[\],]*(?:(?:True|False)[\s()\[\],]*)+")


def cells(kind, notebooks=NOTEBOOKS):
    """The cells of a kind -> (notebook, cell)"""
    found = [(path.stem, cell) for path in notebooks for cell in nbformat.read(path, as_version=4).cells]
    return [(name, cell) for name, cell in found if cell.cell_type == kind]


def shown(cell):
    """The text of a cell's outputs."""
    return " ".join(output.get("text") or output.get("data", {}).get("text/plain") or "" for output in cell.outputs)


def test_the_first_job_trains_at_the_12th_code_cell_at_the_latest():
    sources = [cell.source for name, cell in cells("code") if not name.startswith("00-")]
    assert next(number for number, source in enumerate(sources, 1) if ".fit(" in source) <= 12


def test_the_notebooks_define_at_most_15_functions_and_classes():
    sources = [cell.source for _, cell in cells("code")]
    found = [line for source in sources for line in re.findall(r"(?m)^\s*(?:def|class) .*", source)]
    assert len(found) <= 15, found


def test_at_most_five_outputs_only_say_true_or_false():
    found = [(name, cell.source) for name, cell in cells("code") if ONLY_TRUE.fullmatch(shown(cell))]
    assert len(found) <= 5, found


def test_the_prose_on_training_has_at_most_14000_words():
    """And 250 on TensorBoard, and on SDK 3's words for what comes after fit(), which notebooks 11 and 12 are about."""
    training = [path for path in NOTEBOOKS if path.name < "11"]
    texts = [re.sub(r"```.*?```", "", cell.source, flags=re.DOTALL) for _, cell in cells("markdown", training)]
    assert sum(len(text.split()) for text in texts) <= 14_000 + 250


def test_the_median_code_cell_has_at_most_four_lines():
    lengths = [sum(bool(line.strip()) for line in cell.source.splitlines()) for _, cell in cells("code")]
    assert statistics.median(lengths) <= 4


def test_machinery_is_at_most_a_fifth_of_the_code():
    """Lines that import from the standard library or for plots, or that prepare, tidy up and draw."""
    machinery = re.compile(
        r"import (?!sagemaker|boto3|tensorflow|numpy|keras)|from (?!sagemaker|boto3|botocore|tensorflow|numpy|keras)"
        r"|.*\b(prepare|table|keep_log|tempfile\.\w+|rmtree)\(|.*(plt\.|\.plot\()"
    )
    lines = [line.strip() for _, cell in cells("code") for line in cell.source.splitlines() if line.strip()]
    assert sum(bool(machinery.match(line)) for line in lines) / len(lines) <= 0.2
