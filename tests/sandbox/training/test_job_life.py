"""A job from its first status to its last: results, failures, stops, logs, faults."""

import math
import re
import time

import psutil
import pytest
from botocore.exceptions import ClientError

from sandbox.training import run
from tests.support.cloud import BUCKET, GROUP, algorithm, run_python, start_python, statuses, wait_for


def test_completed(cloud):
    job = cloud.run(
        """
        import os
        print("loss=0.5;"); print("loss=0.25;"); print("other=1e-3"); print("loss=none;"); print("loss=nan;")
        open("/opt/ml/model/weights", "w").write("w")
        os.mkdir("/opt/ml/output/data/deep")
        open("/opt/ml/output/data/deep/plot", "w").write("p")
        import time; time.sleep(2)  # so that a part of the time is not all of it
        """,
        AlgorithmSpecification=algorithm(
            MetricDefinitions=[
                {"Name": "loss", "Regex": "loss=(.*?);"},
                {"Name": "other", "Regex": "other=([0-9.e-]+)"},
                {"Name": "never", "Regex": "never=(.*)"},
            ]
        ),
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 100},
    )
    name = job["TrainingJobName"]
    assert statuses(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed" and "FailureReason" not in job
    times = [
        job["CreationTime"],
        *(part[key] for part in job["SecondaryStatusTransitions"] for key in ("StartTime", "EndTime")),
    ]
    assert times == sorted(times) and job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["TrainingTimeInSeconds"] >= 3
    assert job["BillableTimeInSeconds"] == max(1, math.floor(job["TrainingTimeInSeconds"] * 0.3))  # spot
    assert {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]} == {
        "loss": pytest.approx(0.25),
        "other": pytest.approx(1e-3),
    }
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/{name}/output/model.tar.gz"
    assert cloud.archive(name) == {"weights": "w"}
    assert cloud.archive(name, "output") == {"deep/plot": "p"}
    assert not list(cloud.account.training.folder.glob("*/*"))  # the container is gone


def test_status_while_it_runs(cloud):
    name = cloud.start("print('ready')\nimport time; time.sleep(3); print('done')")
    cloud.wait_for_line(name, "ready")
    job = cloud.describe(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("InProgress", "Training")
    assert "TrainingEndTime" not in job and "done" not in cloud.lines(name)  # the log comes as it is written
    assert cloud.wait(name)["TrainingJobStatus"] == "Completed"


def test_uncompressed_output(cloud):
    output = {"S3OutputPath": f"s3://{BUCKET}/out/", "CompressionType": "NONE"}
    script = "import os; os.chdir('/opt/ml/model'); open('weights', 'w').write('w'); os.symlink('/etc/passwd', 'link')"
    job = cloud.run(script, OutputDataConfig=output)
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{BUCKET}/out/{job['TrainingJobName']}/output/model/"
    assert cloud.keys(f"out/{job['TrainingJobName']}/") == [f"out/{job['TrainingJobName']}/output/model/weights"]
    assert cloud.get(f"out/{job['TrainingJobName']}/output/model/weights") == b"w"


def test_no_artifacts(cloud):
    job = cloud.run("pass")
    assert job["TrainingJobStatus"] == "Completed" and cloud.keys(f"out/{job['TrainingJobName']}/") == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "open('/opt/ml/output/failure', 'w').write('no data'); raise SystemExit(2)",
            "AlgorithmError no data, exit code 1",
        ),
        ("open('/opt/ml/output/failure', 'w').write('x' * 2000); raise SystemExit(2)", "AlgorithmError " + "x" * 1008),
        (
            "raise ValueError('boo')",
            "AlgorithmError ExecuteUserScriptError ExitCode 1 ErrorMessage "
            "\"raise ValueError('boo') ValueError boo\" Command ",
        ),
        ("import os; os.kill(os.getpid(), 9)", "AlgorithmError ExecuteUserScriptError ExitCode -9"),
    ],
    ids=["failure file", "long failure file", "exception", "script killed"],
)
def test_failed(cloud, script, reason):
    job = cloud.run("open('/opt/ml/model/half', 'w').write('x')\n" + script)
    # The toolkit may read a traceback in pieces, and strips colons and blanks around each.
    assert re.sub(r"[:\s]+", " ", job["FailureReason"]).startswith(reason)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed" and len(job["FailureReason"]) <= 1024
    assert statuses(job)[-2:] == ["Uploading", "Failed"] and job["BillableTimeInSeconds"] >= 1


