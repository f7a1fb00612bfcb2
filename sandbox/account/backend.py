"""moto (https://docs.getmoto.org), and all that this project knows of its inside: the only file that does.

moto's proxy answers for S3, IAM, STS, CloudWatch and some more as AWS does, in memory. For SageMaker it would only
pretend, so its operations are answered from a table of the sandbox's own, and what is in no table is refused.
"""

import contextlib
import io
import json
import os
import re
import shutil
import ssl
import traceback
import warnings
from functools import partial
from typing import ClassVar

from werkzeug.exceptions import HTTPException

# moto reads these while it is imported: requests come over the wire, and AWS's managed policies exist.
os.environ["TEST_PROXY_MODE"] = os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true"

from moto import settings
from moto.cloudwatch.models import cloudwatch_backends
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT_ID
from moto.core.exceptions import ServiceException
from moto.core.request import Request
from moto.core.responses import ActionResult, BaseResponse, boto3_service_name
from moto.core.utils import get_service_model, utcnow
from moto.ecr.models import ecr_backends
from moto.iam.access_control import AssumedRoleAccessKey, IAMPolicy, IAMRequest, PermissionResult, S3IAMRequest
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.iam.responses import IamResponse
from moto.logs.models import logs_backends
from moto.logs.responses import LogsResponse
from moto.moto_proxy import logger, proxy3
from moto.moto_proxy.certificate_creator import CertificateCreator
from moto.s3.exceptions import S3AccessDeniedError
from moto.s3.models import FakeKey, s3_backends
from moto.s3.responses import ACTION_MAP, S3Response
from moto.sts.models import sts_backends

# Services whose whole work is to keep what they are told: moto does that truly. Of all others it would only pretend.
ANSWERED = {"s3", "iam", "sts", "logs", "cloudwatch", "kms", "ecr", "ssm", "secretsmanager", "ec2"}
# Where the name in a signature is not the one in policies.
POLICY_PREFIXES = {"monitoring": "cloudwatch"}
CERTIFICATE_TEMPLATE = os.path.join(CertificateCreator.certdir, "req.conf.tmpl")
INTERNAL = "The request processing has failed because of an internal error."
FakeKey.dispose = lambda key, garbage=False: None  # who is reading an object while it is replaced gets the old one
os.environ["MOTO_ACCOUNT_ID"] = ACCOUNT_ID  # else moto makes the IAM of five partitions to look for a key in each
logger.setLevel("CRITICAL")  # moto would log every request to stdout
warnings.filterwarnings("ignore", "Exception.* does not match an error shape")  # denials are in no service's model


def operation_shape(operation, service="sagemaker"):
    return get_service_model(service).operation_model(operation)


class Error(ServiceException):
    """An error of a service, with its code and its message."""


# What moto holds


def iam():
    return iam_backends[ACCOUNT_ID]["aws"]


def arn(region, kind, name):
    return f"arn:aws:sagemaker:{region}:{ACCOUNT_ID}:{kind}/{name}"


def training_job_arn(region, name):
    return arn(region, "training-job", name)


def tuning_job_arn(region, name):
    return arn(region, "hyper-parameter-tuning-job", name)


def role(arn):
    """moto's role of this ARN, or None."""
    with contextlib.suppress(NotFoundException):
        return iam().get_role_by_arn(arn)
    return None


def policies_of_role(arn):
    found = role(arn)
    return filled([*found.policies.values(), *found.managed_policies.values()], found) if found else []


PRINCIPAL_TAG = re.compile(r"\$\{aws:PrincipalTag/([^}]+)\}")
_collect_policies = AssumedRoleAccessKey.collect_policies


def _policies_of_key(key):
    return filled(_collect_policies(key), iam().get_role(key._owner_role_name))


def filled(policies, role):
    """The texts of policies, with a role's tags in place of ${aws:PrincipalTag/KEY}
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html)."""

    tags = {tag["Key"]: tag["Value"] for tag in role.tags}
    return [
        PRINCIPAL_TAG.sub(lambda match: tags.get(match[1], match[0]), json.dumps(IAMPolicy(policy)._policy_json))
        for policy in policies
    ]


def _holds(condition, context):
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


