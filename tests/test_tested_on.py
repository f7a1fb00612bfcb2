"""tests/tested_on.py: the rows of the README's table."""

import sys
from pathlib import Path

import tensorflow as tf
from tested_on import BEGIN, END, versions, with_row

HEAD = "| where | what |\n|---|---|\n"
README = Path(__file__).parents[1] / "README.md"


def test_a_row_is_added_and_then_replaced():
    text = f"before\n{BEGIN}{HEAD}{END}after\n"
    once = with_row(text, ["a", "1"])
    assert once == f"before\n{BEGIN}{HEAD}| a | 1 |\n{END}after\n"
    assert (
        with_row(with_row(once, ["b", "2"]), ["a", "3"]) == f"before\n{BEGIN}{HEAD}| a | 3 |\n| b | 2 |\n{END}after\n"
    )


def test_versions_are_those_of_the_python():
    sdk, _, tensorflow, python = versions(sys.executable)
    assert sdk.startswith("2.") and tensorflow == tf.__version__ and python == ".".join(map(str, sys.version_info[:2]))


def test_the_readme_has_a_row_for_every_environment():
    table = README.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    images = (Path(__file__).parent / "images").glob("studio-*.txt")
    for name in [path.stem.replace("studio-", "SageMaker Distribution ") for path in images]:
        assert f"| {name} |" in table
