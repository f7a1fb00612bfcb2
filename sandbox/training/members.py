"""What CreateTrainingJob's request may ask for here, member by member, and what is refused before anything runs.

The members are those of the API reference (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html).
The messages are those that people met on AWS and quoted; what only the sandbox refuses begins with its name.
"""

import re
from collections.abc import Sequence

from sandbox.api import validation
from sandbox.api.members import check_fulfilled
from sandbox.api.resources import check_image, check_quota, check_role
from sandbox.api.tags import check_tags
from sandbox.aws.arns import training_job_arn
from sandbox.aws.call import Members
from sandbox.aws.errors import refuse
from sandbox.aws.role import Denied, Role
from sandbox.aws.store import split
from sandbox.machine.hosts import Machine
from sandbox.training import channels

MAXIMUM_HOSTS = 8
RESERVED = ("/opt/ml", "/tmp", "/usr/local/nvidia")

FULFILLED = """
    TrainingJobName  HyperParameters  RoleArn  Environment
    AlgorithmSpecification.TrainingImage  AlgorithmSpecification.TrainingInputMode
    AlgorithmSpecification.MetricDefinitions.Name  AlgorithmSpecification.MetricDefinitions.Regex
    AlgorithmSpecification.ContainerEntrypoint  AlgorithmSpecification.ContainerArguments
    InputDataConfig.ChannelName  InputDataConfig.ContentType  InputDataConfig.CompressionType
    InputDataConfig.RecordWrapperType  InputDataConfig.InputMode
    InputDataConfig.DataSource.S3DataSource.S3DataType  InputDataConfig.DataSource.S3DataSource.S3Uri
    InputDataConfig.DataSource.S3DataSource.S3DataDistributionType
    InputDataConfig.DataSource.S3DataSource.AttributeNames
    InputDataConfig.DataSource.S3DataSource.InstanceGroupNames
    OutputDataConfig.S3OutputPath  OutputDataConfig.CompressionType
    ResourceConfig.InstanceType  ResourceConfig.InstanceCount
    ResourceConfig.InstanceGroups.InstanceType  ResourceConfig.InstanceGroups.InstanceCount
    ResourceConfig.InstanceGroups.InstanceGroupName
    StoppingCondition.MaxRuntimeInSeconds  StoppingCondition.MaxWaitTimeInSeconds  EnableManagedSpotTraining
    RetryStrategy.MaximumRetryAttempts  EnableNetworkIsolation  Tags.Key  Tags.Value
    CheckpointConfig.S3Uri  CheckpointConfig.LocalPath
    TensorBoardOutputConfig.S3OutputPath  TensorBoardOutputConfig.LocalPath
""".split()
WITHOUT_EFFECT = {
    "ResourceConfig.VolumeSizeInGB": "jobs share this machine's disk",
    "StoppingCondition.MaxPendingTimeInSeconds": "no job waits for capacity: this machine is there",
    "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries": "SDK 2 sends it always; it is for Experiments",
    "EnableInterContainerTrafficEncryption": "what the hosts send each other never leaves this machine",
    "DebugHookConfig.S3OutputPath": "SDK 2 sends it always; AWS's newer images lack the library that would write there",
    "DebugHookConfig.LocalPath": "as DebugHookConfig.S3OutputPath",
    "ProfilerConfig.S3OutputPath": "SDK 2 sends it always; there is no instance whose use could be measured",
    "ProfilerConfig.ProfilingIntervalInMilliseconds": "as ProfilerConfig.S3OutputPath",
    "ProfilerConfig.DisableProfiler": "as ProfilerConfig.S3OutputPath",
}
# Hyperparameters with which the SDKs ask AWS's container code for what only machines of AWS's can do.
DISTRIBUTIONS = {
    "sagemaker_mpi_enabled": "mpi",
    "sagemaker_distributed_dataparallel_enabled": "smdistributed.dataparallel",
}


def check_members(request: Members) -> None:
    check_fulfilled("CreateTrainingJob", request, FULFILLED, WITHOUT_EFFECT, "job")


def check(request: Members, region: str, jobs: Sequence[str], machine: Machine) -> None:
    """Refuse a request that the service would refuse, or that the sandbox cannot fulfil."""
    # In the reference these two are optional, for serverless jobs only.
    validation.check("CreateTrainingJob", request, required=("AlgorithmSpecification", "ResourceConfig"))
    name = request["TrainingJobName"]
    if name.lower() in (job.lower() for job in jobs):
        refuse(
            "Training job names must be unique within an AWS account and region, and a training job with this name "
            f"already exists ({training_job_arn(region, name)})",
            "ResourceInUse",
        )
    check_tags(request.get("Tags", []))
    check_members(request)
    check_stopping_condition(request)
    check_role(request["RoleArn"])
    check_image(request["AlgorithmSpecification"].get("TrainingImage", ""), request["RoleArn"])
    check_hosts(request, machine)
    check_metrics(request)
    check_folders(request)
    for channel in request.get("InputDataConfig", []):
        check_channel(channel, request, region)


