"""What clients see of models, configurations and endpoints beside their life: refusals, rights, lists and tags."""

import json

import pytest
from botocore.exceptions import ClientError

from sandbox import settings
from tests.support import ROOT
from tests.support.cloud import BUCKET, IMAGE, ROLE, role_without
from tests.support.hosting import INFERENCE, Hosting, archive, variant

ARN = "arn:aws:sagemaker:us-east-1:123456789012:"


@pytest.fixture(scope="module")
def hosting(cloud):
    found = Hosting(cloud)
    found.config("there")
    return found


def message(call, *positional, code="ValidationException", **arguments):
    """What a call is refused with."""
    with pytest.raises(ClientError) as raised:
        call(*positional, **arguments)
    assert raised.value.response["Error"]["Code"] == code
    return raised.value.response["Error"]["Message"]


def test_names_that_are_taken_and_things_that_are_not_there(hosting):
    client = hosting.sagemaker
    assert message(hosting.model, "there") == f'Cannot create already existing model "{ARN}model/there".'
    config = {"EndpointConfigName": "there", "ProductionVariants": [variant("there")]}
    assert message(client.create_endpoint_config, **config) == (
        f'Cannot create already existing endpoint configuration "{ARN}endpoint-config/there".'
    )
    for kind, what in (("model", "model"), ("endpoint-config", "endpoint configuration"), ("endpoint", "endpoint")):
        name = {"endpoint-config": "EndpointConfigName"}.get(kind, f"{kind.capitalize()}Name")
        for verb in ("describe", "delete"):
            operation = getattr(client, f"{verb}_{kind.replace('-', '_')}")
            assert message(operation, **{name: "none"}) == f'Could not find {what} "{ARN}{kind}/none".'
    config = {"EndpointConfigName": "new", "ProductionVariants": [variant("none")]}
    assert message(client.create_endpoint_config, **config) == f'Could not find model "{ARN}model/none".'
    for operation, name in ((client.create_endpoint, "e"), (client.update_endpoint, "there")):
        text = message(operation, EndpointName=name, EndpointConfigName="none")
        assert text.startswith("Could not find endpoint")


def test_a_model_that_is_gone_when_its_endpoint_is_asked_for(hosting):
    hosting.config("short")
    hosting.sagemaker.delete_model(ModelName="short")
    request = {"EndpointName": "short", "EndpointConfigName": "short"}
    assert message(hosting.sagemaker.create_endpoint, **request) == f'Could not find model "{ARN}model/short".'
    hosting.sagemaker.delete_endpoint_config(EndpointConfigName="short")
    assert "Could not find endpoint config" in message(hosting.sagemaker.create_endpoint, **request)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"Image": IMAGE.replace("tensorflow-training", "pytorch-inference")},
            "serves models of AWS's TensorFlow images",
        ),
        ({"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1"}, "Cannot find repository: mine"),
        (
            {"ModelDataUrl": f"s3://{BUCKET}/no/model.tar.gz"},
            f"Could not find model data at s3://{BUCKET}/no/model.tar.gz.",
        ),
        (
            {"ModelDataUrl": "s3://sagemaker-no-such-bucket/m.tar.gz"},
            "Could not find model data at s3://sagemaker-no-such",
        ),
        (
            {"ModelDataUrl": "s3://somebody-elses/m.tar.gz"},
            "Could not access model data at s3://somebody-elses/m.tar.gz.",
        ),
        ({"ModelDataUrl": "https://example.org/m.tar.gz"}, "does not fulfil ModelDataUrl https://example.org/m.tar.gz"),
        ({"Mode": "MultiModel"}, "The sandbox does not fulfil Mode MultiModel"),
        ({"ModelPackageName": "package"}, "The sandbox does not fulfil PrimaryContainer.ModelPackageName"),
        ({"Environment": {"a": "x" * 1025}}, "Map value must satisfy constraint"),
    ],
)
def test_models_that_are_refused(hosting, changes, text):
    assert text in message(hosting.model, "refused", **changes)


def test_models_with_code_or_several_containers_or_nothing(hosting):
    brings = archive({"./code/inference.py": b"", "1/saved_model.pb": b""})
    assert "The sandbox does not run code/inference.py, which s3://" in message(hosting.model, "refused", brings)
    create, plain = hosting.sagemaker.create_model, {"ModelName": "m", "ExecutionRoleArn": ROLE}
    two = [{"Image": INFERENCE, "ContainerHostname": name} for name in "ab"]
    assert "several Containers" in message(create, **plain, Containers=two)
    assert "needs a PrimaryContainer" in message(create, **plain)
    uri = hosting.cloud.put("unpacked/code/inference.py").removesuffix("code/inference.py")
    for kind, text in (
        ("S3Object", "does not fulfil this ModelDataSource"),
        ("S3Prefix", f"does not run code/inference.py, which {uri} has"),
    ):
        source = {"S3DataSource": {"S3Uri": uri, "S3DataType": kind, "CompressionType": "None"}}
        container = {"Image": INFERENCE, "ModelDataSource": source}
        assert text in message(create, **plain, PrimaryContainer=container)
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]}
    request = {**plain, "PrimaryContainer": {"Image": INFERENCE}}
    assert "does not fulfil VpcConfig" in message(create, **request, VpcConfig=vpc)
    assert "Could not assume role" in message(create, **{**request, "ExecutionRoleArn": f"{ROLE}-none"})


CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 10,
    "DestinationS3Uri": f"s3://{BUCKET}/c",
    "CaptureOptions": [{"CaptureMode": "Input"}],
}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ProductionVariants": [variant("there"), variant("there", VariantName="b")]}, "several ProductionVariants"),
        ({"ShadowProductionVariants": [variant("there")]}, "does not fulfil ShadowProductionVariants"),
        (
            {"AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://b/o"}}},
            "does not fulfil AsyncInferenceConfig",
        ),
        ({"DataCaptureConfig": CAPTURE}, "does not fulfil DataCaptureConfig.EnableCapture"),
        ({"KmsKeyId": "key"}, "does not fulfil KmsKeyId"),
        ({"ProductionVariants": [variant("there", AcceleratorType="ml.eia1.large")]}, "AcceleratorType"),
        ({"ProductionVariants": [variant("there", InstanceType="ml.tiny")]}, "Member must satisfy enum value set"),
        (
            {
                "ProductionVariants": [
                    {
                        "VariantName": "v",
                        "ModelName": "there",
                        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
                    }
                ]
            },
            "The sandbox does not fulfil ProductionVariants.ServerlessConfig",
        ),
        ({"ProductionVariants": [{"VariantName": "v", "ModelName": "there"}]}, "without InstanceType"),
        (
            {"ProductionVariants": [{"VariantName": "v", "ModelName": "there", "InstanceType": "ml.m5.large"}]},
            "without InitialInstanceCount",
        ),
    ],
)
def test_configurations_that_are_refused(hosting, changes, text):
    request = {"EndpointConfigName": "refused", "ProductionVariants": [variant("there")], **changes}
    refused = message(hosting.sagemaker.create_endpoint_config, **request)
    assert text in refused and "\n" not in refused


