"""Notebooks in one JSON form, so that a change shows as the lines that changed.

python -m tools.notebook_form [--check] NOTEBOOK …   rewrites them, or with --check names those that differ.
"""

import sys
from pathlib import Path

import nbformat

# Of a cell: tags, and in a solution what tools/exercises.py needs.
METADATA = ("tags", "blank", "another")
# The two kernels of the series, by name: the environment of SDK 2 and that of SDK 3.
KERNELS = {"python3": "Python 3", "sagemaker-v3": "Python 3 (SageMaker SDK 3)"}


def metadata(kernel):
    if kernel not in KERNELS:
        raise ValueError(f"the kernel is {kernel!r}, but must be one of {', '.join(KERNELS)}")
    return {
        "kernelspec": {"display_name": KERNELS[kernel], "language": "python", "name": kernel},
        "language_info": {"name": "python"},
    }


def in_form(text):
    """The text of a notebook -> the same notebook in the one form, as text."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = metadata(notebook.metadata.get("kernelspec", {}).get("name", "python3"))
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"  # random ids would differ in every copy of a cell
        kept = {name: value for name, value in cell.metadata.items() if name in METADATA and value}
        cell.metadata = {name: sorted(value) if name == "tags" else value for name, value in kept.items()}
        if cell.cell_type == "code":
            for output in cell.outputs:
                if "metadata" in output:
                    output.metadata = {}
    nbformat.validate(notebook)
    return nbformat.writes(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main(check, paths):
    differ = []
    for path in map(Path, paths):
        text = path.read_text(encoding="utf-8")
        if (formed := in_form(text)) != text:
            differ.append(str(path))
            if not check:
                path.write_text(formed, encoding="utf-8")
    if check and differ:
        sys.exit(f"not in the one form: {', '.join(differ)}; run `.venv/bin/python -m tools.notebook_form FILE`")


if __name__ == "__main__":
    main("--check" in sys.argv, [argument for argument in sys.argv[1:] if argument != "--check"])
