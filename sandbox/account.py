"""An AWS account that lives as long as this process: moto's proxy answers for every AWS host, in memory.

The process then assumes an execution role and exports its credentials, as a Studio space does
(https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html).
"""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import certifi

from sandbox import settings
from sandbox.api import table
from sandbox.api.tags import TagOperations
from sandbox.aws import authorization, backends, policies, role, router
from sandbox.aws.certificates import create_certificates
from sandbox.aws.proxy import Proxy
from sandbox.endpoints.operations import EndpointOperations
from sandbox.machine.hosts import Machine
from sandbox.training.operations import TrainingOperations
from sandbox.tuning.operations import TuningOperations

# The way of a request, from top to bottom. aws/proxy.py takes it in, and aws/router.py hands it from step to step until
# one of them answers. An error that a step raises is the answer, in the words of the service; aws/router.py logs both.
WAY = (
    router.refuse_other_services,  # the sandbox runs some of AWS's services, and refuses the others by their names
    router.ask_moto,  # S3, IAM, STS, logs and the like end here; aws/authorization.py checks who asks for what
    table.find_operation,  # from here on it is SageMaker: what is in no table is refused
    table.read_members,  # the members of the request, from its body or its address
    table.check_caller,  # the signature, and what the caller's policies allow
    table.check_constraints,  # the constraints of AWS's own description of the operation
    table.perform,  # the operation itself: training/, tuning/, endpoints/ and api/tags.py
)
ROLE_NAME = "SageMakerExecutionRole"
TRUST_POLICY = settings.ROOT / "notebooks" / "policies" / "trust-policy.json"

# Of the user's environment, what could lead to the user's own account, proxy or settings stays outside.
FOREIGN_PREFIXES = ("AWS_", "BOTO_", "MOTO_", "SAGEMAKER_", "SANDBOX_")
FOREIGN_SUFFIX = "_PROXY"


def without_users_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """A copy of an environment without what belongs to the user's own account."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(FOREIGN_PREFIXES) and not name.upper().endswith(FOREIGN_SUFFIX)
    }


def with_public_authorities(ca_bundle: str) -> str:
    """-> A file beside this one that has those whom this machine trusts, too: for clients that also speak to others."""
    named = [os.environ.get(name) for name in settings.CA_VARIABLES]
    files = [*named, ssl.get_default_verify_paths().cafile, "/etc/ssl/certs/ca-certificates.crt", certifi.where()]
    public = next(file for file in files if file and os.path.isfile(file))
    both = Path(ca_bundle).with_name("with-public.pem")
    both.write_bytes(Path(ca_bundle).read_bytes() + Path(public).read_bytes())
    return str(both)


class Account:
    """moto's proxy on loopback, and where `s3_host` is given, S3 over plain HTTP at that address for containers.
    `folder` holds the files that the account and its jobs need."""

    in_use: ClassVar[bool] = False

    def __init__(self, folder: Path, s3_host: str | None = None) -> None:
        if Account.in_use:  # an earlier one of this process has left its data
            backends.reset()
        Account.in_use = True
        self.folder, self.proxies = folder, [Proxy()]
        self.s3_url: str | None = None
        if s3_host:
            self.proxies.append(Proxy(s3_host))
            self.s3_url = self.proxies[-1].url
        direct = [proxy.url for proxy in self.proxies] + [f"https://{self.s3_endpoint()}"]
        os.environ["MOTO_S3_CUSTOM_ENDPOINTS"] = ",".join(direct)  # moto looks there at each request
        self.ca_bundle = create_certificates(folder / "certificates")
        self.with_public = with_public_authorities(self.ca_bundle)
        self.administrator = role.create_administrator(policies.EVERYTHING)
        authorization.enforce()
        self.machine = Machine(self.proxies[0], [self.ca_bundle, self.with_public])
        self.training = TrainingOperations(folder / "jobs", self.machine, self.client_environment())
        self.tuning = TuningOperations(self.training)
        self.endpoints = EndpointOperations(folder / "endpoints", self.machine)
        tags = TagOperations(self.training, self.tuning, self.endpoints)
        operations = {**self.training.table, **self.tuning.table, **self.endpoints.table, **tags.table}
        tables = {"sagemaker": operations, "sagemakerruntime": self.endpoints.runtime}
        router.open_door(WAY, tables, tags.of)
        for proxy in self.proxies:
            proxy.start()
        self.role = self.create_execution_role()

    def close(self) -> None:
        self.tuning.close()
        self.endpoints.close()
        self.training.close()
        for proxy in self.proxies:
            proxy.close()

    def client(self, service: str, **credentials: str) -> Any:
        """A boto3 client of this account, whatever the environment and the files of this user say."""
        import boto3
        import botocore.session
        from botocore.config import Config

        credentials = credentials or self.administrator
        nothing = {"profile": None, "config_file": os.devnull, "credentials_file": os.devnull, "ca_bundle": None}
        core = botocore.session.Session({name: (None, None, value, None) for name, value in nothing.items()})
        session = boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"),
            region_name=settings.REGION,
            botocore_session=core,
        )
        config = Config(proxies={"https": self.proxies[0].url}, ignore_configured_endpoint_urls=True)
        return session.client(service, config=config, verify=self.ca_bundle)

    def create_execution_role(self) -> str:
        """The role of notebook 01, or one with the policy of the settings -> its ARN"""
        iam = self.client("iam")
        created = iam.create_role(RoleName=ROLE_NAME, AssumeRolePolicyDocument=TRUST_POLICY.read_text())["Role"]
        policy = settings.policy()
        try:
            if policy.startswith("arn:"):
                iam.attach_role_policy(RoleName=ROLE_NAME, PolicyArn=policy)
            else:
                document = Path(policy).read_text()
                iam.put_role_policy(RoleName=ROLE_NAME, PolicyName="execution-policy", PolicyDocument=document)
        except Exception as error:
            raise SystemExit(f"sandbox: SANDBOX_POLICY={policy}: {error}") from None
        return created["Arn"]

    def client_environment(self) -> dict[str, str]:
        """What leads the AWS clients of a process into this account, whoever they are."""
        return {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CA_BUNDLE": self.ca_bundle,
            **dict.fromkeys(settings.CA_VARIABLES, self.with_public),
            "HTTPS_PROXY": self.proxies[0].url,
            "HTTP_PROXY": self.proxies[0].url,
            "NO_PROXY": "localhost,127.0.0.1",
            # TensorFlow's own client of S3 knows no proxy:
            # https://github.com/tensorflow/examples/blob/master/community/en/docs/deploy/s3.md
            "S3_ENDPOINT": self.s3_endpoint(),
            "S3_VERIFY_SSL": "0",
        }

    def s3_endpoint(self) -> str:
        """Where S3 answers a client that knows no proxy, encrypted or not."""
        return f"127.0.0.1:{self.proxies[0].port}"

    def environment(self) -> dict[str, str]:
        """The environment of a command inside the account."""
        inside = {
            **self.client_environment(),
            **role.assume(self.role, "sandbox", settings.REGION),
            "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": os.devnull,  # the user's own stays outside
            "SAGEMAKER_USER_CONFIG_OVERRIDE": os.devnull,
            "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        if self.s3_url:
            # The SDK hands its S3 address on to the containers of local mode.
            inside["AWS_ENDPOINT_URL_S3"] = self.s3_url
        return {**without_users_settings(os.environ), **inside}
