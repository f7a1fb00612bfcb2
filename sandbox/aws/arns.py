"""The names of what SageMaker makes: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html"""

from sandbox.aws.backends import ACCOUNT_ID


def arn(region: str, kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:{region}:{ACCOUNT_ID}:{kind}/{name}"


def training_job_arn(region: str, name: str) -> str:
    return arn(region, "training-job", name)


def tuning_job_arn(region: str, name: str) -> str:
    return arn(region, "hyper-parameter-tuning-job", name)
