"""python tests/on_aws.py NOTEBOOK …: run notebooks as managed jobs with your own AWS credentials, and compare every output.

`make aws` calls it. It says account, region, role and cost, and asks before it starts anything: YES=1 answers. It deletes
nothing. The comparison is that of `make matrix-seed-image`, since AWS trains in the seed's own image; with TRAINING_IMAGE
set it is the plain one.
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

ROOT = Path(__file__).parents[1]
COSTS = ROOT / "notebooks" / "COST.md"
SECONDS_A_CELL = 1800  # AWS stops a script after 120 s, and may look for an instance for minutes
NO_ROLE = """these credentials are not those of a role. Take those of your SageMaker execution role, for instance with
  aws sts assume-role --role-arn arn:aws:iam::ACCOUNT:role/SageMakerExecutionRole --role-session-name series
or a profile with role_arn= and source_profile= in ~/.aws/config, which also renews them: AWS_PROFILE=NAME make aws"""
GB_MONTH = 0.023  # USD, S3 Standard in us-east-1


def whose():
    """-> (account, region, ARN of the role); ends with a line that says what to do where one of them is missing."""
    try:
        region = boto3.Session().region_name
        if not region:
            sys.exit("aws: no region. Set one: AWS_DEFAULT_REGION=us-east-1 make aws")
        account = boto3.client("sts").get_caller_identity()["Account"]
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"aws: no credentials that AWS takes ({error}). Set AWS_PROFILE, or run `aws configure`.")
    for name in ("sagemaker", "sagemaker.config"):
        logging.getLogger(name).setLevel(logging.ERROR)  # else a warning where the role may not read itself
    import sagemaker

    try:
        return account, region, sagemaker.get_execution_role()
    except ValueError:
        sys.exit(f"aws: {NO_ROLE}")


def cost(notebooks):
    """What the page of costs says of these notebooks -> (jobs, USD), and those that it lacks."""
    row = re.compile(r"\]\(([\w-]+\.ipynb)\) \| (\d+) \| \d+ \| \d+ \| ([\d.]+) \|")
    rows = row.findall(COSTS.read_text(encoding="utf-8")) if COSTS.exists() else []
    page = {name: (int(jobs), float(usd)) for name, jobs, usd in rows}
    known = [page[notebook.name] for notebook in notebooks if notebook.name in page]
    jobs, usd = sum(jobs for jobs, _ in known), sum(usd for _, usd in known)
    return jobs, usd, [notebook.name for notebook in notebooks if notebook.name not in page]


def compare(notebooks):
    """Run the notebooks under nbval -> the tests of cells that failed, and how many there were."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    environment = {**os.environ, "LOCAL_MODE": "0", "PATH": path, "SAGEMAKER_SUPPRESS_V2_WARNING": "1"}
    plugin = [] if environment.get("TRAINING_IMAGE") else ["-p", "tests.seed_image"]
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.xml")
        nbval = ["--nbval", f"--nbval-cell-timeout={SECONDS_A_CELL}", "--nbval-sanitize-with", "tests/sanitize.cfg"]
        command = [sys.executable, "-m", "pytest", *nbval, *plugin, "-p", "no:cacheprovider", f"--junitxml={results}"]
        subprocess.run([*command, *map(str, notebooks)], cwd=ROOT, env=environment)
        if not results.exists():
            sys.exit("aws: pytest did not run; its message stands above")
        cases = list(ElementTree.parse(results).iter("testcase"))
    bad = [case for case in cases if any(case.find(kind) is not None for kind in ("failure", "error", "skipped"))]
    return [f"{case.get('classname').split('.')[-1]}: {case.get('name')}" for case in bad], len(cases)


def show_jobs(since, role):
    """Print the jobs of this role that began in this run."""
    client, seconds = boto3.client("sagemaker"), {}
    for page in client.get_paginator("list_training_jobs").paginate(CreationTimeAfter=since):
        for name in [job["TrainingJobName"] for job in page["TrainingJobSummaries"]]:
            job = client.describe_training_job(TrainingJobName=name)
            if job["RoleArn"] == role:
                machine, hosts = job["ResourceConfig"]["InstanceType"], job["ResourceConfig"]["InstanceCount"]
                seconds[machine] = seconds.get(machine, 0) + job.get("BillableTimeInSeconds", 0) * hosts
                print(f"  {name}: {job['TrainingJobStatus']}")
                if job["TrainingJobStatus"] in ("InProgress", "Stopping"):
                    print(f"    costs until it ends: aws sagemaker stop-training-job --training-job-name {name}")
    billed = ", ".join(f"{total} s of {machine}" for machine, total in seconds.items())
    print(f"  billed: {billed or 'nothing'}. An ended job stays in the list, and its log in CloudWatch: less than a cent")


def show_objects(since, region):
    """Print how many objects of the default bucket are of this run, by the first part of their keys."""
    import sagemaker

    bucket, found = sagemaker.Session().default_bucket(), {}
    for page in boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for item in page.get("Contents", []):
            if item["LastModified"] >= since:
                found.setdefault(item["Key"].partition("/")[0], []).append(item["Size"])
    for prefix, sizes in sorted(found.items()):
        print(f"  s3://{bucket}/{prefix}: {len(sizes)} objects, {sum(sizes) / 1e6:.1f} MB")
    total = sum(map(sum, found.values()))
    print(f"  in all {total / 1e6:.1f} MB, about {total / 1e9 * GB_MONTH:.4f} USD a month until you delete them")


def main(notebooks):
    account, region, role = whose()
    jobs, usd, unknown = cost(notebooks)
    print(f"account {account}, region {region}, role {role}")
    print(f"{len(notebooks)} notebooks, {jobs} training jobs one after the other, about {jobs * 4} minutes and {usd:.2f} USD")
    if unknown:
        print(f"not on the page of costs: {', '.join(unknown)}")
    if os.environ.get("AWS_SESSION_TOKEN"):
        print("AWS_SESSION_TOKEN is set: these credentials are not renewed, and must last as long")
    if os.environ.get("YES") != "1" and input("Start? y/N ").strip().lower() not in ("y", "yes"):
        sys.exit("aws: nothing was started")
    since = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    different, cells = compare(notebooks)
    print(f"\nWhat differed: {len(different)} of {cells} cells", *different, sep="\n  ")
    for title, show, whose_ in (("Jobs", show_jobs, role), ("Objects", show_objects, region)):
        print(f"\n{title} since {since:%H:%M} UTC (others who share the role or the bucket may have made some):")
        try:
            show(since, whose_)
        except ClientError as error:
            print(f"  not known: {error}")
    sys.exit(bool(different))


if __name__ == "__main__":
    main([Path(argument).resolve() for argument in sys.argv[1:]])
