"""Two seats of workshop/workshop.yaml side by side in one account: neither reads, deletes or stops the other's."""

import json
import os
import re
import subprocess

import pytest
from botocore.exceptions import ClientError
from cfnlint.decode import cfn_yaml

from sandbox.aws.role import assume
from tests.support import ROOT
from tests.support.cloud import IMAGE, Cloud, channel

ACCOUNT = "123456789012"
KEYS = {
    "AccessKeyId": "AWS_ACCESS_KEY_ID",
    "SecretAccessKey": "AWS_SECRET_ACCESS_KEY",
    "SessionToken": "AWS_SESSION_TOKEN",
}


def filled(value, seat):
    """A value of the template as CloudFormation makes it for a seat."""
    if isinstance(value, dict) and len(value) == 1:
        [(function, text)] = value.items()
        if function == "Fn::Sub":
            known = {"AWS::Region": "us-east-1", "AWS::AccountId": ACCOUNT, "Seat": seat}
            return re.sub(r"\$\{([\w:]+)\}", lambda match: known[match[1]], text)
        if function == "Ref":
            return {"Seat": seat}[text]
    if isinstance(value, dict):
        return {key: filled(item, seat) for key, item in value.items()}
    return [filled(item, seat) for item in value] if isinstance(value, list) else value


class Seat(Cloud):
    """A seat as the template makes it, with clients that hold its role, in the account of another Cloud."""

    def __init__(self, cloud, template, name):
        self.account, self.iam, self.count = cloud.account, cloud.iam, 0
        _, _, made = template["Resources"]["Fn::ForEach::Seats"]
        self.bucket = filled(made["Bucket${Seat}"]["Properties"]["BucketName"], name)
        self.account.client("s3").create_bucket(Bucket=self.bucket)
        role = made["Role${Seat}"]["Properties"]
        assert role["ManagedPolicyArns"] == [{"Ref": "TrainingPolicy"}, {"Ref": "StudioPolicy"}]
        tags, trust = filled(role["Tags"], name), json.dumps(role["AssumeRolePolicyDocument"])
        self.name = filled(role["RoleName"], name)
        found = self.iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=trust, Tags=tags)
        self.role, self.tags = found["Role"]["Arn"], tags
        training = json.dumps(template["Resources"]["TrainingPolicy"]["Properties"]["PolicyDocument"])
        self.iam.put_role_policy(RoleName=self.name, PolicyName="training", PolicyDocument=training)
        self.environment = assume(self.role, "seat", "us-east-1")
        self.key = {key: self.environment[variable] for key, variable in KEYS.items()}
        services = ("s3", "sagemaker", "logs")
        self.s3, self.sagemaker, self.logs = (self.account.client(service, **self.key) for service in services)
        self.put("own/image", b"mine")

    def put(self, key, content=b"", bucket=None):
        return super().put(key, content, bucket or self.bucket)

    def request(self, script="", **changes):
        """Of the seat's own role, into its own bucket, with its own tag."""
        output = {"S3OutputPath": f"s3://{self.bucket}/out"}
        request = super().request(script, RoleArn=self.role, OutputDataConfig=output, Tags=self.tags)
        name = f"{self.name.rpartition('-')[2]}-{request['TrainingJobName']}"
        return {**request, "TrainingJobName": name, **changes}


@pytest.fixture(scope="module")
def template():
    return cfn_yaml.load(str(ROOT / "workshop" / "workshop.yaml"))


@pytest.fixture(scope="module")
def seats(cloud, template):
    return Seat(cloud, template, "01"), Seat(cloud, template, "02")


def refused(call, *arguments, **request):
    with pytest.raises(ClientError) as refusal:
        call(*arguments, **request)
    return refusal.value.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "403")


def test_neither_reads_counts_or_deletes_what_is_in_the_others_bucket(seats):
    for one, other in (seats, seats[::-1]):
        assert one.get("own/image", one.bucket) == b"mine"
        assert one.keys("", one.bucket).count("own/image") == 1
        assert refused(one.s3.get_object, Bucket=other.bucket, Key="own/image")
        assert refused(one.s3.list_objects_v2, Bucket=other.bucket)
        assert refused(one.s3.put_object, Bucket=other.bucket, Key="own/image", Body=b"yours")
        assert refused(one.s3.delete_object, Bucket=other.bucket, Key="own/image")
        assert refused(one.s3.list_buckets)
        assert other.get("own/image", other.bucket) == b"mine"


def test_a_job_of_one_seat_has_no_way_to_the_other(seats):
    one, other = seats
    assert refused(one.start, RoleArn=other.role)
    with pytest.raises(ClientError, match=f'"s3:ListBucket" permissions on bucket "{other.bucket}"'):
        one.start(InputDataConfig=[channel(f"s3://{other.bucket}/own/image")])
    job = one.run(
        "open('/opt/ml/model/x', 'w').write('x')", OutputDataConfig={"S3OutputPath": f"s3://{other.bucket}/out"}
    )
    assert job["TrainingJobStatus"] == "Failed" and "AccessDenied" in job["FailureReason"]
    assert other.keys("out", other.bucket) == []


