"""The answer for a service that the sandbox does not run, in the form in which that service would answer."""

import json
from typing import Any

from moto.core.request import Request
from moto.core.responses import ActionResult, BaseResponse, boto3_service_name

from sandbox.aws.errors import Error, unsupported

BOTOCORE_NAMES = boto3_service_name | {
    name.replace("-", ""): name for name in ("sagemaker-runtime", "sagemaker-metrics")
}


class Refusal(BaseResponse):
    """The answer of a service that the sandbox does not run; or the fault of one that it does."""

    problem: Exception | None = None

    def call_action(self) -> tuple[int, dict[str, str], Any]:
        action = self._get_action() or f"{self.method} {self.path}"
        error = Error("ValidationException", unsupported(self.boto3_service_name, action))
        return self.serialized(ActionResult(self.problem or error))


def refusal(service: str, request: Request, problem: Exception | None = None) -> tuple[int, dict[str, str], Any]:
    """Answer for a service of which nobody here knows more than its name."""
    try:
        answer = Refusal(BOTOCORE_NAMES.get(service, service))
        answer.problem = problem
        return answer._dispatch(request, request.raw_url, request.headers)
    except Exception:  # botocore has no such service, or has it under another name
        target = request.headers.get("X-Amz-Target", "")
        text = unsupported(request.host, target.rpartition(".")[2] or f"{request.method} {request.path}")
        if "x-www-form-urlencoded" in request.headers.get("Content-Type", ""):
            body = (
                f"<ErrorResponse><Error><Code>ValidationError</Code><Message>{text}</Message></Error></ErrorResponse>"
            )
            return 400, {"Content-Type": "text/xml"}, body
        body = json.dumps({"__type": "ValidationException", "message": text})
        return 400, {"Content-Type": "application/json", "x-amzn-errortype": "ValidationException"}, body
