"""SageMaker's operations on tuning jobs, for the account's table.

https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-how-it-works.html
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.api import paging, table, validation
from sandbox.api.jobs import Jobs
from sandbox.aws.arns import tuning_job_arn
from sandbox.aws.call import Members, SageMakerCall
from sandbox.aws.errors import refuse
from sandbox.aws.service_model import input_shape
from sandbox.training.operations import TrainingOperations
from sandbox.tuning import members

if TYPE_CHECKING:
    from sandbox.tuning.job import TuningJob


class TuningOperations(Jobs["TuningJob"]):
    """The tuning jobs of an account; `training` are its training jobs' operations."""

    def __init__(self, training: TrainingOperations) -> None:
        super().__init__()
        self.training = training
        functions: dict[str, table.Perform] = {
            "CreateHyperParameterTuningJob": self.create,
            "DescribeHyperParameterTuningJob": self.describe,
            "ListHyperParameterTuningJobs": self.list,
            "ListTrainingJobsForHyperParameterTuningJob": self.list_training_jobs,
            "StopHyperParameterTuningJob": self.stop,
            "DeleteHyperParameterTuningJob": self.delete,
        }
        # CreateHyperParameterTuningJob has rules of its own.
        self.table = table.operations(functions, resource, unchecked=["CreateHyperParameterTuningJob"])

    def find(self, call: SageMakerCall, asked: Members) -> "TuningJob":
        name = asked["HyperParameterTuningJobName"]
        job = self.jobs.get((call.region, name))
        return job or refuse(
            f"Amazon SageMaker can't find a tuning job called {name}. Type another name.", "ResourceNotFound"
        )

    def create(self, call: SageMakerCall, asked: Members) -> Members:
        from sandbox.tuning.job import TuningJob  # with Optuna, which takes 0.3 s: not at every start of the sandbox

        validation.check_types(input_shape("CreateHyperParameterTuningJob"), asked, "")
        with self.lock:
            region, name = call.region, asked.get("HyperParameterTuningJobName", "")
            parameters = members.check(asked, region, self.names(region))
            request = completed(asked)
            example = {parameter.name: "" for parameter in parameters}
            self.training.check(region, members.training_request(request, f"{name}-001-00000000", example))
            call.require("iam:PassRole", request["TrainingJobDefinition"]["RoleArn"])
            if request.get("Tags"):
                call.require("sagemaker:AddTags", tuning_job_arn(region, name))

            def start(training_request: Members, arn: str) -> Any:
                return self.training.start(region, training_request, tuning_job_arn=arn)

            job = self.jobs[region, name] = TuningJob(region, request, parameters, start)
        job.thread.start()
        return {"HyperParameterTuningJobArn": job.record.arn}

    def describe(self, call: SageMakerCall, asked: Members) -> Members:
        return self.find(call, asked).record.description()

    def stop(self, call: SageMakerCall, asked: Members) -> None:
        record = self.find(call, asked).record
        if record.stop():
            refuse(f"The request was rejected because the hyperparameter tuning job is in status {record.status}.")

    def delete(self, call: SageMakerCall, asked: Members) -> None:
        """Its training jobs stay: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteHyperParameterTuningJob.html"""
        record = self.find(call, asked).record
        if record.last is None:
            refuse(f"The request was rejected because the hyperparameter tuning job is in status {record.status}.")
        with self.lock:
            del self.jobs[call.region, record.name]

    def list(self, call: SageMakerCall, asked: Members) -> Members:
        shown, token = paging.page(paging.select(self.of_region(call.region), {"SortBy": "Name", **asked}), asked, 10)
        return {"HyperParameterTuningJobSummaries": [record.summary() for record in shown], **token}

    def list_training_jobs(self, call: SageMakerCall, asked: Members) -> Members:
        record = self.find(call, asked).record
        by_objective = asked.get("SortBy") == "FinalObjectiveMetricValue"
        found = [
            training
            for training in list(record.trainings)
            if asked.get("StatusEquals", training.record.status) == training.record.status
            and not (by_objective and training.objective is None)
        ]
        key: dict[str, Callable[[Any], Any]] = {
            "CreationTime": lambda training: training.record.created,
            "Status": lambda training: training.record.status,
            "FinalObjectiveMetricValue": lambda training: (
                -math.inf if training.objective is None else training.objective
            ),
        }
        found.sort(key=key.get(asked.get("SortBy", ""), lambda training: training.record.name))
        if asked.get("SortOrder") == "Descending":
            found.reverse()
        shown, token = paging.page(found, asked, 10)
        definition = record.request["TrainingJobDefinition"]
        return {"TrainingJobSummaries": [training.summary(definition) for training in shown], **token}


def completed(asked: Members) -> Members:
    """A request with what the service adds to it and describes: the objective as a static hyperparameter; and
    ResourceConfig, for which SDK 2's attach() asks, where it has sent its other form."""
    definition, config = asked["TrainingJobDefinition"], asked["HyperParameterTuningJobConfig"]
    objective = {members.OBJECTIVE: config["HyperParameterTuningJobObjective"]["MetricName"]}
    added = {"StaticHyperParameters": definition.get("StaticHyperParameters", {}) | objective}
    if members.OTHER_RESOURCES in definition:
        added["ResourceConfig"] = definition[members.OTHER_RESOURCES]
    return {**asked, "TrainingJobDefinition": definition | added}


def resource(region: str, asked: Members) -> str:
    """The ARN that a request is about, for the caller's policies."""
    name = asked.get("HyperParameterTuningJobName")
    return tuning_job_arn(region, name) if name else "*"
