"""Finding jobs: ListTrainingJobs and Search.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Search.html
"""

import operator
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sandbox.api.paging import page, select
from sandbox.aws.call import Members
from sandbox.aws.errors import Error
from sandbox.training.record import Record

SUMMARY = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingEndTime",
    "LastModifiedTime",
    "TrainingJobStatus",
)


def list_jobs(records: Iterable[Record], request: Members) -> Members:
    """ListTrainingJobs' answer. A job of this account has no warm pool and no training plan."""
    none = "WarmPoolStatusEquals" in request or "TrainingPlanArnEquals" in request
    found = [] if none else select(records, request)
    shown, token = page(found, request, 10)
    descriptions = [record.description() for record in shown]
    summaries = [{name: job[name] for name in SUMMARY if name in job} for job in descriptions]
    return {"TrainingJobSummaries": summaries, **token}


def properties(value: Any, path: list[str]) -> list[Any]:
    """All values at a path of a job's description: Tags.KEY and Metrics.NAME by name, lists item by item."""
    if not path:
        return [value]
    head, *rest = path
    if isinstance(value, list):
        named = [item for item in value if isinstance(item, dict) and head in (item.get("Key"), item.get("MetricName"))]
        if named:
            return [item["Value"] for item in named]
        return [found for item in value for found in properties(item, path)]
    if not isinstance(value, dict):
        return []
    if "." in ".".join(path) and ".".join(path) in value:  # hyperparameters can have a dot in their names
        return [value[".".join(path)]]
    return properties(value[head], rest) if head in value else []


def compare(filter_: Members, value: Any) -> bool:
    """Whether a value passes a filter. The texts of filters become numbers and times where the value is one."""
    kind, wanted = filter_.get("Operator", "Equals"), filter_.get("Value", "")
    if kind == "Contains":
        return wanted.lower() in str(value).lower()
    if kind == "In":
        return str(value) in [text.strip() for text in wanted.split(",")]
    try:
        if isinstance(value, datetime):
            wanted = datetime.fromisoformat(wanted.replace("Z", "+00:00"))
            wanted = wanted if wanted.tzinfo else wanted.astimezone()
        elif isinstance(value, bool):
            value = str(value).lower()
        elif kind not in ("Equals", "NotEquals") or isinstance(value, (int, float)):
            value, wanted = float(value), float(wanted)
    except ValueError:
        return False
    test = {
        "Equals": operator.eq,
        "NotEquals": operator.ne,
        "GreaterThan": operator.gt,
        "GreaterThanOrEqualTo": operator.ge,
        "LessThan": operator.lt,
        "LessThanOrEqualTo": operator.le,
    }[kind]
    return test(value, wanted)


def passes(filter_: Members, job: Members) -> bool:
    values = properties(job, filter_["Name"].split("."))
    kind = filter_.get("Operator", "Equals")
    if kind in ("Exists", "NotExists"):
        return bool(values) == (kind == "Exists")
    if kind != "NotEquals" and "Value" not in filter_:
        raise Error("ValidationException", f"A Value is required for the operator {kind} of {filter_['Name']}")
    return any(compare(filter_, value) for value in values) or (kind == "NotEquals" and not values)


def satisfies(expression: Members, job: Members) -> bool:
    """Whether a job satisfies a SearchExpression."""
    results = [passes(filter_, job) for filter_ in expression.get("Filters", [])]
    for nested in expression.get("NestedFilters", []):
        place = nested["NestedPropertyName"]
        inside = [{**filter_, "Name": filter_["Name"].removeprefix(place).lstrip(".")} for filter_ in nested["Filters"]]
        items = [
            item
            for found in properties(job, place.split("."))
            for item in (found if isinstance(found, list) else [found])
        ]
        results.append(any(all(passes(filter_, item) for filter_ in inside) for item in items))
    results += [satisfies(part, job) for part in expression.get("SubExpressions", [])]
    return (any if expression.get("Operator") == "Or" else all)(results) if results else True


def search(records: Iterable[Record], request: Members) -> Members:
    """Search's answer, for training jobs."""
    jobs = []
    for record in records:
        job = {**record.description(), "Tags": record.tag_list()}
        job["Metrics"] = job.get("FinalMetricDataList", [])
        if satisfies(request.get("SearchExpression", {}), job):
            jobs.append(job)
    path = request.get("SortBy", "LastModifiedTime").split(".")
    valued = [(properties(job, path), job) for job in jobs]
    with_value = [pair for pair in valued if pair[0]]
    try:
        with_value.sort(key=lambda pair: pair[0][0], reverse=request.get("SortOrder", "Descending") == "Descending")
    except TypeError:
        raise Error("ValidationException", f"Cannot sort by {'.'.join(path)}") from None
    ordered = [job for _, job in with_value] + [job for values, job in valued if not values]
    shown, token = page(ordered, request, 100)
    return {"Results": [{"TrainingJob": job} for job in shown], **token}
