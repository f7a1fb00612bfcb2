"""The log of a host: what its processes print, line by line, while they print it.

SageMaker sends it to the stream JOB/algo-N-TIMESTAMP of the log group /aws/sagemaker/TrainingJobs
(https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html), and applies the regular expressions of the
job's metric definitions to it (https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html).
"""

import contextlib
import os
import re
import time
from datetime import datetime

from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.logs.models import logs_backends

GROUP = "/aws/sagemaker/TrainingJobs"
ACTIONS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")


class Log:
    """The stream of one host. A role without the right to write it has a job without a log, as on AWS."""

    def __init__(self, region, job, host, role):
        self.backend = logs_backends[ACCOUNT_ID][region]
        self.stream = f"{job}/{host}-{int(time.time())}"
        arn = f"arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:{GROUP}:log-stream:{self.stream}"
        self.permitted = all(role.may(action, arn) for action in ACTIONS)
        if self.permitted:
            self.backend.ensure_log_group(GROUP)
            self.backend.ensure_log_stream(GROUP, self.stream)

    def follow(self, pipe, each_line):
        """Copy a pipe to the stream until its last writer has closed it; also hand each line to `each_line`."""
        rest = b""
        while chunk := os.read(pipe.fileno(), 1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            self.write(lines, each_line)
        self.write([rest], each_line)

    def write(self, lines, each_line):
        now, texts = int(time.time() * 1000), [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        events = [{"timestamp": now, "message": text} for text in texts if text]  # CloudWatch knows no empty message
        for event in events:
            each_line(event["message"])
        if events and self.permitted:
            with contextlib.suppress(Exception):  # somebody deleted the stream
                self.backend.put_log_events(GROUP, self.stream, events)


class Metrics:
    """The last value of every metric that the job defines."""

    def __init__(self, definitions):
        self.patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
        self.last = {}

    def see(self, line):
        for name, pattern in self.patterns:
            with contextlib.suppress(ValueError, IndexError, TypeError):
                for found in pattern.finditer(line):
                    value = {
                        "MetricName": name,
                        "Value": float(found.group(1)),
                        "Timestamp": datetime.now().astimezone(),
                    }
                    self.last[name] = value
