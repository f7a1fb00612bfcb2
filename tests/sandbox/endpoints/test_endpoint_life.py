"""An endpoint from its first status to its last, with a server of the tests' own in the place of TensorFlow's."""

import io
import socket
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import HTTPServer, SimpleHTTPRequestHandler
from types import SimpleNamespace

import psutil
import pytest
from botocore.exceptions import ClientError

from sandbox.endpoints import fleet, instance, members
from tests.support import ROOT
from tests.support.cloud import BUCKET, ROLE, wait_for
from tests.support.hosting import COMMAND, INFERENCE, Hosting, archive, variant

NO_PING = (
    "The primary container for production variant AllTraffic did not pass the ping health check. Please check "
    "CloudWatch logs for this endpoint."
)


@pytest.fixture
def hosting(cloud, monkeypatch):
    monkeypatch.setattr(instance, "COMMAND", COMMAND)
    yield Hosting(cloud)
    for endpoint in list(cloud.account.endpoints.found["Endpoint"].values()):
        wait_for(lambda endpoint=endpoint: endpoint.status not in ("Creating", "Updating"))
        if endpoint.status != "Deleting":
            cloud.sagemaker.delete_endpoint(EndpointName=endpoint.name)
    wait_for(lambda: not cloud.account.endpoints.found["Endpoint"])
    assert psutil.Process().children(recursive=True) == []
    assert not list(cloud.account.endpoints.folder.glob("*/*"))


def error(call, *positional, **arguments):
    """The error that a call ends with -> its response"""
    with pytest.raises(ClientError) as raised:
        call(*positional, **arguments)
    return raised.value.response


def test_from_creating_to_gone(cloud, hosting, monkeypatch):
    asked, run = threading.Event(), instance.Instance.run
    monkeypatch.setattr(instance.Instance, "run", lambda self: asked.wait(60) and run(self))
    before = time.time()
    name = hosting.start("plain", container={"Environment": {"WORD": "from the model"}})
    first = hosting.describe(name)
    assert first["EndpointStatus"] == "Creating" and "ProductionVariants" not in first
    missing = error(hosting.invoke, name)["Error"]
    assert missing == {"Code": "ValidationError", "Message": "Endpoint plain of account 123456789012 not found."}
    for operation in (hosting.sagemaker.delete_endpoint, hosting.sagemaker.update_endpoint):
        more = {"EndpointConfigName": name} if operation == hosting.sagemaker.update_endpoint else {}
        refused = error(operation, EndpointName=name, **more)["Error"]
        assert refused["Message"] == f'Cannot update in-progress endpoint "{first["EndpointArn"]}".'
    taken = error(hosting.sagemaker.create_endpoint, EndpointName=name, EndpointConfigName=name)["Error"]
    assert taken["Message"] == f'Cannot create already existing endpoint "{first["EndpointArn"]}".'
    refused = error(hosting.start, "more", InitialInstanceCount=8)["Error"]["Message"]
    assert "utilization of 1 Instances" in refused  # the one that comes
    asked.set()
    described = hosting.wait(name)
    assert described["EndpointStatus"] == "InService" and "FailureReason" not in described
    assert described["EndpointArn"] == "arn:aws:sagemaker:us-east-1:123456789012:endpoint/plain"
    assert before <= described["CreationTime"].timestamp() <= described["LastModifiedTime"].timestamp()
    [listed] = hosting.sagemaker.list_endpoints()["Endpoints"]
    assert listed["LastModifiedTime"] == described["LastModifiedTime"] > listed["CreationTime"]
    assert "not found" in error(hosting.invoke, name, TargetVariant="Other")["Error"]["Message"]
    [variant] = described["ProductionVariants"]
    assert variant["DeployedImages"][0]["SpecifiedImage"] == INFERENCE and variant["CurrentInstanceCount"] == 1
    answer = hosting.runtime.invoke_endpoint(
        EndpointName=name, Body=b"tell", Accept="text/x", CustomAttributes="tfs-a=1", TargetVariant="AllTraffic"
    )
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/plain", "AllTraffic")
    assert answer["CustomAttributes"] == "seen"
    seen = "{'Accept': 'text/x', 'X-Amzn-SageMaker-Custom-Attributes': 'tfs-a=1'}"
    assert answer["Body"].read().decode() == f"plain from the model {seen} tell"
    wait_for(lambda: "served: model" in hosting.lines(name))
    hosting.remove(name)
    assert "Could not find endpoint" in error(hosting.describe, name)["Error"]["Message"]
    assert "not found" in error(hosting.invoke, name)["Error"]["Message"]


