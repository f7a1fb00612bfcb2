"""Managed jobs in the sandbox: what a training script sees, what a client sees, and what is left afterwards."""

import json
import os
import re
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import sysconfig
import textwrap
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import psutil
import pytest
from botocore.exceptions import ClientError
from cloud import BUCKET, GROUP, ROLE, ROOT, algorithm, channel, hosts, statuses, wait_for

from sandbox.machine import container, folders
from sandbox.training import artifacts

SAVE_TREE = """
    import json, os
    found = {}
    for parent, _, names in os.walk("/opt/ml/input/data"):
        for name in names:
            path = os.path.join(parent, name)
            found[os.path.relpath(path, "/opt/ml/input/data")] = open(path).read()
    with open(f"/opt/ml/model/{os.environ['SM_CURRENT_HOST']}.json", "w") as file:
        json.dump(found, file)
"""


# --- what a training script sees ------------------------------------------------------------------


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


WRITES = """
import os, sys, sysconfig
for path in (sysconfig.get_path("purelib") + "/ours.py", sys.prefix + "/bin/ours", "/ours", "/opt/ml/ours", "/opt/ours",
             "/tmp/ours", os.path.expanduser("~/ours"), "/usr/ours", "/etc/ours", "/var/ours"):
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
        "/tmp",
        "/usr",
        "/etc",
        "/var",
    )
    return {path: sorted(os.listdir(path)) for path in folders_ if path != "/tmp" and os.path.isdir(path)}


@pytest.mark.parametrize("overlay", [True, False], ids=["with overlayfs", "without overlayfs"])
def test_a_job_writes_nowhere_but_in_its_own_folder(cloud, monkeypatch, overlay):
    if not overlay:  # which cannot be mounted without these
        make = container.Host.__init__
        monkeypatch.setattr(
            container.Host, "__init__", lambda self, *rest: (make(self, *rest), shutil.rmtree(self.folder / "aside"))[0]
        )
    before = machine_files()
    job = run_python(cloud, WRITES)
    lines = cloud.lines(job["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed", lines
    assert machine_files() == before
    refused = {line.partition(" ")[0] for line in lines if line.endswith("Read-only file system")}
    packages = {f"{sysconfig.get_path('purelib')}/ours.py", f"{sys.prefix}/bin/ours"}
    assert {"/usr/ours", "/etc/ours", "/var/ours"} <= refused and not {"/ours", "/opt/ml/ours", "/tmp/ours"} & refused
    assert (packages & refused) == (set() if overlay else packages)
    assert "disk No such file or directory" in lines


# --- channels -------------------------------------------------------------------------------------


def tree_of(cloud, job, host="algo-1"):
    assert job["TrainingJobStatus"] == "Completed", (job.get("FailureReason"), cloud.lines(job["TrainingJobName"]))
    return json.loads(cloud.archive(job["TrainingJobName"])[f"{host}.json"])


def test_s3_prefix(cloud):
    for key in ("prefix/a.csv", "prefix/deep/er/b.csv", "prefix/empty/", "prefix-two/c.csv"):
        cloud.put(key, key.encode())
    job = cloud.run(
        SAVE_TREE,
        InputDataConfig=[
            channel(f"s3://{BUCKET}/prefix/", "folder"),
            channel(f"s3://{BUCKET}/prefix", "all"),
            channel(f"s3://{BUCKET}/prefix/deep/er/b.csv", "object"),
            channel(f"s3://{BUCKET}/prefix/de", "part"),
        ],
    )
    assert tree_of(cloud, job) == {
        "folder/a.csv": "prefix/a.csv",
        "folder/deep/er/b.csv": "prefix/deep/er/b.csv",
        "all/a.csv": "prefix/a.csv",
        "all/deep/er/b.csv": "prefix/deep/er/b.csv",
        "all/prefix-two/c.csv": "prefix-two/c.csv",
        "object/b.csv": "prefix/deep/er/b.csv",
        "part/deep/er/b.csv": "prefix/deep/er/b.csv",
    }


def test_manifest(cloud):
    for name in "abc":
        cloud.put(f"manifest/data/{name}", name.encode())
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/manifest/data/"}, "a", "c"])
    uri = cloud.put("manifest/list", manifest.encode())
    job = cloud.run(SAVE_TREE, InputDataConfig=[channel(uri, kind="ManifestFile")])
    assert tree_of(cloud, job) == {"training/a": "a", "training/c": "c"}


def test_manifest_that_names_a_missing_object(cloud):
    manifest = json.dumps([{"prefix": f"s3://{BUCKET}/manifest/data/"}, "missing"])
    job = cloud.run(
        SAVE_TREE, InputDataConfig=[channel(cloud.put("manifest/wrong", manifest.encode()), kind="ManifestFile")]
    )
    assert job["FailureReason"].startswith("ClientError: Data download failed:") and "NoSuchKey" in job["FailureReason"]
    assert job["SecondaryStatus"] == "Failed" and statuses(job) == ["Starting", "Downloading", "Failed"]


def test_augmented_manifest_and_pipe(cloud):
    lines = [{"image-ref": cloud.put(f"augmented/{n}", f"image {n}".encode()), "label": n} for n in (1, 2)]
    uri = cloud.put("augmented.manifest", "\n".join(map(json.dumps, lines)).encode())
    source = {"AttributeNames": ["image-ref", "label"]}
    job = cloud.run(
        """
        with open("/opt/ml/model/algo-1.json", "w") as file:
            import json
            read = lambda name: open(f"/opt/ml/input/data/{name}", "rb").read().decode("latin-1")
            json.dump([read(name) for name in ("raw_0", "raw_1", "wrapped_0", "prefix_0")], file)
        """,
        InputDataConfig=[
            channel(uri, "raw", kind="AugmentedManifestFile", InputMode="Pipe", source=source),
            channel(
                uri,
                "wrapped",
                kind="AugmentedManifestFile",
                InputMode="Pipe",
                source=source,
                RecordWrapperType="RecordIO",
            ),
            channel(f"s3://{BUCKET}/augmented/", "prefix", InputMode="Pipe"),
        ],
    )
    records = ((7, b"image 1\0"), (1, b"1\0\0\0"), (7, b"image 2\0"), (1, b"2\0\0\0"))
    wrapped = b"".join(b"\x0a\x23\xd7\xce" + bytes([length, 0, 0, 0]) + content for length, content in records)
    assert tree_of(cloud, job) == ["image 11image 22", "image 11image 22", wrapped.decode("latin-1"), "image 1image 2"]


def test_sharded_by_s3_key(cloud):
    for name in "abcde":
        cloud.put(f"shards/{name}", name.encode())
    job = cloud.run(
        SAVE_TREE,
        ResourceConfig=hosts(2),
        InputDataConfig=[
            channel(f"s3://{BUCKET}/shards/", "part", "ShardedByS3Key"),
            channel(f"s3://{BUCKET}/shards/", "whole"),
        ],
    )
    first, second = tree_of(cloud, job), tree_of(cloud, job, "algo-2")
    assert set(first) | set(second) == {f"{name}/{letter}" for name in ("part", "whole") for letter in "abcde"}
    assert set(first) & set(second) == {f"whole/{letter}" for letter in "abcde"}


def test_fast_file_is_read_only(cloud):
    cloud.put("fast/a", b"a")
    job = cloud.run(
        SAVE_TREE
        + """
    try:
        open("/opt/ml/input/data/training/b", "w")
    except OSError as error:
        print(error.strerror)
    """,
        InputDataConfig=[channel(f"s3://{BUCKET}/fast/", InputMode="FastFile")],
    )
    assert tree_of(cloud, job) == {"training/a": "a"}
    assert "Read-only file system" in cloud.lines(job["TrainingJobName"])


# --- several hosts --------------------------------------------------------------------------------


def test_hosts_reach_each_other_by_name(cloud):
    job = cloud.run(
        """
        import json, os, socket, time
        hosts, me = json.loads(os.environ["SM_HOSTS"]), os.environ["SM_CURRENT_HOST"]
        assert socket.gethostname() == me
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


