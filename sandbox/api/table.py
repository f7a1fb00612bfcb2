"""SageMaker's operations as a table, and the steps of a request's way that use it.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html. Whatever is not
in the table is refused.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.api import validation
from sandbox.aws.call import Answer, Members, SageMakerCall
from sandbox.aws.errors import refuse, unsupported

Perform = Callable[[SageMakerCall, Members], Any]


@dataclass(frozen=True)
class Operation:
    """`perform` takes a call and the members that it asks with, and gives the answer's. `resource` takes a region and
    those members, and gives the ARN that they are about. `checked`: against the reference's constraints, before."""

    perform: Perform
    resource: Callable[[str, Members], str]
    checked: bool = True


Table = dict[str, Operation]


def operations(
    functions: Mapping[str, Perform], resource: Callable[[str, Members], str], unchecked: Collection[str] = ()
) -> Table:
    """Operations of one kind of resource; `unchecked` are the names of those that check the constraints themselves."""
    return {name: Operation(perform, resource, name not in unchecked) for name, perform in functions.items()}


# --- the steps ------------------------------------------------------------------------------------------------------


def find_operation(call: SageMakerCall) -> None:
    call.operation = call.table.get(call.action) or refuse(unsupported("SageMaker", call.action))


def read_members(call: SageMakerCall) -> None:
    call.asked = {name: value for name, value in call.read().items() if value is not None}


def check_caller(call: SageMakerCall) -> None:
    call.authorize(call.operation.resource(call.region, call.asked))


def check_constraints(call: SageMakerCall) -> None:
    if call.operation.checked:
        validation.check(call.action, call.asked)


def perform(call: SageMakerCall) -> Answer:
    return call.answer(call.operation.perform(call, call.asked))
