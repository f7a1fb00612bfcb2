"""A network for the hosts of one job: each has a loopback and an eth0 of its own, and a bridge between them.

On AWS the containers of a job reach each other by their names, over eth0 (network_interface_name in
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html). Here every host
is in a network namespace (network_namespaces(7)), and a veth(4) pair joins it to the bridge in that of a switch.

Run as `python -I -S network.py`, this file makes a switch, says so, and ends when its standard input does:
whoever holds the namespace open keeps it.
"""

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

BRIDGE = "br0"
SIOCSIFFLAGS, SIOCBRADDBR, IFF_UP, IFF_MULTICAST = 0x8914, 0x89A0, 0x1, 0x1000  # netdevice(7), linux/sockios.h


def address(number: int) -> str:
    """The address of host number 0, 1, …"""
    return f"10.0.0.{number + 1}"


class Switch:
    """The network of a job; `descriptors` are its namespaces, for a host's program to enter."""

    def __init__(self, python: str) -> None:
        command = [python, "-I", "-S", str(Path(__file__))]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, text=True, start_new_session=True, stdin=pipe, stdout=pipe, stderr=pipe
        ) as process:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                _, problem = process.communicate()
                raise OSError(problem.strip().splitlines()[-1] if problem.strip() else "it ended")
            self.descriptors = {
                kind: os.open(f"/proc/{process.pid}/ns/{kind}", os.O_RDONLY | os.O_CLOEXEC) for kind in ("user", "net")
            }

    def close(self) -> None:
        for descriptor in self.descriptors.values():
            os.close(descriptor)


def make_switch() -> None:
    """Enter a network namespace with a bridge in it; pyroute2's import would take five times as long as all this."""
    from sandbox.machine import kernel

    kernel.unshare(kernel.CLONE_NEWNET)
    with socket.socket() as network:
        fcntl.ioctl(network, SIOCBRADDBR, BRIDGE.encode() + b"\0")
        fcntl.ioctl(network, SIOCSIFFLAGS, struct.pack("16sH14x", BRIDGE.encode(), IFF_UP | IFF_MULTICAST))


def join(descriptors: dict[str, int], number: int, flags: int) -> None:
    """Enter new namespaces, CLONE_NEWNET among them, whose eth0 is joined to a switch."""
    from pyroute2 import IPRoute

    from sandbox.machine import kernel

    if os.stat(descriptors["user"]).st_ino != os.stat("/proc/self/ns/user").st_ino:
        kernel.enter(descriptors["user"], kernel.CLONE_NEWUSER)
    kernel.enter(descriptors["net"], kernel.CLONE_NEWNET)
    with IPRoute() as switch:
        kernel.call("unshare", flags)
        port = f"port{number}"
        switch.link("add", ifname=port, kind="veth", peer={"ifname": "eth0", "net_ns_pid": os.getpid()})
        [bridge], [index] = switch.link_lookup(ifname=BRIDGE), switch.link_lookup(ifname=port)
        switch.link("set", index=index, master=bridge, state="up")
    with IPRoute() as own:
        own.link("set", index=own.link_lookup(ifname="lo")[0], state="up")
        [index] = own.link_lookup(ifname="eth0")
        own.addr("add", index=index, address=address(number), prefixlen=24)
        own.link("set", index=index, state="up")


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[3]))
    try:
        make_switch()
    except OSError as error:
        sys.exit(str(error.args[-1]))
    print("ready", flush=True)
    sys.stdin.read()
