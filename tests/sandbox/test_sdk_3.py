"""SDK 3 in the sandbox: its own drivers start the script, with no training toolkit. One run, and what it saw."""

import json
import os
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.support import ROOT

PYTHON = ROOT / ".venv-v3" / "bin" / "python"

TRAIN = """
import argparse, json, os, sys
parser = argparse.ArgumentParser()
parser.add_argument("--batch-size")
if parser.parse_args().batch_size == "0":
    with open(os.environ["SM_OUTPUT_DIR"] + "/failure", "w") as file:
        file.write("no batch")
    sys.exit(3)
with open(os.environ["SM_MODEL_DIR"] + "/seen.json", "w") as file:
    json.dump({name: value for name, value in os.environ.items() if name.startswith("SM_")}, file)
"""

CLIENT = """
import io, json, sys, tarfile
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.s3 import S3Downloader
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, OutputDataConfig, SourceCode

source, result = sys.argv[1:]
sess = Session()
uri = sess.upload_data(path=source, bucket=sess.default_bucket(), key_prefix="data")
trainer = ModelTrainer(
    sagemaker_session=sess,
    role=get_execution_role(),
    training_image="any",
    source_code=SourceCode(source_dir=source, entry_script="train.py"),
    compute=Compute(instance_type="ml.c4.xlarge", instance_count=1),
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{sess.default_bucket()}/out"),
    hyperparameters={"batch-size": 512},
)
inputs = [InputData(channel_name="training", data_source=uri)]
request = trainer._create_training_job_args(input_data_config=inputs, boto3=True)
trainer.train(input_data_config=inputs, wait=False)
trainer._latest_training_job.wait(poll=1)
job = trainer._latest_training_job
content = S3Downloader.read_bytes(job.model_artifacts.s3_model_artifacts, sagemaker_session=sess)
with tarfile.open(fileobj=io.BytesIO(content)) as archive:
    seen = json.load(archive.extractfile("seen.json"))
described = sess.sagemaker_client.describe_training_job(TrainingJobName=job.training_job_name)
trainer.hyperparameters = {"batch-size": 0}
try:
    trainer.train(input_data_config=inputs, wait=False)
    trainer._latest_training_job.wait(poll=1)
except Exception as error:
    failure = str(error)
with open(result, "w") as file:
    json.dump({"request": request, "job": described, "seen": seen, "failure": failure}, file, default=str)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    assert PYTHON.exists(), "run `make .venv-v3`"
    folder = tmp_path_factory.mktemp("sdk-3")
    (folder / "source").mkdir()
    (folder / "source" / "train.py").write_text(TRAIN)
    (folder / "client.py").write_text(CLIENT)
    command = [sys.executable, "-m", "sandbox", PYTHON, folder / "client.py", folder / "source", folder / "result.json"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "LOCAL_MODE": "0"}, check=True, timeout=300)
    return json.loads((folder / "result.json").read_text())


def test_a_job_of_model_trainer_runs_with_the_drivers_that_the_sdk_uploads(run):
    assert run["job"]["TrainingJobStatus"] == "Completed"
    assert json.loads(run["seen"]["SM_CHANNELS"]) == ["training", "code", "sm_drivers"]
    assert run["seen"]["SM_HP_BATCH_SIZE"] == "512" and "SM_USER_ARGS" not in run["seen"]
    assert run["seen"]["SM_CURRENT_HOST"] == "algo-1" and run["seen"]["SM_MODEL_DIR"].endswith("/model")


def test_the_script_says_why_it_failed(run):
    assert "AlgorithmError: no batch, exit code: 3" in run["failure"]


def test_the_request_that_notebook_10_shows_is_the_one_that_is_sent(run):
    request, job = run["request"], run["job"]
    for name in ("AlgorithmSpecification", "HyperParameters", "ResourceConfig", "StoppingCondition", "RoleArn"):
        assert request[name] == job[name]
    upload = request["TrainingJobName"]  # code and drivers are uploaded again for every request
    assert (
        json.loads(json.dumps(request["InputDataConfig"]).replace(upload, job["TrainingJobName"]))
        == (job["InputDataConfig"])
    )


@pytest.mark.parametrize("name", ["01-quick-start", "10-model-trainer"])
def test_a_kernel_with_the_other_sdk_stops_a_notebook_in_its_first_code_cell_with_two_lines(name):
    notebook = nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)
    needs, has = ("3", "2") if name.startswith("10-") else ("2", "3")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code:
        cell.outputs = []
    other = "python3" if needs == "3" else "sagemaker-v3"
    with pytest.raises(CellExecutionError):
        NotebookClient(notebook, kernel_name=other, resources={"metadata": {"path": ROOT / "notebooks"}}).execute()
    [error] = code[0].outputs
    what, remedy = error.traceback
    assert f"needs version {needs} of the SageMaker Python SDK. This kernel has: {has}." in what
    assert "Run 00-setup.ipynb" in remedy
    assert not any(cell.outputs for cell in code[1:])
