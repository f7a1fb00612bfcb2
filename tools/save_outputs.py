"""python -m tools.save_outputs NOTEBOOK …: run notebooks as managed jobs, save their outputs, and write what they cost.

`make outputs` calls it inside the sandbox. The jobs that a notebook has started become its figures in tools/costs.json;
`make editions` then writes the page of costs from these.
"""

import sys
import tempfile
from collections import Counter
from pathlib import Path

import boto3
import nbformat
from nbclient import NotebookClient

from tools import NOTEBOOKS, ROOT, costs
from tools.notebook_form import in_form


def jobs_but(names, client):
    """The descriptions of all training jobs but those with these names, which then have theirs, too."""
    pages = client.get_paginator("list_training_jobs").paginate()
    new = {job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]} - names
    names |= new
    return [client.describe_training_job(TrainingJobName=name) for name in new]


def run(path):
    """Run a notebook in its folder, and save it with its outputs in the one form, without the paths of this machine.
    Raises CellExecutionError."""
    notebook = nbformat.read(path, as_version=4)
    kernel = notebook.metadata.kernelspec.name
    settings = dict(timeout=600, kernel_name=kernel, record_timing=False, resources={"metadata": {"path": path.parent}})
    NotebookClient(notebook, **settings).execute()
    text = nbformat.writes(notebook)
    for here, anywhere in (sys.executable, "python"), (tempfile.gettempdir(), "/tmp"), (str(ROOT), "."):
        text = text.replace(here, anywhere)
    path.write_text(in_form(text), encoding="utf-8")


def figures(jobs):
    """The figures of these jobs, as tools/costs.json has them: how many, their hosts by machine, and the billed seconds
    of all hosts."""
    hosts, seconds = Counter(), 0
    for job in jobs:
        machine, count = job["ResourceConfig"]["InstanceType"], job["ResourceConfig"]["InstanceCount"]
        hosts[machine] += count
        seconds += job.get("BillableTimeInSeconds", 0) * count
    return {"jobs": len(jobs), "hosts": dict(sorted(hosts.items())), "seconds": seconds}


def main(paths):
    client, found, names = boto3.client("sagemaker"), {}, set()
    jobs_but(names, client)
    for path in paths:
        print(f"== {path.stem}", flush=True)
        run(path)
        jobs = jobs_but(names, client)
        if path.stem in {notebook.stem for notebook in NOTEBOOKS}:  # and no exercise
            found[path.stem] = figures(jobs)
    costs.update(found)


if __name__ == "__main__":
    main([Path(argument).resolve() for argument in sys.argv[1:]])
