"""Notebooks in one JSON form, so that a change shows as the lines that changed.

python tests/notebook_form.py [--check] NOTEBOOK …   rewrites them, or with --check names those that differ.
"""

import sys
from pathlib import Path

import nbformat

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def in_form(text):
    """The text of a notebook -> the same notebook in the one form, as text."""
    notebook = nbformat.reads(text, as_version=4)
    notebook.metadata = METADATA
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02}"  # random ids would differ in every copy of a cell
        tags = cell.metadata.get("tags")
        cell.metadata = {"tags": sorted(tags)} if tags else {}
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
        sys.exit(f"not in the one form: {', '.join(differ)}; run `.venv/bin/python tests/notebook_form.py FILE`")


if __name__ == "__main__":
    main("--check" in sys.argv, [argument for argument in sys.argv[1:] if argument != "--check"])
