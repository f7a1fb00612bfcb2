"""The log of a host: what its processes print, line by line, while they print it, and the metrics in it.

SageMaker sends it to the stream JOB/algo-N-TIMESTAMP of the log group /aws/sagemaker/TrainingJobs
(https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html), and applies the regular expressions of the
job's metric definitions to it: what they find goes to CloudWatch's metrics of the same name
(https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html).
"""

import contextlib
import math
import os
import re
import time
from datetime import datetime

from sandbox.account import backend

GROUP = NAMESPACE = "/aws/sagemaker/TrainingJobs"


def stream(job, host):
    """The name of a stream of a training job."""
    return f"{job}/{host}-{int(time.time())}"


class Log:
    """The stream of one host. A role without the right to write it has a job without a log, as on AWS."""

    def __init__(self, region, group, stream, role):
        self.region, self.group, self.stream = region, group, stream
        self.permitted = role.may_log(region, group, stream)
        if self.permitted:
            backend.open_stream(region, group, stream)

    def follow(self, pipe, each_line=lambda text: None):
        """Copy a pipe to the stream until its last writer has closed it; also hand each line to `each_line`."""
        rest = b""
        while chunk := os.read(pipe.fileno(), 1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            self.write(lines, each_line)
        self.write([rest], each_line)

    def write(self, lines, each_line=lambda text: None):
        now, texts = int(time.time() * 1000), [line.decode("utf-8", "replace").rstrip("\r") for line in lines]
        events = [{"timestamp": now, "message": text} for text in texts if text]  # CloudWatch knows no empty message
        for event in events:
            each_line(event["message"])
        if events and self.permitted:
            backend.put_log_events(self.region, self.group, self.stream, events)


class Metrics:
    """The values of every metric that the job defines: the last one here, all of them in CloudWatch."""

    def __init__(self, region, job, definitions, role):
        self.patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
        self.region, self.dimensions, self.role, self.last = region, [("TrainingJobName", job)], role, {}

    def see(self, line):
        for name, pattern in self.patterns:
            with contextlib.suppress(ValueError, IndexError, TypeError):
                for found in pattern.finditer(line):
                    value = float(found.group(1))
                    if math.isfinite(value):  # CloudWatch takes no NaN, as a loss can become
                        self.keep(name, value)

    def keep(self, name, value):
        self.last[name] = {"MetricName": name, "Value": value, "Timestamp": datetime.now().astimezone()}
        if self.role.may("cloudwatch:PutMetricData", "*"):
            backend.put_metric(self.region, NAMESPACE, name, self.dimensions, value)
