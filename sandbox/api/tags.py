"""Tags: what AWS refuses of them, and SageMaker's operations on the tags of everything that can have some.

https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html
"""

from collections.abc import Sequence
from typing import Protocol

from sandbox.api import paging, table
from sandbox.api.record import Record
from sandbox.aws.call import Members, SageMakerCall
from sandbox.aws.errors import refuse


def check_tags(tags: Sequence[dict[str, str]]) -> None:
    """Refuse what AWS's services refuse of tags."""
    keys = [tag["Key"] for tag in tags]
    for key in keys:
        if key.lower().startswith("aws:"):
            refuse(f"Tag keys starting with 'aws:' are reserved for system use: {key}")
        if keys.count(key) > 1:
            refuse(f"Duplicate tag keys found: {key}. Tag keys must be unique within a request.")


class Holder(Protocol):
    """What has things with tags."""

    def records(self) -> Sequence[Record]: ...


class TagOperations:
    """The tags of everything that can have some."""

    def __init__(self, *holders: Holder) -> None:
        self.holders = holders
        functions = {"AddTags": self.add, "ListTags": self.list, "DeleteTags": self.delete}
        self.table = table.operations(functions, lambda region, asked: asked.get("ResourceArn") or "*")

    def holder(self, arn: str) -> Record | None:
        """The record of this ARN, or None."""
        records = [record for holder in self.holders for record in holder.records() if record.arn == arn]
        return records[0] if records else None

    def of(self, arn: str) -> dict[str, str]:
        """The tags of what has this ARN: {key: value}; none where there is nothing."""
        record = self.holder(arn)
        return record.tags if record else {}

    def find(self, asked: Members) -> Record:
        return self.holder(asked["ResourceArn"]) or refuse(
            f"Requested resource not found: {asked['ResourceArn']}", "ResourceNotFound"
        )

    def add(self, call: SageMakerCall, asked: Members) -> Members:
        record = self.find(asked)
        check_tags(asked["Tags"])
        record.tags.update({tag["Key"]: tag["Value"] for tag in asked["Tags"]})
        return {"Tags": record.tag_list()}

    def list(self, call: SageMakerCall, asked: Members) -> Members:
        shown, token = paging.page(self.find(asked).tag_list(), asked, 50)
        return {"Tags": shown, **token}

    def delete(self, call: SageMakerCall, asked: Members) -> Members:
        record = self.find(asked)
        for key in asked["TagKeys"]:
            record.tags.pop(key, None)
        return {}