def test_neither_describes_or_stops_the_others_job(seats):
    one, other = seats
    name = one.start("import time; time.sleep(100)")
    assert refused(other.sagemaker.describe_training_job, TrainingJobName=name)
    assert refused(other.sagemaker.stop_training_job, TrainingJobName=name)
    # IAM knows no narrower list: each sees the names of all jobs, and their statuses.
    assert name in [job["TrainingJobName"] for job in other.sagemaker.list_training_jobs()["TrainingJobSummaries"]]
    one.sagemaker.stop_training_job(TrainingJobName=name)
    assert one.wait(name)["TrainingJobStatus"] == "Stopped"


def test_nothing_with_the_tag_of_another_seat_and_no_taking_over(seats):
    one, other = seats
    assert refused(one.start, Tags=other.tags)
    arn = one.describe(one.run()["TrainingJobName"])["TrainingJobArn"]
    assert one.sagemaker.list_tags(ResourceArn=arn)["Tags"] == one.tags
    assert refused(other.sagemaker.list_tags, ResourceArn=arn)
    assert refused(other.sagemaker.add_tags, ResourceArn=arn, Tags=other.tags)


def test_a_name_that_is_not_there_is_said_by_sagemaker(seats):
    with pytest.raises(ClientError, match="Could not find endpoint configuration"):
        seats[0].sagemaker.describe_endpoint_config(EndpointConfigName="nothing")


def test_neither_deletes_the_others_model_and_configuration(seats):
    one, other = seats
    one.run("open('/opt/ml/model/x', 'w').write('x')")
    uri = f"s3://{one.bucket}/{one.keys('out/', one.bucket)[-1]}"
    made = {"ModelName": "of-one", "ExecutionRoleArn": one.role, "Tags": one.tags}
    serving = IMAGE.replace("training", "inference")
    one.sagemaker.create_model(**made, PrimaryContainer={"Image": serving, "ModelDataUrl": uri})
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "of-one",
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.xlarge",
    }
    one.sagemaker.create_endpoint_config(EndpointConfigName="of-one", ProductionVariants=[variant], Tags=one.tags)
    assert refused(other.sagemaker.describe_model, ModelName="of-one")
    assert refused(other.sagemaker.delete_model, ModelName="of-one")
    assert refused(other.sagemaker.delete_endpoint_config, EndpointConfigName="of-one")
    assert refused(other.sagemaker.delete_endpoint, EndpointName="of-one") is False  # there is none
    one.sagemaker.delete_endpoint_config(EndpointConfigName="of-one")
    one.sagemaker.delete_model(ModelName="of-one")


SEED = """
import sagemaker
from sagemaker import get_execution_role
from sagemaker.tensorflow import TensorFlow

sess = sagemaker.Session()
role = get_execution_role()
output_path = "s3://" + sess.default_bucket() + "/DEMO-tensorflow/mnist"
est = TensorFlow(entry_point="train.py", role=role, instance_type="ml.c4.xlarge", instance_count=1,
                 framework_version="2.3.1", py_version="py37", output_path=output_path)
est.fit(wait=False)
print(role, output_path, est.latest_training_job.name)
"""
SDK_3 = """
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import SourceCode

sess = Session()
role, place = get_execution_role(), "s3://" + sess.default_bucket() + "/DEMO-tensorflow/mnist"
trainer = ModelTrainer(training_image="{image}", sagemaker_session=sess, role=role, source_code=SourceCode(
    source_dir=".", entry_script="train.py"), base_job_name="three")
trainer.train(wait=False, logs=False)
print(role, place, trainer._latest_training_job.training_job_name)
"""


@pytest.mark.parametrize(("environment", "script"), [(".venv", SEED), (".venv-v3", SDK_3.replace("{image}", IMAGE))])
def test_the_lines_of_the_seed_use_bucket_role_and_tag_of_the_seat(seats, tmp_path, environment, script):
    seat, _ = seats
    metadata = tmp_path / "metadata.json"
    metadata.write_text(json.dumps({"AppType": "JupyterLab", "ExecutionRoleArn": seat.role, "SpaceName": "seat-01"}))
    text = (ROOT / "studio" / "lifecycle.sh").read_text().partition("\nexport -f")[0]
    variables = {"HOME": str(tmp_path), "METADATA": str(metadata), "SEAT_BUCKET": seat.bucket[:-2]}
    subprocess.run(["bash", "-c", text], env={**os.environ, **variables}, check=True)
    (tmp_path / "train.py").write_text("print('hello')")
    inside = {**seat.account.environment(), **seat.environment, "HOME": str(tmp_path)}
    inside = {name: value for name, value in inside.items() if not name.startswith(("SAGEMAKER_USER_", "XDG_CONFIG_"))}
    python = ROOT / environment / "bin" / "python"
    run = subprocess.run([python, "-c", script], cwd=tmp_path, env=inside, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    role, place, job = run.stdout.split()[-3:]
    assert role == seat.role and place == f"s3://{seat.bucket}/DEMO-tensorflow/mnist"
    tags = seat.sagemaker.list_tags(ResourceArn=seat.wait(job)["TrainingJobArn"])["Tags"]
    assert tags == (seat.tags if environment == ".venv" else [])  # SDK 3 does not read the settings for it
    assert seat.describe(job)["TrainingJobStatus"] == "Completed", seat.lines(job)
