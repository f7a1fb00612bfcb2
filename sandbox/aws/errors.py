"""Errors of AWS's services, with their codes, and the sentence for what the sandbox does not run."""

from typing import NoReturn

from moto.core.exceptions import ServiceException

INTERNAL = "The request processing has failed because of an internal error."


class Error(ServiceException):
    """An error of a service, with its code and its message."""


class ModelError(Error):
    """What a model's container has answered, as InvokeEndpoint hands it on."""

    def __init__(self, message: str, status: int, original: str, log_group_arn: str) -> None:
        super().__init__("ModelError", message)
        self.OriginalStatusCode, self.OriginalMessage, self.LogStreamArn = status, original, log_group_arn


def refuse(message: str, code: str = "ValidationException") -> NoReturn:
    raise Error(code, message)


def unsupported(service: str, action: str) -> str:
    return f"The sandbox does not run {action} of {service}: nothing was done. On AWS it would be."
