"""AWS's own description of its services, which botocore ships and AWS's clients are generated from."""

from typing import Any

from moto.core.utils import get_service_model


def input_shape(operation: str, service: str = "sagemaker") -> Any:
    """The shape of an operation's request (https://botocore.amazonaws.com/v1/documentation)."""
    return get_service_model(service).operation_model(operation).input_shape
