"""What clients see of a job: its statuses, its times and its description.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
"""

import math
import threading
from datetime import datetime
from typing import Any

from sandbox.api import record
from sandbox.api.record import now, present
from sandbox.aws.arns import training_job_arn
from sandbox.aws.call import Members

MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Interrupted": "Interrupted the training job: its spot instance was reclaimed",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job exceeded MaxWaitTimeInSeconds provided",
}
IN_PROGRESS = ("Starting", "Downloading", "Training", "Uploading", "Interrupted")
OVER = ("Completed", "Failed", "Stopped", "MaxRuntimeExceeded", "MaxWaitTimeExceeded")
# What a spot instance costs, as a part of the usual price. AWS's depends on the day; its examples save 70 %:
# https://docs.aws.amazon.com/sagemaker/latest/dg/model-managed-spot-training.html
SPOT_PRICE = 0.3


class Record(record.Record):
    """The state of one training job. Threads change it, so each step is taken under its lock."""

    def __init__(self, region: str, request: Members, tuning_job_arn: str | None = None) -> None:
        name = request["TrainingJobName"]
        super().__init__(region, request, name, training_job_arn(region, name))
        self.tuning_job_arn = tuning_job_arn
        self.output = f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"
        self.compression = request["OutputDataConfig"].get("CompressionType", "GZIP")
        self.modified = self.created
        self.began: datetime | None = None
        self.ended: datetime | None = None
        self.failure_reason: str | None = None
        self.stop_reason: str | None = None  # the last status of a job that is stopped
        self.metrics: dict[str, Members] = {}
        self.transitions: list[Members] = []
        self.lock = threading.Lock()
        self.enter("Starting")

    def enter(self, status: str) -> bool:
        """Move on to a secondary status, unless the job is being stopped and the status is one on the way to Training
        -> whether it did."""
        with self.lock:
            if self.stop_reason and status in ("Starting", "Downloading", "Training", "Interrupted"):
                return False
            self._enter(status)
            return True

    def _enter(self, status: str) -> None:
        self.modified = moment = now()
        if self.transitions:
            self.transitions[-1]["EndTime"] = moment
        self.transitions.append({"Status": status, "StartTime": moment, "StatusMessage": MESSAGES[status]})
        if status == "Downloading" and self.began is None:
            self.began = moment
        if status in OVER:
            self.transitions[-1]["EndTime"] = self.ended = moment

    def stop(self, reason: str) -> bool:
        """Note that the job is to end -> whether it is over already. What is uploading is done, and stays so."""
        with self.lock:
            if self.secondary in OVER:
                return True
            if self.secondary != "Uploading" and self.stop_reason is None:
                self.stop_reason = reason
                self._enter("Stopping")
            return False

    @property
    def secondary(self) -> Any:
        return self.transitions[-1]["Status"] if self.transitions else None

    @property
    def status(self) -> str:
        if self.secondary in IN_PROGRESS:
            return "Stopping" if self.stop_reason else "InProgress"
        return "Stopped" if self.secondary.endswith("Exceeded") else self.secondary

    def seconds(self) -> tuple[int | None, int | None]:
        """-> TrainingTimeInSeconds and BillableTimeInSeconds"""
        if self.began is None:
            return None, None
        training = max(1, math.ceil(((self.ended or now()) - self.began).total_seconds()))
        spot = self.request.get("EnableManagedSpotTraining")
        return training, max(1, math.floor(training * SPOT_PRICE)) if spot else training

    def description(self) -> Members:
        """DescribeTrainingJob's answer."""
        with self.lock:
            training, billable = self.seconds()
            archive = "/model.tar.gz" if self.compression == "GZIP" else "/model/"
            described = {
                "EnableNetworkIsolation": False,
                "EnableInterContainerTrafficEncryption": False,
                "EnableManagedSpotTraining": False,
                **self.request,
                # SDK 2's attach() asks for the key.
                "OutputDataConfig": {"KmsKeyId": "", **self.request["OutputDataConfig"]},
                "TrainingJobArn": self.arn,
                "TuningJobArn": self.tuning_job_arn,
                "ModelArtifacts": {"S3ModelArtifacts": self.output + archive},
                "TrainingJobStatus": self.status,
                "SecondaryStatus": self.secondary,
                "SecondaryStatusTransitions": [dict(transition) for transition in self.transitions],
                "FailureReason": self.failure_reason,
                "CreationTime": self.created,
                "TrainingStartTime": self.began,
                "TrainingEndTime": self.ended,
                "LastModifiedTime": self.modified,
                "TrainingTimeInSeconds": training,
                "BillableTimeInSeconds": billable,
                "FinalMetricDataList": list(self.metrics.values()) or None,
            }
        described.pop("Tags", None)
        return present(described)