def test_ten_in_a_row_and_three_at_once(hosting):
    memory = psutil.Process().memory_info().rss
    hosting.config("row")
    for number in range(10):
        hosting.sagemaker.create_endpoint(EndpointName=f"row-{number}", EndpointConfigName="row")
        assert hosting.wait(f"row-{number}")["EndpointStatus"] == "InService"
        assert hosting.invoke(f"row-{number}", b"x") == "row x"
        hosting.remove(f"row-{number}")
    names = [hosting.start(f"at-once-{number}") for number in range(3)]
    for name in names:
        assert hosting.wait(name)["EndpointStatus"] == "InService"
        assert hosting.invoke(name, b"x") == f"{name} x"
    for name in names:
        hosting.remove(name)
    assert psutil.Process().children(recursive=True) == []
    assert psutil.Process().memory_info().rss - memory < 100 << 20


def test_an_update_under_requests_of_eight_clients(cloud, hosting):
    hosting.serve("old")
    hosting.config("new")
    pid = [process.pid for process in psutil.Process().children(recursive=True)]
    seen = []

    def client(number):
        runtime = cloud.account.client("sagemaker-runtime", **cloud.key)
        for count in range(250):
            body = f"{number}-{count}".encode()
            answer = runtime.invoke_endpoint(EndpointName="old", Body=body)["Body"].read().decode()
            assert answer in (f"old {body.decode()}", f"new {body.decode()}")
            seen.append(answer[:3])
            if len(seen) == 200:
                hosting.sagemaker.update_endpoint(EndpointName="old", EndpointConfigName="new")
                assert hosting.describe("old")["EndpointStatus"] == "Updating"
                assert hosting.describe("old")["EndpointConfigName"] == "old"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))
    assert len(seen) == 2000 and set(seen) == {"old", "new"}
    described = hosting.wait("old")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "new")
    assert hosting.invoke("old", b"x") == "new x" and not any(map(psutil.pid_exists, pid))


def test_an_update_waits_for_requests_that_are_being_answered(hosting):
    hosting.serve("patient")
    hosting.config("patient-new")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(hosting.invoke, "patient", b"slow")
        time.sleep(1)
        hosting.sagemaker.update_endpoint(EndpointName="patient", EndpointConfigName="patient-new")
        assert answer.result() == "patient slow"
    hosting.wait("patient")


def test_a_failed_update_leaves_the_endpoint_as_it_was(hosting):
    hosting.serve("kept")
    hosting.config("broken", archive({"nothing": b""}))
    hosting.sagemaker.update_endpoint(EndpointName="kept", EndpointConfigName="broken")
    described = hosting.wait("kept")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "kept")
    assert described["FailureReason"] == NO_PING and hosting.invoke("kept", b"x") == "kept x"


def link():
    member = tarfile.TarInfo()
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return member


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("no-archive", b"no archive", "Failed to extract model data archive"),
        (
            "cut",
            archive({"answer": b"x" * 10000, "other": bytes(range(256)) * 99})[:-60],
            "Failed to extract model data",
        ),
        ("not-compressed", archive({"answer": b"x"}, "w"), "Failed to extract model data archive"),
        ("a-link", archive({"answer": link()}), "Failed to extract model data archive"),
        ("out-of-it", archive({"../../answer": b"x"}), "Failed to extract model data archive"),
        ("ends-at-once", archive({"other": b"x"}), NO_PING),
    ],
    # The bytes of an archive hold the time: in them a test would have another name in each of pytest's processes.
    ids=lambda value: "archive" if isinstance(value, bytes) else None,
)
def test_what_cannot_be_served(hosting, name, content, reason):
    described = hosting.serve(name, content)
    assert described["EndpointStatus"] == "Failed" and described["FailureReason"].startswith(reason)
    if reason != NO_PING:
        assert f's3://{BUCKET}/models/{name}.tar.gz". Please ensure' in described["FailureReason"]
    assert "not found" in error(hosting.invoke, name)["Error"]["Message"]
    refused = error(hosting.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=name)["Error"]
    assert refused["Message"] == f'Cannot update failed endpoint "{described["EndpointArn"]}".'


