"""What clients of the account see: the table of operations, denials, lists, search, tags and metrics."""

import io
import json
import os
import socket
import ssl
import tarfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError
from moto.moto_proxy import proxy3
from moto.s3.responses import S3Response

from sandbox import settings
from sandbox.api import paging
from tests.support.cloud import BUCKET, algorithm, channel, wait_for

OTHER = "arn:aws:iam::123456789012:role/Other"


def error(call, *positional, **arguments):
    """The error that a call ends with -> its code and its message."""
    with pytest.raises(ClientError) as raised:
        call(*positional, **arguments)
    return raised.value.response["Error"]["Code"], raised.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("sagemaker", "delete_inference_component", {"InferenceComponentName": "c"}),
        ("sagemaker", "list_model_packages", {}),
        (
            "sagemaker",
            "create_processing_job",
            {
                "ProcessingJobName": "p",
                "ProcessingResources": {
                    "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1}
                },
                "AppSpecification": {"ImageUri": "any"},
                "RoleArn": "r" * 20,
            },
        ),
        ("sagemaker", "create_pipeline", {"PipelineName": "p", "ClientRequestToken": "t" * 32, "RoleArn": "r" * 20}),
        ("sagemaker", "stop_processing_job", {"ProcessingJobName": "p"}),
        ("sagemaker", "list_processing_jobs", {}),
        ("sagemaker-runtime", "invoke_endpoint_async", {"EndpointName": "e", "InputLocation": "s3://b/k"}),
        ("lambda", "list_functions", {}),
        ("sns", "list_topics", {}),
    ],
)
def test_what_is_in_no_table_is_refused_by_its_name(cloud, service, operation, arguments):
    """To the administrator, too: it is no matter of rights."""
    client = cloud.account.client(service)
    code, message = error(getattr(client, operation), **arguments)
    name = client.meta.method_to_api_mapping[operation]
    assert "Validation" in code and f"The sandbox does not run {name} of " in message


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code"),
    [
        ("kms", "create_key", {}, "AccessDeniedException"),
        ("ecr", "describe_repositories", {}, "AccessDeniedException"),
        ("ssm", "get_parameter", {"Name": "/a"}, "AccessDeniedException"),
        ("logs", "describe_log_groups", {}, "AccessDeniedException"),
        ("sagemaker", "search", {"Resource": "TrainingJob"}, "AccessDeniedException"),
        ("cloudwatch", "list_metrics", {}, "AccessDenied"),
        ("iam", "list_users", {}, "AccessDenied"),
        ("sts", "assume_role", {"RoleArn": OTHER, "RoleSessionName": "somebody"}, "AccessDenied"),
        ("ec2", "describe_subnets", {}, "UnauthorizedOperation"),
    ],
)
def test_denials_in_each_services_own_words(cloud, service, operation, arguments, code):
    client = cloud.account.client(service, **cloud.key)
    action = f"{service}:{client.meta.method_to_api_mapping[operation]}"
    found, message = error(getattr(client, operation), **arguments)
    assert found == code
    assert (
        f"assumed-role/SageMakerExecutionRole/sandbox is not authorized to perform: {action} on resource: " in message
    )
    assert message.endswith(f"because no identity-based policy allows the {action} action")


def test_a_role_that_trusts_services_alone_is_assumed_by_no_user(cloud):
    sts = cloud.account.client("sts", **cloud.key)
    assert error(sts.assume_role, RoleArn=cloud.account.role, RoleSessionName="somebody")[0] == "AccessDenied"


def test_simulation_of_a_policy(cloud):
    iam = cloud.account.client("iam")
    arn = cloud.account.role
    answer = iam.simulate_principal_policy(
        PolicySourceArn=arn, ActionNames=["sagemaker:ListTrainingJobs", "s3:ListAll"]
    )
    decisions = [result["EvalDecision"] for result in answer["EvaluationResults"]]
    assert decisions == ["allowed", "implicitDeny"]
    assert error(iam.simulate_principal_policy, PolicySourceArn=arn + "x", ActionNames=["s3:X"])[0] == "NoSuchEntity"