# --- the life of a job ----------------------------------------------------------------------------


def test_completed(cloud):
    job = cloud.run(
        """
        import os
        print("loss=0.5;"); print("loss=0.25;"); print("other=1e-3"); print("loss=none;")
        open("/opt/ml/model/weights", "w").write("w")
        os.mkdir("/opt/ml/output/data/deep")
        open("/opt/ml/output/data/deep/plot", "w").write("p")
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
    assert job["TrainingTimeInSeconds"] >= job["BillableTimeInSeconds"] >= 1
    assert {metric["MetricName"]: metric["Value"] for metric in job["FinalMetricDataList"]} == {
        "loss": pytest.approx(0.25),
        "other": pytest.approx(1e-3),
    }
    assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{BUCKET}/out/{name}/output/model.tar.gz"
    assert cloud.archive(name) == {"weights": "w"}
    assert cloud.archive(name, "output") == {"deep/plot": "p"}
    assert not list(cloud.account.jobs.folder.glob("*/*"))  # the container is gone


def test_status_while_it_runs(cloud):
    name = cloud.start("print('ready')\nimport time; time.sleep(1.5); print('done')")
    cloud.wait_for_line(name, "ready")
    job = cloud.describe(name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("InProgress", "Training")
    assert "TrainingEndTime" not in job and "done" not in cloud.lines(name)  # the log comes as it is written
    assert cloud.wait(name)["TrainingJobStatus"] == "Completed"


def test_uncompressed_output(cloud):
    output = {"S3OutputPath": f"s3://{BUCKET}/out/", "CompressionType": "NONE"}
    job = cloud.run("open('/opt/ml/model/weights', 'w').write('w')", OutputDataConfig=output)
    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{BUCKET}/out/{job['TrainingJobName']}/output/model/"
    assert cloud.get(f"out/{job['TrainingJobName']}/output/model/weights") == b"w"


def test_no_artifacts(cloud):
    job = cloud.run("pass")
    assert job["TrainingJobStatus"] == "Completed" and cloud.keys(f"out/{job['TrainingJobName']}/") == []


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (
            "open('/opt/ml/output/failure', 'w').write('no data'); raise SystemExit(2)",
            "AlgorithmError: no data, exit code: 1",
        ),
        ("open('/opt/ml/output/failure', 'w').write('x' * 2000); raise SystemExit(2)", "AlgorithmError: " + "x" * 1008),
        (
            "raise ValueError('boo')",
            "AlgorithmError: ExecuteUserScriptError:\nExitCode 1\nErrorMessage "
            "\"raise ValueError('boo')\n ValueError: boo\"\nCommand ",
        ),
        ("import os; os.kill(os.getpid(), 9)", "AlgorithmError: ExecuteUserScriptError:\nExitCode -9"),
    ],
    ids=["failure file", "long failure file", "exception", "script killed"],
)
def test_failed(cloud, script, reason):
    job = cloud.run("open('/opt/ml/model/half', 'w').write('x')\n" + script)
    assert job["FailureReason"].startswith(reason)
    assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Failed" and len(job["FailureReason"]) <= 1024
    assert statuses(job)[-2:] == ["Uploading", "Failed"] and job["BillableTimeInSeconds"] >= 1


HANDLER = """
import os, signal, sys, time
def told(*_):
    print("told", flush=True)
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
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopping", "Stopping")
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


def test_maximum_runtime(cloud):
    job = cloud.run(
        "open('/opt/ml/model/part', 'w').write('p')\nimport time; time.sleep(90)",
        StoppingCondition={"MaxRuntimeInSeconds": 2},
    )
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert cloud.archive(job["TrainingJobName"]) == {"part": "p"}


def test_checkpoints(cloud, monkeypatch):
    monkeypatch.setattr(artifacts, "INTERVAL", 0.1)
    config = {"S3Uri": f"s3://{BUCKET}/checkpoints", "LocalPath": "/opt/ml/checkpoints"}
    script = """
        import os, time
        print(sorted(os.listdir("/opt/ml/checkpoints")))
        open(f"/opt/ml/checkpoints/{os.environ['TRAINING_JOB_NAME']}", "w").write("state")
        print("ready")
        if "WAIT" in os.environ:
            time.sleep(90)
        open("/opt/ml/checkpoints/last", "w").write(os.environ["TRAINING_JOB_NAME"])
    """
    first = cloud.start(script, CheckpointConfig=config, Environment={"WAIT": "1"})
    cloud.wait_for_line(first, "ready")
    wait_for(lambda: cloud.keys("checkpoints/") == [f"checkpoints/{first}"])  # while it runs
    cloud.sagemaker.stop_training_job(TrainingJobName=first)
    cloud.wait(first)
    monkeypatch.setattr(artifacts, "INTERVAL", 1000)
    second = cloud.run(script, CheckpointConfig=config)["TrainingJobName"]
    assert f"['{first}']" in cloud.lines(second)
    assert cloud.keys("checkpoints/") == sorted([f"checkpoints/{first}", f"checkpoints/{second}", "checkpoints/last"])
    assert cloud.get("checkpoints/last") == second.encode()


def test_list(cloud):
    names = [
        cloud.run(f"raise SystemExit({code})", TrainingJobName=f"listed-{code}")["TrainingJobName"] for code in (1, 0)
    ]

    def listed(**query):
        return [
            job["TrainingJobName"]
            for job in cloud.sagemaker.list_training_jobs(NameContains="listed", **query)["TrainingJobSummaries"]
        ]

    assert listed() == names and listed(SortOrder="Descending") == names[::-1] and listed(SortBy="Name") == names[::-1]
    assert listed(StatusEquals="Failed") == ["listed-1"]
    assert listed(CreationTimeAfter=cloud.describe("listed-0")["CreationTime"]) == ["listed-0"]
    pages = cloud.sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="listed", PaginationConfig={"PageSize": 1}
    )
    assert [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]] == names
    [summary, _] = cloud.sagemaker.list_training_jobs(NameContains="listed-")["TrainingJobSummaries"]
    assert summary["TrainingJobStatus"] == "Failed" and summary["TrainingEndTime"] >= summary["CreationTime"]


