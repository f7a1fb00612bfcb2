"""Clients through the command line, the network around them, and what is left after them."""

import json
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.request import ProxyHandler, build_opener

import psutil
import pytest

from sandbox.machine import folders
from tests.support import ROOT
from tests.support.cloud import (
    BUCKET,
    GROUP,
    ROLE,
    algorithm,
    channel,
    wait_for,
)


def test_only_aws_hosts_are_answered_for(cloud):
    class Hello(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.path.encode() + b" " + body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hello)
    Thread(target=server.serve_forever, daemon=True).start()
    opener = build_opener(ProxyHandler({"http": cloud.account.proxies[0].url}))
    with opener.open(f"http://127.0.0.1:{server.server_port}/a?b=c", data=b"body", timeout=60) as answer:
        assert answer.read() == b"/a?b=c body"
    server.shutdown()
    server.server_close()
    with pytest.raises(Exception, match="502"):
        opener.open(f"http://127.0.0.1:{server.server_port}/", timeout=60)
    with pytest.raises(Exception, match="400"):
        opener.open("http://no-such-service.us-east-1.amazonaws.com/", timeout=60)


def test_listens_on_loopback_alone(cloud):
    listening = {
        connection.laddr.ip for connection in psutil.Process().net_connections() if connection.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}


def bare_environment(tmp_path):
    """No AWS variable, no Docker on the PATH, nothing but what every shell has."""
    tools = tmp_path / "bin"
    tools.mkdir(exist_ok=True)
    for tool in ("openssl", "sh", "cat", "sleep", "env"):
        if not (tools / tool).exists():
            (tools / tool).symlink_to(shutil.which(tool))
    return {"PATH": str(tools), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}


def sandbox(tmp_path, *command, popen=False, **options):
    arguments = [sys.executable, "-m", "sandbox", *map(str, command)]
    options = {"env": bare_environment(tmp_path), "cwd": tmp_path, "text": True, **options}
    if popen:
        return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
    return subprocess.run(arguments, capture_output=True, timeout=200, **options)


def test_the_seed_as_it_stands(tmp_path):
    """Its code, unchanged, beside code/ and data/; then the model predicts."""
    for name in ("code", "data"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "tests" / "support" / "seed.txt", tmp_path / "script.py")
    with open(tmp_path / "script.py", "a") as file:
        file.write(
            textwrap.dedent(
                """
                est.fit(channels)
                import gzip, io, tarfile
                import numpy, tensorflow
                bucket, _, key = est.model_data.partition("://")[2].partition("/")
                body = sess.boto_session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
                tarfile.open(fileobj=io.BytesIO(body)).extractall("model")
                images = numpy.frombuffer(gzip.open("data/t10k-images-idx3-ubyte.gz").read(), "u1", offset=16)
                labels = numpy.frombuffer(gzip.open("data/t10k-labels-idx1-ubyte.gz").read(), "u1", offset=8)
                predict = tensorflow.saved_model.load("model/1").signatures["serving_default"]
                [answer] = predict(tensorflow.constant(images.reshape(-1, 28, 28)[:500])).values()
                print("URI", est.model_data)
                print("ACCURACY", (answer.numpy().argmax(1) == labels[:500]).mean())
                """
            )
        )
    done = sandbox(tmp_path, "python", "script.py")
    assert done.returncode == 0, done.stderr
    assert re.search(rf"^URI s3://{BUCKET}/DEMO-tensorflow/mnist/.*/output/model.tar.gz$", done.stdout, re.M)
    assert float(re.search(r"^ACCURACY (.*)$", done.stdout, re.M)[1]) > 0.9
    assert "epoch=1 loss=" in done.stdout and "Completed - Training job completed" in done.stdout
    assert not list(tmp_path.glob("sagemaker-sandbox-*"))


