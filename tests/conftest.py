"""Commands in the sandbox, for the tests of it."""

import os
import signal
import subprocess
import sys

import pytest

from sandbox.local_mode import docker as local_mode
from tests.support import ROOT
from tests.support.cloud import Cloud

# A shell lets its background jobs ignore Ctrl-C, and nohup lets a command ignore a closed terminal. Children inherit
# that, and these tests send both signals to theirs. A handler is not inherited: this process goes on, they end.
signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)
# Jobs run in the environment of the sandbox, whatever `make matrix` has made.
os.environ["SANDBOX_IMAGES"] = os.devnull


@pytest.fixture
def start(tmp_path):
    """Start a command in the sandbox, with a folder of its own for temporary files."""

    started = []

    def start(*command, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *command],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=60)
    assert list(tmp_path.iterdir()) == [], "the sandbox left files behind"


@pytest.fixture
def run(start):
    """Run a Python script in the sandbox -> what it printed."""

    def run(script, *options, python="python", **environment):
        process = start(*options, python, "-c", script, **environment)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return out

    return run


@pytest.fixture
def docker():
    """Docker, fit for local mode; a machine without it skips the test, but CI must have it."""
    if reason := local_mode.unfit():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sandbox")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setenv("AWS_SECRET_ACCESS_KEY", "the user's own")
        patch.setenv("SANDBOX_STOP_SECONDS", "2")  # nobody waits for AWS's 120
        cloud = Cloud(folder)
        yield cloud
        cloud.account.close()


@pytest.fixture(autouse=True)
def _policy(request):
    """Every test begins with the policy of notebook 01."""
    yield
    if "cloud" in request.fixturenames:
        cloud = request.getfixturevalue("cloud")
        cloud.iam.put_role_policy(
            RoleName="SageMakerExecutionRole",
            PolicyName="execution-policy",
            PolicyDocument=(ROOT / "notebooks" / "policies" / "execution-policy.json").read_text(),
        )