def test_data_that_was_deleted_after_the_model_was_made(cloud, hosting):
    hosting.config("late")
    cloud.s3.delete_object(Bucket=BUCKET, Key="models/late.tar.gz")
    hosting.sagemaker.create_endpoint(EndpointName="late", EndpointConfigName="late")
    assert hosting.wait("late")["FailureReason"] == (
        f'Failed to download model data for container "container_1" from URL: "s3://{BUCKET}/models/late.tar.gz". '
        "Please ensure that there is an object located at the URL and that the role passed to CreateModel has "
        "permissions to download the object."
    )


def test_a_server_that_never_answers(hosting, monkeypatch):
    monkeypatch.setattr(fleet, "STARTUP", 2)
    described = hosting.serve("hangs", archive({"hang": b""}))
    assert (described["EndpointStatus"], described["FailureReason"]) == ("Failed", NO_PING)


def test_errors_of_the_server_and_its_end(hosting):
    hosting.serve("ill")
    failed = error(hosting.invoke, "ill", b"fail")
    assert (failed["ResponseMetadata"]["HTTPStatusCode"], failed["OriginalStatusCode"]) == (424, 503)
    assert failed["OriginalMessage"] == "ill fail" and failed["Error"]["Code"] == "ModelError"
    group = "/aws/sagemaker/Endpoints/ill"
    assert failed["Error"]["Message"] == (
        'Received server error (503) from primary with message "ill fail". See https://us-east-1.console.aws.amazon.com/'
        f"cloudwatch/home?region=us-east-1#logEventViewer:group={group} in account 123456789012 for more information."
    )
    assert failed["LogStreamArn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{group}"
    ended = error(hosting.invoke, "ill", b"end")
    assert ended["OriginalStatusCode"] == 502 and "Bad Gateway" in ended["OriginalMessage"]

    def answers_again():
        try:
            return hosting.invoke("ill", b"x") == "ill x"
        except hosting.runtime.exceptions.ModelError as raised:
            assert raised.response["OriginalStatusCode"] == 502

    wait_for(answers_again)
    assert hosting.describe("ill")["EndpointStatus"] == "InService"
    line = "WARNING:__main__:unexpected tensorflow serving exit (status: 9). restarting."
    wait_for(lambda: line in hosting.lines("ill"))
    for process in psutil.Process().children(recursive=True):
        process.kill()
    wait_for(answers_again)


def test_a_request_that_takes_too_long(hosting, monkeypatch):
    monkeypatch.setattr(instance, "LONGEST", 1)
    hosting.serve("slow")
    late = error(hosting.invoke, "slow", b"slow")
    assert late["OriginalStatusCode"] == 0
    assert "Your invocation timed out while waiting for a response from container primary" in late["Error"]["Message"]
    assert hosting.invoke("slow", b"x") == "slow x"


def test_several_instances_answer_side_by_side_and_have_a_quota(hosting):
    hosting.serve("pair", InitialInstanceCount=2)
    [described] = hosting.describe("pair")["ProductionVariants"]
    assert described["CurrentInstanceCount"] == described["DesiredInstanceCount"] == 2
    assert len([line for line in hosting.lines("pair") if line == "served: model"]) == 2
    refused = error(hosting.start, "too-many", InitialInstanceCount=7)["Error"]
    assert refused["Code"] == "ResourceLimitExceeded"
    assert "is 8 Instances, with current utilization of 2 Instances and a request delta of 7" in refused["Message"]
    members.check_capacity(variant("pair", InitialInstanceCount=6), 2, hosting.cloud.account.machine)


def waiting(cloud, **more):
    """A fleet whose instances the test gives."""
    config, model = {"ProductionVariants": [variant("m", **more)]}, {"PrimaryContainer": {"Image": INFERENCE}}
    return fleet.Fleet("us-east-1", "e", config, {**model, "ExecutionRoleArn": ROLE}, None, cloud.account.machine)


def test_the_time_that_a_request_gives_to_the_start(cloud, monkeypatch):
    found, clock = waiting(cloud, ContainerStartupHealthCheckTimeoutInSeconds=60), iter([0, 59, 61])
    found.instances = [SimpleNamespace(ready=threading.Event(), problem=None)]
    monkeypatch.setattr(fleet, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with pytest.raises(fleet.Failure, match="did not pass the ping health check"):
        found.wait()


def test_a_request_goes_to_the_instance_that_has_the_fewest(cloud):
    found = waiting(cloud)
    found.instances = [
        SimpleNamespace(in_use=count, invoke=lambda headers, body, count=count: count) for count in (2, 1, 3)
    ]
    assert found.invoke({}, b"") == 1 and found.instances[1].in_use == 1


def test_a_server_that_closes_its_connections():
    """Each request gets a new one then."""
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)  # of HTTP/1.0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    connections = instance.Connections(SimpleNamespace(connect=lambda: socket.create_connection(server.server_address)))
    assert [connections.request("GET", "/none", {}, None)[0] for _ in range(2)] == [404, 404]
    server.shutdown()
    server.server_close()


def test_a_model_that_lies_in_s3_as_it_is(cloud, hosting):
    uri = cloud.put("as-it-is/answer", b"as it is").removesuffix("answer")
    source = {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}
    container = {"Image": INFERENCE.replace(":2.21", ":1.99"), "ModelDataSource": {"S3DataSource": source}}
    hosting.sagemaker.create_model(ModelName="prefix", ExecutionRoleArn=cloud.account.role, Containers=[container])
    hosting.sagemaker.create_endpoint_config(
        EndpointConfigName="prefix",
        ProductionVariants=[
            {"VariantName": "v", "ModelName": "prefix", "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        ],
    )
    hosting.sagemaker.create_endpoint(EndpointName="prefix", EndpointConfigName="prefix")
    hosting.wait("prefix")
    assert hosting.invoke("prefix", b"x") == "as it is x"
    assert any("is here; this endpoint runs with TensorFlow" in line for line in hosting.lines("prefix"))
    assert io.BytesIO(hosting.invoke("prefix", b"y" * 5_000_000).encode()).getbuffer().nbytes > 5_000_000
    cloud.s3.delete_object(Bucket=BUCKET, Key="as-it-is/answer")
    hosting.sagemaker.create_endpoint(EndpointName="emptied", EndpointConfigName="prefix")
    assert hosting.wait("emptied")["FailureReason"].startswith("Failed to download model data for container")


IMPORTS_NOTHING = """
import json, socket, sys
from sandbox.machine.namespaces import program

server = socket.create_server(("127.0.0.1", 0))
ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
late = []
sys.addaudithook(lambda event, details: event in ("import", "open") and late.append((event, details[0])))
program.hand_out(theirs, server.getsockname()[1])
message, [descriptor], _, _ = socket.recv_fds(ours, 100, 1)
assert socket.socket(fileno=descriptor).getpeername() == server.getsockname()
assert late == [], late
server.close()
program.hand_out(theirs, server.getsockname()[1] if server.fileno() >= 0 else 9)
assert "refused" in json.loads(ours.recv(1000))["error"]
"""


def test_a_connection_is_handed_out_without_a_file_of_the_machines_python():
    """Which the program in the host no longer sees, where it lies in a folder that jobs do not have."""
    subprocess.run([sys.executable, "-E", "-s", "-c", IMPORTS_NOTHING], cwd=ROOT, check=True)
