"""A host of a job: its folder /opt/ml, its configuration files, its environment and its processes.

What lies where, what the configuration files hold and which variables are set:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html. How the image
starts: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html. No image runs
here: `train` is that of AWS's training toolkit in this Python environment, which sets the SM_* variables.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

PROGRAM = Path(__file__).with_name("host.py")
TRAIN = [sys.executable, str(Path(__file__).with_name("toolkit.py"))]
FOLDERS = ("input/config", "input/data", "model", "output/data")
# As in sandbox/Dockerfile; and where an image would have a home folder of its own, a job has one, too.
IMAGE = {"PYTHONUNBUFFERED": "1", "TF_CPP_MIN_LOG_LEVEL": "2", "LANG": "C.UTF-8"}


@functools.cache
def isolated():
    """Whether this machine allows namespaces: tried once, with a command that does nothing."""
    with tempfile.TemporaryDirectory() as folder:
        process = Host(Path(folder), "algo-1", "127.0.0.1 algo-1\n").start(["/bin/sh", "-c", ":"], {}, isolated=True)
        process.communicate()
        return process.returncode == 0


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
    """One host; `folder` is its own and empty. `hosts` is the content of its /etc/hosts."""

    def __init__(self, folder, name, hosts):
        self.name, self.folder, self.ml = name, folder, folder / "ml"
        for inside in (*(f"ml/{name}" for name in FOLDERS), "aside/parent", "aside/upper", "aside/work", "home", "tmp"):
            (folder / inside).mkdir(parents=True)
        (folder / "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n" + hosts)
        self.process = None

    def write_config(self, **files):
        for name, content in files.items():
            (self.ml / "input" / "config" / f"{name}.json").write_text(json.dumps(content))

    def path(self, inside):
        """A path below /opt/ml as the sandbox sees it."""
        return self.ml / os.path.relpath(inside, "/opt/ml")

    def start(self, command, environment, isolated, read_only=()):
        environment = {
            "PATH": os.pathsep.join((os.path.dirname(sys.executable), os.environ.get("PATH", ""), os.defpath)),
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")),
            **IMAGE,
            **{name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
            # Without namespaces the toolkit has to be told where its folder is, and not to wait for the host's name.
            **({} if isolated else {"SAGEMAKER_BASE_DIR": str(self.ml), "SM_STUDIO_LOCAL_MODE": "True"}),
            **environment,
        }
        specification = {
            "parent": os.getpid(),
            "isolated": isolated,
            "name": self.name,
            "folder": str(self.ml),
            "aside": str(self.folder / "aside"),
            "hosts": str(self.folder / "hosts"),
            "packages": sysconfig.get_path("purelib"),
            "read_only": [str(self.path(path)) for path in read_only],
            "command": command,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(PROGRAM), json.dumps(specification)],
            env=environment,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C in the terminal is the client's, not the job's
        )
        return self.process

    def stop(self):
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        self.process.send_signal(signal.SIGINT)
