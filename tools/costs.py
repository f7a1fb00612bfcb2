"""What the jobs of the series cost: the data in tools/costs.json, and what cog writes from it into notebooks/COST.md.

`make outputs` writes the figures of the notebooks (tools/save_outputs.py). Prices are changed by hand: the data has the
machines of a notebook's hosts and not what these cost, so a new price needs no new run.
"""

import json
from collections import namedtuple

from tools import NOTEBOOKS, ROOT, tables

DATA = ROOT / "tools" / "costs.json"

# Of one notebook: jobs, their hosts, the billed seconds of all hosts in the sandbox, and USD on AWS.
Figures = namedtuple("Figures", "jobs hosts seconds usd")


def read():
    return json.loads(DATA.read_text(encoding="utf-8"))


def update(figures):
    """Write new figures of some notebooks; those that did not run keep theirs, and those that are gone lose them.

    :param figures: {name of a notebook: {"jobs": …, "hosts": {machine: how many}, "seconds": …}}
    """
    costs = read()
    there = {path.stem for path in NOTEBOOKS}
    known = {name: found for name, found in (costs["notebooks"] | figures).items() if name in there}
    costs["notebooks"] = dict(sorted(known.items()))
    DATA.write_text(json.dumps(costs, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def usd(name, costs):
    """What a notebook costs on AWS: its hosts, and its endpoint if it makes one."""
    an_hour = sum(
        (costs["machines"][machine] + costs["disk"]) * count
        for machine, count in costs["notebooks"][name]["hosts"].items()
    )
    cost = an_hour * costs["minutes_of_a_host"] / 60
    if endpoint := costs["endpoints"].get(name):
        cost += costs["machines"][endpoint["machine"]] * endpoint["minutes"] / 60
    return round(cost, 2)


def figures():
    """{name of a notebook: Figures}, of the notebooks whose jobs are known."""
    costs = read()
    return {
        name: Figures(found["jobs"], sum(found["hosts"].values()), found["seconds"], usd(name, costs))
        for name, found in costs["notebooks"].items()
    }


# --- what cog writes into notebooks/COST.md ---------------------------------------------------------------------------


def assumptions():
    """The sentences on minutes and prices."""
    costs = read()
    [(name, endpoint)] = costs["endpoints"].items()
    c4, m5 = (costs["machines"][machine] for machine in ("ml.c4.xlarge", "ml.m5.xlarge"))
    return f"""\
so the last column takes {costs["minutes_of_a_host"]} minutes a host, and for notebook {name[:2]} also the endpoint's
{endpoint["minutes"]} minutes. The prices are those of `{costs["region"]}` in {costs["month"]}
(<https://aws.amazon.com/sagemaker/ai/pricing/>): an `ml.c4.xlarge` is {c4} USD an hour, an `ml.m5.xlarge` {m5}, and a
host's disk of 250 GB {costs["disk"]}."""


def space():
    """The words on a Studio space."""
    space = read()["space"]
    return f"about {space['price']} USD an hour for an `{space['machine']}`."


def table():
    """The figures of all notebooks, and their sums."""
    known = figures()
    lines = {f"[{name}]({name}.ipynb)": found for name, found in known.items()}
    lines["all"] = Figures(*map(sum, zip(*known.values(), strict=True)))
    rows = [[name, found.jobs, found.hosts, found.seconds, f"{found.usd:.2f}"] for name, found in lines.items()]
    numbers = ["jobs", "hosts", "seconds here", f"USD at {read()['minutes_of_a_host']} minutes a host"]
    return tables.table(["notebook", *numbers], rows, numbers)
