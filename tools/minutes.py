"""python -m tools.minutes: write the tables of workshop/guide.md, computed from the committed notebooks.

Minutes: 150 words of prose a minute, 20 seconds a code cell, 300 words a minute of what it prints, and the waiting on
AWS that a notebook's line "Time" names, shared out equally among its cells that start a job or an endpoint, or change
one. An exercise takes what its own line says.
Seconds in the sandbox and costs are those of notebooks/COST.md.
"""

import ast
import math
import re
from collections import namedtuple

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from tools import ROOT
from tools.save_outputs import read_page

GUIDE = ROOT / "workshop" / "guide.md"
WORDS_A_MINUTE = 150
PRINTED_WORDS_A_MINUTE = 300
MINUTES_A_CELL = 20 / 60
QUESTIONS = 0.1  # of all that is taught
SPACE = 0.05  # USD an hour, ml.t3.medium: notebooks/COST.md
STARTING = ("fit", "train", "deploy", "update_endpoint")
STARTS = re.compile(rf"\.({'|'.join(STARTING)})\(")
NOT_READ = re.compile(r"<details>.*?</details>|\]\([^)]*\)|<[^>]*>|^\|[-:| ]+\|$", re.DOTALL | re.MULTILINE)
FRAME = ("What you will be able to do", "Before you start", "Clean up", "Check yourself", "Summary", "Next")

Section = namedtuple("Section", "title reading waiting code")
# A notebook by its number, with the beginnings of the titles of sections that are left out; an exercise; or minutes.
ROUTES = {
    "two-hours": [
        ("Welcome and the slides", 10),
        ("01",),
        ("03", "TrainingInput", "When the address"),
        ("04", "All eleven", "One by one", "What local mode"),
        (
            "05",
            "The container",
            "In a script",
            "Channels",
            "Hyperparameters",
            "Hosts and log",
            "Everything",
            "More than",
        ),
        ("07", "Bring the model"),
    ],
    "half-day": [
        ("Welcome and the slides", 15),
        ("00",),
        ("01",),
        ("02",),
        ("03",),
        ("Break", 15),
        ("04",),
        ("exercise 04",),
        ("05",),
        ("Break", 10),
        ("07",),
        ("exercise 07",),
    ],
    "full-day": [
        ("Welcome and the slides", 20),
        ("00",),
        ("01",),
        ("02",),
        ("03",),
        ("Break", 15),
        ("exercise 03",),
        ("04",),
        ("05",),
        ("exercise 05",),
        ("Lunch", 60),
        ("06",),
        ("07",),
        ("Break", 15),
        ("08",),
        ("Break", 15),
        ("11",),
        ("12",),
    ],
}
BREAKS = ("Break", "Lunch")
BEGIN = 9 * 60


def cells(path):
    return nbformat.read(path, as_version=4).cells


def notebooks():
    """{number: path}"""
    return {path.name[:2]: path for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}


def time_line(path):
    """The minutes of a notebook's line "Time", and those of them that are waiting on AWS."""
    [line] = re.findall(r"\*\*Time:\*\* ([^*\n]*)", "\n".join(cell.source for cell in cells(path)))
    whole, *waiting = [int(number) for number in re.findall(r"\d+", line)]
    return whole, sum(waiting)


def waits(cell):
    """Whether a cell starts something, and was not refused."""
    refused = any(
        output.output_type == "error" and output.ename != "UnexpectedStatusException" for output in cell.outputs
    )
    return STARTS.search(cell.source) and not refused


def words(text):
    return len(NOT_READ.sub(" ", text).split())


def printed(cell):
    """How many words a cell's outputs have; a picture has none."""
    found = 0
    for output in cell.outputs:
        data = output.get("data", {})
        text = output.get("text") or output.get("evalue") or data.get("text/html") or data.get("text/plain", "")
        found += words(text) if "image/png" not in data else 0
    return found


def sections(path):
    """A notebook -> [Section], from heading to heading of the second level: minutes of reading and running, minutes of
    waiting, and the code. What frames each notebook is one section at its begin and one at its end."""
    found, starts = [], []

    def section(title):
        if not found or found[-1][0] != title:
            found.append([title, 0, 0, []])

    section("Begin")
    for cell in cells(path):
        if cell.cell_type == "markdown":
            for part in re.split(r"^(?=## )", cell.source, flags=re.MULTILINE):
                if part.startswith("## "):
                    title = part.splitlines()[0].removeprefix("## ")
                    begins = title in FRAME and len(found) == 1
                    section("Begin" if begins else "End" if title in FRAME else title)
                found[-1][1] += words(part) / WORDS_A_MINUTE
        else:
            found[-1][1] += MINUTES_A_CELL + printed(cell) / PRINTED_WORDS_A_MINUTE
            found[-1][3].append(TransformerManager().transform_cell(cell.source))
            if waits(cell):
                starts.append(found[-1])
    for entry in starts:
        entry[2] += time_line(path)[1] / len(starts)
    return [Section(title, reading, waiting, "\n".join(code)) for title, reading, waiting, code in found]