def test_jobs_at_once_keep_to_themselves(cloud):
    script = "import os, sys\nfor n in range(2000): sys.stdout.write(f\"{os.environ['TRAINING_JOB_NAME']} {n}\\n\")"
    names = [cloud.start(script) for _ in range(4)]
    for name in names:
        assert cloud.wait(name)["TrainingJobStatus"] == "Completed"
        lines = [line for line in cloud.lines(name) if line.startswith("job-")]
        assert lines == [f"{name} {n}" for n in range(2000)]


def run_python(cloud, script, **changes):
    """A job whose command is Python itself: AWS's toolkit strips what a script prints, and may cut it into pieces."""
    return cloud.wait(start_python(cloud, script, **changes))


def start_python(cloud, script, **changes):
    read = "import json; exec(json.load(open('/opt/ml/input/config/hyperparameters.json'))['script'])"
    specification = algorithm(ContainerEntrypoint=[sys.executable, "-c", read])  # which has room for 256 characters
    return cloud.start(
        AlgorithmSpecification=specification, hyperparameters={"script": textwrap.dedent(script)}, **changes
    )


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


# --- refusals -------------------------------------------------------------------------------------

PATTERN = "failed to satisfy constraint: Member must satisfy regular expression pattern: ^"
REFUSALS = {
    "name": (
        {"TrainingJobName": "under_score"},
        "1 validation error detected: Value 'under_score' at 'trainingJobName' "
        f"{PATTERN}[a-zA-Z0-9](-*[a-zA-Z0-9]){{0,62}}",
    ),
    "long name": (
        {"TrainingJobName": "x" * 64},
        "at 'trainingJobName' failed to satisfy constraint: Member must have length less than or equal to 63",
    ),
    "instance type": (
        {"ResourceConfig": {**hosts(1), "InstanceType": "ml.c4.tiny"}},
        "Value 'ml.c4.tiny' at 'resourceConfig.instanceType' failed to satisfy constraint: Member must satisfy enum "
        "value set: [",
    ),
    "role": (
        {"RoleArn": "arn:aws:iam::123456789012:user/somebody"},
        f"at 'roleArn' {PATTERN}arn:aws[a-z\\-]*:iam::\\d{{12}}:role/?[a-zA-Z_0-9+=,.@\\-_/]+$",
    ),
    "unknown role": (
        {"RoleArn": "arn:aws:iam::123456789012:role/nobody"},
        "Could not assume role arn:aws:iam::123456789012:role/nobody. Please ensure that the role exists and allows "
        "principal 'sagemaker.amazonaws.com' to assume the role.",
    ),
    "empty prefix": (
        {"InputDataConfig": [channel(f"s3://{BUCKET}/nothing/here")]},
        f'No S3 objects found under S3 URL "s3://{BUCKET}/nothing/here" given in input data source. Please ensure that '
        f"the bucket exists in the selected region (us-east-1), that objects exist under that S3 prefix, and that the "
        f'role "{ROLE}" has "s3:ListBucket" permissions on bucket "{BUCKET}".',
    ),
    "no such bucket": (
        {"InputDataConfig": [channel("s3://sagemaker-no-such-bucket/x")]},
        'No S3 objects found under S3 URL "s3://sagemaker-no-such-bucket/x"',
    ),
    "too many hyperparameters": (
        {"HyperParameters": {f"h{n}": "1" for n in range(101)}},
        "at 'hyperParameters' failed to satisfy constraint: Member must have length less than or equal to 100",
    ),
    "long hyperparameter": (
        {"HyperParameters": {"h": "1" * 2501}},
        "at 'hyperParameters' failed to satisfy constraint: Map value must satisfy constraint: [Member "
        "must have length less than or equal to 2500, Member must have length greater than or equal to 0, Member must "
        "satisfy regular expression pattern: ",
    ),
    "long hyperparameter's name": (
        {"HyperParameters": {"h" * 257: "1"}},
        "Map keys must satisfy constraint: [Member must have length less than or equal to 256,",
    ),
    "short wait": (
        {
            "EnableManagedSpotTraining": True,
            "StoppingCondition": {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 99},
        },
        "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds",
    ),
    "wait without spot": (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 100}},
        "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true",
    ),
    "two errors": (
        {"TrainingJobName": "_", "HyperParameters": {"h": "1" * 2501}},
        "2 validation errors detected: ",
    ),
    "compression in File mode": (
        {"InputDataConfig": [channel(f"s3://{BUCKET}/", CompressionType="Gzip")]},
        "Invalid compression type for channel training: File mode only supports NONE, got Gzip instead",
    ),
    "augmented manifest in File mode": (
        {"InputDataConfig": [channel(f"s3://{BUCKET}/x", kind="AugmentedManifestFile")]},
        "AugmentedManifestFile needs input mode Pipe",
    ),
    "regular expression": (
        {"AlgorithmSpecification": algorithm(MetricDefinitions=[{"Name": "m", "Regex": "("}])},
        "Invalid regular expression for metric m",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_before_anything_runs(cloud, case):
    changes, message = REFUSALS[case]
    before = len(cloud.account.jobs.jobs)
    with pytest.raises(ClientError) as refusal:
        cloud.start(**changes)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert message in refusal.value.response["Error"]["Message"]
    assert len(cloud.account.jobs.jobs) == before


def test_name_in_use(cloud):
    job = cloud.run()
    with pytest.raises(cloud.sagemaker.exceptions.ResourceInUse) as refusal:
        cloud.start(TrainingJobName=job["TrainingJobName"])
    assert refusal.value.response["Error"]["Message"] == (
        "Training job names must be unique within an AWS account and region, and a training job with this name already "
        f"exists ({job['TrainingJobArn']})"
    )


def test_too_many_hosts(cloud):
    with pytest.raises(cloud.sagemaker.exceptions.ResourceLimitExceeded, match="is 8 Instances"):
        cloud.start(ResourceConfig=hosts(9))


@pytest.mark.parametrize("operation", ["describe_training_job", "stop_training_job"])
def test_unknown_job(cloud, operation):
    with pytest.raises(ClientError, match=r"ValidationException.*Requested resource not found\."):
        getattr(cloud.sagemaker, operation)(TrainingJobName="unknown")


# --- rights ---------------------------------------------------------------------------------------


def role_without(cloud, *actions):
    """A role like the execution role, but without these actions -> its ARN."""
    name = "Without-" + "-".join(action.replace(":", "") for action in actions)
    policy = json.loads((ROOT / "notebooks" / "policies" / "execution-policy.json").read_text())
    for statement in policy["Statement"]:
        if isinstance(statement["Action"], list):
            statement["Action"] = [action for action in statement["Action"] if action not in actions]
    trust = (ROOT / "notebooks" / "policies" / "trust-policy.json").read_text()
    role = cloud.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    cloud.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    everybody = json.loads((ROOT / "notebooks" / "policies" / "execution-policy.json").read_text())
    everybody["Statement"].append({"Effect": "Allow", "Action": "iam:PassRole", "Resource": role["Arn"]})
    cloud.iam.put_role_policy(
        RoleName="SageMakerExecutionRole", PolicyName="execution-policy", PolicyDocument=json.dumps(everybody)
    )
    return role["Arn"]


def test_role_without_get_object(cloud):
    uri = cloud.put("rights/a", b"1")
    job = cloud.run(RoleArn=role_without(cloud, "s3:GetObject"), InputDataConfig=[channel(uri)])
    assert job["FailureReason"] == (
        f"ClientError: Data download failed:Unable to download object {uri} (AccessDenied: Access Denied)"
    )


def test_role_without_put_object(cloud):
    arn = role_without(cloud, "s3:PutObject")
    job = cloud.run("open('/opt/ml/model/x', 'w').write('x')", RoleArn=arn)
    assert job["FailureReason"].startswith("ClientError: Artifact upload failed:")
    assert "AccessDenied" in job["FailureReason"]


def test_script_has_the_rights_of_the_role(cloud):
    cloud.put("rights/a", b"1")
    script = f"""
        import boto3
        s3 = boto3.client("s3")
        print(s3.list_objects_v2(Bucket="{BUCKET}", Prefix="rights/")["KeyCount"])
        for call in (lambda: s3.list_buckets(), lambda: boto3.client("sagemaker").search(Resource="TrainingJob")):
            try:
                call()
            except Exception as error:
                print(error.response["Error"]["Code"])
    """
    lines = cloud.lines(cloud.run(script)["TrainingJobName"])
    assert [line for line in lines if line == "1" or "Denied" in line] == ["1", "AccessDenied", "AccessDeniedException"]


def test_role_without_logs_has_a_job_without_a_log(cloud):
    job = cloud.run("print('hello')", RoleArn=role_without(cloud, "logs:PutLogEvents"))
    assert job["TrainingJobStatus"] == "Completed" and cloud.log(job["TrainingJobName"]) == {}


def test_role_that_may_not_be_passed(cloud):
    trust = (ROOT / "notebooks" / "policies" / "trust-policy.json").read_text()
    arn = cloud.iam.create_role(RoleName="NotPassed", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    with pytest.raises(ClientError) as refusal:
        cloud.start(RoleArn=arn)
    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"
    assert f"is not authorized to perform: iam:PassRole on resource: {arn}" in str(refusal.value)


def test_deleting_many_objects_and_a_url_with_a_signature(cloud):
    cloud.put("many/a", b"a")
    url = cloud.s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "many/a"})
    context = ssl.create_default_context(cafile=cloud.account.ca_bundle)
    opener = build_opener(ProxyHandler({"https": cloud.account.proxies[0].url}), HTTPSHandler(context=context))
    assert opener.open(url).read() == b"a"
    with pytest.raises(HTTPError, match="403"):
        opener.open(url.partition("?")[0])
    answer = cloud.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "many/a"}]})
    assert "Errors" not in answer and cloud.keys("many/") == []