def test_a_second_environment_and_this_process(cloud):
    assert cloud.account.environment()["AWS_ACCESS_KEY_ID"] and cloud.account.environment()["AWS_ACCESS_KEY_ID"]
    assert "PATH" in os.environ and os.environ["AWS_SECRET_ACCESS_KEY"] == "the user's own"
    own, all_ = (Path(cloud.account.environment()[name]).read_text() for name in ("AWS_CA_BUNDLE", "SSL_CERT_FILE"))
    assert all_.startswith(own) and all_.count("BEGIN CERT") > 10  # those whom everybody trusts, too


@pytest.fixture(scope="module")
def three(cloud):
    """Three jobs that have ended: their names."""
    data = cloud.put("found/a", b"1")
    for number, exit_code in enumerate((0, 1, 0)):
        cloud.run(
            f"raise SystemExit({exit_code})" if exit_code else "print('accuracy: 0.5')",
            TrainingJobName=f"found-{number}",
            hyperparameters={"epochs": str(number + 9), "a.b": str(number)},
            Tags=[{"Key": "series", "Value": f"s{number}"}] if number else [],
            InputDataConfig=[channel(data, name=f"channel{number}")],
            AlgorithmSpecification=algorithm(MetricDefinitions=[{"Name": "acc", "Regex": "accuracy: ([0-9.]+)"}]),
        )
    return [f"found-{number}" for number in range(3)]


def test_pages(cloud, three):
    first = cloud.sagemaker.list_training_jobs(NameContains="FOUND", MaxResults=2)
    assert [job["TrainingJobName"] for job in first["TrainingJobSummaries"]] == three[:2]
    more = {"NameContains": "FOUND", "NextToken": first["NextToken"]}
    second = cloud.sagemaker.list_training_jobs(MaxResults=2, **more)
    assert [job["TrainingJobName"] for job in second["TrainingJobSummaries"]] == three[2:] and "NextToken" not in second
    for token in ("no-such-token", "WzAsIDFd"):
        code = error(cloud.sagemaker.list_training_jobs, NextToken=token)
        assert code == ("ValidationException", "Invalid NextToken")
    assert error(cloud.sagemaker.list_training_jobs, **{**more, "NameContains": "x"})[0] == "ValidationException"
    assert "less than or equal to 100" in error(cloud.sagemaker.list_training_jobs, MaxResults=101)[1]


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ({"Filters": [("TrainingJobName", "Equals", "found-1")]}, [1]),
        ({"Filters": [("TrainingJobName", None, "found-1")]}, [1]),
        ({"Filters": [("TrainingJobName", "Contains", "FOUND")]}, [0, 1, 2]),
        ({"Filters": [("TrainingJobName", "In", "found-0,found-2")]}, [0, 2]),
        ({"Filters": [("TrainingJobStatus", "NotEquals", "Failed")]}, [0, 2]),
        ({"Filters": [("HyperParameters.epochs", "GreaterThan", "9")]}, [1, 2]),
        ({"Filters": [("HyperParameters.epochs", "LessThanOrEqualTo", "10")]}, [0, 1]),
        ({"Filters": [("HyperParameters.a.b", "Equals", "1")]}, [1]),
        ({"Filters": [("EnableManagedSpotTraining", "Equals", "false")]}, [0, 1, 2]),
        ({"Filters": [("Tags.series", "NotEquals", "s1")]}, [0, 2]),
        ({"Filters": [("Tags.series", "Exists", None)]}, [1, 2]),
        ({"Filters": [("Tags.series", "NotExists", None)]}, [0]),
        ({"Filters": [("Metrics.acc", "GreaterThanOrEqualTo", "0.5")]}, [0, 2]),
        ({"Filters": [("CreationTime", "LessThan", "2020-01-01T00:00:00Z")]}, []),
        ({"Filters": [("CreationTime", "GreaterThan", "2020-01-01T00:00:00Z")]}, [0, 1, 2]),
        ({"Filters": [("Tags.series", "Equals", "s1"), ("TrainingJobStatus", "Equals", "Failed")]}, [1]),
        (
            {"Operator": "Or", "Filters": [("Tags.series", "Equals", "s2"), ("TrainingJobName", "Equals", "found-0")]},
            [0, 2],
        ),
        ({"SubExpressions": [{"Filters": [{"Name": "TrainingJobName", "Operator": "In", "Value": "found-1"}]}]}, [1]),
        ({"NestedFilters": [("InputDataConfig", "InputDataConfig.ChannelName", "channel2")]}, [2]),
    ],
)
def test_search(cloud, three, expression, found):
    def filter_(name, operator, value):
        return {
            key: part for key, part in (("Name", name), ("Operator", operator), ("Value", value)) if part is not None
        }

    asked = dict(expression)
    asked["Filters"] = [filter_(*parts) for parts in asked.get("Filters", [])] or None
    if "NestedFilters" in asked:
        asked["NestedFilters"] = [
            {"NestedPropertyName": place, "Filters": [filter_(name, "Equals", value)]}
            for place, name, value in asked["NestedFilters"]
        ]
    asked = {key: value for key, value in asked.items() if value}
    client, order = cloud.account.client("sagemaker"), {"SortBy": "TrainingJobName", "SortOrder": "Ascending"}
    pages = client.get_paginator("search").paginate(
        Resource="TrainingJob", SearchExpression=asked, PaginationConfig={"PageSize": 1}, **order
    )
    names = [result["TrainingJob"]["TrainingJobName"] for page in pages for result in page["Results"]]
    assert names == [f"found-{number}" for number in found]


