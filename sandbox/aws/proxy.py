"""The way into the account: a proxy that answers for every AWS host, and passes all other hosts through.

Both SageMaker SDKs call STS at an explicit regional address, which AWS_ENDPOINT_URL does not redirect, so requests are
caught on their way out: clients run with HTTPS_PROXY set to this proxy and AWS_CA_BUNDLE to its certificate
(https://docs.getmoto.org/en/latest/docs/proxy_mode.html).
"""

import contextlib
import io
import socket
import ssl
import sys
import threading
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import SplitResult, urlsplit, urlunsplit

from moto.moto_proxy import proxy3
from moto.s3.responses import S3Response

from sandbox import log
from sandbox.aws.certificates import encrypted

# Hosts that the proxy answers for. Any other host, a package index say, is passed through untouched.
AWS_DOMAINS = ("amazonaws.com", "amazonaws.com.cn", "api.aws", "on.aws", "awsapps.com")
# Where an instance or a container of AWS's finds its own credentials.
METADATA_ADDRESSES = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23")

TLS = b"\x16"  # the first byte of an encrypted connection


def is_aws(host: str) -> bool:
    """Whether a host name, or an address, belongs to AWS."""
    host = host.strip("[]").rstrip(".").lower()
    return host in METADATA_ADDRESSES or any(f".{host}".endswith(f".{domain}") for domain in AWS_DOMAINS)


def joined(_: Any, reader: Any) -> bytes:
    """The content of a body in chunks. moto would copy all that it has at each one: minutes for a large object."""
    if isinstance(reader, bytes):
        reader = io.BytesIO(reader or b"0")
    chunks = []
    while size := int(reader.readline(), 16):
        chunks.append(reader.read(size))
        reader.readline()
    reader.readline()
    return b"".join(chunks)


proxy3.ProxyRequestHandler.read_chunked_body = S3Response._handle_encoded_body = joined


class Handler(proxy3.ProxyRequestHandler):
    connection: socket.socket
    disable_nagle_algorithm = True  # an answer is written in parts

    def handle(self) -> None:
        if self.connection.recv(1, socket.MSG_PEEK) == TLS:  # a client that knows no proxy, see Account
            self.connection = encrypted(self.connection, "127.0.0.1")
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
        super().handle()

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        if is_aws(host):
            super().do_CONNECT()
        else:
            self.timeout = None  # a quiet connection is not a dead one
            self.connect_relay((host, int(port)))

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        if address.hostname is None or is_aws(address.hostname):
            super().do_GET()
            if self.headers.get("Host", "").startswith("runtime.sagemaker."):
                self.close_connection = False  # as AWS: encrypting a new one takes longer than most predictions
        else:
            self.pass_on(address)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET

    def pass_on(self, address: SplitResult) -> None:
        """Hand a plain HTTP request on to its host, and the answer back."""
        self.close_connection = True
        del self.headers["Proxy-Connection"], self.headers["Connection"]
        self.headers["Connection"] = "close"
        path = urlunsplit(("", "", address.path or "/", address.query, ""))
        head = f"{self.command} {path} HTTP/1.1\r\n{self.headers.as_string()}".replace("\r\n", "\n")
        try:
            with socket.create_connection((address.hostname or "", address.port or 80)) as host:
                host.sendall(head.replace("\n", "\r\n").encode("latin-1"))
                host.sendall(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                while data := host.recv(1 << 16):
                    self.wfile.write(data)
        except OSError:
            self.send_error(502)

    def finish(self) -> None:
        super().finish()
        if isinstance(self.connection, ssl.SSLSocket):
            with contextlib.suppress(OSError, ValueError):
                self.connection.settimeout(0)
                self.connection.unwrap()  # Python 3.7 takes an end without this for a broken connection
        self.connection.close()  # else an encrypted one stays open until Python collects garbage, and its client waits

    def log_message(self, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off, or speaks no TLS after all, is no fault of the sandbox's."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, ssl.SSLError)):
            log.fault("the proxy")


class Proxy:
    """The proxy on this machine's loopback, and on each socket that it is told to accept from."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        self.server = Server((host, 0), Handler)
        self.port = self.server.server_port
        self.url = f"http://{host}:{self.port}"

    def start(self) -> None:
        threading.Thread(target=self.server.serve_forever, args=[0.05], daemon=True).start()  # s: how late it closes

    def accept_from(self, listener: socket.socket) -> None:
        """Also answer on a listening socket, that of another network namespace say, until it is shut down."""

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    self.server.process_request(*listener.accept())

        threading.Thread(target=serve, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
