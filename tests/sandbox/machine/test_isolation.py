"""Each host of a job has a network, processes, rights and a home of its own."""

import json
import os
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from sandbox.machine import environments
from tests.support.cloud import algorithm, hosts, run_python, start_python

ALONE = """
import os, socket
port = {port}
for address in ("127.0.0.1", "10.0.0.1", "10.0.0.254", "1.1.1.1"):
    try:
        socket.create_connection((address, port), 2)
        print("reached", address, flush=True)
    except OSError as error:
        print(address, type(error).__name__, flush=True)
print(sorted(name for name in os.environ if name.startswith("AWS_") or name.endswith("_PROXY")), flush=True)
"""
# A server on all addresses at one port on each host, as TensorFlow's own servers are.
MEET = """
import json, os, socket, time
server = socket.create_server(("::", 12222), family=socket.AF_INET6, dualstack_ipv6=True)
for host in ("algo-1", "algo-2"):
    deadline = time.time() + 30
    while time.time() < deadline:
        try:
            socket.create_connection((host, 12222), 1).sendall(os.environ["TRAINING_JOB_NAME"].encode())
            break
        except OSError:
            time.sleep(0.05)
names = []
for _ in range(2):
    connection, _ = server.accept()
    names.append(connection.recv(100).decode())
print("met", *names, flush=True)
"""


def test_network_isolation(cloud):
    script = ALONE.format(port=cloud.account.proxies[0].port)
    job = run_python(cloud, script, EnableNetworkIsolation=True)
    lines = cloud.lines(job["TrainingJobName"])
    assert job["TrainingJobStatus"] == "Completed" and job["EnableNetworkIsolation"] is True
    assert len(lines) == 5 and not any("reached" in line for line in lines), lines
    assert lines[-1] == "['AWS_DEFAULT_REGION', 'AWS_REGION']"


def test_a_job_reaches_the_account_and_nothing_else_of_this_machine(cloud):
    lines = cloud.lines(run_python(cloud, ALONE.format(port=cloud.account.proxies[0].port))["TrainingJobName"])
    assert [line for line in lines if "reached" in line] == ["reached 127.0.0.1"]


def test_two_jobs_of_two_hosts_at_once_on_one_port(cloud):
    names = [start_python(cloud, MEET, ResourceConfig=hosts(2)) for _ in range(2)]
    for name in names:
        assert cloud.wait(name)["TrainingJobStatus"] == "Completed"
        assert cloud.lines(name) == [f"met {name} {name}"] * 2


S3 = """
import boto3
from botocore.config import Config
config = Config(connect_timeout=2, read_timeout=2, retries={"total_max_attempts": 1})
for key in ({}, {"aws_access_key_id": "AKIA0123456789ABCDEF", "aws_secret_access_key": "x"}):
    try:
        boto3.client("s3", config=config, **key).list_buckets()
        print("reached", flush=True)
    except Exception as error:
        print(type(error).__name__, flush=True)
"""


def test_network_isolation_and_s3(cloud):
    """Not without credentials, and not with some that the script brings."""
    lines = cloud.lines(run_python(cloud, S3, EnableNetworkIsolation=True)["TrainingJobName"])
    assert lines[0] == "NoCredentialsError" and lines[1] in ("EndpointConnectionError", "ConnectTimeoutError"), lines


def test_both_hosts_bind_one_port_on_each_kind_of_address(cloud):
    bind = """
    import socket
    servers = [socket.create_server(("0.0.0.0", 12222)), socket.socket(socket.AF_INET6)]
    servers[1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    servers[1].bind(("::", 12222))
    servers[1].listen()
    for host in ("127.0.0.1", "::1", socket.gethostname()):
        socket.create_connection((host, 12222), 5)
    socket.getaddrinfo("localhost", 12222, socket.AF_INET6)  # by its name as well
    import time; time.sleep(3)  # while the other host does the same
    print("bound", flush=True)
    """
    job = run_python(cloud, bind, ResourceConfig=hosts(2))
    assert cloud.lines(job["TrainingJobName"]) == ["bound"] * 2


