"""A plugin of pytest for nbval, `-p tests.notebooks.seed_image`: the jobs run in the seed's own image, 2.3.1.

That is what a learner on AWS gets without TRAINING_IMAGE. The list seed_image.cfg beside this file names the cells
whose output is another one there. Each of them must differ and may not raise; every other cell must have its committed
output.
"""

import configparser
from pathlib import Path

import pytest

LIST = Path(__file__).with_suffix(".cfg")


def listed(path=LIST):
    """{(name of a notebook, id of a cell): the reason why its output differs}"""
    config = configparser.ConfigParser(delimiters="=", interpolation=None)
    config.optionxform = str  # ids keep their capitals
    config.read_string(path.read_text(encoding="utf-8"), str(path))
    return {(notebook, cell): reason for notebook in config.sections() for cell, reason in config[notebook].items()}


def place(item):
    return Path(item.fspath).stem, item.cell.get("id")


def pytest_collection_modifyitems(items):
    cells = {place(item) for item in items if hasattr(item, "cell")}
    notebooks = {notebook for notebook, _ in cells}
    unknown = [entry for entry in listed() if entry[0] in notebooks and entry not in cells]
    if unknown:
        raise pytest.UsageError(f"{LIST.name} names cells that are not there: {unknown}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if call.when == "call" and hasattr(item, "cell") and place(item) in listed():
        reason = listed()[place(item)]
        if report.passed:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: this output is as committed, though {LIST.name} says: {reason}"
        elif "Cell outputs differ" in str(call.excinfo.value):  # not a cell that raised or took too long
            report.outcome, report.longrepr = "passed", None
    return report
