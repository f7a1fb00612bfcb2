"""python tests/exercises/answers.py blank|another SOLUTION …: what the checks say of other answers, as JSON.

Inside the sandbox, and in one process: the cells of a notebook go to one IPython shell, which is emptied for the next.
"""

import contextlib
import io
import json
import os
import sys

from IPython.core.interactiveshell import InteractiveShell


def said(shell, notebook, replacement):
    """What the check cells of a notebook print, in their order."""
    found = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            source = cell["metadata"].get(replacement, "".join(cell["source"]))
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                shell.run_cell(source)
            if source.startswith("checks."):
                found.append(printed.getvalue().strip())
    return found


def main(replacement, paths):
    shell, result = InteractiveShell.instance(), {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            notebook = json.load(file)
        os.chdir(os.path.dirname(os.path.abspath(path)))
        result[os.path.basename(path)] = said(shell, notebook, replacement)
        shell.reset(new_session=False)
    print(json.dumps(result, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
