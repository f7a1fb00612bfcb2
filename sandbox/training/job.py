"""The life of a training job: from one status to the next, in a thread of its own.

Statuses: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html. Retries:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_RetryStrategy.html. Spot instances can be taken back:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html
"""

import threading
from collections.abc import Mapping
from pathlib import Path

from sandbox import log
from sandbox.api.jobs import INTERNAL_ERROR
from sandbox.aws.call import Members
from sandbox.aws.role import Role
from sandbox.machine import folders
from sandbox.machine.hosts import Machine
from sandbox.training.clock import Clock
from sandbox.training.logs import Metrics
from sandbox.training.record import Record
from sandbox.training.run import Failure, Interruption, Run


class Job:
    """A training job; `record` is what clients see of it."""

    def __init__(
        self,
        region: str,
        request: Members,
        folder: Path,
        machine: Machine,
        account_environment: Mapping[str, str],
        tuning_job_arn: str | None = None,
    ) -> None:
        self.record, self.folder, self.machine = Record(region, request, tuning_job_arn), folder, machine
        self.account_environment = account_environment
        definitions = request["AlgorithmSpecification"].get("MetricDefinitions", [])
        role = Role(request["RoleArn"])
        self.metrics = Metrics(region, self.record.name, definitions, role)
        self.record.metrics = self.metrics.last
        self.clock, self.abandoned = Clock(request), threading.Event()
        self.retries = request.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
        self.runs = 0
        self.thread = threading.Thread(target=self.live, name=self.record.name, daemon=True)

    def live(self) -> None:
        """From start to end."""
        while (last := self.one_run()) is None:
            self.record.enter("Starting")
        folders.remove(self.folder)
        if not self.abandoned.is_set():
            self.record.enter(last)

    def one_run(self) -> str | None:
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
            log.fault(f"training job {self.record.name}")
            if self.retries and not self.record.stop_reason:
                self.retries -= 1
                return None
            self.record.failure_reason = INTERNAL_ERROR
        finally:
            self.clock.pause()
            if run:
                run.close()
        return "Failed"

    def work(self, run: Run) -> str | None:
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
