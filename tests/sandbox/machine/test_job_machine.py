"""What a training script finds: its paths, its environment, its processes, the files of this machine, other hosts."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from sandbox.machine import environments
from sandbox.machine.environments import PLACE as ENVIRONMENT
from sandbox.machine.hosts import Host
from tests.support import ROOT
from tests.support.cloud import (
    BUCKET,
    algorithm,
    channel,
    hosts,
    run_python,
)

JOBS_PACKAGES = sysconfig.get_path("purelib", vars={"base": ENVIRONMENT})


def test_script_sees_what_it_would_see_on_aws(cloud):
    job = cloud.run(
        """
        import boto3, glob, json, os, socket, sys
        caller = boto3.client("sts").get_caller_identity()["Arn"]
        config = {os.path.basename(path): json.load(open(path)) for path in glob.glob("/opt/ml/input/config/*")}
        seen = dict(
            arguments=sys.argv[1:], environment=dict(os.environ), config=config, caller=caller, where=os.getcwd(),
            host=socket.gethostname(), address=socket.gethostbyname("algo-1"),
            processes=sum(name.isdigit() for name in os.listdir("/proc")), tree=sorted(os.listdir("/opt/ml")),
        )
        json.dump(seen, open(os.path.join(os.environ["SM_MODEL_DIR"], "seen.json"), "w"))
        """,
        hyperparameters={"learning-rate": "0.001", "name": '"x y"'},
        Environment={"MY_OWN": "value", "TF_CPP_MIN_LOG_LEVEL": "0", "NO_PROXY": "x"},
        InputDataConfig=[channel(cloud.put("tree/a", b"1"), ContentType="text/plain")],
    )
    assert job["TrainingJobStatus"] == "Completed", job
    name = job["TrainingJobName"]
    seen = json.loads(cloud.archive(name)["seen.json"])
    environment = seen["environment"]
    assert seen["arguments"] == ["--learning-rate", "0.001", "--name", "x", "y"]  # toolkit 5.1.1
    assert seen["where"] == "/opt/ml/code"
    assert seen["host"] == "algo-1" and seen["address"] == "10.0.0.1"
    assert seen["processes"] < 8  # its own
    assert seen["tree"] == ["code", "input", "model", "output"]
    assert seen["caller"] == "arn:aws:sts::123456789012:assumed-role/SageMakerExecutionRole/SageMaker"
    assert seen["config"]["hyperparameters.json"]["learning-rate"] == "0.001"
    assert seen["config"]["hyperparameters.json"]["name"] == '"x y"'
    assert seen["config"]["resourceconfig.json"] == {
        "current_host": "algo-1",
        "current_instance_type": "ml.c4.xlarge",
        "current_group_name": "homogeneousCluster",
        "hosts": ["algo-1"],
        "instance_groups": [
            {"instance_group_name": "homogeneousCluster", "instance_type": "ml.c4.xlarge", "hosts": ["algo-1"]}
        ],
        "network_interface_name": "eth0",
    }
    assert seen["config"]["inputdataconfig.json"] == {
        "training": {
            "ContentType": "text/plain",
            "TrainingInputMode": "File",
            "S3DistributionType": "FullyReplicated",
            "RecordWrapperType": "None",
        }
    }
    assert environment["SM_CHANNEL_TRAINING"] == "/opt/ml/input/data/training"
    assert environment["SM_NUM_CPUS"] == str(os.cpu_count())
    assert environment["TRAINING_JOB_NAME"] == name and environment["TRAINING_JOB_ARN"] == job["TrainingJobArn"]
    assert environment["AWS_REGION"] == "us-east-1" and environment["MY_OWN"] == "value"
    assert environment["TF_CPP_MIN_LOG_LEVEL"] == "0"
    assert environment["HTTPS_PROXY"] == cloud.account.proxies[0].url and environment["NO_PROXY"] == "x"
    assert environment["AWS_SECRET_ACCESS_KEY"] != "the user's own" and environment["HOME"] == "/root"
    assert environment["LANG"] == "C.UTF-8"
    assert environment["SM_FRAMEWORK_MODULE"] == "sagemaker_tensorflow_container.training:main"
    assert "PYTHONPATH" in environment and str(ROOT / "sandbox") not in environment["PYTHONPATH"]


def test_container_entrypoint(cloud):
    job = cloud.run(
        AlgorithmSpecification=algorithm(
            ContainerEntrypoint=["/bin/sh", "-c"], ContainerArguments=["env > /opt/ml/model/env; ls /opt/ml >&2"]
        )
    )
    assert job["TrainingJobStatus"] == "Completed"
    assert "TRAINING_JOB_NAME=" in cloud.archive(job["TrainingJobName"])["env"]
    assert cloud.lines(job["TrainingJobName"]) == ["input", "model", "output"]


def test_entrypoint_that_does_not_exist(cloud):
    job = cloud.run(AlgorithmSpecification=algorithm(ContainerEntrypoint=["/no/such/file"]))
    assert job["FailureReason"] == "AlgorithmError: , exit code: 127"
    assert cloud.lines(job["TrainingJobName"]) == ["/no/such/file: No such file or directory"]


WRITES = f"""
import os, sys, sysconfig
for path in (sysconfig.get_path("purelib") + "/ours.py", sys.prefix + "/bin/ours", {sys.prefix!r} + "/bin/ours",
             "/ours", "/opt/ml/ours", "/opt/ours", "/tmp/ours", os.path.expanduser("~/ours"),
             "/usr/ours", "/etc/ours", "/var/ours"):
    try:
        open(path, "w").write("x")
    except OSError as error:
        print(path, error.strerror, flush=True)