def test_requests_that_are_refused(cloud, hosting):
    invoke = hosting.runtime.invoke_endpoint
    refused = message(invoke, EndpointName="there", Body=b"", TargetModel="m", code="ValidationError")
    assert refused == "The sandbox does not fulfil TargetModel of InvokeEndpoint."
    largest = message(invoke, EndpointName="there", Body=bytes(6291456), code="ValidationError")
    assert largest == "Endpoint there of account 123456789012 not found."
    large = message(invoke, EndpointName="there", Body=bytes(6291457), code="ValidationError")
    assert "Member must have length less than or equal to 6291456" in large
    update = {"EndpointName": "there", "EndpointConfigName": "there", "RetainAllVariantProperties": True}
    assert "Could not find endpoint" in message(hosting.sagemaker.update_endpoint, **update)
    transform = {
        "TransformJobName": "t",
        "ModelName": "there",
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/x"}}},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/y"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    assert "does not run CreateTransformJob" in message(hosting.sagemaker.create_transform_job, **transform)


def without(cloud, *actions):
    """Take actions from the execution role."""
    policy = json.loads((ROOT / "notebooks" / "policies" / "execution-policy.json").read_text())
    for statement in policy["Statement"]:
        if isinstance(statement["Action"], list):
            statement["Action"] = [action for action in statement["Action"] if action not in actions]
    cloud.iam.put_role_policy(
        RoleName="SageMakerExecutionRole", PolicyName="execution-policy", PolicyDocument=json.dumps(policy)
    )


def test_rights_are_enforced(cloud, hosting):
    client = hosting.sagemaker
    calls = {
        "CreateModel": (client.create_model, {"ModelName": "m"}, "model/m"),
        "DescribeModel": (client.describe_model, {"ModelName": "m"}, "model/m"),
        "ListEndpoints": (client.list_endpoints, {}, "*"),
        "DeleteEndpointConfig": (client.delete_endpoint_config, {"EndpointConfigName": "c"}, "endpoint-config/c"),
        "UpdateEndpoint": (client.update_endpoint, {"EndpointName": "e", "EndpointConfigName": "c"}, "endpoint/e"),
        "InvokeEndpoint": (hosting.runtime.invoke_endpoint, {"EndpointName": "e", "Body": b""}, "endpoint/e"),
    }
    without(cloud, *(f"sagemaker:{name}" for name in calls))
    for name, (call, request, resource) in calls.items():
        text = message(call, **request, code="AccessDeniedException")
        arn = resource if resource == "*" else ARN + resource
        assert f"is not authorized to perform: sagemaker:{name} on resource: {arn} because no identity-based" in text


def test_what_a_request_entails(cloud, hosting):
    """The role is passed on, tags are added, and an endpoint's configuration is used."""
    request = {"ModelName": "m", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": INFERENCE}}
    policy = json.loads((ROOT / "notebooks" / "policies" / "execution-policy.json").read_text())
    for action in ("iam:PassRole", "sagemaker:AddTags"):
        denied = {"Effect": "Deny", "Action": action, "Resource": "*"}
        document = json.dumps({**policy, "Statement": [*policy["Statement"], denied]})
        cloud.iam.put_role_policy(
            RoleName="SageMakerExecutionRole", PolicyName="execution-policy", PolicyDocument=document
        )
        tags = [{"Key": "k", "Value": "v"}]
        assert action in message(hosting.sagemaker.create_model, **request, Tags=tags, code="AccessDeniedException")
    denied = {"Effect": "Deny", "Action": "sagemaker:CreateEndpoint", "Resource": f"{ARN}endpoint-config/*"}
    document = json.dumps({**policy, "Statement": [*policy["Statement"], denied]})
    cloud.iam.put_role_policy(RoleName="SageMakerExecutionRole", PolicyName="execution-policy", PolicyDocument=document)
    request = {"EndpointName": "e", "EndpointConfigName": "there", "code": "AccessDeniedException"}
    assert f"{ARN}endpoint-config/there" in message(hosting.sagemaker.create_endpoint, **request)


def test_a_role_that_may_not_read_the_model(cloud, hosting):
    uri = cloud.put("models/forbidden.tar.gz", archive({"answer": b""}))
    request = {"ModelName": "m", "PrimaryContainer": {"Image": INFERENCE, "ModelDataUrl": uri}}
    role = role_without(cloud, "s3:GetObject")
    text = message(hosting.sagemaker.create_model, **request, ExecutionRoleArn=role)
    assert text.startswith(f'Could not access model data at {uri}. Please ensure that the role "{role}" exists')


def test_descriptions_lists_and_tags(cloud, hosting):
    names = [hosting.model(f"listed-{number}") for number in range(3)]
    model = hosting.sagemaker.describe_model(ModelName="listed-0")
    source = {"S3Uri": f"s3://{BUCKET}/models/listed-0.tar.gz", "S3DataType": "S3Object", "CompressionType": "Gzip"}
    assert model["PrimaryContainer"] == {
        "Image": INFERENCE,
        "Mode": "SingleModel",
        "ModelDataUrl": source["S3Uri"],
        "ModelDataSource": {"S3DataSource": source},
    }
    assert (model["ModelArn"], model["EnableNetworkIsolation"]) == (f"{ARN}model/listed-0", False)
    config = hosting.sagemaker.describe_endpoint_config(EndpointConfigName="there")
    assert config["ProductionVariants"] == [variant("there")]

    def listed(**query):
        found = hosting.sagemaker.list_models(NameContains="listed", **query)
        return [model["ModelName"] for model in found["Models"]]

    assert listed() == names[::-1] and listed(SortOrder="Ascending") == names and listed(MaxResults=1) == names[2:]
    assert listed(CreationTimeAfter=model["CreationTime"], SortBy="Name", SortOrder="Ascending") == names
    pages = hosting.sagemaker.get_paginator("list_models").paginate(
        NameContains="listed", PaginationConfig={"PageSize": 2}
    )
    assert [model["ModelName"] for page in pages for model in page["Models"]] == names[::-1]
    [found] = hosting.sagemaker.list_endpoint_configs(NameContains="there")["EndpointConfigs"]
    assert found["EndpointConfigArn"] == f"{ARN}endpoint-config/there"
    assert hosting.sagemaker.list_endpoints(StatusEquals="InService")["Endpoints"] == []
    client = cloud.account.client("sagemaker")
    client.add_tags(ResourceArn=model["ModelArn"], Tags=[{"Key": "a", "Value": "1"}])
    assert client.list_tags(ResourceArn=model["ModelArn"])["Tags"] == [{"Key": "a", "Value": "1"}]


def test_regions_are_apart(cloud, hosting, monkeypatch):
    monkeypatch.setattr(settings, "REGION", "eu-west-1")
    client = cloud.account.client("sagemaker", **cloud.key)
    assert client.list_models()["Models"] == client.list_endpoint_configs()["EndpointConfigs"] == []
    assert ":eu-west-1:" in message(client.describe_model, ModelName="there")


def test_a_machine_without_namespaces_for_networks(cloud, hosting, monkeypatch):
    monkeypatch.setattr(cloud.account.machine, "no_network", "no such thing")
    request = {"EndpointName": "e", "EndpointConfigName": "there"}
    assert message(hosting.sagemaker.create_endpoint, **request) == "The sandbox runs no endpoints: no such thing"
