"""SageMaker's operations on training jobs, and how the table that holds all that the sandbox answers is made.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html. Whatever is not
in the table is refused by account/backend.py.
"""

import threading

from sandbox.account.backend import training_job_arn, tuning_job_arn, unsupported
from sandbox.training import request as requests
from sandbox.training import search, validation
from sandbox.training.job import Job
from sandbox.training.record import OVER
from sandbox.training.validation import refuse


class Operations:
    """The training jobs of an account. Each operation takes a call and gives its answer, or raises the API's error."""

    def __init__(self, folder, machine, account_environment):
        self.folder, self.machine, self.account_environment = folder, machine, account_environment
        self.jobs, self.lock = {}, threading.Lock()
        self.tagged_records = [self.records]  # each gives the records of one kind of things that can have tags
        operations = {
            "CreateTrainingJob": self.create,
            "DescribeTrainingJob": self.describe,
            "StopTrainingJob": self.stop,
            "DeleteTrainingJob": self.delete,
            "ListTrainingJobs": self.list,
            "Search": self.search,
            "AddTags": self.add_tags,
            "ListTags": self.list_tags,
            "DeleteTags": self.delete_tags,
        }
        self.table = table(operations)

    def close(self):
        """End every job, and wait for its end."""
        with self.lock:
            jobs = list(self.jobs.values())
        for job in jobs:
            job.abandoned.set()
        for job in jobs:
            job.thread.join()

    def records(self):
        with self.lock:
            return [job.record for job in self.jobs.values()]

    def of_region(self, region):
        return [record for record in self.records() if record.region == region]

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

    # Tags

    def tagged(self, asked):
        for records in self.tagged_records:
            for record in records():
                if record.arn == asked["ResourceArn"]:
                    return record
        refuse(f"Requested resource not found: {asked['ResourceArn']}", "ResourceNotFound")

    def add_tags(self, call, asked):
        record = self.tagged(asked)
        requests.check_tags(asked["Tags"])
        record.tags.update({tag["Key"]: tag["Value"] for tag in asked["Tags"]})
        return {"Tags": record.tag_list()}

    def list_tags(self, call, asked):
        shown, token = search.page(self.tagged(asked).tag_list(), asked, 50)
        return {"Tags": shown, **token}

    def delete_tags(self, call, asked):
        record = self.tagged(asked)
        for key in asked["TagKeys"]:
            record.tags.pop(key, None)
        return {}


# The members that name what a request is about.
NAMES = {"TrainingJobName": training_job_arn, "HyperParameterTuningJobName": tuning_job_arn}
# Operations with checks of their own.
SELF_CHECKED = ("CreateTrainingJob", "CreateHyperParameterTuningJob")


def table(operations):
    """Operations that see their requests once the caller's rights and the reference's constraints were checked."""

    def checked(name, operation):
        def answer(call):
            asked = {key: value for key, value in call.request.items() if value is not None}
            call.authorize(resource(call.region, asked))
            if name not in SELF_CHECKED:
                validation.check(name, asked)
            return operation(call, asked)

        return answer

    return {name: checked(name, operation) for name, operation in operations.items()}


def resource(region, asked):
    """The ARN that a request is about, for the caller's policies."""
    named = [arn(region, asked[member]) for member, arn in NAMES.items() if asked.get(member)]
    return asked.get("ResourceArn") or (named[0] if named else "*")
