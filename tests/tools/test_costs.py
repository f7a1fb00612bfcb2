"""tools/costs.py: what a notebook costs, and the data that `make outputs` writes."""

import json

import pytest

from tools import costs
from tools.save_outputs import figures

PRICES = {
    "machines": {"ml.c4.xlarge": 0.3, "ml.m5.xlarge": 0.2},
    "disk": 0.1,
    "minutes_of_a_host": 3,
    "endpoints": {"12-deployment": {"machine": "ml.m5.xlarge", "minutes": 30}},
}


def job(machine, hosts, **more):
    return {"ResourceConfig": {"InstanceType": machine, "InstanceCount": hosts}, **more}


def test_figures_of_jobs():
    jobs = [job("ml.m5.xlarge", 2, BillableTimeInSeconds=10), job("ml.c4.xlarge", 1, BillableTimeInSeconds=5)]
    jobs.append(job("ml.m5.xlarge", 1))  # one that was stopped before it began
    assert figures(jobs) == {"jobs": 3, "hosts": {"ml.c4.xlarge": 1, "ml.m5.xlarge": 3}, "seconds": 25}
    assert figures([]) == {"jobs": 0, "hosts": {}, "seconds": 0}


@pytest.mark.parametrize(
    ("name", "hosts", "usd"),
    [
        ("00-setup", {}, 0),
        ("01-quick-start", {"ml.c4.xlarge": 1}, 0.02),  # 0.4 USD an hour, 3 minutes
        ("08-managed-training", {"ml.c4.xlarge": 1, "ml.m5.xlarge": 4}, 0.08),
        ("12-deployment", {"ml.m5.xlarge": 2}, 0.13),  # and half an hour of the endpoint, which has no such disk
    ],
)
def test_a_notebook_costs_what_its_hosts_and_its_endpoint_cost(name, hosts, usd):
    assert costs.usd(name, {**PRICES, "notebooks": {name: {"hosts": hosts}}}) == usd


def test_new_figures_replace_those_of_the_notebooks_that_ran(tmp_path, monkeypatch):
    monkeypatch.setattr(costs, "NOTEBOOKS", [tmp_path / "01-a.ipynb", tmp_path / "02-b.ipynb"])
    monkeypatch.setattr(costs, "DATA", tmp_path / "costs.json")
    old, new = ({"jobs": count, "hosts": {"ml.c4.xlarge": count}, "seconds": count} for count in (1, 2))
    costs.DATA.write_text(json.dumps({**PRICES, "notebooks": {"00-gone": old, "02-b": old}}))
    costs.update({"01-a": new})
    assert costs.read() == {**PRICES, "notebooks": {"01-a": new, "02-b": old}}
    assert costs.table().splitlines()[2:] == [
        "| [01-a](01-a.ipynb) | 2 | 2 | 2 | 0.04 |",
        "| [02-b](02-b.ipynb) | 1 | 1 | 1 | 0.02 |",
        "| all | 3 | 3 | 3 | 0.06 |",
    ]
