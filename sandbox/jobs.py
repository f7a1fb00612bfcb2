"""Training jobs that really train: the life of a job, and the operations of SageMaker's API on jobs.

Statuses: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html. Limits and how a job
is stopped: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html. What becomes of the
failure file and the exit code: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
moto alone marks every job as Completed at once and runs nothing; `serve` puts these operations in the place of its own.
"""

import ipaddress
import itertools
import json
import math
import threading
import time
import traceback
from datetime import datetime

from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.core.responses import ActionResult, EmptyResult
from moto.sagemaker.responses import SageMakerResponse

from sandbox import artifacts, channels, container, folders, logs, permissions, validation

GRACE = 120  # seconds from SIGTERM to SIGKILL
GRACE_AFTER_FAILURE = 5  # the same for the other hosts once one has failed
CHECKPOINT_INTERVAL = 3
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}
IN_PROGRESS = ("Starting", "Downloading", "Training", "Uploading")
# Every host has an address of its own on loopback, so that hosts and jobs can use the same port, provided that a server
# binds to its host's name: one that binds to 0.0.0.0 has the port of all hosts.
addresses = (str(ipaddress.ip_address("127.1.0.1") + number) for number in itertools.count())


def now():
    return datetime.now().astimezone()


class Failure(Exception):
    """Ends a job; its text is the FailureReason."""


