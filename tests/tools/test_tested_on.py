"""tools/tested_on.py: the rows of docs/tested.json."""

import re
import sys

from sandbox.machine import environments
from tools.tested_on import LOCKS, read, table, versions, with_row


def row(where, passed="1"):
    return {"where": where, "passed": passed}


def test_a_row_is_added_and_then_replaced():
    once = with_row([], row("a"))
    assert once == [row("a")]
    assert with_row(with_row(once, row("b", "2")), row("a", "3")) == [row("a", "3"), row("b", "2")]


def test_the_row_of_an_image_that_is_tested_no_more_goes():
    [image] = [path.stem for path in LOCKS.glob("2.*.txt")]
    kept, gone = (row(f"SageMaker Distribution {version}") for version in (image, "1.0"))
    assert with_row([gone, kept], row("a")) == [kept, row("a")]


def test_versions_are_those_of_the_python():
    found = versions(sys.executable)
    assert found["sdk"].startswith("2.") and found["tensorflow"] == environments.tensorflow()
    assert found["python"] == ".".join(map(str, sys.version_info[:2]))


def test_every_image_of_studio_has_a_row_and_its_python():
    found = {row["where"]: row["python"] for row in read() if row["where"].startswith("SageMaker Distribution")}
    pythons = {path.stem: re.search(r"Python (3\.\d+)", path.read_text())[1] for path in LOCKS.glob("*.txt")}
    assert found == {f"SageMaker Distribution {name}": python for name, python in pythons.items()}


def test_the_table_has_a_line_for_each_row():
    lines = table().splitlines()
    assert lines[0] == "| where | SageMaker SDK | boto3 | TensorFlow | Python | what passed |"
    assert lines[2:] == [f"| {' | '.join(row.values())} |" for row in read()] != []