def test_search_for_other_things(cloud):
    code, message = error(cloud.account.client("sagemaker").search, Resource="Endpoint")
    assert code == "ValidationException" and "Search for Endpoint" in message


def test_search_with_a_filter_that_has_no_value(cloud, three):
    asked = {"Filters": [{"Name": "TrainingJobName", "Operator": "Contains"}]}
    call = cloud.account.client("sagemaker").search
    message = error(call, Resource="TrainingJob", SearchExpression=asked)[1]
    assert message == "A Value is required for the operator Contains of TrainingJobName"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"CreationTimeBefore": 1}, "01"),
        ({"CreationTimeAfter": 1, "CreationTimeBefore": 2}, "12"),
        ({"LastModifiedTimeAfter": 12}, "23"),
        ({"LastModifiedTimeBefore": 10}, "0"),
        ({"SortBy": "Status"}, "3210"),
    ],
)
def test_times_and_statuses_in_a_list(query, found):
    records = [SimpleNamespace(name=str(n), status=9 - n, created=moment(n), modified=moment(n + 10)) for n in range(4)]
    assert "".join(record.name for record in paging.select(records, query)) == found


def moment(seconds):
    return datetime.fromtimestamp(seconds, UTC)


def test_regions_are_apart(cloud, three, monkeypatch):
    monkeypatch.setattr(settings, "REGION", "eu-west-1")
    client = cloud.account.client("sagemaker", **cloud.key)
    assert client.list_training_jobs()["TrainingJobSummaries"] == client.list_models()["Models"] == []
    arn = client.create_training_job(**cloud.request(TrainingJobName=three[0]))["TrainingJobArn"]
    assert arn == f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/{three[0]}"
    wait_for(lambda: client.list_training_jobs(StatusEquals="Completed")["TrainingJobSummaries"])


def test_tags(cloud, three):
    client = cloud.account.client("sagemaker")
    arn = cloud.describe(three[0])["TrainingJobArn"]
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    client.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "3"}])
    client.delete_tags(ResourceArn=arn, TagKeys=["b", "none"])
    assert client.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "3"}]
    client.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert "reserved" in error(client.add_tags, ResourceArn=arn, Tags=[{"Key": "aws:a", "Value": "1"}])[1]
    assert error(client.list_tags, ResourceArn=arn + "x")[1].startswith("Requested resource not found")


