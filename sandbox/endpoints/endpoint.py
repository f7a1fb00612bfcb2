"""The life of an endpoint: from one status to the next.

Statuses: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html. An update starts the new
instances, moves the requests over, and ends the old ones: a failed one leaves the endpoint as it was
(https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green-all-at-once.html).
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox import log
from sandbox.api.record import now, present
from sandbox.aws.call import Members
from sandbox.endpoints.fleet import Failure, Fleet
from sandbox.endpoints.record import Record
from sandbox.machine import folders
from sandbox.machine.hosts import Machine

INTERNAL_ERROR = "Request to service failed. If failure persists after retry, contact customer support."


class Endpoint(Record):
    """An endpoint. Threads change it, so each step is taken under its lock."""

    def __init__(self, region: str, request: Members, folder: Path, machine: Machine) -> None:
        super().__init__("Endpoint", region, request)
        self.folder, self.machine, self.lock = folder, machine, threading.Lock()
        self.deployments = 0
        self.failure_reason: str | None = None
        # The instances that answer, those that are about to, and those that finish their last requests.
        self.fleet: Fleet | None = None
        self.coming: Fleet | None = None
        self.leaving: Fleet | None = None
        self.thread: threading.Thread | None = None

    def enter(self, status: str, reason: str | None = None) -> None:
        self.status, self.failure_reason, self.modified = status, reason, now()

    def deploy(self, status: str, config: Members, model: Members) -> bool:
        """Begin to serve a model, as requests made both -> whether it began: not in the middle of something else."""
        with self.lock:
            if self.status not in (None, "InService"):
                return False
            self.deployments += 1
            self.enter(status)
            place = self.folder / str(self.deployments)
            self.coming = Fleet(self.region, self.name, config, model, place, self.machine)
            self.begin(self.finish, self.coming)
            return True

    def begin(self, work: Callable[..., None], *arguments: Any) -> None:
        self.thread = threading.Thread(target=work, args=arguments, name=self.name, daemon=True)
        self.thread.start()

    def finish(self, coming: Fleet) -> None:
        """Wait until the new instances answer, and hand the requests to them."""
        reason = None
        try:
            coming.start()
        except Failure as failure:
            reason = str(failure)
        except OSError as error:
            reason = f"The sandbox's machine: {error.strerror or error}"
        except Exception:
            log.fault(f"endpoint {self.name}")
            reason = INTERNAL_ERROR
        with self.lock:
            self.coming, self.leaving = None, coming if reason else self.fleet
            if reason is None:
                self.fleet = coming
                self.request = {**self.request, "EndpointConfigName": coming.config["EndpointConfigName"]}
        if self.leaving:
            self.leaving.close()
        with self.lock:
            self.leaving = None
            self.enter("InService" if self.fleet else "Failed", reason)

    def delete(self, forget: Callable[[], None]) -> bool:
        """Begin to end -> whether it began; `forget` is called at the end."""
        with self.lock:
            if self.status not in ("InService", "Failed"):
                return False
            self.enter("Deleting")
            self.leaving, self.fleet = self.fleet, None
            self.begin(self.vanish, forget)
            return True

    def vanish(self, forget: Callable[[], None]) -> None:
        if self.leaving:
            self.leaving.close()
        folders.remove(self.folder)
        forget()

    def invoke(self, headers: dict[str, str], body: bytes, variant: str | None) -> tuple[int, Any, bytes, str] | None:
        """A request -> status, headers, body of the container's answer and the name of the variant; None where nobody
        is there to answer."""
        with self.lock:
            fleet = self.fleet
            if fleet is None or variant not in (None, fleet.variant["VariantName"]):
                return None
            fleet.enter()
        try:
            return (*fleet.invoke(headers, body), fleet.variant["VariantName"])
        finally:
            fleet.leave()

    def abandon(self) -> None:
        """End all that runs, now; `close` waits for it."""
        for fleet in (self.fleet, self.coming, self.leaving):
            if fleet:
                fleet.abandon()

    def close(self) -> None:
        if self.thread:
            self.thread.join()
        if self.fleet:
            self.fleet.close()
        folders.remove(self.folder)

    def instances(self) -> int:
        """How many instances it has, and will have."""
        return sum(fleet.variant["InitialInstanceCount"] for fleet in (self.fleet, self.coming) if fleet)

    def description(self) -> Members:
        """DescribeEndpoint's answer."""
        with self.lock:
            fleet = self.fleet
            described = {
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": self.request["EndpointConfigName"],
                "EndpointStatus": self.status,
                "FailureReason": self.failure_reason,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "ProductionVariants": [fleet.description()] if fleet else None,
            }
        return present(described)
