"""The files that a job sees: those of this machine, read only, and folders of its own.

A container has a file system of its own, and what a job writes outside of its volumes goes with it
(https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html). Here the root is
a folder in memory that shows what the machine's root holds.
"""

import contextlib
import os
from collections.abc import Mapping, Sequence

from sandbox.machine import kernel

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# Of the machine, not visible: its processes, devices and sockets, temporary files, and people's homes.
HIDDEN = ("proc", "dev", "run", "tmp", "root", "home")


class Tree:
    """A tree of folders being made at `at`, out of the tree at `source`; `protect` shows what is there read only."""

    def __init__(self, at: str, source: str = "", protect: bool = True) -> None:
        self.at, self.source, self.protect = at, source, protect

    def show(self, path: str) -> None:
        """Show a file or a folder at its own place."""
        there, here = self.source + path, self.at + path
        if os.path.islink(there):
            os.symlink(os.readlink(there), here)
            return
        if os.path.isdir(there):
            os.makedirs(here, exist_ok=True)
        else:
            open(here, "w").close()
        kernel.mount(there, here, kernel.MS_BIND | kernel.MS_REC)
        if self.protect:
            kernel.make_read_only(here)

    def provide(self, path: str) -> None:
        """Make sure that there is a folder, without writing to the machine."""
        if os.path.isdir(self.at + path):
            return
        parent = os.path.dirname(path)
        self.provide(parent)
        try:
            os.mkdir(self.at + path)
        except OSError:  # read only: in its place comes a folder in memory that shows all it held
            kernel.mount("tmpfs", self.at + parent, kind="tmpfs", data="mode=755")
            for name in os.listdir(self.source + parent):
                self.show(os.path.join(parent, name))
            os.mkdir(self.at + path)

    def give(self, folder: str, path: str) -> None:
        """A folder of the job's own at a path, whatever the machine has there."""
        self.provide(path)
        kernel.mount(folder, self.at + path, kernel.MS_BIND | kernel.MS_REC)


def escape(path: str) -> str:
    """A path as an option of overlayfs."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def make_devices(at: str) -> None:
    for name in DEVICES:
        open(f"{at}/dev/{name}", "w").close()
        kernel.mount(f"/dev/{name}", f"{at}/dev/{name}", kernel.MS_BIND)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink(f"/proc/self/{target}", f"{at}/dev/{name}")
    os.symlink("pts/ptmx", f"{at}/dev/ptmx")
    for name in ("pts", "shm"):
        os.mkdir(f"{at}/dev/{name}")
    kernel.mount("devpts", f"{at}/dev/pts", kernel.MS_NOSUID | kernel.MS_NOEXEC, "devpts", "newinstance,ptmxmode=0666")
    kernel.mount("tmpfs", f"{at}/dev/shm", kernel.MS_NOSUID, "tmpfs", "mode=1777")


def make_root(
    at: str,
    mounts: Mapping[str, str],
    visible: Sequence[str],
    packages: str,
    environment: str,
    overlay: str,
    read_only: Sequence[str],
) -> None:
    """Make a job's root at an empty folder, from within process 1 of its namespaces.

    mounts: {path: the job's own folder for it}; visible: paths of the machine that the job needs, wherever they lie;
    packages: the folder of the Python environment, to which a job's requirements.txt may install for this job alone,
    and which the job has at the path `environment`; overlay: a folder with `upper` and `work` for that; read_only:
    paths that are the job's own, but read only.
    """
    kernel.mount("tmpfs", at, kind="tmpfs", data="mode=755")
    tree = Tree(at)
    for name in os.listdir("/"):
        if name in HIDDEN:
            os.mkdir(f"{at}/{name}")
        else:
            tree.show(f"/{name}")
    kernel.mount("proc", f"{at}/proc", kind="proc")
    make_devices(at)
    if os.path.exists("/bin/bash"):
        # The toolkit starts scripts through sh. AWS's is bash; Debian's loses variables like SM_HP_BATCH-SIZE.
        kernel.mount("/bin/bash", at + os.path.realpath("/bin/sh"), kernel.MS_BIND)
    tree.provide(environment)
    for path, folder in sorted(mounts.items()):
        if os.path.isdir(folder):
            tree.give(folder, path)
        else:
            kernel.mount(folder, at + path, kernel.MS_BIND)
    for path in visible:
        if not os.path.exists(at + path):
            tree.provide(os.path.dirname(path))
            tree.show(path)
    upper, work = escape(f"{overlay}/upper"), escape(f"{overlay}/work")
    with contextlib.suppress(OSError):  # no overlayfs: the packages stay read only
        kernel.mount(
            "overlay", at + packages, 0, "overlay", f"lowerdir={escape(packages)},upperdir={upper},workdir={work}"
        )
    tree.give(at + packages, environment)
    for path in read_only:
        kernel.mount(at + path, at + path, kernel.MS_BIND)
        kernel.make_read_only(at + path)
    kernel.change_root(at)
