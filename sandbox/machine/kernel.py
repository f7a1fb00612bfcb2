"""Calls of Linux that Python's library lacks: namespaces(7), mount(2), mount_setattr(2), pivot_root(2), prctl(2).

Every function raises OSError with the name of the call that the kernel refused.
"""

import contextlib
import ctypes
import os
from typing import Any

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWUSER = 0x20000, 0x4000000, 0x10000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_NOSUID, MS_NOEXEC, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE = 2, 8, 4096, 8192, 16384, 1 << 18
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER = 1, 24, 36
SYS_MOUNT_SETATTR = 442  # the same number on x86-64 and arm64
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY, MNT_DETACH = -100, 0x8000, 1, 2
# The capabilities of a container, by their numbers in linux/capability.h:
# https://docs.docker.com/engine/containers/run/#runtime-privilege-and-linux-capabilities
CONTAINER_CAPABILITIES = {0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31}
libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: Any, what: str | None = None) -> None:
    if getattr(libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what or name}: {os.strerror(number)}")


def mount(source: str, target: str, flags: int = 0, kind: str | None = None, data: str | None = None) -> None:
    encoded = [None if word is None else os.fsencode(word) for word in (source, target, kind, data)]
    call("mount", encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3], what=f"mount {kind or target}")


def make_private() -> None:
    """Keep what is mounted from now on to this mount namespace."""
    mount("none", "/", MS_REC | MS_PRIVATE)


def make_read_only(path: str) -> None:
    """Make a mount and all below it read only; needs Linux 5.12."""
    attributes = (ctypes.c_uint64 * 4)(MOUNT_ATTR_RDONLY, 0, 0, 0)
    arguments = AT_FDCWD, os.fsencode(path), AT_RECURSIVE, attributes, ctypes.sizeof(attributes)
    call("syscall", SYS_MOUNT_SETATTR, *arguments, what=f"mount_setattr {path}")


def change_root(path: str) -> None:
    """Make a mount the root of this mount namespace, and let go of the old one, or hide it."""
    os.chdir(path)
    try:
        call("pivot_root", b".", b".")
    except OSError:  # which Docker refuses to every container: then it lies over the old one
        mount(".", "/", MS_MOVE)
        os.chroot(".")
    else:
        call("umount2", b".", MNT_DETACH)
    os.chdir("/")


def unshare(flags: int, user: int = 0, group: int = 0) -> None:
    """Enter new namespaces: with root's rights, or in a user namespace of our own, as this user and group of it."""
    outside = os.getuid(), os.getgid()
    if outside[0] == 0:
        with contextlib.suppress(OSError):
            call("unshare", flags)
            return
    call("unshare", flags | CLONE_NEWUSER, what="unshare (user namespaces)")
    ids = ("uid_map", f"{user} {outside[0]} 1"), ("gid_map", f"{group} {outside[1]} 1")
    for name, content in (("setgroups", "deny"), *ids):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)


def enter(descriptor: int, kind: int) -> None:
    """Enter a namespace of this kind, which is open under this descriptor."""
    call("setns", descriptor, kind)


def die_with_parent(number: int) -> None:
    call("prctl", PR_SET_PDEATHSIG, number, 0, 0, 0)


def adopt_orphans() -> None:
    call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def drop_capabilities() -> None:
    """What is executed from now on has no more rights than root in a container."""
    for number in range(64):
        if number not in CONTAINER_CAPABILITIES and libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            break  # the kernel knows no more of them
