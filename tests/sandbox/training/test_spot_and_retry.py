"""Jobs that do not go straight: interrupted, retried, too long, stopped at the end, or on a full disk."""

import errno
import threading
import time
from types import SimpleNamespace

import pytest

from sandbox.api import s3_data
from sandbox.training import artifacts, run
from sandbox.training import clock as clocks
from sandbox.training.clock import Clock
from sandbox.training.record import Record
from tests.support.cloud import BUCKET, role_without, statuses, wait_for

LIMITS = {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 100}
SAVE = """
import os, time
found = os.listdir("/checkpoints")
print("found", found, os.listdir("/opt/ml/model"), flush=True)
open("/opt/ml/model/half", "w").write("1")
open("/checkpoints/state", "w").write("1")
time.sleep(0 if found else float(os.environ["SECONDS"]))
os.remove("/opt/ml/model/half")
open("/opt/ml/model/whole", "w").write("1")
"""
STRAIGHT = ["Starting", "Downloading", "Training", "Uploading", "Completed"]


def spot(cloud, seconds, **changes):
    config = {"S3Uri": f"s3://{BUCKET}/spot/{time.time()}", "LocalPath": "/checkpoints"}
    changes["Environment"] = {"SECONDS": str(seconds)}
    return cloud.run(SAVE, CheckpointConfig=config, StoppingCondition=LIMITS, **changes)


def test_interruption(cloud, monkeypatch):
    monkeypatch.setenv("SANDBOX_SPOT_SECONDS", "1")
    monkeypatch.setattr(artifacts, "INTERVAL", 0.1)
    for key in cloud.keys("spot/"):
        cloud.s3.delete_object(Bucket=BUCKET, Key=key)
    due = Clock.interrupts  # and not before the checkpoint is in S3, however slow the machine is
    monkeypatch.setattr(Clock, "interrupts", lambda clock: due(clock) and cloud.keys("spot/"))
    job = spot(cloud, 60, EnableManagedSpotTraining=True)
    assert statuses(job) == ["Starting", "Downloading", "Training", "Interrupted", *STRAIGHT]
    assert job["BillableTimeInSeconds"] < job["TrainingTimeInSeconds"]
    assert job["TrainingStartTime"] == job["SecondaryStatusTransitions"][1]["StartTime"]  # that of the first run
    found = " ".join(cloud.lines(job["TrainingJobName"]))
    assert found.count("found") == 2 and "['state'] []" in found  # a fresh host, with the checkpoint alone
    assert cloud.archive(job["TrainingJobName"]) == {"whole": "1"}


def test_the_limit_is_for_all_runs_together(monkeypatch):
    now = SimpleNamespace(seconds=0)
    monkeypatch.setattr(clocks, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    clock = Clock({"StoppingCondition": {"MaxRuntimeInSeconds": 10}})
    for begin, end, last in ((1, 7, None), (20, 24, None), (30, 31, "MaxRuntimeExceeded")):
        now.seconds = begin
        clock.start()
        now.seconds = end
        assert clock.exceeded() == last
        clock.pause()


def test_no_interruption_where_nobody_asked(cloud, monkeypatch):
    assert statuses(spot(cloud, 1, EnableManagedSpotTraining=True)) == STRAIGHT
    monkeypatch.setenv("SANDBOX_SPOT_SECONDS", "1")
    job = cloud.run("import time; time.sleep(2)")
    assert statuses(job) == STRAIGHT and job["BillableTimeInSeconds"] == job["TrainingTimeInSeconds"]


@pytest.mark.parametrize(("retries", "status"), [(1, "Completed"), (0, "Failed")])
def test_a_fault_of_the_sandboxs_own(cloud, monkeypatch, retries, status):
    prepare, faults = run.Run.prepare, [RuntimeError("a fault")]

    def once(self):
        if faults:
            raise faults.pop()
        prepare(self)

    monkeypatch.setattr(run.Run, "prepare", once)
    job = cloud.run(**({"RetryStrategy": {"MaximumRetryAttempts": retries}} if retries else {}))
    assert job["TrainingJobStatus"] == status
    assert retries or job["FailureReason"].startswith("InternalServerError: ")


@pytest.mark.parametrize(("module", "name"), [(s3_data, "read"), (artifacts, "upload")])
def test_a_full_disk(cloud, monkeypatch, capfd, module, name):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, name, full)
    data = {"S3DataType": "S3Prefix", "S3Uri": cloud.put("disk/a", b"x")}
    job = cloud.run(InputDataConfig=[{"ChannelName": "training", "DataSource": {"S3DataSource": data}}])
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "CapacityError: The sandbox's machine: No space left on device"
    assert "fault" not in capfd.readouterr().err


