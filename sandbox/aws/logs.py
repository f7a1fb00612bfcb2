"""CloudWatch as a job's host writes it: a stream of its log, line by line, and metrics.

https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
"""

import contextlib
import os
import time
from collections.abc import Callable
from typing import IO

from moto.core.utils import utcnow

from sandbox.aws import backends
from sandbox.aws.role import Role


def put_metric(region: str, namespace: str, name: str, dimensions: list[tuple[str, str]], value: float) -> None:
    """`dimensions`: [(name, value)]"""
    datum = {"MetricName": name, "Value": value, "Timestamp": utcnow()}
    datum["Dimensions"] = [{"Name": key, "Value": text} for key, text in dimensions]
    backends.metrics(region).put_metric_data(namespace, [datum])


class Log:
    """The stream of one host. A role without the right to write it has a job without a log, as on AWS."""

    def __init__(self, region: str, group: str, stream: str, role: Role) -> None:
        self.region, self.group, self.stream = region, group, stream
        self.permitted = role.may_log(region, group, stream)
        if self.permitted:
            backends.logs(region).ensure_log_group(group)
            backends.logs(region).ensure_log_stream(group, stream)

    def follow(self, pipe: IO[bytes], each_line: Callable[[str], None] = lambda text: None) -> None:
        """Copy a pipe to the stream until its last writer has closed it; also hand each line to `each_line`."""
        rest = b""
        while chunk := os.read(pipe.fileno(), 1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            self.write(lines, each_line)
        self.write([rest], each_line)

    def write(self, lines: list[bytes], each_line: Callable[[str], None] = lambda text: None) -> None:
        now, texts = int(time.time() * 1000), [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        # CloudWatch knows no empty message.
        events: list[dict[str, int | str]] = [{"timestamp": now, "message": text} for text in texts if text]
        for text in filter(None, texts):
            each_line(text)
        if events and self.permitted:
            with contextlib.suppress(Exception):  # somebody deleted the stream
                backends.logs(self.region).put_log_events(self.group, self.stream, events)
