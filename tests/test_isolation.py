"""Each host of a job has a network of its own."""

from cloud import hosts, run_python, start_python

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
