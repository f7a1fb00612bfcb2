"""Every member of CreateTrainingJob's request is fulfilled, without effect for a reason, or refused by its name."""

import json

import pytest
from botocore.exceptions import ClientError

from sandbox.api import validation
from sandbox.aws.errors import Error
from sandbox.aws.service_model import input_shape
from sandbox.training import members
from tests.support.cloud import BUCKET, algorithm, hosts

SHAPE = input_shape("CreateTrainingJob")
KNOWN = set(members.FULFILLED) | set(members.WITHOUT_EFFECT)
VALUES = {"string": "x", "boolean": True, "integer": 1, "long": 1, "map": {"x": "x"}}


def example(shape, path, value=None):
    """A request that holds a value at one path: this one, or one that asks for something."""
    if shape.type_name == "structure" and path:
        head, *rest = path
        return {head: example(shape.members[head], rest, value)}
    if not path and value is not None:
        return value
    if shape.type_name == "list":
        return [example(shape.member, path, value)]
    return VALUES[shape.type_name]


def leaves(shape, path=()):
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from leaves(member, (*path, name))
    elif shape.type_name == "list" and shape.member.type_name == "structure":
        yield from leaves(shape.member, path)
    else:
        yield path


LEAVES = [".".join(path) for path in leaves(SHAPE)]


def test_the_tables_name_members_that_there_are():
    assert set(LEAVES) >= KNOWN and len(LEAVES) > 100
    assert not set(members.FULFILLED) & set(members.WITHOUT_EFFECT)


@pytest.mark.parametrize("leaf", LEAVES)
def test_member(leaf):
    asked = example(SHAPE, leaf.split("."))
    if leaf in KNOWN:
        members.check_members(asked)
    else:
        with pytest.raises(Error, match=f"does not fulfil {leaf}:"):
            members.check_members(asked)


@pytest.mark.parametrize("leaf", [leaf for leaf in LEAVES if leaf not in KNOWN])
def test_a_member_that_asks_for_nothing(leaf):
    """SDKs send what is switched off, too."""
    for nothing in (False, 0, [], {}):
        members.check_members(example(SHAPE, leaf.split("."), nothing))


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"NoSuchThing": 1}, "NoSuchThing"),
        ({"ResourceConfig": {"InstanceCount": 1, "NoSuchThing": "x"}}, "ResourceConfig.NoSuchThing"),
        ({"InputDataConfig": [{"ChannelName": "a"}, {"NoSuchThing": [1]}]}, "InputDataConfig.NoSuchThing"),
    ],
)
def test_unknown_member(asked, name):
    with pytest.raises(Error, match=f"does not fulfil {name}:"):
        members.check_members(asked)


@pytest.mark.parametrize(
    "asked",
    [
        {"TrainingJobName": 1},
        {"Tags": "x"},
        {"Tags": ["x"]},
        {"Tags": [None]},
        {"EnableNetworkIsolation": 1},
        {"ResourceConfig": {"InstanceCount": True}},
        {"ResourceConfig": {"InstanceCount": "1"}},
        {"HyperParameters": {"epochs": 1}},
        {"Environment": ["x"]},
    ],
)
def test_json_of_another_type(asked):
    with pytest.raises(Error) as error:
        validation.check_types(SHAPE, asked, "")
    assert error.value.code == "SerializationException"


def test_what_is_missing_is_named():
    with pytest.raises(Error, match=r"Value null at 'outputDataConfig\.s3OutputPath' failed to satisfy constraint: "):
        validation.check("CreateTrainingJob", {"OutputDataConfig": {}})


def tags(*keys):
    return {"Tags": [{"Key": key, "Value": "x"} for key in keys]}


def checkpoints(path):
    return {"CheckpointConfig": {"S3Uri": "s3://b/c", "LocalPath": path}}


def tensorboard(path):
    return {"TensorBoardOutputConfig": {"S3OutputPath": f"s3://{BUCKET}/tb", "LocalPath": path}}


