"""tools/on_aws.py, with the sandbox in AWS's place."""

import os
import re
import subprocess
import sys

import nbformat

from tests.support import ROOT
from tests.support.cloud import BUCKET, ROLE
from tools import on_aws

BEFORE = f"""
import boto3, time
s3 = boto3.client("s3")
s3.create_bucket(Bucket="{BUCKET}")
s3.put_object(Bucket="{BUCKET}", Key="older/object", Body=b"by another person")
time.sleep(1.1)
"""
CELLS = [
    (
        """import logging, os, pathlib, tempfile
logging.getLogger("sagemaker.config").setLevel("ERROR")
import sagemaker
from sagemaker.tensorflow import TensorFlow
os.environ["LOCAL_MODE"]""",
        "'0'",
    ),
    (
        """sess = sagemaker.Session()
source = pathlib.Path(tempfile.mkdtemp())
_ = (source / "hello.py").write_text("print('hello')")
est = TensorFlow(entry_point="hello.py", source_dir=str(source), role=sagemaker.get_execution_role(),
    framework_version="2.3.1", py_version="py37", model_dir=False, instance_type="ml.c4.xlarge", instance_count=1,
    base_job_name="tiny")
est.fit(logs="None")""",
        "",
    ),
    ("6 * 7", "41"),
    ("""est.latest_training_job.describe()["TrainingJobStatus"]""", "'Completed'"),
]


def notebook(path):
    cells = []
    for number, (source, result) in enumerate(CELLS, 1):
        output = nbformat.v4.new_output("execute_result", {"text/plain": result}, execution_count=number)
        cells.append(nbformat.v4.new_code_cell(source, execution_count=number, outputs=[output]))
    cells[1].metadata.tags = ["nbval-ignore-output"]  # fit() prints statuses
    kernel = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def outside(**environment):
    """on_aws.py as a program, with no account but what is given -> its message."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nothing = dict(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull, AWS_EC2_METADATA_DISABLED="true")
    command = [sys.executable, "-m", "tools.on_aws", "notebooks/01-quick-start.ipynb"]
    environment = {**clean, **nothing, **environment}
    done = subprocess.run(command, cwd=ROOT, env=environment, input="", capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    return done.stderr


def test_what_is_missing_is_said_in_one_line():
    assert outside() == "aws: no region. Set one: export AWS_DEFAULT_REGION=us-east-1\n"
    message = outside(AWS_DEFAULT_REGION="eu-west-1")
    assert (
        message.startswith("aws: no credentials that AWS takes (Unable to locate credentials")
        and "AWS_PROFILE" in message
    )
    assert "(The config profile (nobody) could not be found). Set AWS_PROFILE" in outside(AWS_PROFILE="nobody")


def test_a_user_is_told_to_take_a_role(cloud):
    cloud.iam.create_user(UserName="alice")
    key = cloud.iam.create_access_key(UserName="alice")["AccessKey"]
    names = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    inside = {name: value for name, value in cloud.account.environment().items() if name != "AWS_SESSION_TOKEN"}
    message = outside(**{**inside, **names})
    assert message.startswith("aws: not a role's credentials. Give a profile role_arn=")


def test_the_run_is_compared_and_what_is_left_is_listed(start, tmp_path_factory):
    path = tmp_path_factory.mktemp("notebook") / "11-tiny.ipynb"
    notebook(path)
    program = f'{sys.executable} -c "$BEFORE" && exec {sys.executable} -m tools.on_aws {path}'
    process = start("sh", "-c", program, YES="1", BEFORE=BEFORE, SANDBOX_IMAGES="/dev/null", TRAINING_IMAGE="")
    out, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    said, report = re.split("=+ test session starts =+.*=+ 1 failed, 3 passed", out, flags=re.DOTALL)
    assert "account 123456789012, region us-east-1, role " + ROLE in said
    assert "not known, so not counted: 11-tiny.ipynb" in said and "must last as long" in said
    assert "What differed: 1 of 4 cells\n  11-tiny.ipynb [3]\n" in report
    assert re.search(r"^  tiny-[\d-]+: Completed\n  billed: \d+ s of ml.c4.xlarge", report, re.MULTILINE)
    assert re.search(rf"^  s3://{BUCKET}/tiny-[\d-]+: 1 objects, 0.0 MB\n  in all 0.0 MB", report, re.MULTILINE)
    assert "older" not in report


def test_nothing_starts_without_a_yes(start):
    process = start(sys.executable, "-m", "tools.on_aws", "notebooks/01-quick-start.ipynb", YES="")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1 and out.endswith("Start? y/N ") and "aws: nothing was started" in err


def test_the_page_of_costs_knows_every_notebook():
    jobs, usd, unknown = on_aws.cost(sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))[1:])
    assert jobs > 10 and 0 < usd < 5 and unknown == []
