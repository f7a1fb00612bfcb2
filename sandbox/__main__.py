"""python -m sandbox [--studio] COMMAND…: run a command inside an AWS account on this machine, and leave nothing behind.

With --studio it runs as in a SageMaker Studio space of that account."""

import ctypes
import os
import shutil
import signal
import subprocess
import sys

import psutil

from sandbox import folders, local_mode, studio
from sandbox.account import REGION, Account

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
libc = ctypes.CDLL(None)
BANNER = """\
sandbox: an AWS account in this process. Real: training jobs, AWS's training toolkit, data in S3, logs, IAM policies.
sandbox: Not real: instances (jobs run on this machine's {cpus} CPUs) and billing. All of it ends with the command.
"""


def run(command, environment):
    """Run a command to its end -> its exit code, as a shell would give it."""
    try:
        # Should the sandbox be killed, the command is asked to end, too.
        child = subprocess.Popen(
            command, env=environment, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        )
    except OSError as error:
        print(f"sandbox: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        return 127

    def forward(number, _):
        # A terminal sends Ctrl-C to the command itself, too.
        if number != signal.SIGINT or not sys.stdin.isatty():
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    code = child.wait()
    return 128 - code if code < 0 else code


def stop_leftovers():
    """End every process that the command started and left; orphans become children of this process."""
    leftovers = psutil.Process().children(recursive=True)
    for process in leftovers:
        process.terminate()
    _, alive = psutil.wait_procs(leftovers, timeout=5)
    for process in alive:
        process.kill()


def main():
    command = sys.argv[1:]
    in_studio = command[:1] == ["--studio"]
    command = command[in_studio:]
    if not command or command[0].startswith("-"):
        sys.exit("usage: python -m sandbox [--studio] COMMAND [ARGUMENT ...]")
    if shutil.which("openssl") is None:
        sys.exit("sandbox: openssl is missing, which signs the certificates: install it (Debian: openssl)")
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    reason = local_mode.unfit()
    discard = folders.remove if reason else local_mode.clean_up
    for folder in folders.stale():
        discard(folder)
    folder, account = folders.create(), None
    try:
        account = Account(folder, s3_host=None if reason else local_mode.gateway())
        environment = account.environment(folder)
        environment["TMPDIR"] = str(folder)
        environment["PATH"] = os.path.dirname(sys.executable) + os.pathsep + environment.get("PATH", os.defpath)
        if reason is None:
            environment.setdefault("LOCAL_MODE", "1")
            environment.setdefault("TRAINING_IMAGE", local_mode.IMAGE)
        if in_studio:
            launcher, variables = studio.create(folder, account.role, REGION, with_docker=reason is None)
            command, environment = launcher + command, environment | variables
        sys.stderr.write(BANNER.format(cpus=os.cpu_count()))
        code = run(command, environment)
    finally:
        if account:
            account.close()
        stop_leftovers()
        discard(folder)
    sys.exit(code)


if __name__ == "__main__":
    main()
