"""The door behind the proxy: each request goes down the account's way, step by step, until one of them answers.

The first steps are here: which service is meant, and those that moto answers by itself.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from moto.core.exceptions import ServiceException
from moto.core.request import Request
from moto.moto_proxy import logger, proxy3
from werkzeug.exceptions import HTTPException

from sandbox import log
from sandbox.aws.authorization import Answer as Denial
from sandbox.aws.call import Answer, Call, RuntimeCall, SageMakerCall
from sandbox.aws.errors import INTERNAL, Error
from sandbox.aws.refusal import refusal

Step = Callable[[Any], Answer | None]
logger.setLevel("CRITICAL")  # moto would log every request to stdout
# Services whose whole work is to keep what they are told: moto does that truly. Of all others it would only pretend.
KEPT_BY_MOTO = {"s3", "iam", "sts", "logs", "cloudwatch", "kms", "ecr", "ssm", "secretsmanager", "ec2"}
# What the sandbox answers itself, by moto's names of the services.
SAGEMAKER: dict[str, type[Call]] = {"sagemaker": SageMakerCall, "sagemakerruntime": RuntimeCall}
CODE = re.compile(r'<Code>([\w.]+)</Code>|"(?:__type|code)": ?"([\w.#:/]+)"')


def refuse_other_services(call: Call) -> Answer | None:
    if call.service in KEPT_BY_MOTO or call.service in SAGEMAKER:
        return None
    return refusal(call.service, call.wire)


def ask_moto(call: Call) -> Answer | None:
    if call.service not in KEPT_BY_MOTO:
        return None
    try:
        return call.by_moto()
    except NotImplementedError:
        return refusal(call.service, call.wire)


def error_code(status: int, headers: Any, body: Any) -> str:
    """The code of an error that is being answered."""
    if status < 400:
        return ""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    found = CODE.search(text[:2000])
    code = headers.get("x-amzn-errortype") or (found and (found[1] or found[2])) or ""
    return code.rpartition("#")[2]


moto = proxy3.MotoRequestHandler.parse_request


class Router(proxy3.MotoRequestHandler):
    """Sends each request down the way."""

    way: ClassVar[Sequence[Step]] = ()
    tables: ClassVar[dict[str, dict[str, Any]]] = {}
    tags_of: ClassVar[Any] = staticmethod(lambda arn: {})

    def parse_request(self, method: str, host: str, path: str, headers: Any, body: bytes | None) -> Answer:
        service = self.get_backend_for_host(host)
        request = Request.from_primitives(method, host + path, headers, body)
        with log.request() as entry:
            log.note(operation=f"{service or 'unknown'}:{self.action(request)}")
            try:
                answer = self.walk(service, request, lambda: moto(self, method, host, path, headers, body))
            except HTTPException as error:  # moto's own, which its proxy answers
                entry.status, entry.code = error.code or 500, getattr(error, "error_type", "")
                raise
            entry.status, entry.code = answer[0], error_code(*answer)
            return answer

    @staticmethod
    def action(request: Request) -> str:
        """What is asked for, as far as the head of a request tells: no more of it goes into the log."""
        return request.headers.get("X-Amz-Target", "").rpartition(".")[2] or request.method

    def walk(self, service: str | None, request: Request, by_moto: Callable[[], Answer]) -> Answer:
        call = SAGEMAKER.get(service or "", Call)(service or "", request)
        call.by_moto, call.table, call.tags_of = by_moto, self.tables.get(service or "", {}), self.tags_of
        try:
            for step in self.way:
                if (answer := step(call)) is not None:
                    return answer
            raise AssertionError("the last step of the way answers")
        except HTTPException as error:
            if isinstance(error, Denial) and service in SAGEMAKER:
                return call.error(error)
            raise
        except Exception as error:
            if isinstance(error, ServiceException) and service in SAGEMAKER:
                return call.error(error)
            log.fault(log.operation())
            return call.error(Error("InternalFailure", INTERNAL))


def open_door(way: Sequence[Step], tables: dict[str, dict[str, Any]], tags_of: Callable[[str], dict[str, str]]) -> None:
    """Let requests in. `tables` are SageMaker's operations by moto's name of the service; `tags_of` is a function of an
    ARN -> the tags of what has it."""
    Router.way, Router.tables, Router.tags_of = way, tables, staticmethod(tags_of)
    proxy3.MotoRequestHandler = Router
