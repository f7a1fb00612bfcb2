"""An AWS account that lives as long as this process: moto's proxy answers for every AWS host, in memory.

Both SageMaker SDKs call STS at an explicit regional address, which AWS_ENDPOINT_URL does not redirect, so requests are
caught on their way out: the command runs with HTTPS_PROXY set to moto's proxy and AWS_CA_BUNDLE to moto's certificate
(https://docs.getmoto.org/en/latest/docs/proxy_mode.html). The process then assumes an execution role and exports its
credentials, as a Studio space does (https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html).
"""

import json
import os
import shutil
import socket
import threading
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

REGION = "us-east-1"
ROLE_NAME = "SageMakerExecutionRole"
ROOT = Path(__file__).parents[1]
TRUST_POLICY = ROOT / "notebooks" / "policies" / "trust-policy.json"
EXECUTION_POLICY = ROOT / "notebooks" / "policies" / "execution-policy.json"

# Of the user's environment, what could lead to the user's own account, proxy or settings stays outside.
FOREIGN_PREFIXES = ("AWS_", "BOTO_", "MOTO_", "SAGEMAKER_")
FOREIGN_SUFFIX = "_PROXY"

# Hosts that the proxy answers for. Any other host, a package index say, is passed through untouched.
AWS_DOMAINS = ("amazonaws.com", "amazonaws.com.cn", "api.aws", "on.aws", "awsapps.com")
# Where an instance or a container of AWS's finds its own credentials.
METADATA_ADDRESSES = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23")


def is_aws(host):
    """Whether a host name, or an address, belongs to AWS."""
    host = host.strip("[]").rstrip(".").lower()
    return host in METADATA_ADDRESSES or any(f".{host}".endswith(f".{domain}") for domain in AWS_DOMAINS)


def without_users_settings(environment):
    """A copy of an environment without what belongs to the user's own account."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(FOREIGN_PREFIXES) and not name.upper().endswith(FOREIGN_SUFFIX)
    }


class Account:
    """moto's proxy on loopback, and where `s3_host` is given, S3 over plain HTTP at that address for containers.
    `folder` holds the files that the account and its jobs need."""

    def __init__(self, folder, s3_host=None):
        self._outside = without_users_settings(os.environ)
        os.environ.clear()
        os.environ.update(self._outside)
        # botocore in this process reads no files of the user's either.
        os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
        os.environ["TEST_PROXY_MODE"] = "true"  # moto: no patches, requests come over the wire
        self._servers = []
        self.s3_url = None
        if s3_host:
            server = self._bind(s3_host)
            self.s3_url = f"http://{s3_host}:{server.server_port}"
            os.environ["MOTO_S3_CUSTOM_ENDPOINTS"] = self.s3_url
        self.proxy_url = f"http://127.0.0.1:{self._bind('127.0.0.1').server_port}"
        os.environ["MOTO_PORT"] = self.proxy_url.rpartition(":")[2]

        # moto reads the settings above while it is imported.
        from moto.moto_proxy import logger
        from moto.moto_proxy.proxy3 import CertificateCreator, ProxyRequestHandler

        class Handler(ProxyRequestHandler):
            def do_CONNECT(self):
                host, _, port = self.path.rpartition(":")
                if is_aws(host):
                    super().do_CONNECT()
                else:
                    self.timeout = None  # a quiet connection is not a dead one
                    self.connect_relay((host, int(port)))

            def do_GET(self):
                address = urlsplit(self.path)
                if address.hostname is None or is_aws(address.hostname):
                    super().do_GET()
                else:
                    self.pass_on(address)

            do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET

            def pass_on(self, address):
                """Hand a plain HTTP request on to its host, and the answer back."""
                self.close_connection = True
                del self.headers["Proxy-Connection"], self.headers["Connection"]
                self.headers["Connection"] = "close"
                path = urlunsplit(("", "", address.path or "/", address.query, ""))
                head = f"{self.command} {path} HTTP/1.1\r\n{self.headers.as_string()}".replace("\r\n", "\n")
                try:
                    with socket.create_connection((address.hostname, address.port or 80)) as host:
                        host.sendall(head.replace("\n", "\r\n").encode("latin-1"))
                        host.sendall(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                        while data := host.recv(1 << 16):
                            self.wfile.write(data)
                except OSError:
                    self.send_error(502)

            def log_message(self, *args):
                pass

        logger.setLevel("CRITICAL")  # moto would log every request to stdout
        # moto writes its certificates beside its own code, where two sandboxes would get in each other's way.
        certificates = folder / "certificates"
        certificates.mkdir()
        shutil.copy(os.path.join(CertificateCreator.certdir, "req.conf.tmpl"), certificates)
        CertificateCreator.certdir = f"{certificates}/"
        CertificateCreator().validate()
        self.ca_bundle = CertificateCreator.cacert
        from sandbox import permissions
        from sandbox.jobs import Jobs

        self.administrator = permissions.create_administrator()
        permissions.enforce()
        self.jobs = Jobs(folder / "jobs", self.client_environment())
        self.jobs.serve()
        for server in self._servers:
            server.RequestHandlerClass = Handler
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def _bind(self, host):
        server = ThreadingHTTPServer((host, 0), None)
        self._servers.append(server)
        return server

    def close(self):
        self.jobs.close()
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def client(self, service, **credentials):
        """A boto3 client of this account, whatever the environment of this process says."""
        import boto3
        from botocore.config import Config

        credentials = credentials or self.administrator
        session = boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"),
            region_name=REGION,
        )
        config = Config(proxies={"https": self.proxy_url}, ignore_configured_endpoint_urls=True)
        return session.client(service, config=config, verify=self.ca_bundle)

    def assume_execution_role(self):
        """Create the execution role with the policies of notebook 01, and assume it -> the variables that say so."""
        from sandbox import permissions

        iam = self.client("iam")
        role = iam.create_role(RoleName=ROLE_NAME, AssumeRolePolicyDocument=TRUST_POLICY.read_text())["Role"]
        iam.put_role_policy(
            RoleName=ROLE_NAME, PolicyName="execution-policy", PolicyDocument=EXECUTION_POLICY.read_text()
        )
        self.role = role["Arn"]
        return permissions.assume(self.role, "sandbox", REGION)

    def client_environment(self):
        """What leads the AWS clients of a process into this account, whoever they are."""
        return {
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CA_BUNDLE": self.ca_bundle,
            "HTTPS_PROXY": self.proxy_url,
            "HTTP_PROXY": self.proxy_url,
            "NO_PROXY": "localhost,127.0.0.1",
        }

    def environment(self, folder):
        """The environment of a command inside the account; files that it needs are written to `folder`."""
        sdk_config = folder / "sagemaker-config.yaml"
        sdk_config.write_text(
            json.dumps({"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}})
        )
        inside = {
            **self.client_environment(),
            **self.assume_execution_role(),
            "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(sdk_config),
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(sdk_config),
            "SAGEMAKER_SUPPRESS_V2_WARNING": "1",
            "TF_CPP_MIN_LOG_LEVEL": "2",
        }
        if self.s3_url:
            # The SDK hands its S3 address on to the containers of local mode.
            inside["AWS_ENDPOINT_URL_S3"] = self.s3_url
        return {**self._outside, **inside}
