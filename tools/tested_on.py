"""python -m tools.tested_on WHERE PYTHON WHAT: write one row of the README's table of what the series was tested on.

`make matrix` and `make studio` call it after a run that passed. The versions are those that the Python at PYTHON has.
"""

import json
import re
import subprocess
import sys

from tools import ROOT

README = ROOT / "README.md"
IMAGES = ROOT / "locks" / "studio"
BEGIN, END = "<!-- tested-on -->\n", "<!-- /tested-on -->\n"


def versions(python):
    """Of the SDK, boto3, TensorFlow and Python itself; a dash where a package is not there."""
    pip = [python, "-X", "utf8", "-m", "pip"]
    listed = subprocess.check_output([*pip, "list", "--format=json", "--disable-pip-version-check"], encoding="utf-8")
    packages = {package["name"].replace("_", "-"): package["version"] for package in json.loads(listed)}
    tensorflow = packages.get("tensorflow-cpu", packages.get("tensorflow", "–"))
    boto3 = ".".join(packages.get("boto3", "–").split(".")[:2])
    about_pip = subprocess.check_output([*pip, "--version"], encoding="utf-8")
    return packages.get("sagemaker", "–"), boto3, tensorflow, re.search(r"\(python ([\d.]+)\)", about_pip)[1]


def is_of_the_past(row):
    """Whether a row is about an image of Studio's that is tested no more."""
    image = re.match(r"\| SageMaker Distribution ([\d.]+) \|", row)
    return image is not None and not (IMAGES / f"{image[1]}.txt").exists()


def with_row(text, cells):
    """The README's text with this row in the table, in the place of an older one with the same first cell."""
    before, table, after = text.partition(BEGIN)[0], text.partition(BEGIN)[2].partition(END)[0], text.partition(END)[2]
    row, start = f"| {' | '.join(cells)} |", f"| {cells[0]} |"
    rows = [row if old.startswith(start) else old for old in table.splitlines() if not is_of_the_past(old)]
    return before + BEGIN + "\n".join(rows if row in rows else [*rows, row]) + "\n" + END + after


def main():
    where, python, what = sys.argv[1:]
    text = README.read_text(encoding="utf-8")
    README.write_text(with_row(text, [where, *versions(python), what]), encoding="utf-8")


if __name__ == "__main__":
    main()
