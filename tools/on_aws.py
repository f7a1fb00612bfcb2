"""python -m tools.on_aws NOTEBOOK …: run notebooks as managed jobs in your AWS account, and compare every output.

`make aws` calls it. It says what that costs and asks before it starts anything (YES=1 answers). It deletes nothing.
Without TRAINING_IMAGE, AWS trains in the seed's own image: tests/notebooks/seed_image.cfg says what differs there.
"""

import datetime
import logging
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from tools import ROOT, costs


def whose():
    """-> (account, region, ARN of the role); where one is missing, end with a line that says what to do."""
    logging.disable(logging.WARNING)  # else the SDK warns where the role may not read itself
    os.environ["SAGEMAKER_SUPPRESS_V2_WARNING"] = "1"
    try:
        import sagemaker

        region = boto3.Session().region_name or sys.exit("aws: no region. Set one: export AWS_DEFAULT_REGION=us-east-1")
        return boto3.client("sts").get_caller_identity()["Account"], region, sagemaker.get_execution_role()
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"aws: no credentials that AWS takes ({error}). Set AWS_PROFILE, or run `aws configure`.")
    except ValueError:
        sys.exit("aws: not a role's credentials. Give a profile role_arn= in ~/.aws/config: AWS_PROFILE=NAME make aws")


def cost(notebooks):
    """What is known of these notebooks -> (jobs, USD, the names of those of which nothing is)."""
    figures = costs.figures()
    known = [figures[path.stem] for path in notebooks if path.stem in figures]
    unknown = [path.name for path in notebooks if path.stem not in figures]
    return sum(found.jobs for found in known), sum(found.usd for found in known), unknown


def compare(notebooks):
    """Run the notebooks under nbval -> the cells that differed or failed, and how many cells there were."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "LOCAL_MODE": "0", "PATH": path}
    plugin = [] if environment.get("TRAINING_IMAGE") else ["-p", "tests.notebooks.seed_image"]
    nbval = ["--nbval", "--nbval-cell-timeout=1800", "--nbval-sanitize-with", "tests/notebooks/sanitize.cfg", *plugin]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        command = [sys.executable, "-m", "pytest", *nbval, f"--rootdir={notebooks[0].parent}", f"--junitxml={results}"]
        subprocess.run([*command, *map(str, notebooks)], cwd=ROOT, env=environment)
        if not results.exists():
            sys.exit("aws: pytest did not run; its message stands above")
        cases = list(ElementTree.parse(results).iter("testcase"))
    # A child says that a cell failed, or did not run after a time-out. nbval counts cells from 0, Jupyter from 1.
    bad = [(case.get("classname"), case.get("name")) for case in cases if len(case)]
    return [f"{re.search('[^./]+[.]ipynb', path)[0]} [{int(cell[5:]) + 1}]" for path, cell in bad], len(cases)


def show_jobs(since, role):
    """Print the jobs of this role since then."""
    client, seconds = boto3.client("sagemaker"), {}
    for page in client.get_paginator("list_training_jobs").paginate(CreationTimeAfter=since):
        for name in [job["TrainingJobName"] for job in page["TrainingJobSummaries"]]:
            job = client.describe_training_job(TrainingJobName=name)
            if job["RoleArn"] == role:
                machine, hosts = job["ResourceConfig"]["InstanceType"], job["ResourceConfig"]["InstanceCount"]
                seconds[machine] = seconds.get(machine, 0) + job.get("BillableTimeInSeconds", 0) * hosts
                stop = f", and costs. To stop it: aws sagemaker stop-training-job --training-job-name {name}"
                print(f"  {name}: {job['TrainingJobStatus']}{stop * (job['TrainingJobStatus'] == 'InProgress')}")
    billed = ", ".join(f"{total} s of {machine}" for machine, total in seconds.items()) or "nothing"
    print(f"  billed: {billed}. An ended job stays in the list, and its log in CloudWatch, for less than a cent")


def show_objects(since, role):
    """Print the objects of the default bucket since then, by the first part of their keys."""
    import sagemaker

    bucket, found = sagemaker.Session().default_bucket(), {}
    for page in boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in [item for item in page.get("Contents", []) if item["LastModified"] >= since]:
            found.setdefault(item["Key"].partition("/")[0], []).append(item["Size"])
    for prefix, sizes in sorted(found.items()):
        print(f"  s3://{bucket}/{prefix}: {len(sizes)} objects, {sum(sizes) / 1e6:.1f} MB")
    total = sum(map(sum, found.values()))
    print(f"  in all {total / 1e6:.1f} MB, {total / 1e9 * 0.023:.4f} USD a month until you delete them")


def main(notebooks):
    account, region, role = whose()
    jobs, usd, unknown = cost(notebooks)
    print(f"account {account}, region {region}, role {role}")
    print(f"about {usd:.2f} USD: {len(notebooks)} notebooks, {jobs} jobs, {jobs * 4} minutes")
    print(*[f"not known, so not counted: {name}\n" for name in unknown], sep="", end="")
    if os.environ.get("AWS_SESSION_TOKEN"):
        print("AWS_SESSION_TOKEN is set: these credentials are not renewed, and must last as long")
    print("Start? y/N ", end="", flush=True)
    if os.environ.get("YES") != "1" and sys.stdin.readline().strip().lower() not in ("y", "yes"):
        sys.exit("aws: nothing was started")
    since = datetime.datetime.now().astimezone().replace(microsecond=0)
    different, cells = compare(notebooks)
    print(f"\nWhat differed: {len(different)} of {cells} cells", *different, sep="\n  ")
    for title, show in (("Jobs", show_jobs), ("Objects in the default bucket", show_objects)):
        print(f"\n{title} since {since:%H:%M} (others who share the role or the bucket may have made some):")
        try:
            show(since, role)
        except ClientError as error:
            print(f"  not known: {error}")
    sys.exit(bool(different))


if __name__ == "__main__":
    main([Path(argument).resolve() for argument in sys.argv[1:]])
