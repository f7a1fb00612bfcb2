"""How long a training job may take, and how long it has.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html
"""

import time

from sandbox import settings
from sandbox.aws.call import Members


class Clock:
    """How long a job has trained and waited, over all its runs."""

    def __init__(self, request: Members) -> None:
        condition = request["StoppingCondition"]
        self.longest = condition.get("MaxRuntimeInSeconds", 86400)
        self.longest_wait = condition.get("MaxWaitTimeInSeconds")
        spot = request.get("EnableManagedSpotTraining")
        self.interruption = settings.spot_seconds() if spot else None
        self.created, self.trained = time.monotonic(), 0.0
        self.began: float | None = None

    def start(self) -> None:
        self.began = time.monotonic()

    def pause(self) -> None:
        self.trained, self.began = self.training(), None

    def training(self) -> float:
        return self.trained + (time.monotonic() - self.began if self.began is not None else 0)

    def exceeded(self) -> str | None:
        """The last status of a job that has reached a limit, or None."""
        if self.longest_wait is not None and time.monotonic() - self.created > self.longest_wait:
            return "MaxWaitTimeExceeded"
        return "MaxRuntimeExceeded" if self.training() > self.longest else None

    def interrupts(self) -> bool:
        """Whether the spot instances are taken back now."""
        return self.interruption is not None and self.training() > self.interruption
