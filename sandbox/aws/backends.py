"""What moto holds in memory for each service: the one place that finds it."""

from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.ecr.models import ecr_backends
from moto.iam.models import iam_backends
from moto.logs.models import logs_backends
from moto.s3.models import FakeKey, s3_backends
from moto.sts.models import sts_backends

EVERYWHERE = "aws"  # the "region" of services that have none
# Whoever is reading an object while somebody replaces it gets the old one.
FakeKey.dispose = lambda key, garbage=False: None


def iam() -> Any:
    return iam_backends[ACCOUNT_ID][EVERYWHERE]


def sts() -> Any:
    return sts_backends[ACCOUNT_ID][EVERYWHERE]


def s3() -> Any:
    return s3_backends[ACCOUNT_ID][EVERYWHERE]


def logs(region: str) -> Any:
    return logs_backends[ACCOUNT_ID][region]


def metrics(region: str) -> Any:
    return cloudwatch_backends[ACCOUNT_ID][region]


def registry() -> Any:
    """The images of the account's own registry, all of them in one region."""
    return ecr_backends[ACCOUNT_ID]["us-east-1"]


def reset() -> None:
    """Forget everything that an account held."""
    for backends in (iam_backends, sts_backends, s3_backends, logs_backends, cloudwatch_backends, ecr_backends):
        for account in list(backends.values()):
            for backend in list(account.values()):
                backend.reset()