LOOK = """
import ctypes, json, os
libc = ctypes.CDLL(None, use_errno=True)
mounted = libc.mount(b"tmpfs", b"/tmp", b"tmpfs", 0, None)
print(json.dumps({
    "pid": os.getpid(),
    "processes": [name for name in os.listdir("/proc") if name.isdigit()],
    "mount": [mounted, os.strerror(ctypes.get_errno())],
    "bounding": [line.split()[1] for line in open("/proc/self/status") if line.startswith("CapBnd")][0],
    "/home": os.listdir("/home"),
    "/root": os.listdir("/root"),
    "/run": os.listdir("/run"),
    "/dev": sorted(os.listdir("/dev")),
}), flush=True)
"""


DEVICES = "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero".split()


def names_below(folder):
    """What a job sees in people's homes: the way to its Python, nothing else."""
    shown = [Path(path) for path in environments.own().visible]
    return {path.relative_to(folder).parts[0] for path in shown if path.is_relative_to(folder)}


def test_a_job_is_alone_and_has_a_containers_rights(cloud):
    [line] = cloud.lines(run_python(cloud, LOOK)["TrainingJobName"])
    seen = json.loads(line)
    assert seen["pid"] == 1 and seen["processes"] == ["1"]
    assert seen["mount"] == [-1, "Operation not permitted"]
    rights = int(seen["bounding"], 16)
    assert not rights >> 21 & 1 and not rights >> 12 & 1  # CAP_SYS_ADMIN, CAP_NET_ADMIN
    assert seen["/run"] == [] and seen["/dev"] == DEVICES
    assert set(seen["/home"]) <= names_below("/home") and set(seen["/root"]) <= names_below("/root")


def test_homes_and_temporary_files_end_with_the_job(cloud):
    name = f"sandbox-test-{time.time()}"
    write = f"import os; [open(os.path.join(os.path.expanduser(p), '{name}'), 'w') for p in ('/tmp', '/var/tmp', '~')]"
    assert run_python(cloud, write)["TrainingJobStatus"] == "Completed"
    places = [Path(place) / name for place in ("/tmp", "/var/tmp", Path.home(), "/root")]
    assert [str(place) for place in places if os.path.exists(place)] == []
    look = f"import os; print([os.path.exists(os.path.join(p, '{name}')) for p in ('/tmp', '/var/tmp', '/root')])"
    assert cloud.lines(run_python(cloud, look)["TrainingJobName"]) == ["[False, False, False]"]


def test_a_shell_with_a_trap_is_told_of_a_stop_at_once(cloud, monkeypatch):
    monkeypatch.setenv("SANDBOX_STOP_SECONDS", "100")
    command = "trap 'echo told; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    name = cloud.start(AlgorithmSpecification=algorithm(ContainerEntrypoint=["sh", "-c", command]))
    cloud.wait_for_line(name, "ready")
    began = time.monotonic()
    cloud.sagemaker.stop_training_job(TrainingJobName=name)
    assert cloud.wait(name)["TrainingJobStatus"] == "Stopped" and time.monotonic() - began < 50
    assert cloud.lines(name) == ["ready", "told"]


def test_without_namespaces_nothing_is_left(cloud, monkeypatch):
    monkeypatch.setitem(vars(cloud.account.machine), "no_jobs", "the kernel is old")
    jobs, request = set(cloud.account.training.jobs), cloud.request()
    with pytest.raises(ClientError, match="the kernel is old"):
        cloud.sagemaker.create_training_job(**request)
    assert set(cloud.account.training.jobs) == jobs and not list(cloud.account.folder.rglob(request["TrainingJobName"]))
    with pytest.raises(ClientError, match="not found"):
        cloud.describe(request["TrainingJobName"])