def permission(policies, action, resource, context=None):
    """True where policies allow an action, False where one of them forbids it, None where none says anything.
    `context`: {key of a condition: value}, the tags that a request to SageMaker sends and those of its resource."""
    results = set()
    for policy in policies:
        statements = IAMPolicy(policy)._policy_json["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            if _holds(statement.get("Condition", {}), context or {}):
                plain = {key: value for key, value in statement.items() if key != "Condition"}
                results.add(IAMPolicy(json.dumps({"Statement": plain})).is_action_permitted(action, resource))
    return False if PermissionResult.DENIED in results else True if PermissionResult.PERMITTED in results else None


def create_administrator(policy):
    """A user with this policy -> its access key, for boto3."""
    iam().create_user("us-east-1", "sandbox-administrator")
    iam().put_user_policy("sandbox-administrator", "everything", policy)
    key = iam().create_access_key("sandbox-administrator")
    return {"AccessKeyId": key.access_key_id, "SecretAccessKey": key.secret_access_key}


def assume_role(arn, session_name, region):
    """The service itself assumes a role, so no user's rights matter -> key id, secret, token"""
    session = sts_backends[ACCOUNT_ID]["aws"].assume_role(region, session_name, arn, None, 43200, None)
    return session.access_key_id, session.secret_access_key, session.session_token


def buckets():
    return s3_backends[ACCOUNT_ID]["aws"].buckets


def put_object(bucket, key, content):
    s3_backends[ACCOUNT_ID]["aws"].put_object(bucket, key, content)


def open_stream(region, group, stream):
    logs_backends[ACCOUNT_ID][region].ensure_log_group(group)
    logs_backends[ACCOUNT_ID][region].ensure_log_stream(group, stream)


def put_log_events(region, group, stream, events):
    with contextlib.suppress(Exception):  # somebody deleted the stream
        logs_backends[ACCOUNT_ID][region].put_log_events(group, stream, events)


def put_metric(region, namespace, name, dimensions, value):
    """`dimensions`: [(name, value)]"""
    datum = {"MetricName": name, "Value": value, "Timestamp": utcnow()}
    datum["Dimensions"] = [{"Name": key, "Value": text} for key, text in dimensions]
    cloudwatch_backends[ACCOUNT_ID][region].put_metric_data(namespace, [datum])


def reset():
    """Forget everything that an account held."""
    for backends in (iam_backends, sts_backends, s3_backends, logs_backends, cloudwatch_backends, ecr_backends):
        for account in list(backends.values()):
            for backend in list(account.values()):
                backend.reset()


# Who asks, and may they?


class _Denied(Exception):
    pass


class _Unknown(Exception):
    pass


class _Request(IAMRequest):
    def __init__(self, context=None, **parts):
        super().__init__(**parts)
        service, _, action = self._action.partition(":")
        self._action, self._context = f"{POLICY_PREFIXES.get(service, service)}:{action}", context

    def check_action_permitted(self, resource):
        if self._context is not None:
            if not permission(self._access_key.collect_policies(), self._action, resource, self._context):
                self._raise_access_denied()
            return
        try:
            super().check_action_permitted(resource)
        except TypeError:  # moto's, for a trust policy that names no AWS principal: it trusts none
            self._raise_access_denied()

    def _raise_access_denied(self):
        raise _Denied(self._action, self._access_key)

    def _raise_invalid_access_key(self, reason):
        raise _Unknown("InvalidClientTokenId", "The security token included in the request is invalid.")

    def _raise_signature_does_not_match(self):
        raise _Unknown(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details.",
        )


class _Answer(HTTPException):
    """An error in the words and the form of the response's own service."""

    def __init__(self, response, code, message):
        super().__init__()
        self.code, headers, self.description = response.serialized(ActionResult(Error(code, message)))
        if code in ("AccessDenied", "UnauthorizedOperation"):
            self.code = 403
        response.response_headers.update(headers)


def denial(caller, action, resource):
    """What AWS says of a request that no policy allows, or that one forbids
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html)."""
    forbidden = permission(caller.collect_policies(), action, resource) is False
    reason = (
        "with an explicit deny in an identity-based policy"
        if forbidden
        else f"because no identity-based policy allows the {action} action"
    )
    return f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource} {reason}"


