"""The first process of one host of a training job: what a container's runtime does on an instance.

SageMaker runs an image on every host with the job's folder at /opt/ml, a host name algo-1, algo-2, … and nothing else
of the machine (https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html).
Here namespaces(7) give the same paths and names without a container engine. Where the kernel does not allow them the
command runs as it is, and SAGEMAKER_BASE_DIR tells the toolkit where its folder lies.

Run as `python -I -S host.py SPECIFICATION`, so that it starts in milliseconds; it uses the standard library alone.
SIGTERM asks the job's processes to end and waits for them; SIGINT ends them at once, and so does the sandbox's death.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x4000000, 0x10000000, 0x20000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
SIGNALS = {signal.SIGTERM, signal.SIGINT}  # held back until there is something to hand them to
libc = ctypes.CDLL(None, use_errno=True)


def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, flags, kind=None, data=None):
    call("mount", os.fsencode(source), os.fsencode(target), kind, flags, data and os.fsencode(data))


def die_with_parent(number):
    call("prctl", PR_SET_PDEATHSIG, number, 0, 0, 0)


def unshare(flags=CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID, new_user=0, new_group=0):
    """Enter new namespaces: with root's rights, or in a user namespace of our own, as this user and group of it."""
    user, group = os.getuid(), os.getgid()
    if user == 0:
        with contextlib.suppress(OSError):
            return call("unshare", flags)
    call("unshare", flags | CLONE_NEWUSER)
    ids = ("uid_map", f"{new_user} {user} 1"), ("gid_map", f"{new_group} {group} 1")
    for name, content in (("setgroups", "deny"), *ids):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(content)


def make_folder(path, aside):
    """Provide a folder to mount on without writing to the machine's own file system: its parent becomes a folder in
    memory that holds everything it held, and the new folder. `aside` is an empty folder to work with."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    mount(parent, aside, MS_BIND | MS_REC)
    mount("tmpfs", parent, 0, b"tmpfs")
    for name in os.listdir(aside):
        source, target = os.path.join(aside, name), os.path.join(parent, name)
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
            continue
        if os.path.isdir(source):
            os.mkdir(target)
        else:
            open(target, "w").close()
        mount(source, target, MS_BIND | MS_REC)
    os.mkdir(path)


def protect(path):
    """Make a folder read only."""
    mount(path, path, MS_BIND)
    with contextlib.suppress(OSError):  # in a user namespace the flags of the mount below may forbid it
        mount(path, path, MS_BIND | MS_REMOUNT | MS_RDONLY)


def isolate(spec):
    """Give the processes to come their own /opt/ml, host name, /etc/hosts and process ids."""
    unshare()
    socket.sethostname(spec["name"])
    mount("none", "/", MS_REC | MS_PRIVATE)
    make_folder("/opt/ml", f"{spec['aside']}/parent")
    for path in spec["read_only"]:
        protect(path)
    mount(spec["folder"], "/opt/ml", MS_BIND | MS_REC)
    mount(spec["hosts"], "/etc/hosts", MS_BIND)
    # A job's requirements.txt installs for this job alone: on top of the packages, or not at all.
    packages, aside = spec["packages"], spec["aside"]
    try:
        mount("overlay", packages, 0, b"overlay", f"lowerdir={packages},upperdir={aside}/upper,workdir={aside}/work")
    except OSError:
        protect(packages)
    child = os.fork()
    if child:
        signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
        signal.signal(signal.SIGINT, lambda *_: os.kill(child, signal.SIGKILL))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        leave(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    die_with_parent(signal.SIGKILL)  # and with process 1 the kernel ends every other process of its namespace
    mount("proc", "/proc", 0, b"proc")


def leave(code):
    os._exit(128 - code if code < 0 else code)  # 137 for a process that SIGKILL ended, as a shell says it


def start(command):
    """Start the command in a process group of its own -> its process id."""
    child = os.fork()
    if child == 0:
        try:
            for number in SIGNALS:  # which a shell's background job ignores
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            os.setpgid(0, 0)
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        os._exit(127)
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    return child


def main():
    spec = json.loads(sys.argv[1])
    isolated, stopping, code = spec["isolated"], False, 1
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    die_with_parent(signal.SIGINT)
    if os.getppid() != spec["parent"]:
        os._exit(1)
    if isolated:
        isolate(spec)
    else:
        call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def signal_all(number):
        with contextlib.suppress(OSError):
            os.kill(-1, number) if isolated else os.killpg(command, number)

    def stop(number, _):
        nonlocal stopping
        stopping = True
        signal_all(signal.SIGKILL if number == signal.SIGINT else number)

    command = start(spec["command"])
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    with contextlib.suppress(ChildProcessError):  # nobody is left
        while True:
            process, status = os.wait()
            if process == command:
                code = os.waitstatus_to_exitcode(status)
                if not stopping:
                    break
    signal_all(signal.SIGKILL)  # what the command started and left
    leave(code)


if __name__ == "__main__":
    main()