def check_stopping_condition(request: Members) -> None:
    longest, wait = (request["StoppingCondition"].get(f"Max{what}InSeconds") for what in ("Runtime", "WaitTime"))
    if not request.get("EnableManagedSpotTraining"):
        if wait is not None and "RetryStrategy" not in request:  # with which it limits all attempts together
            refuse("Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true")
    elif wait is None or wait < (longest or 86400):
        refuse("Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds")


def check_hosts(request: Members, machine: Machine) -> None:
    resources = request["ResourceConfig"]
    groups = resources.get("InstanceGroups") or [resources]
    for group in groups:
        if group.get("InstanceType") is None:
            refuse("Invalid ResourceConfig: InstanceType is missing")
        if group.get("InstanceCount", 1) < 1:
            refuse(
                f"1 validation error detected: Value '{group['InstanceCount']}' at 'resourceConfig.instanceCount' "
                "failed to satisfy constraint: Member must have value greater than or equal to 1"
            )
    count = sum(group.get("InstanceCount", 1) for group in groups)
    check_quota(groups[0]["InstanceType"], "training job", MAXIMUM_HOSTS, 0, count)
    for parameter, kind in DISTRIBUTIONS.items():
        if request.get("HyperParameters", {}).get(parameter) == "true":
            refuse(f"The sandbox does not run distribution={kind}: use multi_worker_mirrored_strategy, or AWS.")
    if machine.no_jobs:
        refuse(f"The sandbox runs no training jobs: {machine.no_jobs}. With Docker, instance_type='local' does.")
    if machine.no_network and (count > 1 or request.get("EnableNetworkIsolation")):
        what = "several hosts" if count > 1 else "network isolation"
        refuse(f"The sandbox does not run a job with {what}: {machine.no_network}")


def check_metrics(request: Members) -> None:
    for definition in request["AlgorithmSpecification"].get("MetricDefinitions", []):
        try:
            re.compile(definition["Regex"])
        except re.error:
            refuse(f"Invalid regular expression for metric {definition['Name']}: {definition['Regex']}")


def check_folders(request: Members) -> None:
    """The folders that are copied to S3 while the job runs."""
    for part, default in (("CheckpointConfig", "/opt/ml/checkpoints"), ("TensorBoardOutputConfig", "/opt/tb")):
        path = request.get(part, {}).get("LocalPath", default)
        parts = path.split("/")
        if (
            not path.startswith("/")
            or ".." in parts
            or "" in parts[1:-1]
            or path.rstrip("/") in ("", "/opt", "/opt/ml")
        ):
            refuse(f"Invalid {part}: LocalPath {path} must be the absolute path of a folder of its own")
        if part == "TensorBoardOutputConfig" and path.startswith(RESERVED):
            reserved = ", ".join(RESERVED)
            refuse(f'"LocalPath" of "{part}" cannot start with the following reserved path: [{reserved}]')
        if parts[1] in ("proc", "sys", "dev", "etc", "usr", "bin", "sbin", "lib", "lib64", "boot", "run"):
            refuse(f"Invalid {part}: LocalPath {path} belongs to the container's system")


def check_channel(channel: Members, request: Members, region: str) -> None:
    name, source = channel["ChannelName"], channel["DataSource"]["S3DataSource"]
    mode = channels.mode(channel, request["AlgorithmSpecification"]["TrainingInputMode"])
    if mode != "Pipe" and channel.get("CompressionType", "None") != "None":
        kind = channel["CompressionType"]
        refuse(f"Invalid compression type for channel {name}: {mode} mode only supports NONE, got {kind} instead")
    if source["S3DataType"] == "AugmentedManifestFile" and (mode != "Pipe" or not source.get("AttributeNames")):
        refuse(f"Invalid channel {name}: AugmentedManifestFile needs input mode Pipe and AttributeNames")
    if source["S3DataType"] == "Converse":
        refuse(f"The sandbox does not fulfil S3DataType Converse of channel {name}: it is for serverless jobs.")
    groups = {group["InstanceGroupName"] for group in request["ResourceConfig"].get("InstanceGroups", [])}
    if unknown := set(source.get("InstanceGroupNames", [])) - groups:
        refuse(f"Invalid InstanceGroupNames for channel {name}: {sorted(unknown)} not in ResourceConfig")
    bucket, key = split(source["S3Uri"])
    role = Role(request["RoleArn"])
    try:
        found = role.list(bucket, key)
    except Denied:
        found = []
    if not found:
        refuse(
            f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source. Please ensure that the '
            f"bucket exists in the selected region ({region}), that objects exist under that S3 prefix, and that the "
            f'role "{role.arn}" has "s3:ListBucket" permissions on bucket "{bucket}".'
        )
