"""What CreateTrainingJob refuses before anything runs, in AWS's words."""

import json

import pytest
from botocore.exceptions import ClientError

from sandbox.training import members
from tests.support.cloud import BUCKET, ROLE, algorithm, channel, hosts

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
    "spot without a wait": (
        {"EnableManagedSpotTraining": True},
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
    "augmented manifest without names": (
        {"InputDataConfig": [channel(f"s3://{BUCKET}/x", kind="AugmentedManifestFile", InputMode="Pipe")]},
        "AugmentedManifestFile needs input mode Pipe and AttributeNames",
    ),
    "instance group": (
        {"InputDataConfig": [channel(f"s3://{BUCKET}/x", source={"InstanceGroupNames": ["none"]})]},
        "Invalid InstanceGroupNames for channel training: ['none'] not in ResourceConfig",
    ),
    "regular expression": (
        {"AlgorithmSpecification": algorithm(MetricDefinitions=[{"Name": "m", "Regex": "("}])},
        "Invalid regular expression for metric m",
    ),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refused_before_anything_runs(cloud, case):
    changes, message = REFUSALS[case]
    before = len(cloud.account.training.jobs)
    with pytest.raises(ClientError) as refusal:
        cloud.start(**changes)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert message in refusal.value.response["Error"]["Message"]
    assert len(cloud.account.training.jobs) == before


def test_name_in_use(cloud):
    arn = cloud.run()["TrainingJobArn"]
    for taken in (arn, arn.replace("/job", "/JOB")):  # whatever its case
        with pytest.raises(cloud.sagemaker.exceptions.ResourceInUse) as refusal:
            cloud.start(TrainingJobName=taken.rpartition("/")[2])
        assert refusal.value.response["Error"]["Message"] == (
            "Training job names must be unique within an AWS account and region, and a training job with this name "
            f"already exists ({taken})"
        )


def test_too_many_hosts(cloud):
    with pytest.raises(cloud.sagemaker.exceptions.ResourceLimitExceeded, match="is 8 Instances"):
        cloud.start(ResourceConfig=hosts(9))
    members.check_hosts({"ResourceConfig": hosts(8)}, cloud.account.machine)


def test_what_only_serverless_jobs_may_lack(cloud):
    """In the API's model it is optional, so clients send such a request."""
    asked = cloud.request()
    del asked["AlgorithmSpecification"], asked["ResourceConfig"]
    with pytest.raises(ClientError, match="2 validation errors detected: Value null at 'algorithmSpecification' "):
        cloud.sagemaker.create_training_job(**asked)


def test_an_image_of_this_account(cloud):
    client, registry = cloud.account.client("ecr"), "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    client.create_repository(repositoryName="mine")
    manifest = json.dumps({"mediaType": "application/vnd.docker.distribution.manifest.v2+json"})
    client.put_image(repositoryName="mine", imageManifest=manifest, imageTag="1")
    assert cloud.run(AlgorithmSpecification=algorithm(TrainingImage=f"{registry}/mine:1"))["TrainingJobStatus"]
    with pytest.raises(ClientError, match="Cannot find repository: mine in registry ID: 123456789012 "):
        cloud.start(AlgorithmSpecification=algorithm(TrainingImage=f"{registry}/mine:2"))


@pytest.mark.parametrize("operation", ["describe_training_job", "stop_training_job"])
def test_unknown_job(cloud, operation):
    with pytest.raises(ClientError, match=r"ValidationException.*Requested resource not found\."):
        getattr(cloud.sagemaker, operation)(TrainingJobName="unknown")
