"""One run of a job, on hosts of its own: data in, command, results out.

How a job is stopped: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StopTrainingJob.html. What becomes
of the failure file and the exit code: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html
"""

import contextlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from sandbox import settings
from sandbox.api.s3_data import DownloadError
from sandbox.aws.logs import Log
from sandbox.aws.role import Denied, Role, assume
from sandbox.machine import environments, folders, hosts
from sandbox.machine.hosts import Host, Machine, Switch
from sandbox.training import artifacts, channels, logs
from sandbox.training.clock import Clock
from sandbox.training.record import Record

GRACE_AFTER_FAILURE = 5  # seconds from the signal to the kill for the other hosts once one has failed


class Failure(Exception):
    """Ends a job; its text is the FailureReason."""


class Interruption(Exception):
    """The spot instances were taken back."""


class Run:
    """The hosts of a job, from the first file to the last; `close` leaves nothing of them."""

    def __init__(self, record: Record, folder: Path, machine: Machine, account_environment: Mapping[str, str]) -> None:
        self.record, self.request, self.folder, self.machine = record, record.request, folder, machine
        self.account_environment = account_environment
        self.role = Role(self.request["RoleArn"])
        self.algorithm = self.request["AlgorithmSpecification"]
        self.isolated = self.request.get("EnableNetworkIsolation", False)
        self.hosts: list[Host] = []
        self.pipes: list[channels.Pipe] = []
        self.syncs: list[artifacts.Sync] = []
        self.readers: list[threading.Thread] = []
        self.switch: Switch | None = None
        folder.mkdir(parents=True)

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.closed.set()
        for sync in self.syncs:
            sync.abandon()
        for host in self.hosts:
            host.kill_and_wait()
        for reader in self.readers:
            reader.join()
        for host in self.hosts:
            host.close()
        if self.switch:
            self.switch.close()
        folders.remove(self.folder)

    # Before the command

    def prepare(self) -> None:
        """Give every host its folder, its configuration and its data."""
        try:
            self.make_hosts()
        except DownloadError as error:
            raise Failure(f"ClientError: Data download failed:{error}") from error
        except OSError as error:
            raise machine_failure(error) from error

    def make_hosts(self) -> None:
        plan = hosts.plan(self.request["ResourceConfig"])
        names = [name for name, *_ in plan]
        job_mode = self.algorithm["TrainingInputMode"]
        for number, (name, _, group) in enumerate(plan):
            host = Host(self.folder / name, number, names, self.machine)
            self.hosts.append(host)
            data = [channel for channel in self.request.get("InputDataConfig", []) if channels.is_for(channel, group)]
            host.write_config(
                hyperparameters=self.request.get("HyperParameters", {}),
                inputdataconfig=channels.config(data, job_mode),
                resourceconfig=hosts.resource_config(plan, name),
            )
            for channel in data:
                folder, place = host.path("/opt/ml/input/data"), (number, len(names))
                if channels.mode(channel, job_mode) == "Pipe":
                    self.pipes.append(channels.Pipe(self.role, channel, *place, str(folder)))
                else:
                    channels.download(self.role, channel, *place, str(folder / channel["ChannelName"]))
        if config := self.request.get("CheckpointConfig"):
            self.sync(config["S3Uri"], config.get("LocalPath", "/opt/ml/checkpoints")).restore()
        if config := self.request.get("TensorBoardOutputConfig"):
            uri = f"{config['S3OutputPath'].rstrip('/')}/{self.record.name}/tensorboard-output"
            self.sync(uri, config.get("LocalPath", "/opt/ml/output/tensorboard"))

    def sync(self, uri: str, path: str) -> artifacts.Sync:
        places = [host.path(path) for host in self.hosts]
        for place in places:
            place.mkdir(parents=True, exist_ok=True)
        self.syncs.append(artifacts.Sync(self.role, uri, [str(place) for place in places]))
        return self.syncs[-1]

    # The command

    def variables(self) -> dict[str, str]:
        """The way into this account with the job's role, what names the job, and the request's own, which come last."""
        account = dict(self.account_environment)
        account["NO_PROXY"] = ",".join([account["NO_PROXY"], *(host.name for host in self.hosts)])
        return {
            **({} if self.isolated else account | assume(self.role.arn, "SageMaker", self.record.region)),
            "AWS_REGION": self.record.region,
            "AWS_DEFAULT_REGION": self.record.region,
            "TRAINING_JOB_NAME": self.record.name,
            "TRAINING_JOB_ARN": self.record.arn,
            **self.request.get("Environment", {}),
        }

    def start(self, metrics: logs.Metrics) -> None:
        environment, note = environments.environment(self.algorithm.get("TrainingImage", ""))
        command = self.algorithm.get("ContainerEntrypoint", environments.COMMAND)
        command = command + self.algorithm.get("ContainerArguments", [])
        read_only = [
            f"/opt/ml/input/data/{channel['ChannelName']}"
            for channel in self.request.get("InputDataConfig", [])
            if channels.mode(channel, self.algorithm["TrainingInputMode"]) == "FastFile"
        ]
        if self.machine.no_network is None:
            self.switch = self.machine.switch()
        variables = self.variables()
        for host in self.hosts:
            stream = logs.stream(self.record.name, host.name)
            log = Log(self.record.region, logs.GROUP, stream, self.role)
            log.write([note.encode()] if note else [])
            host.start(command, environment, variables, self.switch, self.isolated, read_only)
            reader = threading.Thread(target=log.follow, args=(host.process.stdout, metrics.see), daemon=True)
            self.readers.append(reader)
            reader.start()
        for thread in (*self.pipes, *self.syncs):
            thread.start()

    def train(self, metrics: logs.Metrics, clock: Clock, abandoned: threading.Event) -> str | None:
        """Run all hosts to their end -> the failure reason of the first that failed, or None."""
        try:
            self.start(metrics)
        except OSError as error:
            raise machine_failure(error) from error
        failed = self.watch(clock, abandoned)
        for reader in self.readers:
            reader.join()
        if failed is None:
            return None
        text = ""
        with contextlib.suppress(OSError):
            file = failed.ml / "output" / "failure"
            text = "" if file.is_symlink() else file.read_text(errors="replace")[:1024]
        return f"AlgorithmError: {text}, exit code: {failed.process.returncode}"

    def watch(self, clock: Clock, abandoned: threading.Event) -> Host | None:
        """Wait for all hosts, and act on what happens meanwhile -> the first host that failed, or None."""
        failed = deadline = None
        interrupted = False
        while running := [host for host in self.hosts if host.process.poll() is None]:
            moment, patience = time.monotonic(), None
            if reason := clock.exceeded():
                self.record.stop(reason)
            failed = failed or next((host for host in self.hosts if host.process.returncode), None)
            interrupted = interrupted or (clock.interrupts() and not self.record.stop_reason and not failed)
            if self.record.stop_reason:
                patience = settings.stop_seconds()
            elif failed:
                patience = GRACE_AFTER_FAILURE
            if patience is not None and deadline is None:
                deadline = moment + patience
                for host in running:
                    host.stop()
            if interrupted or abandoned.is_set() or (deadline is not None and moment > deadline):
                for host in running:
                    host.kill()
            time.sleep(0.03)
        if interrupted:
            raise Interruption
        return failed or next((host for host in self.hosts if host.process.returncode), None)

    # After the command

    def upload(self) -> None:
        record = self.record
        try:
            for sync in self.syncs:
                sync.end()
            for name, inside in (("model", "/opt/ml/model"), ("output", "/opt/ml/output/data")):
                places = [str(host.path(inside)) for host in self.hosts]
                try:
                    artifacts.upload(self.role, places, record.output, name, record.compression, self.folder)
                except Denied as error:
                    raise artifacts.UploadError(f"{record.output} ({error})") from error
        except artifacts.UploadError as error:
            raise Failure(f"ClientError: Artifact upload failed:{error}") from error
        except OSError as error:
            raise machine_failure(error) from error


def machine_failure(error: OSError) -> Failure:
    """What this machine lacks, a full disk say, is neither the script's fault nor the request's."""
    return Failure(f"CapacityError: The sandbox's machine: {error.strerror or error}")
