"""python -m tools.save_outputs NOTEBOOK …: run notebooks as managed jobs, save their outputs, and write what they cost.

`make outputs` calls it inside the sandbox. The page of costs, notebooks/COST.md, is computed from the jobs that these
runs started. Prices: https://aws.amazon.com/sagemaker/ai/pricing/, on-demand training in us-east-1, November 2026.
"""

import re
import sys
import tempfile
from pathlib import Path

import boto3
import nbformat
from nbclient import NotebookClient

from tools import ROOT
from tools.notebook_form import in_form

PAGE = ROOT / "notebooks" / "COST.md"
PRICES = {"ml.c4.xlarge": 0.279, "ml.m5.xlarge": 0.23}  # USD an hour
DISK = 0.05  # USD an hour for the 250 GB of a host
SECONDS_ON_AWS = 180  # of a host: an image of 2 GB is downloaded first
ENDPOINTS = {"12-deployment": 20}  # notebook: minutes of an ml.m5.xlarge, from InService to its deletion, on AWS
HEAD = """\
# What the series costs

For one run of all notebooks as managed jobs on AWS. SageMaker bills each host of a job by the second, from the moment
it begins to download until the results are uploaded. The jobs, hosts and seconds below are those of the run that made
the committed outputs, on one machine that has the training image; `make outputs` writes this page. On AWS each host
first downloads the image, and a job is billed for 1 to 3 minutes, so the last column takes 3 minutes a host, and for
notebook 12 also the endpoint's 20 minutes. The prices are those of `us-east-1` in November 2026
(<https://aws.amazon.com/sagemaker/ai/pricing/>): an `ml.c4.xlarge` is {c4} USD an hour, an `ml.m5.xlarge` {m5}, and a
host's disk of 250 GB {disk}. No notebook needs a GPU.

| notebook | jobs | hosts | seconds here | USD at 3 minutes a host |
|---|--:|--:|--:|--:|
"""
TAIL = """
What stays is small: data and models in S3, less than 100 MB, for less than 1 US cent a month, and less than 1 MB of
logs in CloudWatch. Each notebook ends with *Clean up*: it removes what it made, and says what it leaves. Whoever loses
a kernel before that finds the rest in the default bucket, under the name of the job, and below
`DEMO-tensorflow/mnist`. The last one of an account removes `DEMO-mnist` as well. A Studio space costs
more than all jobs, as long as it runs: about 0.05 USD an hour for an `ml.t3.medium`. Stop it after the class.
"""


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


def costs(found, minutes):
    """The figures of these jobs: how many, their hosts, the billed seconds of all hosts, USD on AWS, an endpoint of
    these minutes included."""
    hosts = [job["ResourceConfig"]["InstanceCount"] for job in found]
    seconds = sum(job.get("BillableTimeInSeconds", 0) * count for job, count in zip(found, hosts, strict=True))
    prices = [PRICES[job["ResourceConfig"]["InstanceType"]] + DISK for job in found]
    cost = sum(price * count for price, count in zip(prices, hosts, strict=True)) * SECONDS_ON_AWS / 3600
    cost += PRICES["ml.m5.xlarge"] * minutes / 60
    return len(found), sum(hosts), seconds, round(cost, 2)


def read_page():
    """The page of costs: {name of a notebook: (jobs, hosts, seconds here, USD on AWS)}"""
    row = re.compile(r"^\| \[([\w-]+)\].* \| (\d+) \| (\d+) \| (\d+) \| ([\d.]+) \|$", re.MULTILINE)
    return {name: tuple(map(float, numbers)) for name, *numbers in row.findall(PAGE.read_text(encoding="utf-8"))}


def write_page(figures):
    """The page of costs; a notebook of which there are no new figures keeps those that it has there."""
    all_figures = read_page() | figures
    known = {path.stem: all_figures.get(path.stem, (0,) * 4) for path in sorted(PAGE.parent.glob("*.ipynb"))}
    form = "| {} | {:.0f} | {:.0f} | {:.0f} | {:.2f} |"
    rows = [form.format(f"[{name}]({name}.ipynb)", *numbers) for name, numbers in known.items()]
    rows.append(form.format("all", *map(sum, zip(*known.values(), strict=True))))
    head = HEAD.format(c4=PRICES["ml.c4.xlarge"], m5=PRICES["ml.m5.xlarge"], disk=DISK)
    PAGE.write_text(head + "\n".join(rows) + "\n" + TAIL, encoding="utf-8")


def main(paths):
    client, figures, names = boto3.client("sagemaker"), {}, set()
    jobs_but(names, client)
    for path in paths:
        print(f"== {path.stem}", flush=True)
        run(path)
        found = jobs_but(names, client)
        if path.parent == PAGE.parent:
            figures[path.stem] = costs(found, ENDPOINTS.get(path.stem, 0))
    if figures:
        write_page(figures)


if __name__ == "__main__":
    main([Path(argument).resolve() for argument in sys.argv[1:]])
