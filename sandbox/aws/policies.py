"""What IAM's policies allow, and how AWS words a denial.

Conditions on the tags of SageMaker's requests and resources are evaluated; others, and bucket policies, are not.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import contextlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.iam.exceptions import NotFoundException

from sandbox.aws import backends

EVERYTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
PRINCIPAL_TAG = re.compile(r"\$\{aws:PrincipalTag/([^}]+)\}")


def role(arn: str) -> Any:
    """moto's role of this ARN, or None."""
    with contextlib.suppress(NotFoundException):
        return backends.iam().get_role_by_arn(arn)
    return None


def policies_of_role(arn: str) -> list[str]:
    found = role(arn)
    return with_tags([*found.policies.values(), *found.managed_policies.values()], found) if found else []


def with_tags(policies: Iterable[Any], role: Any) -> list[str]:
    """The texts of policies, with a role's tags in place of ${aws:PrincipalTag/KEY}
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html)."""

    tags = {tag["Key"]: tag["Value"] for tag in role.tags}
    return [
        PRINCIPAL_TAG.sub(lambda match: tags.get(match[1], match[0]), json.dumps(IAMPolicy(policy)._policy_json))
        for policy in policies
    ]


def holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    """Whether a statement's conditions on tags hold. Others are not evaluated
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html)."""
    for operator, keys in condition.items():
        for key, wanted in keys.items():
            if key.startswith(("aws:RequestTag/", "aws:ResourceTag/")) or key == "sagemaker:TaggingAction":
                found, wanted = context.get(key), [wanted] if isinstance(wanted, str) else wanted
                met = {
                    "StringEquals": found in wanted,
                    "StringEqualsIfExists": found is None or found in wanted,
                    "Null": str(found is None).lower() in wanted,
                }
                if not met.get(operator):
                    return False
    return True


def permission(
    policies: Iterable[str], action: str, resource: str, context: Mapping[str, str] | None = None
) -> bool | None:
    """True where policies allow an action, False where one of them forbids it, None where none says anything.
    `context`: {key of a condition: value}, the tags that a request to SageMaker sends and those of its resource."""
    results = set()
    for policy in policies:
        statements = IAMPolicy(policy)._policy_json["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            if holds(statement.get("Condition", {}), context or {}):
                plain = {key: value for key, value in statement.items() if key != "Condition"}
                results.add(IAMPolicy(json.dumps({"Statement": plain})).is_action_permitted(action, resource))
    return False if PermissionResult.DENIED in results else True if PermissionResult.PERMITTED in results else None


def denial(caller: Any, action: str, resource: str) -> str:
    """What AWS says of a request that no policy allows, or that one forbids
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html)."""
    forbidden = permission(caller.collect_policies(), action, resource) is False
    reason = (
        "with an explicit deny in an identity-based policy"
        if forbidden
        else f"because no identity-based policy allows the {action} action"
    )
    return f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource} {reason}"
