"""The instances behind an endpoint, all with the same model: from the archive in S3 to the last request.

What must come before an endpoint is in service, and what makes it fail:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html#your-algorithms-inference-algo-ping-requests
"""

import threading
import time
from pathlib import Path
from typing import Any

from sandbox.api.record import now
from sandbox.aws.call import Members
from sandbox.aws.role import Role
from sandbox.endpoints import archive
from sandbox.endpoints.instance import LONGEST, Instance, Served
from sandbox.machine import folders
from sandbox.machine.hosts import Machine

STARTUP = 480  # seconds in which a container must have answered a ping, where the request says nothing
GROUP = "/aws/sagemaker/Endpoints/"
NO_PING = (
    "The primary container for production variant {} did not pass the ping health check. Please check CloudWatch logs "
    "for this endpoint."
)


class Failure(Exception):
    """Ends a deployment; its text is the FailureReason."""


class Fleet:
    """The instances of one variant; `config` and `model` are as CreateEndpointConfig and CreateModel had them."""

    def __init__(
        self, region: str, endpoint: str, config: Members, model: Members, folder: Path, machine: Machine
    ) -> None:
        self.region, self.group, self.config = region, GROUP + endpoint, config
        [self.variant] = config["ProductionVariants"]
        self.folder, self.machine = folder, machine
        self.role = Role(model["ExecutionRoleArn"])
        self.container = archive.primary(model)
        self.instances: list[Instance] = []
        self.abandoned = threading.Event()
        self.requests, self.changed = 0, threading.Condition()
        self.created = now()

    def start(self) -> None:
        """Return once every instance answers, or raise Failure."""
        source = self.folder / "model"
        source.mkdir(parents=True)
        try:
            archive.fetch(self.role, self.container, source)
        except archive.ArchiveError as error:
            raise Failure(str(error)) from None
        served = Served(self.container["Image"], self.container.get("Environment", {}), source)
        for number in range(self.variant["InitialInstanceCount"]):
            folder = self.folder / f"instance-{number}"
            arguments = self.region, self.group, self.variant["VariantName"], self.role, served, folder, self.machine
            self.instances.append(Instance(*arguments))
            self.instances[-1].start()
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + self.variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP)
        while not all(instance.ready.is_set() for instance in self.instances):
            problems = [instance.problem for instance in self.instances if instance.problem is not None]
            if problems or time.monotonic() > deadline:
                raise Failure(next(filter(None, problems), NO_PING.format(self.variant["VariantName"])))
            if self.abandoned.wait(0.05):
                raise Failure("The sandbox ends.")

    def enter(self) -> None:
        """A request begins: nothing is closed before it leaves. To be called while nobody can close the fleet."""
        with self.changed:
            self.requests += 1

    def leave(self) -> None:
        with self.changed:
            self.requests -= 1
            self.changed.notify_all()

    def invoke(self, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        """A request to the instance that has the fewest."""
        with self.changed:
            instance = min(self.instances, key=lambda instance: instance.in_use)
            instance.in_use += 1
        try:
            return instance.invoke(headers, body)
        finally:
            with self.changed:
                instance.in_use -= 1

    def close(self) -> None:
        """End all instances, after the requests that they have."""
        with self.changed:
            self.changed.wait_for(lambda: not self.requests or self.abandoned.is_set(), LONGEST)
        self.abandon()
        for instance in self.instances:
            instance.join()
        folders.remove(self.folder)

    def abandon(self) -> None:
        """End all instances now; `close` waits for it."""
        self.abandoned.set()
        for instance in list(self.instances):
            instance.end()
        with self.changed:
            self.changed.notify_all()

    def description(self) -> Members:
        """Its ProductionVariantSummary."""
        weight, count = self.variant.get("InitialVariantWeight", 1.0), self.variant["InitialInstanceCount"]
        image = {"SpecifiedImage": self.container["Image"], "ResolvedImage": self.container["Image"]}
        return {
            "VariantName": self.variant["VariantName"],
            "DeployedImages": [{**image, "ResolutionTime": self.created}],
            "CurrentWeight": weight,
            "DesiredWeight": weight,
            "CurrentInstanceCount": count,
            "DesiredInstanceCount": count,
        }
