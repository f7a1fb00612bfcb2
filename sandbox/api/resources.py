"""What a request names must be there: the role that is to be assumed, and an image of the account's own registry."""

from sandbox.aws import policies, store
from sandbox.aws.backends import ACCOUNT_ID
from sandbox.aws.errors import refuse


def check_role(arn: str) -> None:
    role = policies.role(arn)
    if role is None or "sagemaker.amazonaws.com" not in role.assume_role_policy_document:
        refuse(
            f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
            "'sagemaker.amazonaws.com' to assume the role."
        )


def check_image(image: str, role_arn: str) -> None:
    """An image in the registry of this account must exist; of other registries the sandbox knows nothing."""
    repository, _, tag = image.partition("/")[2].partition(":")
    if image.startswith(f"{ACCOUNT_ID}.dkr.ecr.") and not store.image_exists(repository, tag or "latest"):
        refuse(
            f"Cannot find repository: {repository} in registry ID: {ACCOUNT_ID} Please check if your ECR repository "
            f"exists and role {role_arn} has proper pull permissions for SageMaker: "
            "ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer"
        )


def check_quota(kind: str, purpose: str, most: int, used: int, wanted: int) -> None:
    """Refuse more instances than an account may use at a time (https://docs.aws.amazon.com/general/latest/gr/sagemaker.html)."""
    if used + wanted > most:
        refuse(
            f"The account-level service limit '{kind} for {purpose} usage' is {most} Instances, with current "
            f"utilization of {used} Instances and a request delta of {wanted} Instances. Please use AWS Service Quotas "
            "to request an increase for this quota.",
            "ResourceLimitExceeded",
        )
