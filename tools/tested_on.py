"""python -m tools.tested_on WHERE PYTHON WHAT: write one row of what the series was tested on, in docs/tested.json.

`make matrix` and `make studio` call it after a run that passed. The versions are those that the Python at PYTHON has.
Then cog makes the table of docs/tested.md from all rows.
"""

import json
import re
import subprocess
import sys

from cogapp import Cog

from tools import ROOT, tables

DATA = ROOT / "docs" / "tested.json"
PAGE = ROOT / "docs" / "tested.md"
LOCKS = ROOT / "locks" / "studio"
COLUMNS = {
    "where": "where",
    "sdk": "SageMaker SDK",
    "boto3": "boto3",
    "tensorflow": "TensorFlow",
    "python": "Python",
    "passed": "what passed",
}


def versions(python):
    """Of the SDK, boto3, TensorFlow and Python itself; a dash where a package is not there."""
    pip = [python, "-X", "utf8", "-m", "pip"]
    listed = subprocess.check_output([*pip, "list", "--format=json", "--disable-pip-version-check"], encoding="utf-8")
    packages = {package["name"].replace("_", "-"): package["version"] for package in json.loads(listed)}
    about_pip = subprocess.check_output([*pip, "--version"], encoding="utf-8")
    return {
        "sdk": packages.get("sagemaker", "–"),
        "boto3": ".".join(packages.get("boto3", "–").split(".")[:2]),
        "tensorflow": packages.get("tensorflow-cpu", packages.get("tensorflow", "–")),
        "python": re.search(r"\(python ([\d.]+)\)", about_pip)[1],
    }


def is_of_the_past(row):
    """Whether a row is about an image of Studio's that is tested no more."""
    image = re.fullmatch(r"SageMaker Distribution ([\d.]+)", row["where"])
    return image is not None and not (LOCKS / f"{image[1]}.txt").exists()


def with_row(rows, new):
    """The rows with this one, in the place of an older one of the same environment."""
    kept = [new if row["where"] == new["where"] else row for row in rows if not is_of_the_past(row)]
    return kept if new in kept else [*kept, new]


def read():
    return json.loads(DATA.read_text(encoding="utf-8"))


def table():
    """The rows, as docs/tested.md shows them."""
    return tables.table(COLUMNS.values(), [[row[column] for column in COLUMNS] for row in read()])


def main():
    where, python, what = sys.argv[1:]
    rows = with_row(read(), {"where": where, **versions(python), "passed": what})
    DATA.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.exit(Cog().main(["cog", "-r", "--verbosity=1", str(PAGE)]))


if __name__ == "__main__":
    main()
