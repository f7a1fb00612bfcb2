"""Where the log of a training job's host goes, and the metrics that are found in it.

SageMaker sends the log to the stream JOB/algo-N-TIMESTAMP of the log group /aws/sagemaker/TrainingJobs, and applies the
regular expressions of the job's metric definitions to it: what they find goes to CloudWatch's metrics of the same name
(https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html).
"""

import contextlib
import math
import re
import time
from collections.abc import Sequence
from typing import Any

from sandbox.api.record import now
from sandbox.aws.call import Members
from sandbox.aws.logs import put_metric
from sandbox.aws.role import Role

GROUP = NAMESPACE = "/aws/sagemaker/TrainingJobs"


def stream(job: str, host: str) -> str:
    """The name of a stream of a training job."""
    return f"{job}/{host}-{int(time.time())}"


class Metrics:
    """The values of every metric that the job defines: the last one here, all of them in CloudWatch."""

    def __init__(self, region: str, job: str, definitions: Sequence[Members], role: Role) -> None:
        self.patterns = [(definition["Name"], re.compile(definition["Regex"])) for definition in definitions]
        self.region, self.dimensions, self.role = region, [("TrainingJobName", job)], role
        self.last: dict[str, dict[str, Any]] = {}

    def see(self, line: str) -> None:
        for name, pattern in self.patterns:
            with contextlib.suppress(ValueError, IndexError, TypeError):
                for found in pattern.finditer(line):
                    value = float(found.group(1))
                    if math.isfinite(value):  # CloudWatch takes no NaN, as a loss can become
                        self.keep(name, value)

    def keep(self, name: str, value: float) -> None:
        self.last[name] = {"MetricName": name, "Value": value, "Timestamp": now()}
        if self.role.may("cloudwatch:PutMetricData", "*"):
            put_metric(self.region, NAMESPACE, name, self.dimensions, value)