HANDLER = """
import os, signal, sys, time
def told(*_):
    print("told", flush=True)
    time.sleep(1)  # so that the test sees it stop
    sys.exit(0)
signal.signal(signal.SIGTERM, told)
open("/opt/ml/model/saved", "w").write("in time")
print("ready", flush=True)
time.sleep(90)
"""


def stopped(cloud, name):
    """Stop a job once it is ready -> its description at its end."""
    cloud.wait_for_line(name, "ready")
    cloud.sagemaker.stop_training_job(TrainingJobName=name)
    job = cloud.describe(name)
    assert job["TrainingJobStatus"] == "Stopping"
    assert job["SecondaryStatus"] in ("Stopping", "Uploading")  # one that was told can have ended already
    job = cloud.wait(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert statuses(job) == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert cloud.archive(name) == {"saved": "in time"}
    assert psutil.Process().children(recursive=True) == []
    return job


def test_a_script_is_not_told_of_a_stop(cloud, monkeypatch):
    """The signal goes to process 1, AWS's toolkit, which has no handler."""
    monkeypatch.setenv("SANDBOX_STOP_SECONDS", "2")
    name = cloud.start(HANDLER)
    began = time.monotonic()
    stopped(cloud, name)
    assert "told" not in cloud.lines(name) and time.monotonic() - began > 2
    with pytest.raises(ClientError, match=r"ValidationException.*The request was rejected .* is in status Stopped\."):
        cloud.sagemaker.stop_training_job(TrainingJobName=name)


def test_a_command_with_a_handler_is_told(cloud, monkeypatch):
    monkeypatch.setenv("SANDBOX_STOP_SECONDS", "100")
    script = HANDLER + "assert os.getpid() == 1"
    name = start_python(cloud, script)
    stopped(cloud, name)
    assert "told" in cloud.lines(name)


def test_a_stop_ends_children_in_sessions_of_their_own(cloud, monkeypatch):
    monkeypatch.setenv("SANDBOX_STOP_SECONDS", "1")
    child = 'subprocess.Popen([sys.executable, "-c", "import time; time.sleep(90)"], start_new_session=True)'
    stopped(cloud, cloud.start(HANDLER.replace('print("ready"', f'import subprocess; {child}; print("ready"')))


def test_stopped_before_training(cloud, monkeypatch):
    prepare = run.Run.prepare
    monkeypatch.setattr(
        run.Run, "prepare", lambda self: wait_for(lambda: self.record.stop_reason, 60) and prepare(self)
    )
    name = cloud.start("open('/opt/ml/model/x', 'w').write('x')")
    cloud.wait(name, lambda job: job["SecondaryStatus"] == "Downloading")
    cloud.sagemaker.stop_training_job(TrainingJobName=name)
    job = cloud.wait(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert statuses(job) == ["Starting", "Downloading", "Stopping", "Stopped"] and "FailureReason" not in job
    assert cloud.keys(f"out/{name}/") == [] and cloud.log(name) == {}


def test_a_command_that_is_killed(cloud):
    """As the kernel does where memory ends."""
    name = start_python(cloud, "import time; print('ready', flush=True); time.sleep(90)")
    cloud.wait_for_line(name, "ready")
    [host] = psutil.Process().children()
    [command] = host.children()
    command.kill()
    assert cloud.wait(name)["FailureReason"] == "AlgorithmError: , exit code: 137"


def test_a_failure_file_that_is_a_link(cloud):
    """What it leads to is this machine's, not the job's."""
    job = run_python(cloud, "import os; os.symlink('/etc/passwd', '/opt/ml/output/failure'); raise SystemExit(3)")
    assert job["FailureReason"] == "AlgorithmError: , exit code: 3"


def test_maximum_runtime(cloud):
    job = cloud.run(
        "open('/opt/ml/model/part', 'w').write('p')\nimport time; time.sleep(90)",
        StoppingCondition={"MaxRuntimeInSeconds": 2},
    )
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert statuses(job)[2:] == ["Training", "Stopping", "Uploading", "MaxRuntimeExceeded"]
    assert cloud.archive(job["TrainingJobName"]) == {"part": "p"}


def test_jobs_at_once_keep_to_themselves(cloud):
    script = "import os, sys\nfor n in range(2000): sys.stdout.write(f\"{os.environ['TRAINING_JOB_NAME']} {n}\\n\")"
    names = [cloud.start(script) for _ in range(4)]
    for name in names:
        assert cloud.wait(name)["TrainingJobStatus"] == "Completed"
        lines = [line for line in cloud.lines(name) if line.startswith("job-")]
        assert lines == [f"{name} {n}" for n in range(2000)]


def test_log_keeps_odd_output(cloud):
    job = run_python(
        cloud,
        """
        import os, sys
        sys.stdout.write("no newline at the end, ä, "); sys.stdout.flush()
        os.write(1, b"\\xff\\n\\n  indented\\r\\n")
        os.write(2, b"x" * 200000 + b"\\nlast")
        """,
    )
    lines = cloud.lines(job["TrainingJobName"])
    assert "no newline at the end, ä, \N{REPLACEMENT CHARACTER}" in lines
    assert "  indented" in lines and "x" * 200000 in lines and any(line.startswith("last") for line in lines)
    assert "" not in lines


def test_model_folder_that_cannot_be_written(cloud):
    job = cloud.run("import os; os.rmdir('/opt/ml/model'); open('/opt/ml/model', 'w'); open('/opt/ml/model/x', 'w')")
    assert job["TrainingJobStatus"] == "Failed" and "ExitCode 1" in job["FailureReason"]
    assert any("NotADirectoryError" in line for line in cloud.lines(job["TrainingJobName"]))


def test_bucket_deleted_while_the_job_runs(cloud):
    bucket = "sagemaker-short-lived"
    cloud.s3.create_bucket(Bucket=bucket)
    name = cloud.start(
        "import time; print('ready', flush=True); time.sleep(3); open('/opt/ml/model/x', 'w').write('x')",
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/out"},
    )
    cloud.wait_for_line(name, "ready")
    cloud.account.client("s3").delete_bucket(Bucket=bucket)
    assert cloud.wait(name)["FailureReason"] == (
        f"ClientError: Artifact upload failed:s3://{bucket}/out/{name}/output "
        "(NoSuchBucket: The specified bucket does not exist)"
    )


def test_what_attach_asks_for(cloud):
    """SDK 2's TensorFlow.attach() reads a key that AWS always gives, and the job's tags."""
    job = cloud.run("", Tags=[{"Key": "series", "Value": "mnist"}])
    assert job["OutputDataConfig"] == {"KmsKeyId": "", "S3OutputPath": f"s3://{BUCKET}/out"}
    switches = ("NetworkIsolation", "InterContainerTrafficEncryption", "ManagedSpotTraining")
    assert [job[f"Enable{switch}"] for switch in switches] == [False] * 3
    assert cloud.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"] == [{"Key": "series", "Value": "mnist"}]


def test_log_group_deleted_while_the_job_runs(cloud):
    name = cloud.start("print('ready')\nimport time; time.sleep(3); print('done')")
    cloud.wait_for_line(name, "ready")
    cloud.account.client("logs").delete_log_group(logGroupName=GROUP)
    assert cloud.wait(name)["TrainingJobStatus"] == "Completed"
