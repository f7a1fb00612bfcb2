"""Which members of a request are fulfilled: a request that asks for anything else is refused by that member's name."""

from collections.abc import Collection, Iterator
from typing import Any

from sandbox.aws.call import Members
from sandbox.aws.errors import refuse
from sandbox.aws.service_model import input_shape


def leaves(shape: Any, value: Any, path: str = "") -> Iterator[str]:
    """The paths of all members of a request that hold a value and ask for something: not false, zero or empty."""
    if shape is not None and shape.type_name == "structure":
        for name, item in value.items():
            yield from leaves(shape.members.get(name), item, f"{path}.{name}".lstrip("."))
    elif shape is not None and shape.type_name == "list" and shape.member.type_name == "structure":
        for item in value:
            yield from leaves(shape.member, item, path)
    elif value or isinstance(value, str):
        yield path


def check_fulfilled(
    operation: str, request: Members, fulfilled: Collection[str], without_effect: Collection[str], what: str
) -> None:
    """Refuse the first member of a request that asks for something and is in neither of the tables."""
    for path in leaves(input_shape(operation), request):
        if path not in fulfilled and path not in without_effect:
            refuse(f"The sandbox does not fulfil {path}: ask for the {what} without it, or run it on AWS.")
