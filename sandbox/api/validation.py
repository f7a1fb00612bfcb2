"""The constraints of SageMaker's API reference, in the words of the service.

They are read from the service description that botocore ships, which AWS's own clients are generated from.
"""

import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

from sandbox.aws.call import Members
from sandbox.aws.errors import refuse
from sandbox.aws.service_model import input_shape

TYPES: dict[str, Any] = {
    "structure": dict,
    "map": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
}


def in_python(pattern: str) -> str:
    r"""A pattern of the API's model, with Java's classes of characters as Python writes them."""
    for java, python in ((r"\p{Alnum}", "A-Za-z0-9"), (r"\p{L}", r"\w"), (r"\p{N}", r"\d"), (r"\p{Z}", r"\s")):
        pattern = pattern.replace(java, python)
    return pattern


def limits(shape: Any) -> Iterator[tuple[str, Callable[[Any], Any]]]:
    """The constraints of a shape -> how the service words each, and whether a value satisfies it."""
    most, least = shape.metadata.get("max"), shape.metadata.get("min")
    number = shape.type_name in ("integer", "long", "float", "double")
    what = "value" if number else "length"

    def size(value: Any) -> Any:
        return value if number else len(value)

    if most is not None:
        yield f"Member must have {what} less than or equal to {most}", lambda value: size(value) <= most
    if least is not None:
        yield f"Member must have {what} greater than or equal to {least}", lambda value: size(value) >= least
    if pattern := shape.metadata.get("pattern"):
        wording = f"^{pattern}" + ("$" if shape.name == "RoleArn" else "")
        yield (
            f"Member must satisfy regular expression pattern: {wording}",
            lambda value: re.fullmatch(in_python(pattern), value, re.DOTALL),
        )
    if getattr(shape, "enum", None):
        yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]", lambda value: value in shape.enum


def as_java(value: Any) -> str:
    """A value as the service prints it."""
    return (
        "{" + ", ".join(f"{key}={item}" for key, item in value.items()) + "}" if isinstance(value, dict) else str(value)
    )


def check_types(shape: Any, value: Any, path: str) -> None:
    """Refuse JSON of another type than the member's, which clients other than AWS's own can send."""
    if not isinstance(value, TYPES[shape.type_name]) or isinstance(value, bool) != (shape.type_name == "boolean"):
        refuse(f"{path or 'The request'} is no {shape.type_name}", "SerializationException")
    if shape.type_name == "structure":
        for name in shape.members.keys() & value.keys():
            if value[name] is not None:
                check_types(shape.members[name], value[name], f"{path}.{name}".lstrip("."))
    elif shape.type_name == "list":
        for item in value:
            check_types(shape.member, item, path)
    elif shape.type_name == "map":
        for item in value.values():
            check_types(shape.value, item, path)


def violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Every constraint of the API reference that a request breaks."""
    for wording, satisfied in limits(shape):
        if not satisfied(value):
            yield f"Value '{as_java(value)}' at '{path}' failed to satisfy constraint: {wording}"
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from violations(member, value[name], f"{path}.{name[0].lower()}{name[1:]}".lstrip("."))
        for name in shape.required_members:
            if value.get(name) is None:
                at = f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")
                yield f"Value null at '{at}' failed to satisfy constraint: Member must not be null"
    elif shape.type_name == "list":
        for number, item in enumerate(value, 1):
            yield from violations(shape.member, item, f"{path}.{number}.member")
    elif shape.type_name == "map":
        for what, member, items in (("keys", shape.key, value), ("value", shape.value, value.values())):
            rules = list(limits(member))
            if any(not satisfied(item) for item in items for _, satisfied in rules):
                constraint = f"Map {what} must satisfy constraint: [{', '.join(wording for wording, _ in rules)}]"
                yield f"Value '{as_java(value)}' at '{path}' failed to satisfy constraint: {constraint}"


def check(operation: str, request: Members, required: Collection[str] = ()) -> None:
    """Refuse a request that breaks the reference's constraints; `required`: members that it should require, too."""
    shape = input_shape(operation)
    check_types(shape, request, "")
    found = list(violations(shape, request, ""))
    for name in required:
        if request.get(name) is None:
            at = f"{name[0].lower()}{name[1:]}"
            found.append(f"Value null at '{at}' failed to satisfy constraint: Member must not be null")
    if found:
        refuse(f"{len(found)} validation error{'s' * (len(found) > 1)} detected: {'; '.join(found)}")
