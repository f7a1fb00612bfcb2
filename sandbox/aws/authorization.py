"""Who sends a request, and may they: signatures and policies, for moto's services and for SageMaker.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html; moto checks both once it is told to, and `enforce`
tells it, and corrects what it checks in another way than AWS.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NoReturn

from moto import settings
from moto.core.responses import ActionResult, BaseResponse
from moto.core.utils import get_service_model
from moto.iam.access_control import AssumedRoleAccessKey, IAMRequest, S3IAMRequest
from moto.iam.responses import IamResponse
from moto.logs.responses import LogsResponse
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.responses import ACTION_MAP, S3Response
from werkzeug.exceptions import HTTPException

from sandbox import log
from sandbox.aws import backends
from sandbox.aws.backends import ACCOUNT_ID
from sandbox.aws.errors import Error
from sandbox.aws.policies import denial, permission, policies_of_role, role, with_tags

# Where the name in a signature is not the one in policies.
POLICY_PREFIXES = {"monitoring": "cloudwatch"}
Context = Mapping[str, str]


class Denied(Exception):
    """The caller may not do what they ask for: an action, and who it is."""


class Unknown(Exception):
    """Nobody knows the caller, or the signature is not theirs: a code and a message."""


class CheckedRequest(IAMRequest):
    """moto's check of a request, with errors that name what was asked for."""

    _action: str

    def __init__(self, context: Context | None = None, **parts: Any) -> None:
        super().__init__(**parts)
        service, _, action = self._action.partition(":")
        self._action, self._context = f"{POLICY_PREFIXES.get(service, service)}:{action}", context
        log.note(caller=self._access_key.arn)

    def check_action_permitted(self, resource: str) -> None:
        if self._context is not None:
            if not permission(self._access_key.collect_policies(), self._action, resource, self._context):
                self._raise_access_denied()
            return
        try:
            super().check_action_permitted(resource)
        except TypeError:  # moto's, for a trust policy that names no AWS principal: it trusts none
            self._raise_access_denied()

    def _raise_access_denied(self) -> NoReturn:
        raise Denied(self._action, self._access_key)

    def _raise_invalid_access_key(self, reason: str) -> NoReturn:
        raise Unknown("InvalidClientTokenId", "The security token included in the request is invalid.")

    def _raise_signature_does_not_match(self) -> NoReturn:
        raise Unknown(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
        )


class CheckedS3Request(S3IAMRequest):
    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        log.note(caller=self._access_key.arn)


class Answer(HTTPException):
    """An error in the words and the form of the response's own service."""

    def __init__(self, response: BaseResponse, code: str, message: str) -> None:
        super().__init__()
        self.code, headers, self.description = response.serialized(ActionResult(Error(code, message)))
        if code in ("AccessDenied", "UnauthorizedOperation"):
            self.code = 403
        response.response_headers.update(headers)


def authorize(response: BaseResponse, resource: str = "*", context: Context | None = None) -> None:
    """Check who asks and whether they may; raise the error of the service that was asked. `context`: for conditions."""
    if not response.service_name.startswith("sagemaker"):  # whose operation is known from the start
        log.note(operation=f"{response.service_name}:{response._get_action()}")
    protocol = response.determine_response_protocol(get_service_model(response.boto3_service_name))
    try:
        if "Authorization" not in response.headers:
            raise Unknown("MissingAuthenticationToken", "Missing Authentication Token")
        response._authenticate_and_authorize_action(partial(CheckedRequest, context=context), resource)
    except Denied as denied:
        action, caller = denied.args
        code, text = "AccessDeniedException", denial(caller, action, resource)
        if protocol == "ec2":
            code, text = "UnauthorizedOperation", f"You are not authorized to perform this operation. {text}"
        elif protocol == "query" or response.service_name == "cloudwatch":
            code = "AccessDenied"
        raise Answer(response, code, text) from None
    except Unknown as unknown:
        code, text = unknown.args
        if protocol == "ec2":
            code, text = "AuthFailure", "AWS was not able to validate the provided access credentials"
        elif protocol != "query":
            names = {
                "InvalidClientTokenId": "UnrecognizedClientException",
                "SignatureDoesNotMatch": "InvalidSignatureException",
            }
            code = names.get(code, f"{code}Exception")
        raise Answer(response, code, text) from None


def require(response: BaseResponse, action: str, resource: str, context: Context) -> None:
    """Check what a request entails beside its own action, iam:PassRole say."""
    request = CheckedRequest(
        account_id=ACCOUNT_ID, method="", path="", data={}, body=b"", headers=response.headers, action=action
    )
    caller = request._access_key
    if not permission(caller.collect_policies(), action, resource, context):
        raise Error("AccessDeniedException", denial(caller, action, resource))


def authorize_s3(response: S3Response, bucket_name: str | None = None, key_name: str | None = None) -> None:
    """moto's check of a request to S3, but with objects as the resource of DeleteObjects, and not for a URL that has
    its own signature, which moto cannot check."""
    log.note(operation=f"s3:{response.data['Action']}")
    if "X-Amz-Signature" in response.querystring or "Signature" in response.querystring:
        log.note(caller="signed-address")
        return
    if key_name is None and response.data["Action"] in ("DeleteObject", "PutObject"):
        key_name = "*"
    if "Authorization" not in response.headers:
        raise S3AccessDeniedError
    arn = f"arn:aws:s3:::{bucket_name or '*'}" + (f"/{key_name}" if key_name else "")
    response._authenticate_and_authorize_action(CheckedS3Request, arn)


def resource_of_logs(response: LogsResponse) -> str:
    group, stream = response._get_param("logGroupName"), response._get_param("logStreamName") or ""
    return f"arn:aws:logs:{response.region}:{ACCOUNT_ID}:log-group:{group}:log-stream:{stream}" if group else "*"


def simulate_principal_policy(response: IamResponse) -> ActionResult:
    """https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html: SDK 3 asks before a job."""
    params = response.params
    arn, resources = params["PolicySourceArn"], params.get("ResourceArns") or ["*"]
    if role(arn) is None:
        raise Error("NoSuchEntity", f"The entity with name {arn.rpartition('/')[2]} cannot be found.")
    words = {True: "allowed", False: "explicitDeny", None: "implicitDeny"}
    results = [
        {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": words[verdict]}
        for action in params["ActionNames"]
        for resource in resources
        for verdict in [permission(policies_of_role(arn), action, resource)]
    ]
    return ActionResult({"EvaluationResults": results, "IsTruncated": False})


_collect_policies = AssumedRoleAccessKey.collect_policies


def policies_of_key(key: AssumedRoleAccessKey) -> list[str]:
    return with_tags(_collect_policies(key), backends.iam().get_role(key._owner_role_name))


def enforce() -> None:
    """From now on, check every request."""
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    ACTION_MAP["BUCKET"]["HEAD"]["DEFAULT"] = "ListBucket"
    AssumedRoleAccessKey.collect_policies = policies_of_key
    IamResponse.simulate_principal_policy = simulate_principal_policy
    LogsResponse._determine_resource = resource_of_logs
    S3Response._authenticate_and_authorize_s3_action = authorize_s3
    BaseResponse._authenticate_and_authorize_normal_action = authorize
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
