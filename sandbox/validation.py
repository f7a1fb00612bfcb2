"""What CreateTrainingJob refuses, and in which words: before anything runs.

The limits are those of the API reference (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html),
read from the service description that botocore ships. The messages are those that people met on AWS and quoted.
"""

import re

from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.core.utils import get_service_model
from moto.iam.exceptions import NotFoundException
from moto.sagemaker.exceptions import SagemakerClientError

from sandbox import channels, permissions

MAXIMUM_HOSTS = 8


def in_python(pattern):
    r"""A pattern of the API's model, with Java's classes of characters as Python writes them."""
    for java, python in ((r"\p{Alnum}", "A-Za-z0-9"), (r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s")):
        pattern = pattern.replace(java, python)
    return pattern


def refuse(message, code="ValidationException"):
    raise SagemakerClientError(code, message)


def limits(shape):
    """The constraints of a shape -> how the service words each, and whether a value satisfies it."""
    most, least = shape.metadata.get("max"), shape.metadata.get("min")
    number = shape.type_name in ("integer", "long")
    what = "value" if number else "length"
    size = (lambda value: value) if number else len
    if most is not None:
        yield f"Member must have {what} less than or equal to {most}", lambda value: size(value) <= most
    if least is not None:
        yield f"Member must have {what} greater than or equal to {least}", lambda value: size(value) >= least
    if pattern := shape.metadata.get("pattern"):
        wording = f"^{pattern}" + ("$" if shape.name == "RoleArn" else "")
        yield (
            f"Member must satisfy regular expression pattern: {wording}",
            lambda value: re.fullmatch(in_python(pattern), value, re.DOTALL),
        )
    if getattr(shape, "enum", None):
        yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]", lambda value: value in shape.enum


def as_java(value):
    """A value as the service prints it."""
    return (
        "{" + ", ".join(f"{key}={item}" for key, item in value.items()) + "}" if isinstance(value, dict) else str(value)
    )


def violations(shape, value, path):
    """Every constraint of the API reference that a request breaks."""
    for wording, satisfied in limits(shape):
        if not satisfied(value):
            yield f"Value '{as_java(value)}' at '{path}' failed to satisfy constraint: {wording}"
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from violations(member, value[name], f"{path}.{name[0].lower()}{name[1:]}".lstrip("."))
        for name in shape.required_members:
            if value.get(name) is None:
                at = f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")
                yield f"Value null at '{at}' failed to satisfy constraint: Member must not be null"
    elif shape.type_name == "list":
        for number, item in enumerate(value, 1):
            yield from violations(shape.member, item, f"{path}.{number}.member")
    elif shape.type_name == "map":
        for what, member, items in (("keys", shape.key, value), ("value", shape.value, value.values())):
            rules = list(limits(member))
            if any(not satisfied(item) for item in items for _, satisfied in rules):
                constraint = f"Map {what} must satisfy constraint: [{', '.join(wording for wording, _ in rules)}]"
                yield f"Value '{as_java(value)}' at '{path}' failed to satisfy constraint: {constraint}"


def check(request, region, jobs, isolated):
    """Refuse a request that the service would refuse, or that the sandbox cannot fulfil."""
    shape = get_service_model("sagemaker").operation_model("CreateTrainingJob").input_shape
    found = list(violations(shape, request, ""))
    for name in ("algorithmSpecification", "resourceConfig"):
        if request.get(name[0].upper() + name[1:]) is None:  # optional in the reference for serverless jobs only
            found.append(f"Value null at '{name}' failed to satisfy constraint: Member must not be null")
    if found:
        refuse(f"{len(found)} validation error{'s' * (len(found) > 1)} detected: {'; '.join(found)}")
    name = request["TrainingJobName"]
    if name.lower() in (job.lower() for job in list(jobs)):
        refuse(
            "Training job names must be unique within an AWS account and region, and a training job with this name "
            f"already exists (arn:aws:sagemaker:{region}:{ACCOUNT_ID}:training-job/{name})",
            "ResourceInUse",
        )
    check_stopping_condition(request)
    check_role(request["RoleArn"])
    check_hosts(request["ResourceConfig"], isolated)
    for definition in request["AlgorithmSpecification"].get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error:
            refuse(f"Invalid regular expression for metric {definition['Name']}: {definition['Regex']}")
    path = request.get("CheckpointConfig", {}).get("LocalPath", "/opt/ml/checkpoints")
    if not path.startswith("/opt/ml/") or ".." in path.split("/"):
        refuse(f"Invalid CheckpointConfig: the sandbox syncs folders below /opt/ml only, not {path}")
    for channel in request.get("InputDataConfig", []):
        check_channel(channel, request, region)


def check_stopping_condition(request):
    longest, wait = (request["StoppingCondition"].get(f"Max{what}InSeconds") for what in ("Runtime", "WaitTime"))
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None:
            refuse("Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true")
    elif wait is None or wait < (longest or 86400):
        refuse("Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds")


def check_role(arn):
    try:
        trust = permissions.iam().get_role_by_arn(arn).assume_role_policy_document
    except NotFoundException:
        trust = ""
    if "sagemaker.amazonaws.com" not in trust:
        refuse(
            f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )


def check_hosts(resources, isolated):
    groups = resources.get("InstanceGroups") or [resources]
    count = sum(group.get("InstanceCount", 1) for group in groups)
    kind = groups[0].get("InstanceType")
    if kind is None:
        refuse("Invalid ResourceConfig: InstanceType is missing")
    if count > MAXIMUM_HOSTS:
        refuse(
            f"The account-level service limit '{kind} for training job usage' is {MAXIMUM_HOSTS} Instances, with "
            f"current utilization of 0 Instances and a request delta of {count} Instances. Please use AWS Service "
            "Quotas to request an increase for this quota.",
            "ResourceLimitExceeded",
        )
    if count > 1 and not isolated:
        refuse(
            "The sandbox runs several hosts in namespaces of the Linux kernel, which this machine does not allow. "
            "With Docker, local mode does: instance_type='local' starts one container a host."
        )


def check_channel(channel, request, region):
    name, source = channel["ChannelName"], channel["DataSource"].get("S3DataSource")
    mode = channels.mode(channel, request["AlgorithmSpecification"]["TrainingInputMode"])
    if source is None:
        refuse(f"Invalid data source for channel {name}: the sandbox has S3 only, no file systems")
    if mode != "Pipe" and channel.get("CompressionType", "None") != "None":
        kind = channel["CompressionType"]
        refuse(f"Invalid compression type for channel {name}: {mode} mode only supports NONE, got {kind} instead")
    if source["S3DataType"] == "AugmentedManifestFile" and (mode != "Pipe" or not source.get("AttributeNames")):
        refuse(f"Invalid channel {name}: AugmentedManifestFile needs input mode Pipe and AttributeNames")
    bucket, key = channels.split(source["S3Uri"])
    role = permissions.Role(request["RoleArn"])
    try:
        found = role.list(bucket, key)
    except permissions.Denied:
        found = []
    if not found:
        refuse(
            f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source. Please ensure that the '
            f"bucket exists in the selected region ({region}), that objects exist under that S3 prefix, and that the "
            f'role "{role.arn}" has "s3:ListBucket" permissions on bucket "{bucket}".'
        )
