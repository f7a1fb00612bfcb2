"""The tables of workshop/guide.md, computed from the committed notebooks and workshop/routes.toml; cog writes them.

Minutes: 150 words of prose a minute, 20 seconds a code cell, 300 words a minute of what it prints, and the waiting on
AWS that a notebook's line "Time" names, shared out equally among its cells that start a job or an endpoint, or change
one. An exercise takes what its own line says.
Seconds in the sandbox and costs are those of tools/costs.json.
"""

import ast
import math
import re
import tomllib
from collections import namedtuple

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

from tools import NOTEBOOKS, ROOT, costs
from tools.tables import table

WORDS_A_MINUTE = 150
PRINTED_WORDS_A_MINUTE = 300
MINUTES_A_CELL = 20 / 60
QUESTIONS = 0.1  # of all that is taught
STARTING = ("fit", "train", "deploy", "update_endpoint")
STARTS = re.compile(rf"\.({'|'.join(STARTING)})\(")
NOT_READ = re.compile(r"<details>.*?</details>|\]\([^)]*\)|<[^>]*>|^\|[-:| ]+\|$", re.DOTALL | re.MULTILINE)
FRAME = ("What you will be able to do", "Before you start", "Clean up", "Check yourself", "Summary", "Next")

Section = namedtuple("Section", "title reading waiting code")
# A row of a route before the clock; `waiting` is on AWS and part of the minutes.
Stop = namedtuple("Stop", "minutes waiting cents what is_break", defaults=(False,))
ROUTES_DATA = tomllib.loads((ROOT / "workshop" / "routes.toml").read_text(encoding="utf-8"))
ROUTES = {name: route["stops"] for name, route in ROUTES_DATA.items()}
BEGIN = 9 * 60


def cells(path):
    return nbformat.read(path, as_version=4).cells


def notebooks():
    """{number: path}"""
    return {path.name[:2]: path for path in NOTEBOOKS}


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


def cost(path):
    """US cents of a notebook's or an exercise's jobs: of the costs' data, else of its own line "Cost"."""
    if figures := costs.figures().get(path.stem):
        return 100 * figures.usd
    [line] = re.findall(r"\*\*Cost:\*\* (.*)", "\n".join(cell.source for cell in cells(path)))
    return sum(int(number) for number in re.findall(r"(\d+) US cents", line))


def exercise(number):
    return ROOT / "exercises" / f"{number}-exercise.ipynb"


def link(path, text):
    return f"[{text}](../{path.relative_to(ROOT)})"


def title(path):
    return re.match(r"# [\d. ]*(.*)", cells(path)[0].source)[1]


def sections_table():
    rows = []
    for number, path in notebooks().items():
        parts, free = sections(path), set(left_out(path))
        reading, waiting = sum(part.reading for part in parts), sum(part.waiting for part in parts)
        here = costs.figures().get(path.stem)
        shown = [
            f"*{part.title}*" * (part.title in free) + part.title * (part.title not in free) + f" {minutes(part)}"
            for part in parts
        ]
        sandbox = math.ceil(reading + here.seconds / 60) if here else "–"
        rows.append([link(path, number), math.ceil(reading + waiting), round(waiting), sandbox, " · ".join(shown)])
    numbers = ["minutes", "of them waiting", "in the sandbox"]
    return table(["notebook", *numbers, "its sections"], rows, numbers)


def minutes(part):
    return max(1, round(part.reading + part.waiting))


def clock(minute):
    return f"{minute // 60}:{minute % 60:02}"


def stop(entry):
    """A stop of a route."""
    if "notebook" in entry:
        return notebook_stop(entry["notebook"], tuple(entry.get("without", ())))
    if "exercise" in entry:
        path = exercise(entry["exercise"])
        return Stop(*time_line(path), cost(path), "Exercise " + link(path, entry["exercise"]))
    is_break = "break" in entry
    return Stop(entry["minutes"], 0, 0, entry["break" if is_break else "talk"], is_break)


def notebook_stop(number, without):
    """A notebook, without the sections whose titles begin so."""
    path = notebooks()[number]
    left_out = [part for part in sections(path) if part.title.strip("`").startswith(without)]
    taken = [part for part in sections(path) if part not in left_out]
    what = f"{link(path, number)} {title(path)}"
    if left_out:
        what += ", without " + ", ".join(f"*{part.title}*" for part in left_out)
    waiting = sum(part.waiting for part in taken)
    return Stop(math.ceil(sum(part.reading for part in taken) + waiting), round(waiting), cost(path), what)


def with_questions(route):
    """The stops of a route, and the questions at its end."""
    stops = [stop(entry) for entry in ROUTES[route]]
    taught = sum(stop.minutes for stop in stops if not stop.is_break)
    return [*stops, Stop(math.ceil(QUESTIONS * taught), 0, 0, "Questions, and whatever went slower")]


def route_table(route):
    rows, now, waited = [], BEGIN, 0
    for stop in with_questions(route):
        rows.append([clock(now), stop.minutes, stop.waiting or "", stop.what])
        now, waited = now + stop.minutes, waited + stop.waiting
    rows.append(
        [clock(now), "", "", f"**The end**; in the sandbox, where nobody waits for AWS, at {clock(now - waited)}"]
    )
    numbers = ["at", "minutes", "of them waiting"]
    return table([*numbers, "what"], rows, numbers)


def costs_table():
    rows = []
    for name in ROUTES:
        stops = with_questions(name)
        jobs = sum(stop.cents for stop in stops) / 100
        space = costs.read()["space"]["price"] * sum(stop.minutes for stop in stops) / 60
        dollars = [f"{amount:.2f}" for amount in (jobs, space, jobs + space, 30 * (jobs + space))]
        rows.append([name.replace("-", " "), *dollars])
    numbers = ["its jobs", "its space", "a seat", "thirty seats"]
    return table(["route", *numbers], rows, numbers)
