"""SageMaker's operations on training jobs.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html
"""

from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.api import table, validation
from sandbox.api.jobs import Jobs
from sandbox.aws.arns import training_job_arn
from sandbox.aws.call import Members, SageMakerCall
from sandbox.aws.errors import refuse, unsupported
from sandbox.aws.service_model import input_shape
from sandbox.machine.hosts import Machine
from sandbox.training import members, search
from sandbox.training.job import Job
from sandbox.training.record import OVER


class TrainingOperations(Jobs[Job]):
    """The training jobs of an account. Each operation takes a call and gives its answer, or raises the API's error."""

    def __init__(self, folder: Path, machine: Machine, account_environment: Mapping[str, str]) -> None:
        super().__init__()
        self.folder, self.machine, self.account_environment = folder, machine, account_environment
        functions: dict[str, table.Perform] = {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": self.describe,
            "StopTrainingJob": self.stop,
            "DeleteTrainingJob": self.delete,
            "ListTrainingJobs": self.list,
            "Search": self.search,
        }
        # CreateTrainingJob has rules of its own.
        self.table = table.operations(functions, resource, unchecked=["CreateTrainingJob"])

    def find(self, call: SageMakerCall, asked: Members) -> Job:
        job = self.jobs.get((call.region, asked["TrainingJobName"]))
        return job or refuse("Requested resource not found.")

    def create(self, call: SageMakerCall, asked: Members) -> Members:
        validation.check_types(input_shape("CreateTrainingJob"), asked, "")

        def permit(request: Members) -> None:
            call.require("iam:PassRole", request["RoleArn"])
            if request.get("Tags"):
                call.require("sagemaker:AddTags", resource(call.region, request))

        return {"TrainingJobArn": self.start(call.region, asked, permit).record.arn}

    def check(self, region: str, asked: Members) -> Members:
        """Refuse a request for a job that cannot be -> the request with the service's defaults"""
        condition = {"MaxRuntimeInSeconds": 86400, **asked.get("StoppingCondition", {})}
        request = {**asked, "StoppingCondition": condition}
        members.check(request, region, self.names(region), self.machine)
        return request

    def start(
        self,
        region: str,
        asked: Members,
        permit: Callable[[Members], None] = lambda request: None,
        tuning_job_arn: str | None = None,
    ) -> Job:
        """Start a job -> Job; `permit` raises an error where its caller may not."""
        with self.lock:
            request = self.check(region, asked)
            permit(request)
            name = request["TrainingJobName"]
            place = self.folder / region / name
            job = Job(region, request, place, self.machine, self.account_environment, tuning_job_arn)
            self.jobs[region, name] = job
        job.thread.start()
        return job

    def describe(self, call: SageMakerCall, asked: Members) -> Members:
        return self.find(call, asked).record.description()

    def stop(self, call: SageMakerCall, asked: Members) -> None:
        record = self.find(call, asked).record
        if record.stop("Stopped"):
            refuse(f"The request was rejected because the training job is in status {record.status}.")

    def delete(self, call: SageMakerCall, asked: Members) -> None:
        """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteTrainingJob.html"""
        record = self.find(call, asked).record
        if record.secondary not in OVER:
            refuse(f"The request was rejected because the training job is in status {record.status}.")
        with self.lock:
            del self.jobs[call.region, record.name]

    def list(self, call: SageMakerCall, asked: Members) -> Members:
        return search.list_jobs(self.of_region(call.region), asked)

    def search(self, call: SageMakerCall, asked: Members) -> Members:
        if asked["Resource"] != "TrainingJob":
            refuse(unsupported("SageMaker", f"Search for {asked['Resource']}"))
        for member in ("CrossAccountFilterOption", "VisibilityConditions"):
            if asked.get(member, "SameAccount") != "SameAccount":
                refuse(f"The sandbox does not fulfil {member} of Search.")
        return search.search(self.of_region(call.region), asked)


def resource(region: str, asked: Members) -> str:
    """The ARN that a request is about, for the caller's policies."""
    name = asked.get("TrainingJobName")
    return training_job_arn(region, name) if name else "*"
