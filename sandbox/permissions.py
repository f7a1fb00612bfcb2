"""IAM: every request is checked against the policies of its caller, every job against those of its role.

A job reaches S3 and CloudWatch with the rights of its execution role alone
(https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html#sagemaker-roles-createtrainingjob-perms).
moto checks policies once INITIAL_NO_AUTH_ACTION_COUNT requests have passed
(https://docs.getmoto.org/en/latest/docs/iam.html), but knows the resource of a request for a few services only; this
file adds SageMaker's and CloudWatch Logs'. It evaluates neither conditions on a request nor bucket policies.
"""

from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.core.exceptions import AccessDeniedError, InvalidClientTokenIdError, JsonRESTError
from moto.iam.access_control import IAMPolicy, IAMRequest, PermissionResult, S3IAMRequest, create_access_key
from moto.iam.models import iam_backends
from moto.logs.responses import LogsResponse
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.models import s3_backends
from moto.s3.responses import ACTION_MAP, S3Response
from moto.sagemaker.responses import SageMakerResponse
from moto.sts.models import sts_backends

EVERYTHING = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'


def iam():
    return iam_backends[ACCOUNT_ID]["aws"]


def create_administrator():
    """A user that may do everything, for what the sandbox itself asks for -> its access key, for boto3."""
    iam().create_user("us-east-1", "sandbox-administrator")
    iam().put_user_policy("sandbox-administrator", "everything", EVERYTHING)
    key = iam().create_access_key("sandbox-administrator")
    return {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key}


def assume(arn, session_name, region):
    """Credentials of a role, as the variables of a process that holds it. The service assumes it, so no user's
    rights matter."""
    session = sts_backends[ACCOUNT_ID]["aws"].assume_role(region, session_name, arn, None, 43200, None)
    return {
        "AWS_ACCESS_KEY_ID": session.access_key_id,
        "AWS_SECRET_ACCESS_KEY": session.secret_access_key,
        "AWS_SESSION_TOKEN": session.session_token,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }


def enforce():
    """From now on, check every request."""
    ACTION_MAP["BUCKET"]["HEAD"]["DEFAULT"] = (
        "ListBucket"  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    )
    SageMakerResponse._determine_resource = sagemaker_resource
    LogsResponse._determine_resource = logs_resource
    S3Response._authenticate_and_authorize_s3_action = authorize_s3
    for service in (SageMakerResponse, LogsResponse):
        service._authenticate_and_authorize_normal_action = authorize
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0


def authorize(response, resource):
    """moto's check of a request, but with the error of a service that speaks JSON."""
    try:
        response._authenticate_and_authorize_action(IAMRequest, resource)
    except AccessDeniedError:
        key = create_access_key(ACCOUNT_ID, "aws", response.access_key, response.headers)
        deny(key, f"{response.service_name}:{response._get_action()}", resource)
    except InvalidClientTokenIdError:
        raise JsonRESTError(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        ) from None


def authorize_s3(response, bucket_name=None, key_name=None):
    """moto's check of a request to S3, but with objects as the resource of DeleteObjects, and not for a URL that has
    its own signature, which moto cannot check."""
    if "X-Amz-Signature" in response.querystring or "Signature" in response.querystring:
        return
    if key_name is None and response.data["Action"] in ("DeleteObject", "PutObject"):
        key_name = "*"
    if "Authorization" not in response.headers:
        raise S3AccessDeniedError
    arn = f"arn:aws:s3:::{bucket_name or '*'}" + (f"/{key_name}" if key_name else "")
    response._authenticate_and_authorize_action(S3IAMRequest, arn)


def deny(key, action, resource):
    raise JsonRESTError(
        "AccessDeniedException",
        f"User: {key.arn} is not authorized to perform: {action} on resource: {resource} because no identity-based "
        f"policy allows the {action} action",
    )


def sagemaker_resource(response):
    name, arn = response._get_param("TrainingJobName"), response._get_param("ResourceArn")
    if arn or not name:
        return arn or "*"
    return f"arn:aws:sagemaker:{response.region}:{ACCOUNT_ID}:training-job/{name}"


def logs_resource(response):
    group, stream = response._get_param("logGroupName"), response._get_param("logStreamName") or ""
    return f"arn:aws:logs:{response.region}:{ACCOUNT_ID}:log-group:{group}:log-stream:{stream}" if group else "*"


def permitted(policies, action, resource):
    """Whether policies allow an action: one has to, and none may forbid it."""
    results = [IAMPolicy(policy).is_action_permitted(action, resource) for policy in policies]
    return PermissionResult.PERMITTED in results and PermissionResult.DENIED not in results


def require(response, action, resource):
    """Check what a request entails beside its own action, iam:PassRole say."""
    key = create_access_key(ACCOUNT_ID, "aws", response.access_key, response.headers)
    if not permitted(key.collect_policies(), action, resource):
        deny(key, action, resource)


class Denied(Exception):
    """S3 refused, with the code and the message that it would give."""


class Role:
    """What the holder of a role may do, and S3 as that holder sees it. moto's S3 lives in this process, so objects
    need not go over the wire."""

    def __init__(self, arn):
        self.arn = arn

    def may(self, action, resource):
        role = iam().get_role_by_arn(self.arn)
        return permitted([*role.policies.values(), *role.managed_policies.values()], action, resource)

    def _bucket(self, name, action, key=None):
        if not self.may(action, f"arn:aws:s3:::{name}" + (f"/{key}" if key is not None else "")):
            raise Denied("AccessDenied: Access Denied")
        if name not in s3_backends[ACCOUNT_ID]["aws"].buckets:
            raise Denied("NoSuchBucket: The specified bucket does not exist")
        return s3_backends[ACCOUNT_ID]["aws"].buckets[name]

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
        s3_backends[ACCOUNT_ID]["aws"].put_object(bucket, key, content)
