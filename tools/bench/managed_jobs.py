"""python -m tools.bench.managed_jobs [JOBS]: what a managed job in the sandbox costs beyond its script.

1. code/train.py on data/, directly and as a job, in turn: seconds from CreateTrainingJob to Completed, and how many of
   them the script itself did not run. (On a busy machine the two runs differ more than that.)
2. JOBS (50) small jobs one after another, then eight at a time: whether every log is whole and its own, and whether
   processes, threads, open files and memory return to where they were.
3. The same training in local mode, where Docker is there: what the job costs beyond its script.
"""

import io
import json
import os
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import psutil

from sandbox.account import Account
from sandbox.local_mode import docker as local_mode
from sandbox.machine import folders
from tools import ROOT

BUCKET = "sagemaker-us-east-1-123456789012"
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
GROUP = "/aws/sagemaker/TrainingJobs"
CHATTER = "import os, sys\nfor n in range(300): sys.stdout.write(f\"{os.environ['TRAINING_JOB_NAME']} {n}\\n\")\n"


class Client:
    def __init__(self, account):
        self.s3, self.sagemaker, self.logs = (account.client(name) for name in ("s3", "sagemaker", "logs"))
        self.s3.create_bucket(Bucket=BUCKET)
        self.sources = {}

    def source(self, code):
        """Upload a folder of code, or a text as train.py, once -> its address."""
        if code not in self.sources:
            archive = io.BytesIO()
            with tarfile.open(fileobj=archive, mode="w:gz") as tar:
                if isinstance(code, Path):
                    tar.add(code, ".")
                else:
                    member = tarfile.TarInfo("train.py")
                    member.size = len(code.encode())
                    tar.addfile(member, io.BytesIO(code.encode()))
            key = self.sources[code] = f"source/{len(self.sources)}/sourcedir.tar.gz"
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=archive.getvalue())
        return f"s3://{BUCKET}/{self.sources[code]}"

    def start(self, name, code, channels=()):
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data"}
        data = [{"ChannelName": channel, "DataSource": {"S3DataSource": source}} for channel in channels]
        self.sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn=ROLE,
            HyperParameters={
                "sagemaker_program": json.dumps("train.py"),
                "sagemaker_submit_directory": json.dumps(self.source(code)),
            },
            AlgorithmSpecification={"TrainingImage": "any", "TrainingInputMode": "File"},
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
            ResourceConfig={"InstanceType": "ml.c4.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
            **({"InputDataConfig": data} if data else {}),
        )

    def wait(self, name):
        while (job := self.sagemaker.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
            time.sleep(0.02)
        assert job["TrainingJobStatus"] == "Completed", job

    def events(self, name):
        [stream] = self.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
        name = stream["logStreamName"]
        return self.logs.get_log_events(logGroupName=GROUP, logStreamName=name, startFromHead=True, limit=10000)[
            "events"
        ]

    def script_seconds(self, name):
        """From the toolkit's start of the script to its report that the script has ended."""
        moments = {event["message"].split(" INFO ")[-1].strip(): event["timestamp"] for event in self.events(name)}
        return (moments["Reporting training SUCCESS"] - moments["Invoking script with the following command:"]) / 1000

    def check_log(self, name):
        lines = [event["message"] for event in self.events(name) if event["message"].startswith("bench-")]
        assert lines == [f"{name} {n}" for n in range(300)], f"the log of {name} is not whole, or not its own"


def measure():
    """What this process holds now: its size, and what it might have forgotten."""
    process = psutil.Process()
    return {
        "processes": len(process.children(recursive=True)),
        "threads": process.num_threads(),
        "files": process.num_fds(),
        "MB": round(process.memory_info().rss / 1e6),
    }


def overhead(client, rounds):
    for path in (ROOT / "data").glob("*.gz"):
        client.s3.upload_file(str(path), BUCKET, f"data/{path.name}")
    code, differences = ROOT / "code", []
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            command = [
                sys.executable,
                ROOT / "code" / "train.py",
                "--training",
                ROOT / "data",
                "--testing",
                ROOT / "data",
            ]
            subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
            directly = time.perf_counter() - began
        began = time.perf_counter()
        client.start(f"overhead-{number}", code, ("training", "testing"))
        client.wait(f"overhead-{number}")
        job = time.perf_counter() - began
        script = client.script_seconds(f"overhead-{number}")
        differences.append(job - script)
        print(
            f"train.py directly {directly:6.2f} s, in a job {script:6.2f} s, the job {job:6.2f} s, "
            f"overhead {job - script:5.2f} s",
            flush=True,
        )
    print(f"overhead: median {statistics.median(differences):.2f} s")


LOCAL_JOB = """
import logging, os, sys, time
logging.disable(logging.CRITICAL)
import sagemaker
from sagemaker.tensorflow import TensorFlow
session = sagemaker.Session()
data = session.upload_data("data", key_prefix="bench")
est = TensorFlow(entry_point="train.py", source_dir="code", role=sagemaker.get_execution_role(), instance_count=1,
                 instance_type="local", image_uri=os.environ["TRAINING_IMAGE"], model_dir=False)
for _ in range(int(sys.argv[1])):
    began = time.perf_counter()
    est.fit({"training": data, "testing": data})
    print("seconds", time.perf_counter() - began, flush=True)
"""


def local_mode_overhead(rounds):
    """Seconds of a job in local mode, beside those of the script in the same container, from the job's log."""
    if reason := local_mode.unfit():
        print(f"local mode: not measured, {reason}")
        return
    command = [sys.executable, "-m", "sandbox", "python", "-c", LOCAL_JOB, str(rounds)]
    log = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    jobs = [float(seconds) for seconds in re.findall(r"^seconds (.*)$", log, re.MULTILINE)]
    stamp = r"(\d\d):(\d\d):(\d\d),(\d{3}) sagemaker-training-toolkit INFO +"
    moments = {}
    for text in ("Exceptions not imported", "Reporting training SUCCESS"):  # just before the script, and just after it
        found = re.findall(stamp + text, log)
        moments[text] = [int(h) * 3600 + int(m) * 60 + int(s) + int(ms) / 1000 for h, m, s, ms in found]
    scripts = [end - begin for begin, end in zip(*moments.values(), strict=True)]
    for job, script in zip(jobs, scripts, strict=True):
        print(f"local mode: train.py {script:6.2f} s, the job {job:6.2f} s, overhead {job - script:5.2f} s", flush=True)
    print(
        f"overhead in local mode: median {statistics.median(j - s for j, s in zip(jobs, scripts, strict=True)):.2f} s"
    )


def many(client, jobs, at_once):
    began = time.perf_counter()
    for first in range(0, jobs, at_once):
        names = [f"bench-{at_once}-{n}" for n in range(first, min(first + at_once, jobs))]
        for name in names:
            client.start(name, CHATTER)
        for name in names:
            client.wait(name)
            client.check_log(name)
    print(
        f"{jobs} jobs, {at_once} at a time: {(time.perf_counter() - began) / jobs:.2f} s a job; {measure()}", flush=True
    )


def main():
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    folder = folders.create()
    account = Account(folder)
    try:
        client = Client(account)
        client.start("warm-up", CHATTER)
        client.wait("warm-up")
        print(f"before: {measure()}", flush=True)
        many(client, jobs, 1)
        many(client, jobs, 8)
        overhead(client, 3)
    finally:
        account.close()
        folders.remove(folder)
    local_mode_overhead(3)


if __name__ == "__main__":
    main()