class Job:
    """One training job. moto lists, searches and tags it by the attributes that its own jobs have."""

    def __init__(self, region, request, folder, environment):
        self.region, self.request, self.folder, self.job_environment = region, request, folder, environment
        self.training_job_name = name = request["TrainingJobName"]
        self.arn = f"arn:aws:sagemaker:{region}:{ACCOUNT_ID}:training-job/{name}"
        self.tags = list(request.get("Tags", []))
        self.role = permissions.Role(request["RoleArn"])
        self.metrics = logs.Metrics(request["AlgorithmSpecification"].get("MetricDefinitions", []))
        self.hosts, self.pipes, self.checkpoints = [], [], None
        self.output = f"{request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{name}/output"
        self.compression = request["OutputDataConfig"].get("CompressionType", "GZIP")
        self.creation_time = self.last_modified_time = now()
        self.training_start_time = self.training_end_time = self.failure_reason = None
        self.transitions, self.lock = [], threading.Lock()
        self.stop_reason = None  # the last status of a job that is stopped
        self.abandoned = threading.Event()
        self.enter("Starting")
        self.thread = threading.Thread(target=self.run, name=name, daemon=True)

    # What clients see

    def enter(self, status, unless=()):
        """Move on to a secondary status, unless the job is in one of these -> whether it did."""
        with self.lock:
            if self.transitions and self.secondary_status in unless:
                return False
            self.last_modified_time = time = now()
            if self.transitions:
                self.transitions[-1]["EndTime"] = time
            self.transitions.append({"Status": status, "StartTime": time, "StatusMessage": MESSAGES[status]})
            if status not in (*IN_PROGRESS, "Stopping"):
                self.transitions[-1]["EndTime"] = time
            return True

    @property
    def secondary_status(self):
        return self.transitions[-1]["Status"]

    @property
    def training_job_status(self):
        if self.secondary_status in IN_PROGRESS:
            return "Stopping" if self.stop_reason else "InProgress"
        return "Stopped" if self.secondary_status == "MaxRuntimeExceeded" else self.secondary_status

    @property
    def response_object(self):
        """DescribeTrainingJob's answer."""
        seconds = None
        if self.training_start_time:
            seconds = max(1, math.ceil(((self.training_end_time or now()) - self.training_start_time).total_seconds()))
        archive = "/model.tar.gz" if self.compression == "GZIP" else "/model/"
        described = {
            "EnableNetworkIsolation": False,
            "EnableInterContainerTrafficEncryption": False,
            "EnableManagedSpotTraining": False,
            **self.request,
            "OutputDataConfig": {"KmsKeyId": "", **self.request["OutputDataConfig"]},  # SDK 2's attach() asks for it
            "TrainingJobArn": self.arn,
            "ModelArtifacts": {"S3ModelArtifacts": self.output + archive},
            "TrainingJobStatus": self.training_job_status,
            "SecondaryStatus": self.secondary_status,
            "SecondaryStatusTransitions": [dict(transition) for transition in self.transitions],
            "FailureReason": self.failure_reason,
            "CreationTime": self.creation_time,
            "TrainingStartTime": self.training_start_time,
            "TrainingEndTime": self.training_end_time,
            "LastModifiedTime": self.last_modified_time,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": seconds,  # spot instances would be billed less; nothing is billed here
            "FinalMetricDataList": list(self.metrics.last.values()) or None,
        }
        return {key: value for key, value in described.items() if value is not None and key != "Tags"}

    # What happens

    def run(self):
        """From start to end, in a thread of its own."""
        try:
            last_status = self.work()
        except Failure as failure:
            last_status, self.failure_reason = "Failed", str(failure)[:1024]
        except Exception:
            traceback.print_exc()
            last_status = "Failed"
            self.failure_reason = "InternalServerError: We encountered an internal error. Please try again."
        finally:
            for pipe in self.pipes:
                pipe.closed.set()
            for host in self.hosts:
                if host.process and host.process.poll() is None:
                    host.kill()
            folders.remove(self.folder)
        if not self.abandoned.is_set():
            self.training_end_time = now()
            self.enter(last_status)

    def work(self):
        self.training_start_time = now()
        if self.enter("Downloading", unless=("Stopping",)):
            self.prepare()
        failure = None
        if self.enter("Training", unless=("Stopping",)):
            failure = self.train()
        if not self.abandoned.is_set():
            self.enter("Uploading")
            self.upload()
        if failure and not self.stop_reason:
            raise Failure(failure)
        return self.stop_reason or "Completed"

    def prepare(self):
        """Give every host its folder, its configuration and its data."""
        plan = container.plan(self.request["ResourceConfig"])
        table = "".join(f"{next(addresses)} {name}\n" for name, *_ in plan)
        data, job_mode = (
            self.request.get("InputDataConfig", []),
            self.request["AlgorithmSpecification"]["TrainingInputMode"],
        )
        for number, (name, *_) in enumerate(plan):
            host = container.Host(self.folder / name, name, table)
            host.write_config(
                hyperparameters=self.request.get("HyperParameters", {}),
                inputdataconfig=channels.config(data, job_mode),
                resourceconfig=container.resource_config(plan, name),
            )
            self.hosts.append(host)
            for channel in data:
                folder, place = host.path("/opt/ml/input/data"), (number, len(plan))
                if channels.mode(channel, job_mode) == "Pipe":
                    self.pipes.append(channels.Pipe(self.role, channel, *place, str(folder)))
                    continue
                try:
                    channels.download(self.role, channel, *place, str(folder / channel["ChannelName"]))
                except channels.DownloadError as error:
                    raise Failure(f"ClientError: Data download failed:{error}") from error
        if config := self.request.get("CheckpointConfig"):
            places = [host.path(config.get("LocalPath", "/opt/ml/checkpoints")) for host in self.hosts]
            for place in places:
                place.mkdir(parents=True, exist_ok=True)
            self.checkpoints = artifacts.Checkpoints(self.role, config["S3Uri"], places)
            try:
                self.checkpoints.restore()
            except permissions.Denied as error:
                raise Failure(f"ClientError: Data download failed:{config['S3Uri']} ({error})") from error

    def environment(self):
        """The request's own variables, the way into this account with the job's role, and what names the job."""
        environment = self.job_environment
        return {
            **self.request.get("Environment", {}),
            **environment,
            "NO_PROXY": ",".join([environment["NO_PROXY"], *(host.name for host in self.hosts)]),
            **permissions.assume(self.role.arn, "SageMaker", self.region),
            "TRAINING_JOB_NAME": self.training_job_name,
            "TRAINING_JOB_ARN": self.arn,
        }

    def train(self):
        """Run all hosts to their end -> the failure reason of the first that failed, or None."""
        algorithm, environment = self.request["AlgorithmSpecification"], self.environment()
        command = algorithm.get("ContainerEntrypoint", container.TRAIN) + algorithm.get("ContainerArguments", [])
        read_only = [
            f"/opt/ml/input/data/{channel['ChannelName']}"
            for channel in self.request.get("InputDataConfig", [])
            if channels.mode(channel, algorithm["TrainingInputMode"]) == "FastFile"
        ]
        readers = []
        for host in self.hosts:
            process = host.start(command, environment, container.isolated(), read_only)
            log = logs.Log(self.region, self.training_job_name, host.name, self.role)
            readers.append(threading.Thread(target=log.follow, args=(process.stdout, self.metrics.see), daemon=True))
        for thread in (*readers, *self.pipes):
            thread.start()
        failed = self.watch()
        for reader, host in zip(readers, self.hosts, strict=True):
            reader.join()
            host.process.stdout.close()
        if failed is None:
            return None
        try:
            text = (failed.ml / "output" / "failure").read_text(errors="replace")[:1024]
        except OSError:
            text = ""
        return f"AlgorithmError: {text}, exit code: {failed.process.returncode}"

    def watch(self):
        """Wait for all hosts, and act on what happens meanwhile -> the first host that failed, or None."""
        began = synced = time.monotonic()
        longest = self.request["StoppingCondition"].get("MaxRuntimeInSeconds", 86400)
        failed = deadline = None
        while running := [host for host in self.hosts if host.process.poll() is None]:
            moment, patience = time.monotonic(), None
            if moment - began > longest:
                self.stop("MaxRuntimeExceeded")
            failed = failed or next((host for host in self.hosts if host.process.returncode), None)
            if self.stop_reason:
                patience = GRACE
            elif failed:
                patience = GRACE_AFTER_FAILURE
            if patience is not None and deadline is None:
                deadline = moment + patience
                for host in running:
                    host.stop()
            if self.abandoned.is_set() or (deadline and moment > deadline):
                for host in running:
                    host.kill()
            if self.checkpoints and moment - synced > CHECKPOINT_INTERVAL:
                self.save_checkpoints()
                synced = time.monotonic()
            self.abandoned.wait(0.03)
        return failed or next((host for host in self.hosts if host.process.returncode), None)

    def save_checkpoints(self):
        try:
            self.checkpoints.save()
        except permissions.Denied as error:
            raise Failure(f"ClientError: Artifact upload failed:{self.checkpoints.bucket} ({error})") from error

    def upload(self):
        if self.checkpoints:
            self.save_checkpoints()
        for name, inside in (("model", "/opt/ml/model"), ("output", "/opt/ml/output/data")):
            places = [host.path(inside) for host in self.hosts]
            try:
                artifacts.upload(self.role, places, self.output, name, self.compression, self.folder)
            except (permissions.Denied, OSError) as error:
                raise Failure(f"ClientError: Artifact upload failed:{self.output} ({error})") from error

    def stop(self, reason="Stopped"):
        """Ask a job to end -> whether it could still be asked."""
        with self.lock:
            if self.secondary_status not in (*IN_PROGRESS, "Stopping"):
                return False
            first, self.stop_reason = self.stop_reason is None, self.stop_reason or reason
        if first:
            self.enter("Stopping", unless=tuple(set(MESSAGES) - set(IN_PROGRESS)))
        return True