def test_delete(cloud):
    client = cloud.account.client("sagemaker")
    name = cloud.start("print('ready', flush=True); import time; time.sleep(3)")
    assert "is in status InProgress" in error(client.delete_training_job, TrainingJobName=name)[1]
    cloud.wait(name)
    client.delete_training_job(TrainingJobName=name)
    assert error(client.describe_training_job, TrainingJobName=name)[1] == "Requested resource not found."


def test_metrics_while_the_job_runs(cloud):
    name = cloud.start(
        "import time; print('acc: 0.5', flush=True); print('ready', flush=True); time.sleep(4)",
        AlgorithmSpecification=algorithm(MetricDefinitions=[{"Name": "acc", "Regex": "acc: ([0-9.]+)"}]),
    )
    cloud.wait_for_line(name, "ready")
    client, now = cloud.account.client("cloudwatch", **cloud.key), datetime.now(UTC)
    answer = client.get_metric_statistics(
        Namespace="/aws/sagemaker/TrainingJobs",
        MetricName="acc",
        Dimensions=[{"Name": "TrainingJobName", "Value": name}],
        StartTime=now - timedelta(minutes=2),
        EndTime=now + timedelta(minutes=2),
        Period=60,
        Statistics=["Average"],
    )
    assert [point["Average"] for point in answer["Datapoints"]] == [0.5]
    assert cloud.describe(name)["TrainingJobStatus"] == "InProgress"
    cloud.wait(name)


def test_a_body_in_many_chunks_is_copied_once():
    """Copied at each chunk, this one would take minutes."""
    body = (b"200\r\n" + bytes(512) + b"\r\n") * 100_000 + b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    assert proxy3.ProxyRequestHandler.read_chunked_body(None, io.BytesIO(body)) == bytes(51_200_000)
    assert S3Response._handle_encoded_body(None, body) == bytes(51_200_000)
    assert S3Response._handle_encoded_body(None, b"") == b""


def test_an_encrypted_connection_ends_as_tls_wants(cloud):
    """Newer Pythons bear another end, older ones do not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    plain = socket.create_connection(("127.0.0.1", cloud.account.proxies[0].port))
    with context.wrap_socket(plain, suppress_ragged_eofs=False) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: s3.amazonaws.com\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 403 ")


def test_a_client_that_breaks_off_leaves_no_traceback(cloud, capfd):
    """SDK 3's report, for example, when Python ends in the middle of it."""
    with socket.create_connection(("127.0.0.1", cloud.account.proxies[0].port)) as connection:
        connection.sendall(b"CONNECT s3.amazonaws.com:443 HTTP/1.1\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"\x16\x03\x01")  # the begin of a handshake
    wait_for(lambda: not [thread for thread in threading.enumerate() if "process_request" in thread.name])
    assert capfd.readouterr().err == ""


def test_archives_keep_empty_folders_and_links(cloud):
    make = "os.makedirs('1/assets'); open('1/x', 'w').write('x'); os.symlink('x', '1/l')"
    job = cloud.run(f"import os; os.chdir('/opt/ml/model'); {make}")
    body = cloud.get(f"out/{job['TrainingJobName']}/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        members = {member.name: member for member in tar}
    assert members["1/assets"].isdir() and members["1/l"].issym() and members["1/l"].linkname == "x"
    assert {(member.uid, member.uname) for member in members.values()} == {(0, "root")}


@pytest.mark.parametrize(
    "keys",
    [("clash/a", "clash/a/b"), ("long/" + "x" * 300,)],
    ids=["an object and a folder of one name", "a name that no file system takes"],
)
def test_names_that_cannot_be_files(cloud, keys):
    for key in keys:
        cloud.put(key, b"x")
    job = cloud.run(InputDataConfig=[channel(f"s3://{BUCKET}/{keys[0].split('/')[0]}")])
    assert job["FailureReason"].startswith(
        "ClientError: Data download failed:Failed to download data. Cannot write s3://"
    )


@pytest.mark.parametrize("content", [b"no json", b"{}", b"[1]", json.dumps([{"no": "prefix"}]).encode()])
def test_a_manifest_that_is_none(cloud, content):
    job = cloud.run(InputDataConfig=[channel(cloud.put("manifest.none", content), kind="ManifestFile")])
    assert job["FailureReason"].startswith("ClientError: Data download failed:Failed to parse the manifest file")


def test_list(cloud):
    names = [
        cloud.run(f"raise SystemExit({code})", TrainingJobName=f"listed-{code}")["TrainingJobName"] for code in (1, 0)
    ]

    def listed(**query):
        return [
            job["TrainingJobName"]
            for job in cloud.sagemaker.list_training_jobs(NameContains="listed", **query)["TrainingJobSummaries"]
        ]

    assert listed() == names and listed(SortOrder="Descending") == names[::-1] and listed(SortBy="Name") == names[::-1]
    assert listed(StatusEquals="Failed") == ["listed-1"] and listed(WarmPoolStatusEquals="Available") == []
    assert listed(CreationTimeAfter=cloud.describe("listed-0")["CreationTime"]) == ["listed-0"]
    pages = cloud.sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains="listed", PaginationConfig={"PageSize": 1}
    )
    assert [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]] == names
    [summary, _] = cloud.sagemaker.list_training_jobs(NameContains="listed-")["TrainingJobSummaries"]
    assert summary["TrainingJobStatus"] == "Failed" and summary["TrainingEndTime"] >= summary["CreationTime"]