def authorize(response, resource="*", context=None):
    """Check who asks and whether they may; raise the error of the service that was asked. `context`: for conditions."""
    protocol = response.determine_response_protocol(get_service_model(response.boto3_service_name))
    try:
        if "Authorization" not in response.headers:
            raise _Unknown("MissingAuthenticationToken", "Missing Authentication Token")
        response._authenticate_and_authorize_action(partial(_Request, context=context), resource)
    except _Denied as denied:
        action, caller = denied.args
        code, text = "AccessDeniedException", denial(caller, action, resource)
        if protocol == "ec2":
            code, text = "UnauthorizedOperation", f"You are not authorized to perform this operation. {text}"
        elif protocol == "query" or response.service_name == "cloudwatch":
            code = "AccessDenied"
        raise _Answer(response, code, text) from None
    except _Unknown as unknown:
        code, text = unknown.args
        if protocol == "ec2":
            code, text = "AuthFailure", "AWS was not able to validate the provided access credentials"
        elif protocol != "query":
            names = {
                "InvalidClientTokenId": "UnrecognizedClientException",
                "SignatureDoesNotMatch": "InvalidSignatureException",
            }
            code = names.get(code, f"{code}Exception")
        raise _Answer(response, code, text) from None


def require(response, action, resource, context):
    """Check what a request entails beside its own action, iam:PassRole say."""
    request = _Request(
        account_id=ACCOUNT_ID, method="", path="", data={}, body=b"", headers=response.headers, action=action
    )
    caller = request._access_key
    if not permission(caller.collect_policies(), action, resource, context):
        raise Error("AccessDeniedException", denial(caller, action, resource))


def _authorize_s3(response, bucket_name=None, key_name=None):
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


def _logs_resource(response):
    group, stream = response._get_param("logGroupName"), response._get_param("logStreamName") or ""
    return f"arn:aws:logs:{response.region}:{ACCOUNT_ID}:log-group:{group}:log-stream:{stream}" if group else "*"


def _simulate_principal_policy(response):
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


def image_exists(repository, tag):
    """Whether the registry of this account has an image."""
    found = ecr_backends[ACCOUNT_ID]["us-east-1"].repositories.get(repository)
    return bool(found) and any(tag in image.image_tags for image in found.images)


def enforce():
    """From now on, check every request."""
    ACTION_MAP["BUCKET"]["HEAD"]["DEFAULT"] = (
        "ListBucket"  # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
    )
    AssumedRoleAccessKey.collect_policies = _policies_of_key
    IamResponse.simulate_principal_policy = _simulate_principal_policy
    LogsResponse._determine_resource = _logs_resource
    S3Response._authenticate_and_authorize_s3_action = _authorize_s3
    BaseResponse._authenticate_and_authorize_normal_action = authorize
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0


# Who answers


class Call(BaseResponse):
    """One request to SageMaker: `request` is what it asks for, `region` where. `table` holds what is answered;
    `tags_of` is a function of an ARN -> the tags of what has it."""

    table: ClassVar[dict] = {}
    tags_of = staticmethod(lambda arn: {})

    def __init__(self):
        super().__init__(service_name="sagemaker")

    def call_action(self):
        action = self._get_action() or ""
        try:
            operation = self.table.get(action)
            if operation is None:
                raise Error("ValidationException", unsupported("SageMaker", action))
            return self.answer(operation(self))
        except _Answer as answer:
            return answer.code, self.response_headers, answer.description
        except ServiceException as error:
            result = error
        except Exception:
            traceback.print_exc()
            result = Error("InternalFailure", INTERNAL)
        return self.serialized(ActionResult(result))

    def answer(self, result):
        return self.serialized(ActionResult(result))

    @property
    def request(self):
        try:
            parsed = json.loads(self.body or "{}")
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise Error("SerializationException", "The request is not a JSON object.")
        return parsed

    def authorize(self, resource):
        tags = {f"aws:ResourceTag/{key}": value for key, value in self.tags_of(resource).items()}
        authorize(self, resource, self.tags_sent() | tags)

    def require(self, action, resource):
        """Check what the request entails, which is asked for in its name."""
        require(self, action, resource, self.tags_sent() | {"sagemaker:TaggingAction": self._get_action()})

    def tags_sent(self):
        tags = self.request.get("Tags")
        sent = [tag for tag in tags if isinstance(tag, dict)] if isinstance(tags, list) else []
        return {f"aws:RequestTag/{tag.get('Key')}": tag.get("Value") for tag in sent}


class ModelError(Error):
    """What a model's container has answered, as InvokeEndpoint hands it on."""

    def __init__(self, message, status, original, log_group_arn):
        super().__init__("ModelError", message)
        self.OriginalStatusCode, self.OriginalMessage, self.LogStreamArn = status, original, log_group_arn


