"""SageMaker's operations on training jobs.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html
"""

import threading

from sandbox.account import table
from sandbox.account.backend import training_job_arn, unsupported
from sandbox.training import request as requests
from sandbox.training import search, validation
from sandbox.training.job import Job
from sandbox.training.record import OVER
from sandbox.training.validation import refuse


class Jobs:
    """Jobs of one kind, by region and name, each with a record and a thread of its own."""

    def __init__(self):
        self.jobs, self.lock = {}, threading.Lock()

    def close(self):
        """End every job, and wait for its end."""
        with self.lock:
            jobs = list(self.jobs.values())
        for job in jobs:
            job.abandoned.set()
        for job in jobs:
            job.thread.join()

    def records(self):
        """All that can have tags."""
        with self.lock:
            return [job.record for job in self.jobs.values()]

    def of_region(self, region):
        return [record for record in self.records() if record.region == region]


class Operations(Jobs):
    """The training jobs of an account. Each operation takes a call and gives its answer, or raises the API's error."""

    def __init__(self, folder, machine, account_environment):
        super().__init__()
        self.folder, self.machine, self.account_environment = folder, machine, account_environment
        operations = {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": self.describe,
            "StopTrainingJob": self.stop,
            "DeleteTrainingJob": self.delete,
            "ListTrainingJobs": self.list,
            "Search": self.search,
        }
        # CreateTrainingJob has rules of its own.
        self.table = table.checked(operations, resource, unchecked=["CreateTrainingJob"])

    def find(self, call, asked):
        job = self.jobs.get((call.region, asked["TrainingJobName"]))
        return job or refuse("Requested resource not found.")

    def create(self, call, asked):
        validation.check_types(validation.operation_shape("CreateTrainingJob").input_shape, asked, "")

        def permit(request):
            call.require("iam:PassRole", request["RoleArn"])
            if request.get("Tags"):
                call.require("sagemaker:AddTags", resource(call.region, request))

        return {"TrainingJobArn": self.start(call.region, asked, permit).record.arn}

    def check(self, region, asked):
        """Refuse a request for a job that cannot be -> the request with the service's defaults"""
        condition = {"MaxRuntimeInSeconds": 86400, **asked.get("StoppingCondition", {})}
        request = {**asked, "StoppingCondition": condition}
        requests.check(request, region, [name for place, name in list(self.jobs) if place == region], self.machine)
        return request

    def start(self, region, asked, permit=lambda request: None, tuning_job_arn=None):
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

    def describe(self, call, asked):
        return self.find(call, asked).record.description()

    def stop(self, call, asked):
        record = self.find(call, asked).record
        if record.stop("Stopped"):
            refuse(f"The request was rejected because the training job is in status {record.status}.")

    def delete(self, call, asked):
        """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteTrainingJob.html"""
        record = self.find(call, asked).record
        if record.secondary not in OVER:
            refuse(f"The request was rejected because the training job is in status {record.status}.")
        with self.lock:
            del self.jobs[call.region, record.name]

    def list(self, call, asked):
        return search.list_jobs(self.of_region(call.region), asked)

    def search(self, call, asked):
        if asked["Resource"] != "TrainingJob":
            refuse(unsupported("SageMaker", f"Search for {asked['Resource']}"))
        for member in ("CrossAccountFilterOption", "VisibilityConditions"):
            if asked.get(member, "SameAccount") != "SameAccount":
                refuse(f"The sandbox does not fulfil {member} of Search.")
        return search.search(self.of_region(call.region), asked)


def resource(region, asked):
    """The ARN that a request is about, for the caller's policies."""
    name = asked.get("TrainingJobName")
    return training_job_arn(region, name) if name else "*"
