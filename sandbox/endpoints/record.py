"""What clients see of models, endpoint configurations and endpoints, and their lists.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModel.html and those of the other two.
"""

from collections.abc import Sequence
from typing import Any

from sandbox.api import paging, record
from sandbox.aws.arns import arn
from sandbox.aws.call import Members
from sandbox.endpoints import archive

# The kinds of records: as their names are in requests and lists, in their ARNs, and in the words of the service.
KINDS = {
    "Model": ("model", "model"),
    "EndpointConfig": ("endpoint-config", "endpoint configuration"),
    "Endpoint": ("endpoint", "endpoint"),
}


class Record(record.Record):
    """A model, an endpoint configuration or an endpoint; `request` is what it was made from."""

    def __init__(self, kind: str, region: str, request: Members) -> None:
        name = request[f"{kind}Name"]
        super().__init__(region, request, name, arn(region, KINDS[kind][0], name))
        self.kind, self.modified = kind, self.created
        self.status: str | None = None  # which endpoints alone have

    def summary(self) -> Members:
        """Its entry in a list."""
        listed = {f"{self.kind}Name": self.name, f"{self.kind}Arn": self.arn, "CreationTime": self.created}
        if self.status:
            listed.update(LastModifiedTime=self.modified, EndpointStatus=self.status)
        return listed

    def description(self) -> Members:
        """What Describe answers, for a model and a configuration."""
        described = {key: value for key, value in self.request.items() if key != "Tags"}
        if self.kind == "Model":
            container = archive.primary(self.request)
            source = archive.source(container)
            full = {"Mode": "SingleModel", **container}
            if source:
                full["ModelDataSource"] = {"S3DataSource": source}
            described.update({"EnableNetworkIsolation": False, **described})
            described.update({"PrimaryContainer": full} if "PrimaryContainer" in described else {"Containers": [full]})
        return {**described, f"{self.kind}Arn": self.arn, "CreationTime": self.created}


def listed(kind: str, records: Sequence[Any], asked: Members) -> Members:
    """The answer of a List operation."""
    found = paging.select(records, {"SortOrder": "Descending", **asked})
    shown, token = paging.page(found, asked, 10)
    return {f"{kind}s": [record.summary() for record in shown], **token}
