"""What clients see of a tuning job and of its training jobs.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeHyperParameterTuningJob.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HyperParameterTrainingJobSummary.html
"""

import math
import threading

from sandbox.account.backend import tuning_job_arn
from sandbox.training.record import Tagged, now

# The sandbox's own errors, which another try may not meet, and those of the script.
RETRYABLE = ("InternalServerError", "CapacityError")


class Training:
    """A training job of a tuning job: its record, and the values that it tries."""

    def __init__(self, record, values, objective):
        self.record, self.values, self.wanted = record, values, objective

    @property
    def over(self):
        return self.record.status in ("Completed", "Failed", "Stopped")

    @property
    def objective(self):
        """The last value of the objective metric once the job is over, or None. A failed job has none."""
        value = self.record.metrics.get(self.wanted["MetricName"], {}).get("Value", math.nan)
        return value if self.over and self.record.status != "Failed" and math.isfinite(value) else None

    @property
    def objective_status(self):
        return "Pending" if not self.over else "Failed" if self.objective is None else "Succeeded"

    @property
    def counted(self):
        """Which of TrainingJobStatusCounters counts the job."""
        if self.record.status == "Failed":
            return "RetryableError" if self.record.failure_reason.startswith(RETRYABLE) else "NonRetryableError"
        return self.record.status if self.over else "InProgress"

    def summary(self, definition):
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
        return {key: value for key, value in found.items() if value is not None}


class Record(Tagged):
    """The state of one tuning job."""

    def __init__(self, region, request):
        super().__init__(request)
        self.region, self.request, self.name = region, request, request["HyperParameterTuningJobName"]
        self.arn = tuning_job_arn(region, self.name)
        self.objective = request["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"]
        self.created = self.changed = now()
        self.ended = self.failure_reason = None
        self.trainings, self.lock = [], threading.Lock()
        self.stopping, self.last = False, None

    def add(self, record, values):
        self.trainings.append(Training(record, values, self.objective))
        return self.trainings[-1]

    def end(self, status, reason=None):
        """Enter the last status."""
        with self.lock:
            self.failure_reason = reason
            self.ended = self.changed = now()
            self.last = status

    def stop(self):
        """Note that the job is to end -> whether it is over already."""
        with self.lock:
            if self.last is None and not self.stopping:
                self.stopping, self.changed = True, now()
            return self.last is not None

    @property
    def status(self):
        return self.last or ("Stopping" if self.stopping else "InProgress")

    @property
    def modified(self):
        return max([self.changed, *(training.record.modified for training in list(self.trainings))])

    def best(self):
        """The training job with the best objective so far, or None."""
        found = [training for training in list(self.trainings) if training.objective is not None]
        choose = max if self.objective["Type"] == "Maximize" else min
        return choose(found, key=lambda training: training.objective, default=None)

    def counters(self):
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

    def summary(self):
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
        return {key: value for key, value in found.items() if value is not None}

    def description(self):
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
        return {key: value for key, value in found.items() if value is not None}
