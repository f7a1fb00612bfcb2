"""SageMaker's operations on models, endpoint configurations and endpoints, and InvokeEndpoint of its runtime.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

import threading
from functools import partial
from pathlib import Path
from typing import Any

from sandbox.api import table
from sandbox.aws.arns import arn
from sandbox.aws.backends import ACCOUNT_ID
from sandbox.aws.call import Members, SageMakerCall
from sandbox.aws.errors import ModelError, refuse
from sandbox.endpoints import members
from sandbox.endpoints.endpoint import Endpoint
from sandbox.endpoints.fleet import GROUP
from sandbox.endpoints.record import KINDS, Record, listed
from sandbox.machine.hosts import Machine

LARGEST = 6291456  # bytes of a request's body, as botocore's description of the service has it


class EndpointOperations:
    """The models, configurations and endpoints of an account."""

    def __init__(self, folder: Path, machine: Machine) -> None:
        self.folder, self.machine = folder, machine
        self.found: dict[str, dict[tuple[str, str], Any]] = {kind: {} for kind in KINDS}
        self.lock = threading.Lock()
        create = {"Model": self.create_model, "EndpointConfig": self.create_config, "Endpoint": self.create_endpoint}
        self.table: table.Table = {}
        for kind in KINDS:
            functions: dict[str, table.Perform] = {
                f"Create{kind}": partial(create[kind], kind=kind),
                f"Describe{kind}": partial(self.describe, kind=kind),
                f"List{kind}s": partial(self.list, kind=kind),
                f"Delete{kind}": partial(self.delete, kind=kind),
            }
            self.table.update(table.operations(functions, partial(resource, kind)))
        self.table.update(table.operations({"UpdateEndpoint": self.update}, partial(resource, "Endpoint")))
        invoke = {"InvokeEndpoint": self.invoke}
        self.runtime = table.operations(invoke, partial(resource, "Endpoint"), unchecked=invoke)

    def close(self) -> None:
        """End every endpoint, and wait for its end."""
        with self.lock:
            endpoints = list(self.found["Endpoint"].values())
        for endpoint in endpoints:
            endpoint.abandon()
        for endpoint in endpoints:
            endpoint.close()

    def records(self) -> list[Any]:
        """All that can have tags."""
        with self.lock:
            return [record for found in self.found.values() for record in found.values()]

    def get(self, region: str, kind: str, name: str) -> Any:
        record = self.found[kind].get((region, name))
        return record or refuse(f'Could not find {KINDS[kind][1]} "{arn(region, KINDS[kind][0], name)}".')

    def require_new(self, call: SageMakerCall, kind: str, asked: Members) -> None:
        name = asked[f"{kind}Name"]
        if (call.region, name) in self.found[kind]:
            refuse(f'Cannot create already existing {KINDS[kind][1]} "{arn(call.region, KINDS[kind][0], name)}".')
        if asked.get("Tags"):
            call.require("sagemaker:AddTags", arn(call.region, KINDS[kind][0], name))

    def keep(self, record: Record) -> Members:
        self.found[record.kind][record.region, record.name] = record
        return {f"{record.kind}Arn": record.arn}

    # The same for all three

    def describe(self, call: SageMakerCall, asked: Members, kind: str) -> Members:
        return self.get(call.region, kind, asked[f"{kind}Name"]).description()

    def list(self, call: SageMakerCall, asked: Members, kind: str) -> Members:
        with self.lock:
            found = [record for (region, _), record in self.found[kind].items() if region == call.region]
        return listed(kind, found, asked)

    def delete(self, call: SageMakerCall, asked: Members, kind: str) -> None:
        name = asked[f"{kind}Name"]
        with self.lock:
            record = self.get(call.region, kind, name)
            if kind != "Endpoint":
                del self.found[kind][call.region, name]
            elif not record.delete(lambda: self.forget(call.region, name)):
                refuse(f'Cannot update in-progress endpoint "{record.arn}".')

    def forget(self, region: str, name: str) -> None:
        with self.lock:
            self.found["Endpoint"].pop((region, name), None)

    # One by one

    def create_model(self, call: SageMakerCall, asked: Members, kind: str) -> Members:
        with self.lock:
            self.require_new(call, kind, asked)
            members.check_model(asked, call.region)
            call.require("iam:PassRole", asked["ExecutionRoleArn"])
            return self.keep(Record(kind, call.region, asked))

    def create_config(self, call: SageMakerCall, asked: Members, kind: str) -> Members:
        with self.lock:
            self.require_new(call, kind, asked)
            members.check_config(asked)
            for variant in asked["ProductionVariants"]:
                self.get(call.region, "Model", variant["ModelName"])
            return self.keep(Record(kind, call.region, asked))

    def create_endpoint(self, call: SageMakerCall, asked: Members, kind: str) -> Members:
        with self.lock:
            self.require_new(call, kind, asked)
            config, model = self.wanted(call, asked, "CreateEndpoint")
            endpoint = Endpoint(call.region, asked, self.folder / call.region / asked["EndpointName"], self.machine)
            endpoint.deploy("Creating", config, model)
            return self.keep(endpoint)

    def update(self, call: SageMakerCall, asked: Members) -> Members:
        with self.lock:
            endpoint = self.get(call.region, "Endpoint", asked["EndpointName"])
            config, model = self.wanted(call, asked, "UpdateEndpoint")
            if not endpoint.deploy("Updating", config, model):
                state = "failed" if endpoint.status == "Failed" else "in-progress"
                refuse(f'Cannot update {state} endpoint "{endpoint.arn}".')
            return {"EndpointArn": endpoint.arn}

    def wanted(self, call: SageMakerCall, asked: Members, operation: str) -> tuple[Members, Members]:
        """The requests that made the configuration and the model that an endpoint is to have."""
        members.check_members(operation, asked)
        call.require(f"sagemaker:{operation}", arn(call.region, "endpoint-config", asked["EndpointConfigName"]))
        config = self.get(call.region, "EndpointConfig", asked["EndpointConfigName"]).request
        [variant] = config["ProductionVariants"]
        used = sum(endpoint.instances() for endpoint in self.found["Endpoint"].values())
        members.check_capacity(variant, used, self.machine)
        return config, self.get(call.region, "Model", variant["ModelName"]).request

    # The runtime

    def invoke(self, call: SageMakerCall, asked: Members) -> tuple[dict[str, str], bytes]:
        """-> headers and body of the answer"""
        name = asked["EndpointName"]
        for member in asked.keys() - set(members.FULFILLED["InvokeEndpoint"]) - set(members.WITHOUT_EFFECT):
            refuse(f"The sandbox does not fulfil {member} of InvokeEndpoint.", "ValidationError")
        if len(call.body) > LARGEST:
            refuse(
                "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length "
                f"less than or equal to {LARGEST}",
                "ValidationError",
            )
        endpoint = self.found["Endpoint"].get((call.region, name))
        headers = {"Content-Type": asked.get("ContentType"), "Accept": asked.get("Accept")}
        headers["X-Amzn-SageMaker-Custom-Attributes"] = asked.get("CustomAttributes")
        headers = {key: value for key, value in headers.items() if value is not None}
        answer = endpoint and endpoint.invoke(headers, call.body, asked.get("TargetVariant"))
        if not answer:
            refuse(f"Endpoint {name} of account {ACCOUNT_ID} not found.", "ValidationError")
        status, answered, body, variant = answer
        if status != 200:
            raise failure(call.region, name, status, body.decode("utf-8", "replace"))
        kept = {key: answered[key] for key in ("Content-Type", "X-Amzn-SageMaker-Custom-Attributes") if key in answered}
        return {**kept, "x-Amzn-Invoked-Production-Variant": variant}, body


def failure(region: str, name: str, status: int, text: str) -> ModelError:
    """The error for a container's answer with this status; 0: there was none."""
    group = f"{GROUP}{name}"
    where = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group}"
    kind = "client" if 400 <= status < 500 else "server"
    message = (
        f'Received {kind} error ({status}) from primary with message "{text}". See {where} in account {ACCOUNT_ID} for '
        "more information."
    )
    return ModelError(message, status, text, f"arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:{group}")


def resource(kind: str, region: str, asked: Members) -> str:
    """The ARN that a request is about, for the caller's policies."""
    name = asked.get(f"{kind}Name")
    return arn(region, KINDS[kind][0], name) if name else "*"
