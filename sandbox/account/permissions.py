"""IAM: what the holder of a role may do, and S3 as that holder sees it.

A job reaches S3, CloudWatch and its log with the rights of its execution role alone
(https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createtrainingjob-perms).
Conditions on the tags of SageMaker's requests and resources are evaluated; others, and bucket policies, are not.
"""

from sandbox.account import backend
from sandbox.account.backend import ACCOUNT_ID

EVERYTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'


def assume(arn, session_name, region):
    """Credentials of a role, as the variables of a process that holds it."""
    key, secret, token = backend.assume_role(arn, session_name, region)
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_SESSION_TOKEN": token,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }


class Denied(Exception):
    """S3 refused, with the code and the message that it would give."""


class Role:
    """The holder of a role. S3 lives in this process, so objects need not go over the wire."""

    def __init__(self, arn):
        self.arn = arn

    def may(self, action, resource):
        return bool(backend.permission(backend.policies_of_role(self.arn), action, resource))

    def may_log(self, region, group, stream):
        arn = f"arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:{group}:log-stream:{stream}"
        return all(self.may(f"logs:{action}", arn) for action in ("CreateLogGroup", "CreateLogStream", "PutLogEvents"))

    def _bucket(self, name, action, key=None):
        if not self.may(action, f"arn:aws:s3:::{name}" + (f"/{key}" if key is not None else "")):
            raise Denied("AccessDenied: Access Denied")
        if name not in backend.buckets():
            raise Denied("NoSuchBucket: The specified bucket does not exist")
        return backend.buckets()[name]

    def list(self, bucket, prefix):
        """The names of all objects whose name starts with the prefix, in order."""
        return sorted(key for key in list(self._bucket(bucket, "s3:ListBucket").keys) if key.startswith(prefix))

    def get(self, bucket, key):
        found = self._bucket(bucket, "s3:GetObject", key).keys.get(key)
        if found is None or not hasattr(found, "value"):
            raise Denied("NoSuchKey: The specified key does not exist.")
        return found.value

    def put(self, bucket, key, content):
        self._bucket(bucket, "s3:PutObject", key)
        backend.put_object(bucket, key, content)
