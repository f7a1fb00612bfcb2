"""A host of a job: its folder /opt/ml, its configuration files, its environment and its processes.

What lies where, what the configuration files hold and which variables are set:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html. How the image
starts: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html. No image runs
here: `train` is that of AWS's container code in a Python environment, which sets the SM_* variables.
"""

import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sandbox.machine import environments
from sandbox.machine.environments import Environment
from sandbox.machine.namespaces import network
from sandbox.machine.namespaces.network import Switch

PROGRAM = Path(__file__).with_name("namespaces") / "program.py"
FOLDERS = ("input/config", "input/data", "model", "output/data")
# Where the program, which starts without it, finds pyroute2.
SITE_PACKAGES = str(environments.package("pyroute2").parent)
START = 60  # seconds that a host has to start its command
# As AWS's images set it (https://github.com/aws/deep-learning-containers, tensorflow/training/docker).
IMAGE = {
    "PATH": f"{environments.PLACE}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PYTHONUNBUFFERED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SAGEMAKER_TRAINING_MODULE": "sagemaker_tensorflow_container.training:main",
}
REMEDY = (
    "as root they are allowed; on Ubuntu: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0; in a container: "
    "docker run --cap-add=SYS_ADMIN --cap-add=NET_ADMIN --security-opt apparmor=unconfined"
)


class Proxy(Protocol):
    """The way from a job to the account."""

    port: int

    def accept_from(self, listener: socket.socket) -> None: ...


class Machine:
    """What this machine allows to jobs, tried once each, and the way from a job to the account."""

    def __init__(self, proxy: Proxy, ca_bundles: Sequence[str]) -> None:
        self.proxy, self.ca_bundles = proxy, ca_bundles

    def switch(self) -> Switch:
        return Switch(sys.executable)

    @functools.cached_property
    def no_network(self) -> str | None:
        """Why hosts cannot have a network of their own, or None."""
        try:
            self.switch().close()
        except OSError as error:
            return f"this machine allows no network namespaces ({error}): {REMEDY}"
        return None

    @functools.cached_property
    def no_jobs(self) -> str | None:
        """Why no job can run at all, or None."""
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            try:
                switch = None
                if self.no_network is None:
                    switch = stack.enter_context(contextlib.closing(self.switch()))
                host = Host(Path(folder) / "host", 0, ["algo-1"], self)
                stack.callback(host.close)
                host.start(["/bin/sh", "-c", ":"], environments.own(), {}, switch)
                host.process.wait()
            except OSError as error:
                return f"this machine allows no namespaces ({error}): {REMEDY}"
        return None


