"""Endpoints for tests: models in S3, shorthands, and a server that costs less than TensorFlow."""

import contextlib
import io
import tarfile

from sandbox.machine import environments
from tests.support.cloud import IMAGE, ROLE, wait_for

INFERENCE = IMAGE.replace("tensorflow-training", "tensorflow-inference")
# It answers what the model's file `answer` says, and the request; some requests make it slow, fail or end.
SERVER = """
import http.server, os, sys, time
if os.path.exists("/opt/ml/model/hang"):
    time.sleep(900)
word = open("/opt/ml/model/answer").read()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, log_message, disable_nagle_algorithm = "HTTP/1.1", lambda *_: None, True
    def do_GET(self, status=200, body=b""):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "seen")
        self.end_headers()
        self.wfile.write(body)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"end":
            os._exit(9)
        if body.startswith(b"slow"):
            time.sleep(3)
        seen = {name: self.headers[name] for name in ("Accept", "X-Amzn-SageMaker-Custom-Attributes")}
        answer = f"{word} {os.environ.get('WORD')} {seen} ".encode() if body == b"tell" else word.encode() + b" "
        self.do_GET(503 if body == b"fail" else 200, answer + body)
print("served: " + " ".join(sorted(os.listdir("/opt/ml"))), flush=True)
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8080), Handler)
server.daemon_threads = True
server.serve_forever()
"""
COMMAND = [f"{environments.PLACE}/bin/python", "-c", SERVER]


def archive(files, mode="w:gz"):
    """An archive of {name: content}; a content that is a TarInfo is taken as it is."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as tar:
        for name, body in files.items():
            member = body if isinstance(body, tarfile.TarInfo) else tarfile.TarInfo(name)
            member.name, body = name, b"" if isinstance(body, tarfile.TarInfo) else body
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return content.getvalue()


def variant(model, **more):
    return {
        "VariantName": "AllTraffic",
        "ModelName": model,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.m5.xlarge",
        "InitialVariantWeight": 1.0,
        **more,
    }


class Hosting:
    """What a test asks of endpoints; everything has the name of its model."""

    def __init__(self, cloud):
        self.cloud, self.sagemaker, self.runtime = cloud, cloud.sagemaker, cloud.runtime

    def model(self, name, content=None, **container):
        """A model of an archive's content."""
        if content is None:
            content = archive({"answer": name.encode()})
        uri = self.cloud.put(f"models/{name}.tar.gz", content)
        container = {"Image": INFERENCE, "ModelDataUrl": uri, **container}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        return name

    def config(self, name, content=None, container=None, **more):
        """A configuration with a model of its own."""
        self.model(name, content, **container or {})
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant(name, **more)])
        return name

    def start(self, name, *arguments, **more):
        self.config(name, *arguments, **more)
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        return name

    def serve(self, name, *arguments, **more):
        """An endpoint that is in service, or has failed."""
        self.start(name, *arguments, **more)
        return self.wait(name)

    def describe(self, name):
        return self.sagemaker.describe_endpoint(EndpointName=name)

    def wait(self, name):
        wait_for(lambda: self.describe(name)["EndpointStatus"] in ("InService", "Failed"))
        return self.describe(name)

    def invoke(self, name, body=b"", kind="application/json", **more):
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType=kind, **more)
        return answer["Body"].read().decode()

    def gone(self, name):
        with contextlib.suppress(self.sagemaker.exceptions.ClientError):
            self.describe(name)
            return False
        return True

    def remove(self, name):
        """Delete an endpoint, and wait until it is gone."""
        self.sagemaker.delete_endpoint(EndpointName=name)
        wait_for(lambda: self.gone(name))

    def lines(self, name):
        group = f"/aws/sagemaker/Endpoints/{name}"
        found = self.cloud.logs.describe_log_streams(logGroupName=group)["logStreams"]
        pages = [
            self.cloud.logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )
            for stream in found
        ]
        return [event["message"] for page in pages for event in page["events"]]
