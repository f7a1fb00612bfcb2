"""Jobs in a Studio space: minutes, so `make test` leaves them out, and `make studio` runs them."""

import re
import signal

import pytest

from sandbox.local_mode import docker as local_mode
from sandbox.local_mode import studio
from tests.support.cloud import wait_for
from tests.support.local_jobs import SLOW_JOB, containers

pytestmark = pytest.mark.docker


def networks():
    return local_mode.docker("network", "ls", "--format", "{{.Name}}").splitlines()


@pytest.fixture
def clean_docker(docker, tmp_path):
    """Docker, and the test that a space has left nothing in it: no other space runs at the same time."""
    assert studio.NETWORK not in networks() and not local_mode.METADATA.exists()
    yield
    assert containers(tmp_path) == []
    assert studio.NETWORK not in networks() and not local_mode.METADATA.exists()


JOB = """
import os, pathlib, tempfile
import sagemaker
from sagemaker.estimator import Estimator
source = tempfile.mkdtemp()
pathlib.Path(source, "job.py").write_text(
    "import os; names = ('SM_CURRENT_HOST', 'SM_STUDIO_LOCAL_MODE'); print('seen', *(os.environ[n] for n in names))"
)
job = dict(image_uri=os.environ["TRAINING_IMAGE"], role=sagemaker.get_execution_role(), instance_type="local",
           entry_point="job.py", source_dir=source)
Estimator(instance_count=1, **job).fit()
print(os.listdir(os.path.expanduser("~")))
"""


@pytest.mark.usefixtures("clean_docker")
def test_local_mode_in_a_space_runs_one_container_on_studios_network(run):
    # The script reaches the container by way of S3, so that is reached from the network, too.
    out = run(JOB, "--studio")
    assert "seen sagemaker-local True" in out
    assert "['tmp']" in out


@pytest.mark.usefixtures("clean_docker")
def test_the_engine_sees_the_spaces_home_and_not_its_temporary_folder(run):
    script = """
import os, pathlib, subprocess
for folder in (os.environ["HOME"], os.environ["TMPDIR"]):
    pathlib.Path(folder, "file").touch()
    mount = ["--volume", folder + ":/seen", "--entrypoint", "ls", os.environ["TRAINING_IMAGE"], "/seen"]
    print(subprocess.check_output(["docker", "run", "--rm", *mount], text=True).split())
"""
    assert run(script, "--studio").splitlines() == ["['file']", "[]"]


@pytest.mark.usefixtures("clean_docker")
def test_two_spaces_share_the_network_and_the_last_one_removes_it(start):
    wait = ("--studio", "python", "-c", "import time; print('ready', flush=True); time.sleep(1000)")
    first, second = start(*wait), start(*wait)
    assert first.stdout.readline() == second.stdout.readline() == "ready\n"
    first.terminate()
    first.communicate(timeout=60)
    assert studio.NETWORK in networks()


@pytest.mark.usefixtures("clean_docker")
def test_what_a_killed_space_leaves_goes_with_the_next_start(start, tmp_path):
    process = start("--studio", "python", "-c", SLOW_JOB)
    wait_for(lambda: "train" in containers(tmp_path))
    process.kill()
    process.communicate(timeout=60)
    assert sorted(containers(tmp_path)) == ["sleep infinity", "train"]
    start("true").communicate(timeout=60)


@pytest.mark.usefixtures("clean_docker")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_job_in_a_space_leaves_nothing(start, tmp_path, number):
    process = start("--studio", "python", "-c", SLOW_JOB)
    wait_for(lambda: "train" in containers(tmp_path))
    process.send_signal(number)
    process.communicate(timeout=60)


@pytest.mark.usefixtures("clean_docker")
def test_what_runs_in_a_space_is_told_there(start):
    def told(what):
        process = start("--studio", "python", "studio/kernels.py", what)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return [re.split(" {2,}", line) for line in out.splitlines()]

    assert told("where")[0] == ["place", f"the Studio space {studio.NAME}"]
    # What it says of managed jobs is seen from the kernels of both SDKs.
    _, *rows = told("runs")
    assert {managed for _, _, managed, _ in rows} == {"yes"}
    local = {name[:2]: said for name, _, _, said in rows}
    assert {local.pop(name) for name in ("08", "11", "12")} == {"no: it trains on AWS's machines only"}
    assert local.pop("09") == "no: Studio runs one container a job"
    assert set(local.values()) == {"yes"}
