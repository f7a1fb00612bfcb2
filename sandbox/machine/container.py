"""A host of a job: its folder /opt/ml, its configuration files, its environment and its processes.

What lies where, what the configuration files hold and which variables are set:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html. How the image
starts: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html. No image runs
here: `train` is that of AWS's container code in a Python environment, which sets the SM_* variables.
"""

import contextlib
import functools
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from sandbox.machine import filesystem, images, network

PROGRAM = Path(__file__).with_name("host.py")
FOLDERS = ("input/config", "input/data", "model", "output/data")
# Where host.py, which starts without it, finds pyroute2.
SITE_PACKAGES = str(Path(importlib.util.find_spec("pyroute2").origin).parents[1])
START = 60  # seconds that a host has to start its command
# As AWS's images set it (https://github.com/aws/deep-learning-containers, tensorflow/training/docker).
IMAGE = {
    "PATH": f"{filesystem.ENVIRONMENT}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
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


class Machine:
    """What this machine allows to jobs, tried once each, and the way from a job to the account."""

    def __init__(self, proxy, ca_bundles):
        self.proxy, self.ca_bundles = proxy, ca_bundles

    def switch(self):
        return network.Switch(sys.executable)

    @functools.cached_property
    def no_network(self):
        """Why hosts cannot have a network of their own, or None."""
        try:
            self.switch().close()
        except OSError as error:
            return f"this machine allows no network namespaces ({error}): {REMEDY}"
        return None

    @functools.cached_property
    def no_jobs(self):
        """Why no job can run at all, or None."""
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            try:
                switch = None
                if self.no_network is None:
                    switch = stack.enter_context(contextlib.closing(self.switch()))
                host = Host(Path(folder) / "host", 0, ["algo-1"], self)
                stack.callback(host.close)
                host.start(["/bin/sh", "-c", ":"], images.own(), {}, switch)
                host.process.wait()
            except OSError as error:
                return f"this machine allows no namespaces ({error}): {REMEDY}"
        return None


def plan(resources):
    """ResourceConfig -> [(host name, instance type, group name)]"""
    groups = resources.get("InstanceGroups") or [{"InstanceGroupName": "homogeneousCluster", **resources}]
    kinds = [
        (group["InstanceType"], group["InstanceGroupName"])
        for group in groups
        for _ in range(group.get("InstanceCount", 1))
    ]
    return [(f"algo-{number}", *kind) for number, kind in enumerate(kinds, 1)]


def resource_config(hosts, name):
    """The content of resourceconfig.json on the host of this name."""
    [(kind, group)] = [rest for host, *rest in hosts if host == name]
    groups = {}
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
    """Host number 0, 1, … of those with these names; `folder` is its own and empty. `inside`: what /opt/ml holds."""

    def __init__(self, folder, number, names, machine, inside=FOLDERS):
        self.name, self.number, self.folder, self.machine = names[number], number, folder, machine
        self.ml, self.process, self.listener, self.control = folder / "ml", None, None, None
        self.own = {path: folder / name for path, name in (("/opt/ml", "ml"), ("/tmp", "tmp"), ("/root", "home"))}
        self.own["/var/tmp"] = folder / "var-tmp"
        for place in (*self.own.values(), *(self.ml / name for name in inside)):
            place.mkdir(parents=True, exist_ok=True)
        for name in ("root", "aside/upper", "aside/work"):
            (folder / name).mkdir(parents=True)
        self.names, self.connecting = names, threading.Lock()

    def write_config(self, **files):
        for name, content in files.items():
            (self.ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))

    def path(self, inside):
        """A folder of the job's, by its path in the job -> where it lies on this machine; made where it is new."""
        for path, place in self.own.items():
            if inside == path or inside.startswith(f"{path}/"):
                return place / os.path.relpath(inside, path)
        self.own[inside] = self.folder / f"own-{len(self.own)}"
        self.own[inside].mkdir()
        return self.own[inside]

    def start(self, command, environment, variables, switch, isolated=False, read_only=(), shown=(), serves=None):
        """Start a command in an environment, or raise OSError; `isolated`: without a way to the account; `shown`: more
        paths of this machine that it needs; `serves`: the port on which it will listen, for `connect`."""
        table = "".join(
            f"{network.address(number) if switch else '127.0.0.1'} {name}\n" for number, name in enumerate(self.names)
        )
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n" + table)
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
                "own": {path: str(place) for path, place in {**self.own, "/etc/hosts": self.folder / "hosts"}.items()},
                "shown": [*environment.shown, *shown, *self.machine.ca_bundles],
                "packages": environment.prefix,
                "aside": str(self.folder / "aside"),
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
        ours.settimeout(START)
        self.listener = self.receive("it ended before its command began")
        if self.listener:
            self.machine.proxy.accept_from(self.listener)

    def receive(self, silence):
        """What the program in the host answers -> the socket that it hands over, or None; OSError where it cannot."""
        message, received, _, _ = socket.recv_fds(self.control, 1 << 16, 1)
        if problem := json.loads(message or "{}").get("error", silence if not message else None):
            raise OSError(problem)
        return socket.socket(fileno=received[0]) if received else None

    def connect(self):
        """A connection to the port that the command serves, made in the host's own network; OSError where none is."""
        with self.connecting:
            self.control.send(b"connect")
            return self.receive("the host has ended")

    def stop(self):
        """Signal the command alone, as `docker stop` does."""
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        """End every process of the host."""
        self.process.send_signal(signal.SIGINT)

    def kill_and_wait(self):
        if self.process:
            if self.process.poll() is None:
                self.kill()
            self.process.wait()

    def close(self):
        """Leave nothing running, and nothing open."""
        self.kill_and_wait()
        if self.process:
            self.process.stdout.close()
        if self.listener:
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
        if self.control:
            self.control.close()
