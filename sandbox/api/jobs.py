"""Jobs of one kind: by region and name, each with a record and a thread of its own."""

import threading
from typing import Any, Generic, Protocol, TypeVar

INTERNAL_ERROR = "InternalServerError: We encountered an internal error. Please try again."


class Job(Protocol):
    """What every job has: `abandoned` is set when the sandbox ends."""

    record: Any
    abandoned: threading.Event
    thread: threading.Thread


Kind = TypeVar("Kind", bound=Job)


class Jobs(Generic[Kind]):
    def __init__(self) -> None:
        self.jobs: dict[tuple[str, str], Kind] = {}
        self.lock = threading.Lock()

    def close(self) -> None:
        """End every job, and wait for its end."""
        with self.lock:
            jobs = list(self.jobs.values())
        for job in jobs:
            job.abandoned.set()
        for job in jobs:
            job.thread.join()

    def records(self) -> list[Any]:
        """All that can have tags."""
        with self.lock:
            return [job.record for job in self.jobs.values()]

    def of_region(self, region: str) -> list[Any]:
        return [record for record in self.records() if record.region == region]

    def names(self, region: str) -> list[str]:
        return [name for place, name in list(self.jobs) if place == region]
