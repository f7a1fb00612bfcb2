"""The program that starts one host of a job: what a container's runtime does on an instance.

SageMaker runs an image on every host with the job's folder at /opt/ml, a host name algo-1, algo-2, … and nothing else
of the machine (https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html).
Here namespaces(7) give the same without a container engine. The command is process 1 of its namespace, as in Docker: a
signal for which it has no handler does not reach it, and when it ends the kernel ends every other process.

Run as `python -I -S program.py SPECIFICATION`. It says over the socket `control` that the command begins, and hands
over a socket that listens in the host's network, or says why it cannot. SIGTERM is passed on to the command; SIGINT
ends all at once, and so does the sandbox's death. Where the command serves a port, each further message over
`control` is answered with a connection to it.
"""

import array  # noqa: F401 (send_fds() would import it too late)
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

sys.path.append(str(Path(__file__).parents[3]))
from sandbox.machine import kernel
from sandbox.machine.namespaces import filesystem, network

SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}  # held back, and taken one by one


def leave(code: int) -> NoReturn:
    os._exit(128 - code if code < 0 else code)  # 137 for a process that SIGKILL ended, as a shell says it


def execute(command: list[str]) -> NoReturn:
    """Become the command."""
    for number in SIGNALS:  # which a shell's background job ignores
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
    os._exit(127)


def hand_out(control: socket.socket, port: int) -> None:
    """Answer a message with a connection to a port of this network, or with the reason why there is none."""
    try:
        # Not create_connection(): it would import a module, and this process sees the files of the job by now.
        with socket.socket(socket.AF_INET) as connection:
            connection.settimeout(1)
            connection.connect(("127.0.0.1", port))
            connection.setblocking(True)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            socket.send_fds(control, [b"{}"], [connection.fileno()])
    except OSError as error:
        control.send(json.dumps({"error": str(error)}).encode())


def signals_and_messages(control: socket.socket) -> Iterator[int | None]:
    """The signals that come, one by one, and None for each message. (No thread could wait for either: a process whose
    children have another PID namespace starts none.)"""
    signals, wakeup = socket.socketpair()
    wakeup.setblocking(False)
    signal.set_wakeup_fd(wakeup.fileno(), warn_on_full_buffer=False)
    for number in SIGNALS:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    sources = [signals, control]
    while True:
        for source in select.select(sources, [], [])[0]:
            if source is signals:
                yield from signals.recv(64)
            elif control.recv(16):
                yield None
            else:
                sources.remove(control)


def main() -> None:
    spec = json.loads(sys.argv[1])
    sys.path.append(spec["site_packages"])
    control = socket.socket(fileno=spec["control"])
    control.set_inheritable(False)
    for descriptor in spec["switch"].values():
        os.set_inheritable(descriptor, False)
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    kernel.die_with_parent(signal.SIGINT)
    if os.getppid() != spec["parent"]:
        os._exit(1)
    listener = []
    try:
        flags = kernel.CLONE_NEWNS | kernel.CLONE_NEWUTS | kernel.CLONE_NEWPID
        if spec["switch"]:
            network.join(spec["switch"], spec["number"], flags | kernel.CLONE_NEWNET)
        else:
            kernel.unshare(flags)
        if spec["switch"] and spec["port"]:
            listener = [socket.create_server(("127.0.0.1", spec["port"]), backlog=128)]
        socket.sethostname(spec["name"])
        kernel.make_private()
        child = os.fork()
        if child == 0:
            kernel.die_with_parent(signal.SIGKILL)
            filesystem.make_root(**spec["root"])
            kernel.drop_capabilities()
            socket.send_fds(control, [b"{}"], [server.fileno() for server in listener])
            execute(spec["command"])
    except Exception as error:  # of the kernel, of pyroute2 or of the file system: all are the sandbox's to report
        control.send(json.dumps({"error": str(error)}).encode())
        os._exit(1)
    for server in listener:
        server.close()
    for number in signals_and_messages(control):
        if number is None:
            hand_out(control, spec["serves"])
        elif number != signal.SIGCHLD:
            os.kill(child, signal.SIGTERM if number == signal.SIGTERM else signal.SIGKILL)
        # After each of them: among very many, the one that says that the child has ended can get lost.
        if (ended := os.waitpid(child, os.WNOHANG))[0]:
            leave(os.waitstatus_to_exitcode(ended[1]))


if __name__ == "__main__":
    main()
