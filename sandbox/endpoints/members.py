"""What requests for models and endpoints may ask for here, member by member, and what is refused before anything runs.

The members are those of the API reference (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModel.html,
API_CreateEndpointConfig.html, API_CreateEndpoint.html). The messages are those that people met on AWS and quoted; what
only the sandbox refuses begins with its name.
"""

from sandbox.api.members import check_fulfilled
from sandbox.api.resources import check_image, check_quota, check_role
from sandbox.api.tags import check_tags
from sandbox.aws.call import Members
from sandbox.aws.errors import refuse
from sandbox.aws.role import Denied, Role
from sandbox.aws.store import split
from sandbox.endpoints import archive
from sandbox.machine import environments
from sandbox.machine.hosts import Machine

MAXIMUM_INSTANCES = 8  # of all endpoints together
CONTAINER = """
    Image  Mode  ModelDataUrl  Environment
    ModelDataSource.S3DataSource.S3Uri  ModelDataSource.S3DataSource.S3DataType
    ModelDataSource.S3DataSource.CompressionType
""".split()
FULFILLED = {
    "CreateModel": [
        *"ModelName ExecutionRoleArn EnableNetworkIsolation Tags.Key Tags.Value".split(),
        *(f"{place}.{member}" for place in ("PrimaryContainer", "Containers") for member in CONTAINER),
    ],
    "CreateEndpointConfig": """
        EndpointConfigName  Tags.Key  Tags.Value
        ProductionVariants.VariantName  ProductionVariants.ModelName  ProductionVariants.InitialInstanceCount
        ProductionVariants.InstanceType  ProductionVariants.ContainerStartupHealthCheckTimeoutInSeconds
    """.split(),
    "CreateEndpoint": "EndpointName EndpointConfigName Tags.Key Tags.Value".split(),
    "UpdateEndpoint": "EndpointName EndpointConfigName".split(),
    "InvokeEndpoint": "EndpointName ContentType Accept CustomAttributes TargetVariant".split(),
}
WITHOUT_EFFECT = {
    "ProductionVariants.InitialVariantWeight": "there is one variant, which gets all requests",
    "ProductionVariants.VolumeSizeInGB": "endpoints share this machine's disk",
    "ProductionVariants.ModelDataDownloadTimeoutInSeconds": "S3 is in this process",
    "InferenceId": "it is for captured data, which is refused",
}
WHAT = {"CreateModel": "model"}


def check_members(operation: str, request: Members) -> None:
    check_fulfilled(operation, request, FULFILLED[operation], WITHOUT_EFFECT, WHAT.get(operation, "endpoint"))
    check_tags(request.get("Tags", []))


def check_model(request: Members, region: str) -> None:
    """Refuse a model that the service would refuse, or that the sandbox cannot serve."""
    containers = request.get("Containers") or [request.get("PrimaryContainer")]
    if len(containers) > 1:
        refuse("The sandbox does not run several Containers: ask for a model with one, or run it on AWS.")
    if containers[0] is None or "ExecutionRoleArn" not in request:
        refuse("The sandbox needs a PrimaryContainer and an ExecutionRoleArn of every model.")
    container = containers[0]
    if container.get("Mode", "SingleModel") != "SingleModel":
        refuse("The sandbox does not fulfil Mode MultiModel: ask for a model of its own, or run it on AWS.")
    check_members("CreateModel", request)
    check_role(request["ExecutionRoleArn"])
    image = container.get("Image", "")
    check_image(image, request["ExecutionRoleArn"])
    if not environments.TENSORFLOW.search(image):
        refuse(
            f"The sandbox runs no image, and serves models of AWS's TensorFlow images alone: {image} is none of them."
        )
    if data := archive.source(container):
        check_data(Role(request["ExecutionRoleArn"]), data, region)


def check_data(role: Role, data: Members, region: str) -> None:
    uri = data["S3Uri"]
    if (data["S3DataType"], data["CompressionType"]) not in (("S3Object", "Gzip"), ("S3Prefix", "None")):
        refuse("The sandbox does not fulfil this ModelDataSource: use an S3Object in Gzip, or an S3Prefix without.")
    if not uri.startswith("s3://"):
        refuse(f"The sandbox does not fulfil ModelDataUrl {uri}: use an s3:// address.")
    bucket, key = split(uri)
    try:
        there = role.list(bucket, key) if data["S3DataType"] == "S3Prefix" else role.get(bucket, key) is not None
    except Denied as denied:
        if "AccessDenied" in str(denied):
            refuse(
                f'Could not access model data at {uri}. Please ensure that the role "{role.arn}" exists and that its '
                'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
                '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the '
                f"object is located in {region}. If your Model uses multiple models or uncompressed models, please "
                'ensure that the role has "s3:ListBucket" permission.'
            )
        there = False
    if not there:
        refuse(f"Could not find model data at {uri}.")
    if archive.has_script(role, data):
        refuse(f"The sandbox does not run {archive.SCRIPT}, which {uri} has: leave it out, or run it on AWS.")


def check_config(request: Members) -> None:
    variants = request["ProductionVariants"]
    if len(variants) > 1:
        refuse("The sandbox does not run several ProductionVariants: ask for one, or run it on AWS.")
    check_members("CreateEndpointConfig", request)
    [variant] = variants
    for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
        if member not in variant:
            refuse(f"The sandbox does not fulfil a ProductionVariant without {member}: name one, or run it on AWS.")


def check_capacity(variant: Members, used: int, machine: Machine) -> None:
    if problem := machine.no_jobs or machine.no_network:
        refuse(f"The sandbox runs no endpoints: {problem}")
    check_quota(variant["InstanceType"], "endpoint", MAXIMUM_INSTANCES, used, variant["InitialInstanceCount"])
