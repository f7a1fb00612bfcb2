"""The life of a tuning job: training jobs, as many at a time as are asked for and as the machine bears, until all have
run or somebody stops it.

What ends one: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-progress.html
"""

import math
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from sandbox import log
from sandbox.api.jobs import INTERNAL_ERROR
from sandbox.aws.call import Members
from sandbox.aws.errors import Error
from sandbox.machine import hosts
from sandbox.tuning import members
from sandbox.tuning.ranges import Range
from sandbox.tuning.record import Record, Training
from sandbox.tuning.strategy import Strategy

INTERVAL = 0.1  # seconds between two looks at the training jobs
ATTEMPTS = 5  # training jobs without a result after which AWS gives up


def at_a_time(request: Members) -> int:
    """How many training jobs run side by side: a CPU for each of their hosts."""
    asked = request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"]
    planned = hosts.plan(request["TrainingJobDefinition"]["ResourceConfig"])
    return min(asked, max(1, (os.cpu_count() or 1) // len(planned)))


class TuningJob:
    """A tuning job; `record` is what clients see of it. `start_training(request, arn)` starts a training job of the
    tuning job with this ARN, and gives it."""

    def __init__(
        self,
        region: str,
        request: Members,
        parameters: Sequence[Range],
        start_training: Callable[[Members, str], Any],
    ) -> None:
        self.record, self.request, self.start_training = Record(region, request), request, start_training
        config = request["HyperParameterTuningJobConfig"]
        maximize = self.record.objective["Type"] == "Maximize"
        self.strategy = Strategy(config["Strategy"], parameters, maximize, config.get("RandomSeed"))
        limits = config["ResourceLimits"]
        self.most = limits.get("MaxNumberOfTrainingJobs") or math.prod(kind.combinations for kind in parameters)
        self.deadline = time.monotonic() + limits.get("MaxRuntimeInSeconds", math.inf)
        self.at_a_time = at_a_time(request)
        self.running: list[tuple[Training, Any]] = []
        self.refusal: str | None = None
        self.abandoned = threading.Event()
        self.thread = threading.Thread(target=self.live, name=self.record.name, daemon=True)

    def live(self) -> None:
        """From start to end."""
        try:
            while not self.abandoned.is_set():
                self.collect()
                if self.record.stopping or time.monotonic() > self.deadline:
                    for training, _ in self.running:
                        training.record.stop("Stopped")
                else:
                    self.start()
                if not self.running:
                    return self.end()
                self.abandoned.wait(INTERVAL)
        except Exception:
            log.fault(f"tuning job {self.record.name}")
            self.record.end("Failed", INTERNAL_ERROR)

    def collect(self) -> None:
        """Learn from the training jobs that are over."""
        for training, trial in [pair for pair in self.running if pair[0].over]:
            self.strategy.tell(trial, training.objective)
            self.running.remove((training, trial))

    def start(self) -> None:
        """Start what may run now."""
        while len(self.running) < self.at_a_time and len(self.record.trainings) < self.most and not self.failure():
            trial, values = self.strategy.ask()
            name = f"{self.record.name}-{len(self.record.trainings) + 1:03}-{uuid.uuid4().hex[:8]}"
            request = members.training_request(self.request, name, values)
            try:
                job = self.start_training(request, self.record.arn)
            except Error as error:  # it may not be made any more: its data is gone, say
                self.refusal = error.message
            else:
                self.running.append((self.record.add(job.record, values), trial))

    def failure(self) -> str | None:
        """Why the tuning job has failed, or None."""
        if self.refusal:
            return self.refusal
        over = [training for training in self.record.trainings if training.over]
        if any(training.objective is not None for training in over) or len(over) < min(ATTEMPTS, self.most):
            return None
        attempts = min(ATTEMPTS, len(over))
        if any(training.record.status == "Completed" for training in over):
            return (
                f"No objective metrics found after running {attempts} training jobs. Please ensure that the custom "
                "algorithm is emitting the objective metric as defined by the regular expression provided."
            )
        return (
            f"No training job succeeded after {attempts} attempts. For additional details, please take a look at the "
            "training job failures by listing training jobs for the hyperparameter tuning job."
        )

    def end(self) -> None:
        """Nothing runs any more."""
        if self.record.stopping:
            self.record.end("Stopped")
        elif reason := self.failure():
            self.record.end("Failed", reason)
        else:
            self.record.end("Completed")
