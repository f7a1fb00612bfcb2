"""What clients see of every resource: where it is, its name, its times and its tags."""

from datetime import datetime
from typing import Any

from sandbox.aws.call import Members


def now() -> datetime:
    return datetime.now().astimezone()


def present(members: Members) -> Members:
    """The members of an answer that have a value."""
    return {name: value for name, value in members.items() if value is not None}


class Record:
    """A resource; `request` is what it was made from."""

    modified: Any  # when it was changed last, which some compute
    status: Any  # as clients see it

    def __init__(self, region: str, request: Members, name: str, arn: str) -> None:
        self.region, self.request, self.name, self.arn = region, request, name, arn
        self.created = now()
        self.tags: dict[str, str] = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}

    def tag_list(self) -> list[dict[str, str]]:
        """The tags as the API writes them."""
        return [{"Key": key, "Value": value} for key, value in self.tags.items()]