class Jobs:
    """SageMaker's operations on training jobs: `serve` hands them to moto, `close` ends every job."""

    def __init__(self, folder, environment):
        self.folder, self.environment, self.jobs, self.lock = folder, environment, [], threading.Lock()

    def serve(self):
        SageMakerResponse.create_training_job = lambda response: self.create(response)
        SageMakerResponse.describe_training_job = lambda response: self.describe(response)
        SageMakerResponse.stop_training_job = lambda response: self.stop(response)
        SageMakerResponse.list_training_jobs = lambda response: self.list(response)

    def close(self):
        with self.lock:
            for job in self.jobs:
                job.abandoned.set()
        for job in self.jobs:
            job.thread.join()

    def create(self, response):
        request = json.loads(response.body)
        request.setdefault("StoppingCondition", {}).setdefault("MaxRuntimeInSeconds", 86400)
        existing = response.sagemaker_backend.training_jobs
        with self.lock:
            validation.check(request, response.region, existing, container.isolated())
            permissions.require(response, "iam:PassRole", request["RoleArn"])
            if request.get("Tags"):
                permissions.require(response, "sagemaker:AddTags", permissions.sagemaker_resource(response))
            folder = self.folder / response.region / request["TrainingJobName"]
            job = Job(response.region, request, folder, self.environment)
            existing[job.training_job_name] = job
            self.jobs.append(job)
        job.thread.start()
        return ActionResult({"TrainingJobArn": job.arn})

    def find(self, response):
        try:
            return response.sagemaker_backend.training_jobs[response._get_param("TrainingJobName")]
        except KeyError:
            validation.refuse("Requested resource not found.")

    def describe(self, response):
        return ActionResult(self.find(response).response_object)

    def stop(self, response):
        job = self.find(response)
        if not job.stop():
            status = job.training_job_status
            validation.refuse(f"The request was rejected because the training job is in status {status}.")
        return EmptyResult()

    def list(self, response):
        """https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html"""
        ask = json.loads(response.body)
        sort = {"Name": "training_job_name", "Status": "training_job_status"}.get(ask.get("SortBy"), "creation_time")
        found = [
            job
            for job in list(response.sagemaker_backend.training_jobs.values())
            if ask.get("NameContains", "").lower() in job.training_job_name.lower()
            and ask.get("StatusEquals", job.training_job_status) == job.training_job_status
            and all(
                ask.get(f"{name}After", 0) <= moment.timestamp() <= ask.get(f"{name}Before", math.inf)
                for name, moment in (("CreationTime", job.creation_time), ("LastModifiedTime", job.last_modified_time))
            )
        ]
        found.sort(key=lambda job: getattr(job, sort), reverse=ask.get("SortOrder") == "Descending")
        start = int(ask.get("NextToken", 0))
        end = start + ask.get("MaxResults", 10)
        keys = (
            "TrainingJobName",
            "TrainingJobArn",
            "CreationTime",
            "TrainingEndTime",
            "LastModifiedTime",
            "TrainingJobStatus",
        )
        descriptions = [job.response_object for job in found[start:end]]
        summaries = [{key: description[key] for key in keys if key in description} for description in descriptions]
        return ActionResult(
            {"TrainingJobSummaries": summaries, **({"NextToken": str(end)} if end < len(found) else {})}
        )