def names(code):
    """The names that code sets, and those that it takes from before. An estimator that has started a job is more than
    one that has not: `est.fit()` sets a name of its own, which every use of `est` takes."""
    set_here, taken, new = set(), set(), set()
    for cell in ast.parse(code).body:
        loaded, stored = set(), set()
        for node in ast.walk(cell):
            if isinstance(node, ast.Name):
                loads = isinstance(node.ctx, ast.Load)
                (loaded if loads else stored).add(node.id)
                (loaded if loads else new).add(f"{node.id}, started")
            elif isinstance(node, ast.Attribute) and node.attr in STARTING and isinstance(node.value, ast.Name):
                stored.add(f"{node.value.id}, started")
            elif isinstance(node, ast.alias):
                stored.add((node.asname or node.name).partition(".")[0])
            elif isinstance(node, ast.FunctionDef):
                stored.add(node.name)
        taken |= loaded - set_here - new
        set_here |= stored
    return set_here, taken


def left_out(path):
    """The titles of the sections that can be left out: no later cell takes a name that only they set."""
    parts = [(section.title, *names(section.code)) for section in sections(path)]
    for number, (title, made, _) in enumerate(parts):
        before = set().union(*(made for _, made, _ in parts[:number]))
        after = set().union(*(taken for _, _, taken in parts[number + 1 :]))
        if title not in ("Begin", "End") and not made - before & after - before:
            yield title


def figures():
    """The page of costs: {name of a notebook: (seconds here, USD)}"""
    return {name: (seconds, cost) for name, (_, _, seconds, cost) in read_page().items()}


def cost(path):
    """US cents of a notebook's or an exercise's jobs: of the page of costs, else of its own line "Cost"."""
    if path.stem in figures():
        return 100 * figures()[path.stem][1]
    [line] = re.findall(r"\*\*Cost:\*\* (.*)", "\n".join(cell.source for cell in cells(path)))
    return sum(int(number) for number in re.findall(r"(\d+) US cents", line))


def exercise(number):
    return ROOT / "exercises" / f"{number}-exercise.ipynb"


def link(path, text):
    return f"[{text}](../{path.relative_to(ROOT)})"


def title(path):
    return re.match(r"# [\d. ]*(.*)", cells(path)[0].source)[1]


def table(head, rows):
    lines = [head, ["---" if name in ("notebook", "route", "what", "its sections") else "--:" for name in head], *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def sections_table():
    rows = []
    for number, path in notebooks().items():
        parts, free = sections(path), set(left_out(path))
        reading, waiting = sum(part.reading for part in parts), sum(part.waiting for part in parts)
        here = figures().get(path.stem)
        shown = [
            f"*{part.title}*" * (part.title in free) + part.title * (part.title not in free) + f" {minutes(part)}"
            for part in parts
        ]
        sandbox = math.ceil(reading + here[0] / 60) if here else "–"
        rows.append([link(path, number), math.ceil(reading + waiting), round(waiting), sandbox, " · ".join(shown)])
    return table(["notebook", "minutes", "of them waiting", "in the sandbox", "its sections"], rows)


def minutes(part):
    return max(1, round(part.reading + part.waiting))


def clock(minute):
    return f"{minute // 60}:{minute % 60:02}"


def stops(route):
    """The rows of a route before the clock: [(minutes, of them waiting on AWS, US cents, what)]"""
    for name, *rest in route:
        if rest and isinstance(rest[0], int):
            yield rest[0], 0, 0, name
        elif name.startswith("exercise"):
            path = exercise(name.split()[1])
            yield *time_line(path), cost(path), "Exercise " + link(path, name.split()[1])
        else:
            path = notebooks()[name]
            without = [part for part in sections(path) if part.title.strip("`").startswith(tuple(rest))] if rest else []
            taken = [part for part in sections(path) if part not in without]
            what = f"{link(path, name)} {title(path)}"
            if without:
                what += ", without " + ", ".join(f"*{part.title}*" for part in without)
            waiting = sum(part.waiting for part in taken)
            yield math.ceil(sum(part.reading for part in taken) + waiting), round(waiting), cost(path), what


def with_questions(route):
    rows = list(stops(route))
    taught = sum(minutes for minutes, *_, what in rows if what not in BREAKS)
    return [*rows, (math.ceil(QUESTIONS * taught), 0, 0, "Questions, and whatever went slower")]


def route_table(route):
    rows, now, waited = [], BEGIN, 0
    for minutes, waiting, _, what in with_questions(route):
        rows.append([clock(now), minutes, waiting or "", what])
        now, waited = now + minutes, waited + waiting
    rows.append(
        [clock(now), "", "", f"**The end**; in the sandbox, where nobody waits for AWS, at {clock(now - waited)}"]
    )
    return table(["at", "minutes", "of them waiting", "what"], rows)


def costs_table():
    rows = []
    for name, route in ROUTES.items():
        found = with_questions(route)
        hours = sum(minutes for minutes, *_ in found) / 60
        jobs = sum(cents for _, _, cents, _ in found) / 100
        seat = jobs + SPACE * hours
        dollars = [f"{amount:.2f}" for amount in (jobs, SPACE * hours, seat, 30 * seat)]
        rows.append([name.replace("-", " "), *dollars])
    return table(["route", "its jobs", "its space", "a seat", "thirty seats"], rows)


def written(text):
    """The guide with its tables as they must be: each stands between two comments that name it."""
    tables = {"sections": sections_table(), "costs": costs_table()}
    tables |= {name: route_table(route) for name, route in ROUTES.items()}
    for name, content in tables.items():
        mark, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, after = text.split(mark)[0], text.split(end)[1]
        text = f"{before}{mark}\n{content}\n{end}{after}"
    return text


if __name__ == "__main__":
    GUIDE.write_text(written(GUIDE.read_text(encoding="utf-8")), encoding="utf-8")
