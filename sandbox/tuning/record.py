"""What clients see of a tuning job and of its training jobs.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeHyperParameterTuningJob.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HyperParameterTrainingJobSummary.html
"""

import math
import threading
from datetime import datetime
from typing import Any

from sandbox.api import record
from sandbox.api.record import now, present
from sandbox.aws.arns import tuning_job_arn
from sandbox.aws.call import Members

# The sandbox's own errors, which another try may not meet, and those of the script.
RETRYABLE = ("InternalServerError", "CapacityError")


class Training:
    """A training job of a tuning job: its record, and the values that it tries."""

    def __init__(self, record: Any, values: dict[str, str], objective: Members) -> None:
        self.record, self.values, self.wanted = record, values, objective

    @property
    def over(self) -> bool:
        return self.record.status in ("Completed", "Failed", "Stopped")

    @property
    def objective(self) -> float | None:
        """The last value of the objective metric once the job is over, or None. A failed job has none."""
        value = self.record.metrics.get(self.wanted["MetricName"], {}).get("Value", math.nan)
        return value if self.over and self.record.status != "Failed" and math.isfinite(value) else None

    @property
    def objective_status(self) -> str:
        return "Pending" if not self.over else "Failed" if self.objective is None else "Succeeded"

    @property
    def counted(self) -> str:
        """Which of TrainingJobStatusCounters counts the job."""
        if self.record.status == "Failed":
            return "RetryableError" if self.record.failure_reason.startswith(RETRYABLE) else "NonRetryableError"
        return self.record.status if self.over else "InProgress"

    def summary(self, definition: Members) -> Members:
        record, value = self.record, self.objective
        found = {
            "TrainingJobDefinitionName": definition.get("DefinitionName"),
            "TrainingJobName": record.name,
            "TrainingJobArn": record.arn,
            "CreationTime": record.created,
            "TrainingStartTime": record.began,
            "TrainingEndTime": record.ended,
            "TrainingJobStatus": record.status,
            "TunedHyperParameters": self.values,
            "FailureReason": record.failure_reason,
            "FinalHyperParameterTuningJobObjectiveMetric": None if value is None else {**self.wanted, "Value": value},
            "ObjectiveStatus": self.objective_status,
        }
        return present(found)


class Record(record.Record):
    """The state of one tuning job."""

    def __init__(self, region: str, request: Members) -> None:
        name = request["HyperParameterTuningJobName"]
        super().__init__(region, request, name, tuning_job_arn(region, name))
        self.objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        self.changed = self.created
        self.ended: datetime | None = None
        self.failure_reason: str | None = None
        self.trainings: list[Training] = []
        self.lock = threading.Lock()
        self.stopping = False
        self.last: str | None = None

    def add(self, record: Any, values: dict[str, str]) -> Training:
        self.trainings.append(Training(record, values, self.objective))
        return self.trainings[-1]

    def end(self, status: str, reason: str | None = None) -> None:
        """Enter the last status."""
        with self.lock:
            self.failure_reason = reason
            self.ended = self.changed = now()
            self.last = status

    def stop(self) -> bool:
        """Note that the job is to end -> whether it is over already."""
        with self.lock:
            if self.last is None and not self.stopping:
                self.stopping, self.changed = True, now()
            return self.last is not None

    @property
    def status(self) -> str:
        return self.last or ("Stopping" if self.stopping else "InProgress")

    @property
    def modified(self) -> datetime:
        return max([self.changed, *(training.record.modified for training in list(self.trainings))])

    def best(self) -> Training | None:
        """The training job with the best objective so far, or None."""
        found = [(training.objective, training) for training in list(self.trainings) if training.objective is not None]
        choose = max if self.objective["Type"] == "Maximize" else min
        return choose(found, key=lambda pair: pair[0], default=(None, None))[1]

    def counters(self) -> Members:
        counts = {
            "TrainingJobStatusCounters": (
                "counted",
                ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped"),
            ),
            "ObjectiveStatusCounters": ("objective_status", ("Succeeded", "Pending", "Failed")),
        }
        found = {}
        for name, (attribute, kinds) in counts.items():
            seen = [getattr(training, attribute) for training in list(self.trainings)]
            found[name] = {kind: seen.count(kind) for kind in kinds}
        return found

    def summary(self) -> Members:
        config = self.request["HyperParameterTuningJobConfig"]
        found = {
            "HyperParameterTuningJobName": self.name,
            "HyperParameterTuningJobArn": self.arn,
            "HyperParameterTuningJobStatus": self.status,
            "Strategy": config["Strategy"],
            "CreationTime": self.created,
            "HyperParameterTuningEndTime": self.ended,
            "LastModifiedTime": self.modified,
            "ResourceLimits": config["ResourceLimits"],
            **self.counters(),
        }
        return present(found)

    def description(self) -> Members:
        """DescribeHyperParameterTuningJob's answer."""
        found, best = self.summary(), self.best()
        del found["Strategy"], found["ResourceLimits"]
        definition = self.request["TrainingJobDefinition"]
        found |= {
            "HyperParameterTuningJobConfig": self.request["HyperParameterTuningJobConfig"],
            "TrainingJobDefinition": definition,
            "BestTrainingJob": best and best.summary(definition),
            "FailureReason": self.failure_reason,
            "ConsumedResources": {"RuntimeInSeconds": int(((self.ended or now()) - self.created).total_seconds())},
        }
        return present(found)
