"""python -m sandbox --studio: what a command finds in a Studio space. tests/studio trains in one."""

from pathlib import Path

import pytest

from tests.support import ROOT

PYTHON_V3 = ROOT / ".venv-v3" / "bin" / "python"
IN_SPACE = """
import json, logging, os
logging.getLogger("sagemaker.config").setLevel(logging.WARNING)
with open("/opt/ml/metadata/resource-metadata.json") as file:
    metadata = json.load(file)
print(metadata["AppType"], metadata["DomainId"], metadata["SpaceName"] == os.environ["SAGEMAKER_SPACE_NAME"])
for name in list(os.environ):
    if name.startswith("AWS_") and ("KEY" in name or "TOKEN" in name):
        del os.environ[name]  # so that the role can only come from the file
import boto3
"""
SDK_2 = """
from sagemaker.local.utils import check_for_studio
from sagemaker.session import Session, get_execution_role
"""
SDK_3 = """
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.local.utils import check_for_studio
"""
ASK = """
print(check_for_studio())
print(get_execution_role(Session(boto3.Session(region_name="us-east-1"))))
"""
NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere"}


@pytest.mark.parametrize(("python", "sdk"), [("python", SDK_2), (PYTHON_V3, SDK_3)])
def test_both_sdks_see_a_studio_space_and_its_role(run, python, sdk):
    out = run(IN_SPACE + sdk + ASK, "--studio", python=python, **NO_DOCKER)
    assert out.splitlines() == [
        "JupyterLab d-sandbox True",
        "True",
        "arn:aws:iam::123456789012:role/SageMakerExecutionRole",
    ]


def test_nobody_else_sees_the_space(start):
    file = Path("/opt/ml/metadata/resource-metadata.json")
    script = f"import os, time; print(os.path.exists('{file}'), flush=True); time.sleep(1000)"
    process = start("--studio", "python", "-c", script, **NO_DOCKER)
    assert process.stdout.readline() == "True\n"
    assert not file.exists()


def test_a_space_has_a_home_of_its_own_and_no_docker_of_itself(run, tmp_path):
    script = "import os; print(os.path.expanduser('~'), os.listdir(os.environ['HOME']), os.environ.get('LOCAL_MODE'))"
    home, files, mode = run(script, "--studio", HOME="/own", **NO_DOCKER).split()
    assert home.startswith(str(tmp_path)) and (files, mode) == ("[]", "None")


def test_a_space_passes_on_arguments_exit_code_and_what_is_not_there(start):
    process = start("--studio", "python", "-c", "import sys; print(sys.argv[1:]); sys.exit(7)", "a b", **NO_DOCKER)
    out, _ = process.communicate(timeout=60)
    assert out.strip() == "['a b']" and process.returncode == 7
    process = start("--studio", "no-such-command", **NO_DOCKER)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 127 and "cannot run no-such-command" in err


TWO_HOSTS = """
import os, sagemaker
from sagemaker.estimator import Estimator
job = Estimator(image_uri=os.environ["TRAINING_IMAGE"], role=sagemaker.get_execution_role(), instance_type="local",
                instance_count=2)
try:
    job.fit()
except NotImplementedError as error:
    print(error)
"""


@pytest.mark.usefixtures("docker")
def test_sdk_2_refuses_two_hosts_in_a_space(run):
    message = "Multi instance Local Mode execution is currently not supported in SageMaker Studio."
    assert run(TWO_HOSTS, "--studio").splitlines()[-1] == message