def job_by_boto3(tmp_path):
    """A script that starts a job with boto3 alone, and defines `request`."""
    path = tmp_path / "start.py"
    path.write_text(
        textwrap.dedent(
            f"""
            import boto3, sys
            s3, sagemaker = boto3.client("s3"), boto3.client("sagemaker")
            s3.create_bucket(Bucket="{BUCKET}")
            role = "{ROLE}"
            command = sys.argv[1] if len(sys.argv) > 1 else "echo x > /opt/ml/model/x"
            sagemaker.create_training_job(
                TrainingJobName="by-boto3", RoleArn=role,
                AlgorithmSpecification=dict(
                    TrainingImage="any", TrainingInputMode="File", ContainerEntrypoint=["/bin/sh", "-c", command]
                ),
                OutputDataConfig=dict(S3OutputPath="s3://{BUCKET}/out"),
                ResourceConfig=dict(InstanceType="ml.c4.xlarge", InstanceCount=1, VolumeSizeInGB=1),
                StoppingCondition=dict(MaxRuntimeInSeconds=100),
            )
            """
        )
    )
    return path


def test_boto3_alone_with_its_waiter(tmp_path):
    script = job_by_boto3(tmp_path)
    script.write_text(
        script.read_text()
        + textwrap.dedent(
            f"""
            waiter = sagemaker.get_waiter("training_job_completed_or_stopped")
            waiter.wait(TrainingJobName="by-boto3", WaiterConfig=dict(Delay=1))
            print(sagemaker.describe_training_job(TrainingJobName="by-boto3")["TrainingJobStatus"])
            print(s3.head_object(Bucket="{BUCKET}", Key="out/by-boto3/output/model.tar.gz")["ContentLength"] > 0)
            """
        )
    )
    done = sandbox(tmp_path, "python", script)
    assert (done.returncode, done.stdout) == (0, "Completed\nTrue\n"), done.stderr


def test_aws_cli(tmp_path):
    show = algorithm(ContainerEntrypoint=["/bin/cat", "/opt/ml/input/data/training/a.csv"])
    script = tmp_path / "script.sh"
    script.write_text(
        textwrap.dedent(
            f"""
            set -e
            aws s3api create-bucket --bucket {BUCKET} --query Location --output text
            echo 1,2 | aws s3 cp - s3://{BUCKET}/data/a.csv
            aws sagemaker create-training-job --training-job-name by-cli --role-arn {ROLE} \\
              --algorithm-specification '{json.dumps(show)}' \\
              --input-data-config '{json.dumps([channel(f"s3://{BUCKET}/data")])}' \\
              --output-data-config S3OutputPath=s3://{BUCKET}/out --stopping-condition MaxRuntimeInSeconds=100 \\
              --resource-config InstanceType=ml.c4.xlarge,InstanceCount=1,VolumeSizeInGB=1 \\
              --query TrainingJobArn --output text
            sleep 2
            aws sagemaker wait training-job-completed-or-stopped --training-job-name by-cli
            aws sagemaker list-training-jobs --status-equals Completed \\
              --query 'TrainingJobSummaries[].TrainingJobName' --output text
            stream=$(aws logs describe-log-streams --log-group-name {GROUP} \\
              --query 'logStreams[0].logStreamName' --output text)
            aws logs get-log-events --log-group-name {GROUP} --log-stream-name $stream \\
              --query 'events[].message' --output text
            aws sagemaker create-training-job --training-job-name by_cli --role-arn {ROLE} \\
              --algorithm-specification TrainingImage=any,TrainingInputMode=File \\
              --output-data-config S3OutputPath=s3://{BUCKET}/out --stopping-condition MaxRuntimeInSeconds=100 \\
              --resource-config InstanceType=ml.c4.xlarge,InstanceCount=1,VolumeSizeInGB=1
            """
        )
    )
    done = sandbox(tmp_path, "sh", script)
    assert done.stdout.splitlines() == [
        f"/{BUCKET}",
        "arn:aws:sagemaker:us-east-1:123456789012:training-job/by-cli",
        "by-cli",
        "1,2",
    ], done.stderr
    assert done.returncode != 0 and "(ValidationException) when calling the CreateTrainingJob operation" in done.stderr


def test_banner_and_exit_code(tmp_path):
    done = sandbox(tmp_path, "python", "-c", "import sys; print('out'); sys.exit(3)")
    assert (done.returncode, done.stdout) == (3, "out\n")
    first, second, third = done.stderr.splitlines()
    assert "Real: training" in first and "Not real: instances" in second
    assert "A stopped job has 120 s to end" in third


