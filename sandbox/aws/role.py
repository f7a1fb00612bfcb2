"""A role in other hands: its credentials, and S3 as its holder sees it.

A job reaches S3, CloudWatch and its log with the rights of its execution role alone
(https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createtrainingjob-perms).
"""

from typing import Any

from sandbox.aws import backends, store
from sandbox.aws.backends import ACCOUNT_ID
from sandbox.aws.policies import permission, policies_of_role

LONGEST = 43200  # seconds that credentials are good for


def create_administrator(policy: str) -> dict[str, str]:
    """A user with this policy -> its access key, for boto3."""
    iam = backends.iam()
    iam.create_user("us-east-1", "sandbox-administrator")
    iam.put_user_policy("sandbox-administrator", "everything", policy)
    key = iam.create_access_key("sandbox-administrator")
    return {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key}


def assume(arn: str, session_name: str, region: str) -> dict[str, str]:
    """Credentials of a role, as the variables of a process that holds it. The service itself assumes the role, so no
    user's rights matter."""
    session = backends.sts().assume_role(region, session_name, arn, None, LONGEST, None)
    return {
        "AWS_ACCESS_KEY_ID": session.access_key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
        "AWS_SESSION_TOKEN": session.session_token,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }


class Denied(Exception):
    """S3 refused, with the code and the message that it would give."""


class Role:
    """The holder of a role. S3 lives in this process, so objects need not go over the wire."""

    def __init__(self, arn: str) -> None:
        self.arn = arn

    def may(self, action: str, resource: str) -> bool:
        return bool(permission(policies_of_role(self.arn), action, resource))

    def may_log(self, region: str, group: str, stream: str) -> bool:
        arn = f"arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:{group}:log-stream:{stream}"
        return all(self.may(f"logs:{action}", arn) for action in ("CreateLogGroup", "CreateLogStream", "PutLogEvents"))

    def _bucket(self, name: str, action: str, key: str | None = None) -> Any:
        if not self.may(action, f"arn:aws:s3:::{name}" + (f"/{key}" if key is not None else "")):
            raise Denied("AccessDenied: Access Denied")
        if name not in store.buckets():
            raise Denied("NoSuchBucket: The specified bucket does not exist")
        return store.buckets()[name]

    def list(self, bucket: str, prefix: str) -> list[str]:
        """The names of all objects whose name starts with the prefix, in order."""
        return sorted(key for key in [*self._bucket(bucket, "s3:ListBucket").keys] if key.startswith(prefix))

    def get(self, bucket: str, key: str) -> bytes:
        found = self._bucket(bucket, "s3:GetObject", key).keys.get(key)
        if found is None or not hasattr(found, "value"):
            raise Denied("NoSuchKey: The specified key does not exist.")
        return found.value

    def put(self, bucket: str, key: str, content: bytes) -> None:
        self._bucket(bucket, "s3:PutObject", key)
        store.put_object(bucket, key, content)