def test_strangers_are_refused(cloud):
    stranger = cloud.account.client("sagemaker", AccessKeyId="AKIAIOSFODNN7EXAMPLE", SecretAccessKey="x")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        stranger.list_training_jobs()
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.s3.create_bucket(Bucket="not-of-this-series")


# --- faults ---------------------------------------------------------------------------------------


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
    assert cloud.sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"] == [{"Key": "series", "Value": "mnist"}]


def test_log_group_deleted_while_the_job_runs(cloud):
    name = cloud.start("print('ready')\nimport time; time.sleep(1); print('done')")
    cloud.wait_for_line(name, "ready")
    cloud.account.client("logs").delete_log_group(logGroupName=GROUP)
    assert cloud.wait(name)["TrainingJobStatus"] == "Completed"


# --- what this machine does not allow ------------------------------------------------------------


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


# --- the network ----------------------------------------------------------------------------------


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
    with opener.open(f"http://127.0.0.1:{server.server_port}/a?b=c", data=b"body") as answer:
        assert answer.read() == b"/a?b=c body"
    server.shutdown()
    with pytest.raises(Exception, match="400"):
        opener.open("http://no-such-service.us-east-1.amazonaws.com/")


def test_listens_on_loopback_alone(cloud):
    listening = {
        connection.laddr.ip for connection in psutil.Process().net_connections() if connection.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}


# --- other clients, through the command line ------------------------------------------------------


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
    shutil.copy(Path(__file__).with_name("seed.txt"), tmp_path / "script.py")
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
    assert process.stdout.readline() == "started\n"
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


def test_folder_in_use_is_not_stale(tmp_path, monkeypatch):
    monkeypatch.setattr(folders.tempfile, "tempdir", str(tmp_path))
    folder = folders.create()
    assert list(folders.stale()) == []
    (tmp_path / "sagemaker-sandbox-1-old").mkdir()
    assert list(folders.stale()) == []  # not known to be one of ours
    (tmp_path / "sagemaker-sandbox-1-old" / "lock").touch()
    assert list(folders.stale()) == [tmp_path / "sagemaker-sandbox-1-old"]
    folders.remove(folder)


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
