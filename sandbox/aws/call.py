"""A request on its way through the account: what it asks for, and how its answer is written for its service.

For SageMaker and its runtime moto's BaseResponse reads and writes the wire; moto answers other services by itself.
"""

import json
from collections.abc import Callable
from typing import Any

from moto.core.request import Request
from moto.core.responses import ActionResult, BaseResponse

from sandbox import log
from sandbox.aws import authorization
from sandbox.aws.errors import Error
from sandbox.aws.refusal import refusal
from sandbox.aws.service_model import input_shape

Members = dict[str, Any]  # of a request or an answer, by their names in the API
Answer = tuple[int, dict[str, str], Any]  # status, headers, body


class Call:
    """One request. The steps of the way write down what they find: the operation, and the members that were `asked`."""

    operation: Any
    asked: Members
    # The router sets these: how moto would answer, SageMaker's operations, and the tags of what has an ARN.
    by_moto: Callable[[], Answer]
    table: dict[str, Any]
    tags_of: Callable[[str], dict[str, str]]

    def __init__(self, service: str, request: Request) -> None:
        self.service, self.wire = service, request

    def error(self, error: Exception) -> Answer:
        """An error in the words of the service that was asked, of which nobody here may know more than its name."""
        return refusal(self.service, self.wire, error)


class SageMakerCall(Call):
    """A request to SageMaker, whose members are JSON. `region` says where it is asked for, and `body` is as it came."""

    name = "sagemaker"
    raw_body = False

    def __init__(self, service: str, request: Request) -> None:
        super().__init__(service, request)
        self.response = BaseResponse(service_name=self.name)
        self.response.use_raw_body = self.raw_body
        self.response.setup_class(request, request.raw_url, request.headers)
        self.action: str = self.response._get_action() or ""
        self.region: str = self.response.region
        self.body = self.response.body
        log.note(operation=f"sagemaker:{self.action}")

    def read(self) -> Members:
        """The members of the request."""
        try:
            parsed = json.loads(self.body or "{}")
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise Error("SerializationException", "The request is not a JSON object.")
        return parsed

    def answer(self, result: Any) -> Answer:
        return self.response.serialized(ActionResult(result))

    def error(self, error: Exception) -> Answer:
        if isinstance(error, authorization.Answer):
            return error.code, self.response.response_headers, error.description
        return self.response.serialized(ActionResult(error))

    def authorize(self, resource: str) -> None:
        """Check who asks, and whether they may do it to what has this ARN."""
        tags = {f"aws:ResourceTag/{key}": value for key, value in self.tags_of(resource).items()}
        authorization.authorize(self.response, resource, self.tags_sent() | tags)

    def require(self, action: str, resource: str) -> None:
        """Check what the request entails, which is asked for in its name."""
        context = self.tags_sent() | {"sagemaker:TaggingAction": self.action}
        authorization.require(self.response, action, resource, context)

    def tags_sent(self) -> dict[str, Any]:
        tags = self.asked.get("Tags")
        sent = [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
        return {f"aws:RequestTag/{tag.get('Key')}": tag.get("Value") for tag in sent}


class RuntimeCall(SageMakerCall):
    """A request to SageMaker's runtime: its members are in its address and its headers, and its body is a model's. An
    operation answers with headers and a body."""

    name = "sagemaker-runtime"
    raw_body = True

    def read(self) -> Members:
        members = input_shape("InvokeEndpoint", self.name).members
        headers = {
            name: self.response.headers[shape.serialization["name"]]
            for name, shape in members.items()
            if shape.serialization.get("location") == "header" and shape.serialization["name"] in self.response.headers
        }
        return {**self.response.uri_match, **headers}

    def authorize(self, resource: str) -> None:
        self.response.data = {}  # in which moto has the headers, and takes them for the body of a request without one
        super().authorize(resource)

    def answer(self, result: tuple[dict[str, str], bytes]) -> Answer:
        headers, body = result
        return 200, {**self.response.response_headers, **headers, "Content-Length": str(len(body))}, body
