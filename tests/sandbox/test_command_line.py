"""python -m sandbox: what a command finds inside, what stays outside, and that nothing is left behind."""

import json
import signal
import sys

import psutil
import pytest

from sandbox import settings
from sandbox.aws.proxy import is_aws
from sandbox.local_mode import docker as local_mode
from sandbox.local_mode import image
from tests.support import ROOT
from tests.support.cloud import wait_for
from tests.support.local_jobs import SLOW_JOB, containers

WITH_THE_SDK = """
import json, logging, subprocess, urllib.request
logging.getLogger("sagemaker.config").setLevel(logging.WARNING)
import sagemaker
from sagemaker.telemetry import telemetry_logging as telemetry
session, seen = sagemaker.Session(), {}
seen["role"] = sagemaker.get_execution_role()
seen["uri"] = session.upload_data("data/SHA256SUMS", key_prefix="x")
seen["content"] = session.read_s3_file(session.default_bucket(), "x/SHA256SUMS")
url = telemetry._construct_url("123456789012", "us-east-1", "1", "1", None, None, None)
seen["report"] = telemetry._requests_helper(url, 2).text
link = session.boto_session.client("s3").generate_presigned_url(
    "get_object", Params={"Bucket": session.default_bucket(), "Key": "x/SHA256SUMS"})
seen["curl"] = subprocess.run(["curl", "-sS", link], capture_output=True, text=True).stdout
seen["urllib"] = urllib.request.urlopen(link).read().decode()
print(json.dumps(seen))
"""


def test_a_role_a_bucket_and_what_the_sdk_reports_stays_here(run):
    seen = json.loads(run(WITH_THE_SDK).splitlines()[-1])
    assert seen["role"] == "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
    assert seen["uri"] == "s3://sagemaker-us-east-1-123456789012/x/SHA256SUMS"
    assert seen["content"] == seen["curl"] == seen["urllib"] == (ROOT / "data" / "SHA256SUMS").read_text()
    assert "<Code>AccessDenied</Code>" in seen["report"]  # by this account, which knows no such bucket


def test_nothing_of_the_users_account_gets_in(run, tmp_path_factory):
    own = tmp_path_factory.mktemp("own") / "config"
    own.write_text("[default]\nregion = eu-west-3\naws_access_key_id = OWN\naws_secret_access_key = OWN\n")
    script = """
import json, os, boto3
session = boto3.Session()
print(json.dumps([session.region_name, session.get_credentials().access_key, session.available_profiles,
                  session.client("sts").get_caller_identity()["Arn"], dict(os.environ)]))
"""
    foreign = {
        "AWS_PROFILE": "own",
        "AWS_ACCESS_KEY_ID": "OWN",
        "AWS_SECRET_ACCESS_KEY": "OWN",
        "AWS_SESSION_TOKEN": "OWN",
        "AWS_REGION": "eu-west-3",
        "AWS_CONFIG_FILE": str(own),
        "AWS_SHARED_CREDENTIALS_FILE": str(own),
        "AWS_ENDPOINT_URL_STS": "https://own.example",
        "https_proxy": "http://own.example:1",
        "ALL_PROXY": "http://own.example:1",
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(own),
        "SANDBOX_STOP_SECONDS": "5",
    }
    region, key, profiles, arn, environment = json.loads(run(script, **foreign))
    assert region == "us-east-1" and key != "OWN" and profiles == []
    assert arn == "arn:aws:sts::123456789012:assumed-role/SageMakerExecutionRole/sandbox"
    for name, value in foreign.items():
        assert environment.get(name) != value, name


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("sts.us-east-1.amazonaws.com", True),
        ("bucket.s3.amazonaws.com", True),
        ("s3.cn-north-1.amazonaws.com.cn", True),
        ("sagemaker.us-east-1.api.aws", True),
        ("STS.us-east-1.amazonaws.COM.", True),
        ("169.254.169.254", True),
        ("169.254.170.2", True),
        ("[fd00:ec2::254]", True),
        ("pypi.org", False),
        ("notamazonaws.com", False),
        ("amazonaws.com.example.org", False),
    ],
)
def test_which_hosts_are_aws(host, expected):
    assert is_aws(host) is expected


def test_other_hosts_pass_through_and_aws_never_does(run):
    script = """
import os, socket, threading, urllib.parse
server = socket.create_server(("127.0.0.1", 0))
def echo():
    connection, _ = server.accept()
    connection.sendall(connection.recv(100).upper())
threading.Thread(target=echo, daemon=True).start()
proxy = urllib.parse.urlsplit(os.environ["HTTPS_PROXY"])
print(proxy.hostname)
with socket.create_connection((proxy.hostname, proxy.port)) as connection:
    connection.sendall(f"CONNECT 127.0.0.1:{server.getsockname()[1]} HTTP/1.1\\r\\n\\r\\n".encode())
    print(connection.recv(1000).split(b"\\r\\n")[0].decode())
    connection.sendall(b"untouched")
    print(connection.recv(100).decode())
import boto3
print(boto3.client("sts", endpoint_url="https://sts.us-east-1.amazonaws.com").get_caller_identity()["Account"])
"""
    lines = run(script).splitlines()
    assert lines[0] == "127.0.0.1" and " 200 " in lines[1] and lines[2:] == ["UNTOUCHED", "123456789012"]


def test_passes_on_arguments_and_exit_code(start):
    process = start("python", "-c", "import sys; print(sys.argv[1:]); sys.exit(7)", "a b", "--c")
    out, _ = process.communicate(timeout=60)
    assert out.strip() == "['a b', '--c']" and process.returncode == 7


