"""tools/tested_on.py: the rows of the README's table."""

import re
import sys

from sandbox.machine import environments
from tests.support import ROOT
from tools.tested_on import BEGIN, END, IMAGES, versions, with_row

HEAD = "| where | what |\n|---|---|\n"
README = ROOT / "README.md"


def test_a_row_is_added_and_then_replaced():
    text = f"before\n{BEGIN}{HEAD}{END}after\n"
    once = with_row(text, ["a", "1"])
    assert once == f"before\n{BEGIN}{HEAD}| a | 1 |\n{END}after\n"
    assert (
        with_row(with_row(once, ["b", "2"]), ["a", "3"]) == f"before\n{BEGIN}{HEAD}| a | 3 |\n| b | 2 |\n{END}after\n"
    )


def test_the_row_of_an_image_that_is_tested_no_more_goes():
    [image] = [path.stem.removeprefix("studio-") for path in IMAGES.glob("studio-2.*.txt")]
    kept, gone = (f"| SageMaker Distribution {version} | 1 |\n" for version in (image, "1.0"))
    assert with_row(f"{BEGIN}{HEAD}{gone}{kept}{END}", ["a", "1"]) == f"{BEGIN}{HEAD}{kept}| a | 1 |\n{END}"


def test_versions_are_those_of_the_python():
    sdk, _, tensorflow, python = versions(sys.executable)
    assert sdk.startswith("2.") and tensorflow == environments.tensorflow()
    assert python == ".".join(map(str, sys.version_info[:2]))


def test_the_readme_has_a_row_for_every_environment_and_its_python():
    table = README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()]
    found = {row[0]: row[4] for row in rows if row[0].startswith("SageMaker Distribution")}
    pythons = {path.stem: re.search(r"Python (3\.\d+)", path.read_text())[1] for path in IMAGES.glob("studio-*.txt")}
    assert found == {name.replace("studio-", "SageMaker Distribution "): python for name, python in pythons.items()}
