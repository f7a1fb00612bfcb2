"""What fills docs/reference.md: the notebooks' committed outputs and tables say it of parameters and SM_* variables.

Notebooks come as nbformat reads them. One that no longer shows what is asked for is a ValueError.
"""

import os
import re

import nbformat
from bs4 import BeautifulSoup

from tools import NOTEBOOKS, ROOT
from tools.tables import row

ESTIMATOR = ("parameter", "field of the request", "value")  # the columns of notebook 4's table of all parameters
TRAINER = ("SDK 2: TensorFlow", "value", "SDK 3: ModelTrainer", "value")  # notebook 10
VARIABLES = ("variable", "value")  # notebook 5


def one(found, what):
    if len(found) != 1:
        raise ValueError(f"there must be one {what}, and there are {len(found)}")
    return found[0]


def outputs(notebook):
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def markdown(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def table(notebook, columns):
    """The rows of the one table with these columns that a notebook shows, as lists of texts."""
    pages = [BeautifulSoup(output.get("data", {}).get("text/html", ""), "html.parser") for output in outputs(notebook)]
    found = [page for page in pages if tuple(cell.text for cell in page.select("thead th")) == columns]
    rows = one(found, f"table with the columns {', '.join(columns)}").select("tbody tr")
    return [[cell.text for cell in row.select("td")] for row in rows]


def printed(notebook):
    """The names in the one list of SM_* variables that a notebook prints."""
    lists = [output.text.split() for output in outputs(notebook) if output.output_type == "stream"]
    return one([names for names in lists if names and all(name.startswith("SM_") for name in names)], "list of SM_*")


def place(notebook, parameter):
    """The heading under which a notebook explains a parameter, as the end of an address: #role"""
    headings = re.findall(r"^#+ (.*)", markdown(notebook), re.MULTILINE)
    heading = one([heading for heading in headings if f"`{parameter}`" in heading], f"heading with `{parameter}`")
    return "#" + re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))


def code(text):
    """A text as code in a cell of a table; what is in brackets is said, not typed."""
    return text if re.match(r"[(–]", text) else f"`{text}`".replace("|", r"\|")


def parameters(estimator, trainer, address):
    """The parameters: where each is explained, its field of the request, its place in SDK 3, and its value.

    :param estimator: notebook 4, whose address is `address`
    :param trainer: notebook 10
    """
    places = {name: there for name, _, there, _ in table(trainer, TRAINER)}
    return "\n".join(
        row(f"[`{name}`]({address}{place(estimator, name)})", code(field), code(places[name]), code(value))
        for name, field, value in table(estimator, ESTIMATOR)
    )


def variables(notebook):
    """The variables of notebook 5: what each is, and the value that it had in a job."""
    described = re.findall(r"^\| `(SM_[^`]+)` \| (.+) \|$", markdown(notebook), re.MULTILINE)
    valued = table(notebook, VARIABLES)
    patterns = [re.sub(r"\{\w+\}", ".+", name) for name, _ in described]
    if len(patterns) != len(valued) or not all(map(re.fullmatch, patterns, (name for name, _ in valued))):
        raise ValueError("the tables of what the variables are and of their values do not have the same names")
    return "\n".join(
        row(f"`{name}`", what, code(value)) for (name, what), (_, value) in zip(described, valued, strict=True)
    )


def names(notebook):
    return ", ".join(f"`{name}`" for name in printed(notebook))


def filled(text, notebooks=None, folder=ROOT / "docs"):
    """A text of reference.md, with what belongs in its places.

    :param notebooks: those of the language of the text without its exercises, by their paths; else the English ones
    :param folder: where the text lies: its links begin there
    """
    if notebooks is None:
        notebooks = {path: nbformat.read(path, as_version=4) for path in NOTEBOOKS}

    def path(number):
        return one([path for path in notebooks if path.name.startswith(number)], number)

    four, five, ten = (notebooks[path(number)] for number in ("04-", "05-", "10-"))
    return text.format(
        parameters=parameters(four, ten, os.path.relpath(path("04-"), folder)),
        variables=variables(five),
        more=names(five),
        sdk_3=names(ten),
    )