def test_maximum_wait(cloud, monkeypatch):
    monkeypatch.setenv("SANDBOX_STOP_SECONDS", "0")
    limits = {"MaxRuntimeInSeconds": 3, "MaxWaitTimeInSeconds": 3}
    monkeypatch.setattr(run.Run, "prepare", lambda self, prepare=run.Run.prepare: (time.sleep(2), prepare(self)))
    job = cloud.run("import time; time.sleep(90)", EnableManagedSpotTraining=True, StoppingCondition=limits)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")


def test_a_stopped_job_is_stopping_while_it_uploads(cloud):
    record = Record("us-east-1", cloud.request())
    record.stop("Stopped")
    record.enter("Uploading")
    assert (record.status, record.secondary) == ("Stopping", "Uploading")


def test_a_stop_while_uploading_comes_too_late(cloud, monkeypatch):
    upload = artifacts.upload
    monkeypatch.setattr(artifacts, "upload", lambda *all_: (time.sleep(1), upload(*all_)))
    name = cloud.start("open('/opt/ml/model/x', 'w').write('x')")
    cloud.wait(name, lambda job: job["SecondaryStatus"] == "Uploading")
    cloud.sagemaker.stop_training_job(TrainingJobName=name)
    assert cloud.wait(name)["TrainingJobStatus"] == "Completed" and cloud.archive(name) == {"x": "x"}


def test_checkpoints_that_may_not_be_saved(cloud, monkeypatch):
    monkeypatch.setattr(artifacts, "INTERVAL", 0.1)
    before = set(threading.enumerate())
    script = "import time; open('/opt/ml/checkpoints/x', 'w').write('x'); time.sleep(1)"
    config = {"S3Uri": f"s3://{BUCKET}/denied"}
    job = cloud.run(script, CheckpointConfig=config, RoleArn=role_without(cloud, "s3:PutObject"))
    assert job["FailureReason"] == (
        f"ClientError: Artifact upload failed:s3://{BUCKET}/denied (AccessDenied: Access Denied)"
    )
    wait_for(
        lambda: not [thread for thread in set(threading.enumerate()) - before if "process_request" not in thread.name]
    )


@pytest.mark.parametrize(
    ("folder", "config"), [("/tb-logs", {"LocalPath": "/tb-logs"}), ("/opt/ml/output/tensorboard", {})]
)
def test_tensorboard_while_the_job_runs(cloud, monkeypatch, folder, config):
    monkeypatch.setattr(artifacts, "INTERVAL", 0.1)
    name = cloud.start(
        f"open('{folder}/events', 'w').write('x'); import time; time.sleep(3)",
        TensorBoardOutputConfig={"S3OutputPath": f"s3://{BUCKET}/tb", **config},
    )
    wait_for(lambda: cloud.keys(f"tb/{name}/") == [f"tb/{name}/tensorboard-output/events"])
    assert cloud.describe(name)["SecondaryStatus"] == "Training"
    assert cloud.wait(name)["TrainingJobStatus"] == "Completed"


def test_retries_come_to_an_end(cloud, monkeypatch):
    runs = []

    def fail(self):
        runs.append(self)
        raise RuntimeError("a fault")

    monkeypatch.setattr(run.Run, "prepare", fail)
    job = cloud.run(RetryStrategy={"MaximumRetryAttempts": 2})
    assert len(runs) == 3 and statuses(job) == ["Starting", "Downloading"] * 3 + ["Failed"]
    assert job["FailureReason"].startswith("InternalServerError: ")


def test_a_script_that_fails_is_not_retried(cloud):
    job = cloud.run("raise SystemExit(3)", RetryStrategy={"MaximumRetryAttempts": 2})
    assert job["TrainingJobStatus"] == "Failed" and statuses(job).count("Training") == 1
