"""Lists: which records a List operation asks for, in which order, and page by page.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html, and the same for other resources
"""

import base64
import json
import math
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from sandbox.api.record import Record
from sandbox.aws.call import Members
from sandbox.aws.errors import Error

Item = TypeVar("Item")
Found = TypeVar("Found", bound=Record)


def page(found: Sequence[Item], request: Members, default: int) -> tuple[Sequence[Item], Members]:
    """A page of a list, and what leads to the next one. A token is good for the request that it was given for."""
    asked = {key: value for key, value in request.items() if key not in ("NextToken", "MaxResults")}
    start, size = 0, request.get("MaxResults", default)
    if token := request.get("NextToken"):
        try:
            start, given_for = json.loads(base64.b64decode(token, validate=True))
            if given_for != asked:
                raise ValueError
        except (ValueError, TypeError):
            raise Error("ValidationException", "Invalid NextToken") from None
    more = start + size < len(found)
    token = base64.b64encode(json.dumps([start + size, asked]).encode()).decode()
    return found[start : start + size], {"NextToken": token} if more else {}


def select(records: Iterable[Found], request: Members) -> list[Found]:
    """The records that a List operation asks for, in the order that it asks for."""
    found = [
        record
        for record in records
        if request.get("NameContains", "").lower() in record.name.lower()
        and request.get("StatusEquals", record.status) == record.status
        and all(
            request.get(f"{name}After", 0) <= moment.timestamp() <= request.get(f"{name}Before", math.inf)
            for name, moment in (("CreationTime", record.created), ("LastModifiedTime", record.modified))
        )
    ]

    def order(record: Found) -> Any:
        by = {"Name": record.name, "Status": record.status}
        return by.get(request.get("SortBy", ""), record.created)

    found.sort(key=order)
    if request.get("SortOrder") == "Descending":
        found.reverse()
    return found
