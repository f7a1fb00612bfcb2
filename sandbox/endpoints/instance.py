"""One instance of an endpoint: a container that serves a model, started again where it ends, and requests to it.

What a container gets and must answer: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html.
AWS's container for TensorFlow starts its server again where that ends; meanwhile requests get its nginx's answer:
https://github.com/aws/sagemaker-tensorflow-serving-container/blob/master/docker/build_artifacts/sagemaker/serve.py.
"""

import contextlib
import http.client
import secrets
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import log
from sandbox.aws.logs import Log
from sandbox.aws.role import Role
from sandbox.machine import environments, folders
from sandbox.machine.hosts import Host, Machine

PROGRAM = Path(__file__).parents[1] / "serving" / "server.py"
WAITRESS = environments.package("waitress")
COMMAND = [f"{environments.PLACE}/bin/python", str(PROGRAM), str(WAITRESS.parent)]
VISIBLE = [str(PROGRAM.parent), str(WAITRESS)]
PORT = 8080
LONGEST = 60  # seconds that a request may take, and a ping as well: at its start, a server may be slow
PAUSE = 0.1  # seconds between two pings, and before a server that has ended starts again
BAD_GATEWAY = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    "<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


@dataclass
class Served:
    """What an instance needs of a model."""

    image: str
    environment: dict[str, str]
    folder: Path


class Connections:
    """The connections to one server: as many as there are requests at once, each used again and again."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.idle: list[http.client.HTTPConnection] = []

    def request(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> tuple[int, Any, bytes]:
        """-> status, headers, body; OSError or HTTPException where no whole answer comes"""
        try:
            connection = self.idle.pop()
        except IndexError:
            connection = http.client.HTTPConnection("container", PORT)
            connection.auto_open = 0  # never to this machine's own port
            connection.sock = self.host.connect()
            connection.sock.settimeout(LONGEST)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except BaseException:
            connection.close()
            raise
        if not answer.will_close:
            self.idle.append(connection)
        return answer.status, answer.headers, content

    def close(self) -> None:
        while self.idle:
            self.idle.pop().close()


class Instance(threading.Thread):
    """A container on an instance of its own: a thread that starts it, waits for its end, and starts it again.

    `model` is what it serves: `image`, `environment` and `folder`, whose content it gets; `group` the log group.
    """

    def __init__(
        self, region: str, group: str, variant: str, role: Role, model: Served, folder: Path, machine: Machine
    ) -> None:
        super().__init__(name=folder.name, daemon=True)
        self.id = f"i-{secrets.token_hex(9)[:17]}"
        self.model, self.folder, self.machine = model, folder, machine
        self.environment, self.note = environments.environment(model.image, "endpoint")
        self.log = Log(region, group, f"{variant}/{self.id}", role)
        self.ready, self.over, self.lock = threading.Event(), threading.Event(), threading.Lock()
        # Why it never became ready: an empty text where the container says so in its log.
        self.problem: str | None = None
        self.host: Host | None = None
        self.connections: Connections | None = None
        self.in_use = 0

    def run(self) -> None:
        starts = 0
        try:
            while not self.over.is_set():
                starts += 1
                code = self.live(self.folder / str(starts))
                if not self.ready.is_set():
                    self.problem = ""
                    return
                if not self.over.is_set():
                    line = f"WARNING:__main__:unexpected tensorflow serving exit (status: {code}). restarting."
                    self.log.write([line.encode()])
                    self.over.wait(PAUSE)
        except OSError as error:
            self.problem = f"The sandbox's machine: {error.strerror or error}"
        except Exception as error:
            log.fault(f"an instance of {self.log.group}")
            self.problem = f"InternalServerError: {error}"

    def live(self, folder: Path) -> int | None:
        """One life of the container -> its exit code"""
        folder.mkdir(parents=True)
        with contextlib.ExitStack() as stack:
            stack.callback(folders.remove, folder)
            host = Host(folder, 0, ["container-0.local"], self.machine, folders=("model",))
            stack.callback(host.close)
            shutil.copytree(self.model.folder, host.ml / "model", dirs_exist_ok=True)
            switch = stack.enter_context(contextlib.closing(self.machine.switch()))
            with self.lock:
                if self.over.is_set():
                    return None
                if self.note:
                    self.log.write([self.note.encode()])
                host.start(
                    COMMAND,
                    self.environment,
                    self.model.environment,
                    switch,
                    isolated=True,
                    visible=VISIBLE,
                    serves=PORT,
                )
                self.host = host
            reader = threading.Thread(target=self.log.follow, args=(host.process.stdout,), daemon=True)
            reader.start()
            stack.callback(reader.join)
            stack.callback(host.kill_and_wait)
            connections = Connections(host)
            stack.callback(connections.close)
            if self.answers(host, connections):
                self.connections = connections
                self.ready.set()
            code = host.process.wait()
            self.connections = None
            return code

    def answers(self, host: Host, connections: Connections) -> bool:
        """Ping until the container answers -> whether it does"""
        while not self.over.is_set() and host.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if connections.request("GET", "/ping", {}, None)[0] == 200:
                    return True
            self.over.wait(PAUSE)
        return False

    def invoke(self, headers: dict[str, str], body: bytes) -> tuple[int, Any, bytes]:
        """-> status, headers, body of the container's answer; status 0 where it takes too long"""
        connections = self.connections
        try:
            if connections is not None:
                return connections.request("POST", "/invocations", headers, body)
        except TimeoutError:
            return 0, {}, TIMED_OUT.encode()
        except (OSError, http.client.HTTPException):
            pass
        return 502, {}, BAD_GATEWAY.encode()

    def end(self) -> None:
        """Let the container end; `join` waits for it."""
        self.over.set()
        with self.lock:
            if self.host and self.host.process.poll() is None:
                self.host.kill()