def survivors(marker):
    """Processes whose command line holds a marker."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if marker in " ".join(process.info["cmdline"] or []) and process.pid != os.getpid():
            found.append(process)
    return found


def started(tmp_path, marker):
    """A sandbox with a running job -> its process."""
    script = job_by_boto3(tmp_path)
    script.write_text(script.read_text() + "\nimport time; print('started', flush=True); time.sleep(90)\n")
    process = sandbox(tmp_path, "python", script, f"sleep {marker}", popen=True)
    assert select.select([process.stdout], [], [], 60)[0] and process.stdout.readline() == "started\n"
    wait_for(lambda: any("sleep" in job.name() for job in survivors(marker) if job.is_running()))
    return process


def test_stopping_the_sandbox_stops_its_jobs(tmp_path):
    process = started(tmp_path, "98765.1")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert survivors("98765.1") == [] and not list(tmp_path.glob("sagemaker-sandbox-*"))


def test_killing_the_sandbox_leaves_nothing_that_the_next_start_does_not_remove(tmp_path):
    process = started(tmp_path, "98765.2")
    process.kill()
    process.communicate(timeout=60)
    _, alive = psutil.wait_procs(survivors("98765.2"), timeout=30)
    assert alive == []
    assert len(list(tmp_path.glob("sagemaker-sandbox-*"))) == 1
    sandbox(tmp_path, "python", "-c", "pass", check=True)
    assert not list(tmp_path.glob("sagemaker-sandbox-*"))


def test_interrupting_fit_leaves_the_job_running(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "train.py").write_text(
        "import time; print('in the job', flush=True); time.sleep(3); print('end')"
    )
    (tmp_path / "script.py").write_text(
        textwrap.dedent(
            """
            import contextlib, os, signal, threading, time
            import sagemaker
            from sagemaker.tensorflow import TensorFlow
            est = TensorFlow(
                entry_point="train.py", source_dir="code", role=sagemaker.get_execution_role(), model_dir=False,
                framework_version="2.19", py_version="py312", instance_type="ml.c4.xlarge", instance_count=1,
            )
            client = est.sagemaker_session.sagemaker_client
            signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background job

            def interrupt():
                while not client.list_training_jobs()["TrainingJobSummaries"]:
                    time.sleep(0.1)
                time.sleep(1)
                os.kill(os.getpid(), signal.SIGINT)

            threading.Thread(target=interrupt).start()
            with contextlib.suppress(KeyboardInterrupt):  # SDK 2.257 swallows it, and fit() returns
                est.fit()
            name = est.latest_training_job.name
            status = lambda: client.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
            print(status())
            while status() == "InProgress":
                time.sleep(0.1)
            print(status())
            """
        )
    )
    done = sandbox(tmp_path, "python", "script.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["InProgress", "Completed"]


def test_folder_in_use_is_not_stale(tmp_path, monkeypatch):
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    folder = folders.create()
    assert list(folders.stale()) == []
    (tmp_path / "sagemaker-sandbox-1-old").mkdir()
    assert list(folders.stale()) == []  # not known to be one of ours
    (tmp_path / "sagemaker-sandbox-1-old" / "lock").touch()
    assert list(folders.stale()) == [tmp_path / "sagemaker-sandbox-1-old"]
    folders.remove(folder)


def test_a_folder_whose_path_not_every_program_takes(monkeypatch):
    monkeypatch.setattr(folders.tempfile, "tempdir", "/tmp/of me: mine")
    assert folders.place() == "/tmp"


def test_removing_touches_nothing_outside_the_folder(tmp_path):
    tmp_path.chmod(0o1777)
    folder = tmp_path / "folder"
    (folder / "unreadable" / "deep").mkdir(parents=True)
    (folder / "outside").symlink_to(tmp_path)
    (folder / "unreadable").chmod(0)
    folders.remove(folder)
    assert not folder.exists()
    folders.remove(folder)  # again, though it is not there
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
