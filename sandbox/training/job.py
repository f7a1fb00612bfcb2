"""The life of a training job: from one status to the next, in a thread of its own.

Statuses: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html. Limits:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html. Retries:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_RetryStrategy.html. Spot instances can be taken back:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html
"""

import threading
import time
import traceback

from sandbox import settings
from sandbox.account import permissions
from sandbox.machine import folders
from sandbox.training.logs import Metrics
from sandbox.training.record import Record
from sandbox.training.run import Failure, Interruption, Run

INTERNAL_ERROR = "InternalServerError: We encountered an internal error. Please try again."


class Clock:
    """How long a job has trained and waited, over all its runs."""

    def __init__(self, request):
        condition = request["StoppingCondition"]
        self.longest = condition.get("MaxRuntimeInSeconds", 86400)
        self.longest_wait = condition.get("MaxWaitTimeInSeconds")
        spot = request.get("EnableManagedSpotTraining")
        self.interruption = settings.spot_seconds() if spot else None
        self.created, self.trained, self.began = time.monotonic(), 0, None

    def start(self):
        self.began = time.monotonic()

    def pause(self):
        self.trained, self.began = self.training(), None

    def training(self):
        return self.trained + (time.monotonic() - self.began if self.began is not None else 0)

    def exceeded(self):
        """The last status of a job that has reached a limit, or None."""
        if self.longest_wait is not None and time.monotonic() - self.created > self.longest_wait:
            return "MaxWaitTimeExceeded"
        return "MaxRuntimeExceeded" if self.training() > self.longest else None

    def interrupts(self):
        """Whether the spot instances are taken back now."""
        return self.interruption is not None and self.training() > self.interruption


class Job:
    """A training job; `record` is what clients see of it."""

    def __init__(self, region, request, folder, machine, account_environment, tuning_job_arn=None):
        self.record, self.folder, self.machine = Record(region, request, tuning_job_arn), folder, machine
        self.account_environment = account_environment
        definitions = request["AlgorithmSpecification"].get("MetricDefinitions", [])
        role = permissions.Role(request["RoleArn"])
        self.metrics = Metrics(region, self.record.name, definitions, role)
        self.record.metrics = self.metrics.last
        self.clock, self.abandoned = Clock(request), threading.Event()
        self.retries = request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
        self.runs = 0
        self.thread = threading.Thread(target=self.live, name=self.record.name, daemon=True)

    def live(self):
        """From start to end."""
        while (last := self.one_run()) is None:
            self.record.enter("Starting")
        folders.remove(self.folder)
        if not self.abandoned.is_set():
            self.record.enter(last)

    def one_run(self):
        """-> the job's last status, or None for one run more"""
        self.runs += 1
        run = None
        try:
            run = Run(self.record, self.folder / str(self.runs), self.machine, self.account_environment)
            return self.work(run)
        except Interruption:
            self.clock.interruption = None
            return None if self.record.enter("Interrupted") else self.record.stop_reason
        except Failure as failure:
            self.record.failure_reason = str(failure)[:1024]
        except Exception:
            traceback.print_exc()
            if self.retries and not self.record.stop_reason:
                self.retries -= 1
                return None
            self.record.failure_reason = INTERNAL_ERROR
        finally:
            self.clock.pause()
            if run:
                run.close()
        return "Failed"

    def work(self, run):
        record = self.record
        if not record.enter("Downloading"):
            return record.stop_reason
        run.prepare()
        if not record.enter("Training"):
            return record.stop_reason
        self.clock.start()
        failure = run.train(self.metrics, self.clock, self.abandoned)
        if self.abandoned.is_set():
            return "Stopped"
        record.enter("Uploading")
        run.upload()
        if failure and not record.stop_reason:
            raise Failure(failure)
        return record.stop_reason or "Completed"