class Invocation(Call):
    """One request to SageMaker's runtime, of the same kind; its body is no JSON of the service's. `table` is its own:
    an operation answers with headers and a body."""

    table: ClassVar[dict] = {}
    use_raw_body = True

    def __init__(self):
        BaseResponse.__init__(self, service_name="sagemaker-runtime")

    @property
    def request(self):
        """The members of the request that are in its address and its headers; the body is `body`."""
        members = operation_shape("InvokeEndpoint", "sagemaker-runtime").input_shape.members
        headers = {
            name: self.headers[shape.serialization["name"]]
            for name, shape in members.items()
            if shape.serialization.get("location") == "header" and shape.serialization["name"] in self.headers
        }
        return {**self.uri_match, **headers}

    def authorize(self, resource):
        self.data = {}  # in which moto has the headers, and takes them for the body of a request that has none
        super().authorize(resource)

    def answer(self, result):
        headers, body = result
        return 200, {**self.response_headers, **headers, "Content-Length": str(len(body))}, body


class _Refusal(BaseResponse):
    """Whatever is asked of a service that the sandbox does not run; or the fault of one that it does."""

    problem = None

    def call_action(self):
        action = self._get_action() or f"{self.method} {self.path}"
        error = Error("ValidationException", unsupported(self.boto3_service_name, action))
        return self.serialized(ActionResult(self.problem or error))


def unsupported(service, action):
    return f"The sandbox does not run {action} of {service}: nothing was done. On AWS it would be."


def _refuse(service, request, problem=None):
    """Answer for a service of which nobody here knows more than its name."""
    names = boto3_service_name | {name.replace("-", ""): name for name in ("sagemaker-runtime", "sagemaker-metrics")}
    try:
        refusal = _Refusal(names.get(service, service))
        refusal.problem = problem
        return refusal._dispatch(request, request.raw_url, request.headers)
    except Exception:  # botocore has no such service, or has it under another name
        target = request.headers.get("X-Amz-Target", "")
        text = unsupported(request.host, target.rpartition(".")[2] or f"{request.method} {request.path}")
        if "x-www-form-urlencoded" in request.headers.get("Content-Type", ""):
            body = (
                f"<ErrorResponse><Error><Code>ValidationError</Code><Message>{text}</Message></Error></ErrorResponse>"
            )
            return 400, {"Content-Type": "text/xml"}, body
        body = json.dumps({"__type": "ValidationException", "message": text})
        return 400, {"Content-Type": "application/json", "x-amzn-errortype": "ValidationException"}, body


class Router(proxy3.MotoRequestHandler):
    """Which code answers a request."""

    def parse_request(self, method, host, path, headers, body):
        service = self.get_backend_for_host(host)
        request = Request.from_primitives(method, host + path, headers, body)
        if call := {"sagemaker": Call, "sagemakerruntime": Invocation}.get(service):
            return call.dispatch(request, request.raw_url, request.headers)
        if service not in ANSWERED:
            return _refuse(service or "", request)
        try:
            return super().parse_request(method, host, path, headers, body)
        except NotImplementedError:
            return _refuse(service, request)
        except HTTPException:
            raise
        except Exception:
            traceback.print_exc()
            return _refuse(service, request, Error("InternalFailure", INTERNAL))


proxy3.MotoRequestHandler = Router


def joined(_, reader):
    """The content of a body in chunks. moto would copy all that it has at each one: minutes for a large object."""
    if isinstance(reader, bytes):
        reader = io.BytesIO(reader or b"0")
    chunks = []
    while size := int(reader.readline(), 16):
        chunks.append(reader.read(size))
        reader.readline()
    reader.readline()
    return b"".join(chunks)


ProxyRequestHandler = proxy3.ProxyRequestHandler
ProxyRequestHandler.read_chunked_body = S3Response._handle_encoded_body = joined


def create_certificates(folder):
    """Have moto sign certificates in a folder, not beside its own code, where two sandboxes would meet -> CA's file"""
    folder.mkdir()
    shutil.copy(CERTIFICATE_TEMPLATE, folder)
    CertificateCreator.certdir = f"{folder}/"
    CertificateCreator().validate()
    return CertificateCreator.cacert


def encrypted(connection, host):
    """The server's end of a TLS connection, with a certificate for a host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CertificateCreator().create(host), CertificateCreator.certkey)
    return context.wrap_socket(connection, server_side=True)