os.makedirs("/ours-too/deep")
try:
    open("/dev/sda", "rb")
except OSError as error:
    print("disk", error.strerror, flush=True)
print("home", os.listdir("/home"), flush=True)
"""


def machine_files():
    """What a job must leave as it is: the environment, /opt and the root."""
    folders_ = (
        f"{sys.prefix}/bin",
        sysconfig.get_path("purelib"),
        "/opt",
        "/opt/ml",
        "/",
        "/usr",
        "/etc",
        "/var",
    )
    return {path: sorted(os.listdir(path)) for path in folders_ if os.path.isdir(path)}


@pytest.mark.parametrize("overlay", [True, False], ids=["with overlayfs", "without overlayfs"])
def test_a_job_writes_nowhere_but_in_its_own_folder(cloud, monkeypatch, overlay):
    if not overlay:  # which cannot be mounted without these
        make = Host.__init__
        monkeypatch.setattr(
            Host, "__init__", lambda self, *rest: (make(self, *rest), shutil.rmtree(self.folder / "overlay"))[0]
        )
    before = machine_files()
    job = run_python(cloud, WRITES)
    lines = cloud.lines(job["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", lines
    assert machine_files() == before
    refused = {line.partition(" ")[0] for line in lines if line.endswith("Read-only file system")}
    packages = {f"{JOBS_PACKAGES}/ours.py", f"{ENVIRONMENT}/bin/ours", f"{sys.prefix}/bin/ours"}
    assert {"/usr/ours", "/etc/ours", "/var/ours"} <= refused and not {"/ours", "/opt/ml/ours", "/tmp/ours"} & refused
    assert (packages & refused) == (set() if overlay else packages)
    assert "disk No such file or directory" in lines


INSTALL = """
import subprocess, sys, zipfile
wheel, info = "/tmp/only_in_this_job-1-py3-none-any.whl", "only_in_this_job-1.dist-info"
with zipfile.ZipFile(wheel, "w") as file:
    file.writestr("only_in_this_job.py", "x = 1")
    file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: only-in-this-job\\nVersion: 1\\n")
    file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    file.writestr(f"{info}/RECORD", "only_in_this_job.py,,\\n")
