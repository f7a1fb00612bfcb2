"""python -m sandbox [--studio] COMMAND…: run a command inside an AWS account on this machine, and leave nothing behind.

With --studio it runs as in a SageMaker Studio space of that account."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from typing import NoReturn

import psutil

from sandbox import log, settings
from sandbox.account import Account
from sandbox.local_mode import docker, studio
from sandbox.machine import folders, kernel
from sandbox.machine.hosts import Machine

BANNER = """\
sandbox: an AWS account in this process. Real: training jobs, AWS's container code, endpoints, S3, logs, IAM policies.
sandbox: Not real: instances (all runs on this machine's {cpus} CPUs) and billing. All of it ends with the command.
sandbox: A stopped job has {seconds:g} s to end, then it is killed{hint}.
"""


def banner(machine: Machine) -> str:
    seconds = settings.stop_seconds()
    hint = (
        ", as on AWS; SANDBOX_STOP_SECONDS=5 makes it 5" if seconds == 120 else ", by SANDBOX_STOP_SECONDS (AWS: 120)"
    )
    text = BANNER.format(cpus=os.cpu_count(), seconds=seconds, hint=hint)
    if machine.no_jobs:
        text += f"sandbox: NO TRAINING JOB WILL RUN HERE: {machine.no_jobs}.\n"
    elif machine.no_network:
        what = "Endpoints, and jobs of several hosts or with network isolation"
        text += f"sandbox: {what}, will not run here: {machine.no_network}.\n"
    return text


def run(command: list[str], environment: dict[str, str]) -> int:
    """Run a command to its end -> its exit code, as a shell would give it."""
    try:
        # Should the sandbox be killed, the command is asked to end, too.
        child = subprocess.Popen(command, env=environment, preexec_fn=lambda: kernel.die_with_parent(signal.SIGTERM))
    except OSError as error:
        print(f"sandbox: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return 127

    def forward(number: int, _: object) -> None:
        # A terminal sends Ctrl-C to the command itself, too.
        if number != signal.SIGINT or not sys.stdin.isatty():
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    while True:  # not one long wait: a signal that another thread takes would not end it, and so not be forwarded
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = child.wait(timeout=1)
            return 128 - code if code < 0 else code


def stop_leftovers() -> None:
    """End every process that the command started and left; orphans become children of this process."""
    leftovers = psutil.Process().children(recursive=True)
    for process in leftovers:
        process.terminate()
    _, alive = psutil.wait_procs(leftovers, timeout=5)
    for process in alive:
        process.kill()


def main() -> NoReturn:
    command = sys.argv[1:]
    in_studio = command[:1] == ["--studio"]
    command = command[in_studio:]
    if not command or command[0].startswith("-"):
        sys.exit("usage: python -m sandbox [--studio] COMMAND [ARGUMENT ...]")
    if shutil.which("openssl") is None:
        sys.exit("sandbox: openssl is missing, which signs the certificates: install it (Debian: openssl)")
    if file := settings.log():
        log.open_file(file)
    kernel.adopt_orphans()
    reason = docker.unfit()
    discard = folders.remove if reason else docker.clean_up
    for folder in folders.stale():
        discard(folder)
    folder = folders.create()
    account: Account | None = None
    try:
        account = Account(folder, s3_host=None if reason else docker.gateway())
        environment = account.environment()
        environment["TMPDIR"] = str(folder)
        environment["PATH"] = os.path.dirname(sys.executable) + os.pathsep + environment.get("PATH", os.defpath)
        if reason is None:
            environment.setdefault("LOCAL_MODE", "1")
            environment.setdefault("TRAINING_IMAGE", docker.IMAGE)
        if in_studio:
            launcher, variables = studio.create(folder, account.role, settings.REGION, with_docker=reason is None)
            command, environment = launcher + command, environment | variables
        sys.stderr.write(banner(account.machine))
        code = run(command, environment)
    finally:
        if account:
            account.close()
        stop_leftovers()
        discard(folder)
    sys.exit(code)


if __name__ == "__main__":
    main()