def plan(resources: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """ResourceConfig -> [(host name, instance type, group name)]"""
    groups = resources.get("InstanceGroups") or [{"InstanceGroupName": "homogeneousCluster", **resources}]
    kinds = [
        (group["InstanceType"], group["InstanceGroupName"])
        for group in groups
        for _ in range(group.get("InstanceCount", 1))
    ]
    return [(f"algo-{number}", *kind) for number, kind in enumerate(kinds, 1)]


def resource_config(hosts: Sequence[tuple[str, str, str]], name: str) -> dict[str, Any]:
    """The content of resourceconfig.json on the host of this name."""
    [(kind, group)] = [rest for host, *rest in hosts if host == name]
    groups: dict[str, Any] = {}
    for host, its_kind, its_group in hosts:
        entry = {"instance_group_name": its_group, "instance_type": its_kind, "hosts": []}
        groups.setdefault(its_group, entry)["hosts"].append(host)
    return {
        "current_host": name,
        "current_instance_type": kind,
        "current_group_name": group,
        "hosts": sorted(host for host, *_ in hosts),
        "instance_groups": list(groups.values()),
        "network_interface_name": "eth0",
    }


class Host:
    """Host number 0, 1, … of those with these names; `folder` is its own and empty. `folders`: what /opt/ml holds."""

    process: subprocess.Popen[bytes]  # from the start on, and so is the socket to the program that starts it
    control: socket.socket

    def __init__(
        self, folder: Path, number: int, names: Sequence[str], machine: Machine, folders: Sequence[str] = FOLDERS
    ) -> None:
        self.name, self.number, self.folder, self.machine = names[number], number, folder, machine
        self.ml, self.started = folder / "ml", False
        self.listener: socket.socket | None = None
        # The folders of its own that a job sees at these paths.
        self.mounts = {path: folder / name for path, name in (("/opt/ml", "ml"), ("/tmp", "tmp"), ("/root", "home"))}
        self.mounts["/var/tmp"] = folder / "var-tmp"
        for place in (*self.mounts.values(), *(self.ml / name for name in folders)):
            place.mkdir(parents=True, exist_ok=True)
        for name in ("root", "overlay/upper", "overlay/work"):
            (folder / name).mkdir(parents=True)
        self.names, self.connecting = names, threading.Lock()

    def write_config(self, **files: Any) -> None:
        for name, content in files.items():
            (self.ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))

    def path(self, wanted: str) -> Path:
        """A folder of the job's, by its path in the job -> where it lies on this machine; made where it is new."""
        for path, place in self.mounts.items():
            if wanted == path or wanted.startswith(f"{path}/"):
                return place / os.path.relpath(wanted, path)
        self.mounts[wanted] = self.folder / f"mount-{len(self.mounts)}"
        self.mounts[wanted].mkdir()
        return self.mounts[wanted]

    def start(
        self,
        command: Sequence[str],
        environment: Environment,
        variables: Mapping[str, str],
        switch: Switch | None,
        isolated: bool = False,
        read_only: Sequence[str] = (),
        visible: Sequence[str] = (),
        serves: int | None = None,
    ) -> None:
        """Start a command in an environment, or raise OSError. `isolated`: without a way to the account; `visible`:
        more paths of this machine that it needs; `serves`: the port on which it will listen, for `connect`."""
        table = "".join(
            f"{network.address(number) if switch else '127.0.0.1'} {name}\n" for number, name in enumerate(self.names)
        )
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n" + table)
        mounts = {**self.mounts, "/etc/hosts": self.folder / "hosts"}
        descriptors = dict(switch.descriptors) if switch else {}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        specification = {
            "parent": os.getpid(),
            "control": theirs.fileno(),
            "site_packages": SITE_PACKAGES,
            "switch": descriptors,
            "port": 0 if isolated else self.machine.proxy.port,
            "serves": serves,
            "number": self.number,
            "name": self.name,
            "command": command,
            "root": {
                "at": str(self.folder / "root"),
                "mounts": {path: str(place) for path, place in mounts.items()},
                "visible": [*environment.visible, *visible, *self.machine.ca_bundles],
                "packages": environment.prefix,
                "environment": environments.PLACE,
                "overlay": str(self.folder / "overlay"),
                "read_only": list(read_only),
            },
        }
        self.control = ours
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(PROGRAM), json.dumps(specification)],
                env={**IMAGE, **variables},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno(), *descriptors.values()],
                start_new_session=True,  # Ctrl-C in the terminal is the client's, not the job's
            )
            theirs.close()
        self.started = True
        ours.settimeout(START)
        self.listener = self.receive("it ended before its command began")
        if self.listener:
            self.machine.proxy.accept_from(self.listener)

    def receive(self, silence: str) -> socket.socket | None:
        """What the program in the host answers -> the socket that it hands over, or None; OSError where it cannot."""
        message, received, _, _ = socket.recv_fds(self.control, 1 << 16, 1)
        if problem := json.loads(message or "{}").get("error", silence if not message else None):
            raise OSError(problem)
        return socket.socket(fileno=received[0]) if received else None

    def connect(self) -> socket.socket:
        """A connection to the port that the command serves, made in the host's own network; OSError where none is."""
        with self.connecting:
            self.control.send(b"connect")
            connection = self.receive("the host has ended")
        if connection is None:
            raise OSError("the host has no such port")
        return connection

    def stop(self) -> None:
        """Signal the command alone, as `docker stop` does."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End every process of the host."""
        self.process.send_signal(signal.SIGINT)

    def kill_and_wait(self) -> None:
        if self.started:
            if self.process.poll() is None:
                self.kill()
            self.process.wait()

    def close(self) -> None:
        """Leave nothing running, and nothing open."""
        self.kill_and_wait()
        if self.started and self.process.stdout:
            self.process.stdout.close()
        if self.listener:
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        if self.started:
            self.control.close()