def test_order_of_what_was_found(cloud, three):
    client = cloud.account.client("sagemaker")
    filters = [{"Name": "TrainingJobName", "Operator": "Contains", "Value": "found-"}]

    def names(**order):
        found = client.search(Resource="TrainingJob", SearchExpression={"Filters": filters}, **order)["Results"]
        return [result["TrainingJob"]["TrainingJobName"] for result in found]

    assert names() == names(SortBy="CreationTime") == three[::-1]  # the newest first
    assert names(SortBy="CreationTime", SortOrder="Ascending") == three
    assert names(SortBy="HyperParameters.epochs", SortOrder="Ascending")[-1] == "found-0"  # as texts: "10", "11", "9"
    assert names(SortBy="Metrics.acc")[-1] == "found-1"  # which has none
    assert error(client.search, Resource="TrainingJob", NextToken="none") == (
        "ValidationException",
        "Invalid NextToken",
    )


def test_a_times_filter_tells_jobs_apart(cloud, three):
    client, moment = cloud.account.client("sagemaker"), cloud.describe(three[1])["CreationTime"]
    for operator, expected in (("LessThan", three[:1]), ("GreaterThanOrEqualTo", three[1:])):
        filters = [
            {"Name": "CreationTime", "Operator": operator, "Value": moment.isoformat()},
            {"Name": "TrainingJobName", "Operator": "Contains", "Value": "found-"},
        ]
        found = client.search(
            Resource="TrainingJob",
            SearchExpression={"Filters": filters},
            SortBy="TrainingJobName",
            SortOrder="Ascending",
        )
        assert [result["TrainingJob"]["TrainingJobName"] for result in found["Results"]] == expected


def test_an_explicit_deny(cloud):
    """It wins over what is allowed, in a request and in a simulation, and the message says so."""
    deny = {"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "sagemaker:List*", "Resource": "*"}}
    name = {"RoleName": "SageMakerExecutionRole", "PolicyName": "deny"}
    cloud.iam.put_role_policy(**name, PolicyDocument=json.dumps(deny))
    try:
        code, message = error(cloud.sagemaker.list_training_jobs)
        answer = cloud.iam.simulate_principal_policy(
            PolicySourceArn=cloud.account.role, ActionNames=["sagemaker:ListTrainingJobs"]
        )
    finally:
        cloud.iam.delete_role_policy(**name)
    assert code == "AccessDeniedException" and message.endswith("with an explicit deny in an identity-based policy")
    assert [result["EvalDecision"] for result in answer["EvaluationResults"]] == ["explicitDeny"]