REFUSED = {
    "no host": ({"ResourceConfig": hosts(0)}, "greater than or equal to 1"),
    "tag of AWS's": (tags("aws:x"), "aws:"),
    "tag twice": (tags("a", "b", "a"), "Duplicate tag key"),
    "TensorBoard below /opt/ml": (
        tensorboard("/opt/ml/output/tb"),
        '"LocalPath" of "TensorBoardOutputConfig" cannot start with the following reserved path: [/opt/ml, /tmp, '
        "/usr/local/nvidia]",
    ),
    "TensorBoard below /tmp": (tensorboard("/tmp/tb"), "cannot start with the following reserved path"),
    "TensorBoard below nvidia's": (
        tensorboard("/usr/local/nvidia/tb"),
        "cannot start with the following reserved path",
    ),
    "a wait without spot or retries": (
        {"StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 9}},
        "only supported when EnableManagedSpotTraining",
    ),
    "subnet": (
        {"VpcConfig": {"Subnets": ["subnet-0abc1234"], "SecurityGroupIds": ["sg-1"]}},
        "does not fulfil VpcConfig",
    ),
    "key": ({"OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/o", "KmsKeyId": "alias/none"}}, "KmsKeyId"),
    "warm pool": ({"ResourceConfig": {**hosts(1), "KeepAlivePeriodInSeconds": 60}}, "KeepAlivePeriodInSeconds"),
    "experiment": ({"ExperimentConfig": {"ExperimentName": "x"}}, "ExperimentConfig"),
    "image of this account": (
        {"AlgorithmSpecification": algorithm(TrainingImage="123456789012.dkr.ecr.us-east-1.amazonaws.com/none:1")},
        "Cannot find repository: none in registry ID: 123456789012",
    ),
    "MPI": ({"hyperparameters": {"sagemaker_mpi_enabled": "true"}}, "mpi"),
    "SageMaker's library": (
        {"hyperparameters": {"sagemaker_distributed_dataparallel_enabled": "true"}},
        "smdistributed.dataparallel",
    ),
    "checkpoints in the system": (checkpoints("/etc/x"), "/etc/x"),
    "checkpoints in all of /opt/ml": (checkpoints("/opt/ml/"), "must be the absolute path of a folder of its own"),
    "checkpoints by a way back": (checkpoints("/x/../etc"), "must be the absolute path of a folder of its own"),
    "checkpoints nowhere": (checkpoints("x"), "must be the absolute path of a folder of its own"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(cloud, case):
    changes, message = REFUSED[case]
    with pytest.raises(ClientError) as refusal:
        cloud.start(**changes)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert message in refusal.value.response["Error"]["Message"]
    assert not cloud.account.training.jobs


def test_the_wait_of_retries_needs_no_spot(cloud):
    limits = {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 100}
    job = cloud.run(RetryStrategy={"MaximumRetryAttempts": 2}, StoppingCondition=limits)
    assert job["TrainingJobStatus"] == "Completed" and job["RetryStrategy"] == {"MaximumRetryAttempts": 2}


@pytest.mark.parametrize(
    ("operation", "body", "code"),
    [
        ("create_training_job", {"TrainingJobName": 1}, "SerializationException"),
        ("describe_training_job", {"TrainingJobName": ["x"]}, "SerializationException"),
        ("list_training_jobs", {"MaxResults": "1"}, "SerializationException"),
        ("list_training_jobs", [], "SerializationException"),
        ("list_training_jobs", {"MaxResults": 0}, "ValidationException"),
        ("list_training_jobs", {"MaxResults": 101}, "ValidationException"),
        ("list_training_jobs", {"NextToken": "no-such-token"}, "ValidationException"),
        ("describe_training_job", {}, "ValidationException"),
    ],
)
def test_requests_that_no_client_of_aws_would_send(cloud, operation, body, code):
    client = cloud.account.client("sagemaker")
    name = client.meta.method_to_api_mapping[operation]
    valid = {"TrainingJobName": "x"} if operation.startswith("describe") else {}
    valid = cloud.request() if operation.startswith("create") else valid
    replace = {"body": json.dumps(body).encode()}
    client.meta.events.register(f"before-call.sagemaker.{name}", lambda params, **_: params.update(replace))
    with pytest.raises(ClientError) as refusal:
        getattr(client, operation)(**valid)
    assert refusal.value.response["Error"]["Code"] == code