subprocess.run([sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--quiet", wheel], check=True)
import only_in_this_job
print(only_in_this_job.__file__, flush=True)
"""
FIND = "import importlib.util; print(importlib.util.find_spec('only_in_this_job'), flush=True)"


def test_packages_of_a_job_are_its_own(cloud):
    job = run_python(cloud, INSTALL)
    lines = cloud.lines(job["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", lines
    assert f"{JOBS_PACKAGES}/only_in_this_job.py" in lines
    assert not list(Path(sys.prefix).rglob("only_in_this_job*"))
    assert cloud.lines(run_python(cloud, FIND)["TrainingJobName"]) == ["None"]


def test_the_requests_environment_wins(cloud):
    own = {"HTTPS_PROXY": "http://nowhere:1", "AWS_REGION": "eu-west-1", "HOME": "/tmp", "TRAINING_JOB_NAME": "mine"}
    names = list(own)
    job = run_python(cloud, f"import os; print(*map(os.environ.get, {names}), flush=True)", Environment=own)
    assert cloud.lines(job["TrainingJobName"]) == [" ".join(own.values())]


def test_hosts_reach_each_other_by_name(cloud):
    job = cloud.run(
        """
        import json, os, socket, time, urllib.request
        hosts, me = json.loads(os.environ["SM_HOSTS"]), os.environ["SM_CURRENT_HOST"]
        assert socket.gethostname() == me
        assert all(urllib.request.proxy_bypass(host) for host in hosts)
        server = socket.create_server((me, 7777))  # the same port on every host
        for host in hosts:
            while True:
                try:
                    peer = socket.create_connection((host, 7777))
                    break
                except ConnectionRefusedError:
                    time.sleep(0.02)
            peer.sendall(me.encode())
            peer.close()
        callers = []
        for _ in hosts:
            connection, _ = server.accept()
            callers.append(connection.makefile().read())
        print(sorted(callers))
        open(f"/opt/ml/model/{me}", "w").write(me)
        open("/opt/ml/model/same", "w").write(me)
        """,
        ResourceConfig=hosts(3),
    )
    name = job["TrainingJobName"]
    assert job["TrainingJobStatus"] == "Completed", cloud.lines(name)
    streams = cloud.log(name)
    assert sorted(re.sub(r"\d{10}$", "TIME", stream) for stream in streams) == [
        f"{name}/algo-{n}-TIME" for n in (1, 2, 3)
    ]
    assert all("['algo-1', 'algo-2', 'algo-3']" in lines for lines in streams.values())
    assert cloud.archive(name) == {"algo-1": "algo-1", "algo-2": "algo-2", "algo-3": "algo-3", "same": "algo-1"}


def test_parameter_servers(cloud):
    """AWS's container code starts one on each host and tells scripts of them; they end after the master's script."""
    job = cloud.run(
        """
        import json, os, socket, time

        def connect(address):
            host, port = address.split(":")
            while True:
                try:
                    return socket.create_connection((host, int(port)))
                except OSError:
                    time.sleep(0.05)

        config = json.loads(os.environ["TF_CONFIG"])
        cluster, task = config["cluster"], config["task"]["type"]
        for server in cluster["ps"]:
            connect(server).close()
        print(f"{task} has seen {len(cluster['ps'])}", flush=True)
        if task == "worker":
            connect(cluster["master"][0])
        else:
            listening = socket.create_server(("0.0.0.0", 2222))
            for _ in range(3):  # the worker's script, and twice the worker's container, which waits for this one
                connection, _ = listening.accept()
                connection.send(b"no HTTP")
                connection.close()
            connect(cluster["ps"][1])
            print("the worker's server is still there", flush=True)
        """,
        ResourceConfig=hosts(2),
        hyperparameters={"sagemaker_parameter_server_enabled": "true"},
    )
    lines = cloud.lines(job["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", lines
    assert {"master has seen 2", "worker has seen 2", "the worker's server is still there"} <= set(lines)
    assert any(line.endswith("master algo-1 is down, stopping parameter server") for line in lines)


def test_a_client_of_s3_that_knows_no_proxy(cloud):
    """As TensorFlow's own, which writes checkpoints to --model_dir, encrypted or not: AWS's container code says it."""
    job = cloud.run(
        f"""
        import boto3, os
        assert (os.environ["S3_USE_HTTPS"], os.environ["S3_VERIFY_SSL"]) == ("1", "0")
        for scheme in ("http", "https"):
            s3 = boto3.client("s3", endpoint_url=f"{{scheme}}://{{os.environ['S3_ENDPOINT']}}", verify=False)
            s3.put_object(Bucket="{BUCKET}", Key=f"direct/{{scheme}}", Body=b"1")
            print(s3.head_object(Bucket="{BUCKET}", Key=f"direct/{{scheme}}")["ContentLength"])
        s3.put_object(Bucket="another", Key="direct")
        """,
        hyperparameters={"model_dir": f'"s3://{BUCKET}/m"'},
    )
    lines = cloud.lines(job["TrainingJobName"])
    assert lines.count("1") == 2 and cloud.keys("direct/") == ["direct/http", "direct/https"], lines
    assert any("(AccessDenied)" in line for line in lines)


def test_a_tensorflow_whose_modules_lie_elsewhere_is_imported_itself(tmp_path):
    """Before 2.2 they were in `tensorflow_core`."""
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("name = 'the real one'")
    script = "import toolkit; toolkit.stand_in_for_tensorflow(); import tensorflow; print(tensorflow.name)"
    path = f"{tmp_path}:{environments.TOOLKIT.parent}"
    found = subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert found.stdout == "the real one\n", found.stderr


def test_a_process_with_tensorflow_ends_soon_and_loses_nothing(tmp_path):
    """What an import made is not searched for garbage; what the script made is, and its open files reach the disk."""
    (tmp_path / "tensorflow.py").write_text("stay = [[] for _ in range(300_000)]")
    script = """
import garbage_collection, gc, sys
class Writer:
    def __init__(self, file):
        self.file, self.circle = open(f"{sys.argv[1]}/{file}", "w"), self
        self.file.write("saved")
    def __del__(self):
        print("cleared away:", self.file.name[-3:], flush=True)
before = Writer("before")
import tensorflow
after, closed = Writer("after"), Writer("closed")
closed.file.close()
Writer("one")
print(200_000 < gc.get_freeze_count() < 400_000)
Writer("two")
"""
    path = f"{tmp_path}:{environments.TOOLKIT.parent}"
    command = [sys.executable, "-S", "-c", script, tmp_path]
    found = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("True\ncleared away: one\ncleared away: two\n", "")
    assert {name: (tmp_path / name).read_text() for name in ("before", "after")} == {
        "before": "saved",
        "after": "saved",
    }


def test_first_failure_ends_the_other_hosts(cloud):
    began = time.time()
    job = cloud.run(
        """
        import os, sys, time
        if os.environ["SM_CURRENT_HOST"] == "algo-2":
            open("/opt/ml/output/failure", "w").write("the second host")
            sys.exit(3)
        time.sleep(90)
        """,
        ResourceConfig=hosts(2),
    )
    assert job["TrainingJobStatus"] == "Failed" and time.time() - began < 60
    assert job["FailureReason"] == "AlgorithmError: the second host, exit code: 1"  # the toolkit's exit code


MANY = "import os, time; [os.fork() for _ in range(6)]; time.sleep(100)"


def test_a_host_that_is_told_again_and_again_ends(cloud, tmp_path):
    """Signals that come faster than they are taken do not hide the one that says that the command has ended."""
    for number in range(4):
        host = Host(tmp_path / str(number), 0, ["algo-1"], cloud.account.machine)
        host.start([f"{ENVIRONMENT}/bin/python", "-c", MANY], environments.own(), {}, None)
        threading.Thread(target=host.process.stdout.read, daemon=True).start()
        time.sleep(0.5)
        until = time.time() + 10
        while host.process.poll() is None and time.time() < until:
            host.kill()
        if (ended := host.process.poll()) is None:
            host.process.kill()
        host.close()
        assert ended is not None


def test_without_namespaces_nothing_runs(cloud, monkeypatch):
    monkeypatch.setitem(vars(cloud.account.machine), "no_jobs", "the kernel is old")
    with pytest.raises(ClientError, match=r"ValidationException.*runs no training jobs: the kernel is old"):
        cloud.start()


def test_without_network_namespaces(cloud, monkeypatch):
    monkeypatch.setitem(vars(cloud.account.machine), "no_network", "CAP_NET_ADMIN is missing")
    for what, changes in (
        ("several hosts", {"ResourceConfig": hosts(2)}),
        ("isolation", {"EnableNetworkIsolation": True}),
    ):
        with pytest.raises(ClientError, match=rf"ValidationException.*{what}: CAP_NET_ADMIN is missing"):
            cloud.start(**changes)
    assert cloud.run()["TrainingJobStatus"] == "Completed"
