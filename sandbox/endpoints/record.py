"""What clients see of models, endpoint configurations and endpoints, and their lists.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeModel.html and those of the other two.
"""

from sandbox.account.backend import arn
from sandbox.endpoints import archive
from sandbox.training import search
from sandbox.training.record import Tagged, now

# The kinds of records: as their names are in requests and lists, in their ARNs, and in the words of the service.
KINDS = {
    "Model": ("model", "model"),
    "EndpointConfig": ("endpoint-config", "endpoint configuration"),
    "Endpoint": ("endpoint", "endpoint"),
}


class Record(Tagged):
    """A model, an endpoint configuration or an endpoint; `request` is what it was made from."""

    def __init__(self, kind, region, request):
        super().__init__(request)
        self.kind, self.region, self.request, self.name = kind, region, request, request[f"{kind}Name"]
        self.arn = arn(region, KINDS[kind][0], self.name)
        self.created = self.modified = now()
        self.status = None  # which endpoints alone have

    def summary(self):
        """Its entry in a list."""
        listed = {f"{self.kind}Name": self.name, f"{self.kind}Arn": self.arn, "CreationTime": self.created}
        if self.status:
            listed.update(LastModifiedTime=self.modified, EndpointStatus=self.status)
        return listed

    def description(self):
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


def listed(kind, records, asked):
    """The answer of a List operation."""
    found = search.select(records, {"SortOrder": "Descending", **asked})
    shown, token = search.page(found, asked, 10)
    return {f"{kind}s": [record.summary() for record in shown], **token}