def test_runs_the_python_of_the_environment(run):
    assert run("import sys; print(sys.executable)").strip() == sys.executable


def test_command_that_is_not_there(start):
    process = start("no-such-command")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 127 and "cannot run no-such-command" in err


def test_a_policy_in_the_place_of_the_notebooks(run, start, tmp_path_factory):
    policy = tmp_path_factory.mktemp("own") / "policy.json"
    statement = {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}
    policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    script = "import boto3; print(boto3.client('s3').list_buckets()['Buckets'])"
    assert run(script, SANDBOX_POLICY=str(policy)) == "[]\n"
    process = start("true", SANDBOX_POLICY="/none")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == "sandbox: SANDBOX_POLICY=/none: [Errno 2] No such file or directory: '/none'\n"


@pytest.mark.parametrize("text", ["-1", "inf", "nan", "soon"])
def test_seconds_that_are_none(monkeypatch, text):
    monkeypatch.setenv("SANDBOX_STOP_SECONDS", text)
    with pytest.raises(SystemExit, match=f"sandbox: SANDBOX_STOP_SECONDS={text}: a number of seconds is needed"):
        settings.stop_seconds()


def test_usage(start):
    process = start()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "python -m sandbox [--studio] COMMAND" in err


def test_orphans_end_with_the_command(run):
    script = "import subprocess; print(subprocess.Popen(['setsid', 'sleep', '1000']).pid)"
    assert not psutil.pid_exists(int(run(script)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_command_and_nothing_is_left(start, number):
    process = start("python", "-c", "import time; print('ready', flush=True); time.sleep(1000)")
    assert process.stdout.readline() == "ready\n"
    [child] = psutil.Process(process.pid).children()
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode in (1, 128 + number) and not child.is_running()


# --- local mode -----------------------------------------------------------------------------------


@pytest.fixture
def fake_docker(tmp_path_factory, monkeypatch):
    """A PATH that holds only the commands that are given, as shell scripts."""

    def fake_docker(**commands):
        folder = tmp_path_factory.mktemp("bin")
        for name, script in commands.items():
            path = folder / name.replace("_", "-")
            path.write_text("#!/bin/sh\n" + script)
            path.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))

    return fake_docker


ENGINE = 'case "$1 $2" in "info --format") echo 29.0;; "compose version") echo "{}";; "images --quiet") echo abc;; esac'


def test_why_local_mode_cannot_run(fake_docker):
    fake_docker()
    assert "Docker is not installed" in local_mode.unfit()
    fake_docker(docker="exit 1")
    assert "no Docker engine answers" in local_mode.unfit()
    fake_docker(docker=ENGINE.format("Docker Compose version v5.0.1"))
    assert "SDK 2.x needs Docker Compose v2" in local_mode.unfit()
    fake_docker(docker=ENGINE.format("Docker Compose version v5.0.1").replace("abc", ""), docker_compose="exit 0")
    assert "make image" in local_mode.unfit()
    fake_docker(docker=ENGINE.format("Docker Compose version v5.0.1"), docker_compose="exit 0")
    assert local_mode.unfit() is None
    fake_docker(docker=ENGINE.format("Docker Compose version v2.40.0"))
    assert local_mode.unfit() is None


@pytest.mark.parametrize(("config", "address"), [({}, "172.17.0.1"), ({"Gateway": "172.17.0.9"}, "172.17.0.9")])
def test_the_address_on_dockers_bridge(fake_docker, config, address):
    found = [{"IPAM": {"Config": [{"Subnet": "172.17.0.0/16", **config}]}}]
    fake_docker(docker=f"echo '{json.dumps(found)}'")
    assert local_mode.gateway() == address


def test_other_peoples_containers_are_not_removed(fake_docker, tmp_path):
    folder, asked = tmp_path / "sandbox", tmp_path / "asked"
    folder.mkdir()
    listing = f"echo 'ours {folder}/job'; echo 'theirs {tmp_path}/job'"
    fake_docker(docker=f'case "$1" in ps) {listing};; *) echo "$@" >> {asked};; esac')
    local_mode.clean_up(folder)
    assert [line for line in asked.read_text().splitlines() if line.startswith("rm ")] == ["rm --force --volumes ours"]
    assert not folder.exists()


def test_the_image_is_built_through_the_users_proxy(fake_docker, monkeypatch, capfd):
    fake_docker(docker='echo "$@"')
    for name in image.PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:1")
    with pytest.raises(SystemExit, match="0"):
        image.main()
    assert f"build --network=host --tag {local_mode.IMAGE} --build-arg HTTPS_PROXY " in capfd.readouterr().out


@pytest.mark.usefixtures("docker")
def test_local_mode_is_on_where_docker_answers(run):
    script = "import os; print(os.environ['LOCAL_MODE'], os.environ['TRAINING_IMAGE'])"
    assert run(script).split() == ["1", local_mode.IMAGE]
    assert run(script, LOCAL_MODE="0").split() == ["0", local_mode.IMAGE]


def test_local_mode_is_off_where_docker_does_not_answer(run):
    script = "import os; print(os.environ.get('LOCAL_MODE'), os.environ.get('TRAINING_IMAGE'))"
    assert run(script, DOCKER_HOST="unix:///nowhere").split() == ["None", "None"]


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_local_job_leaves_no_container(start, tmp_path, number):
    process = start("python", "-c", SLOW_JOB)
    wait_for(lambda: containers(tmp_path))
    process.send_signal(number)
    process.communicate(timeout=60)
    assert containers(tmp_path) == []
