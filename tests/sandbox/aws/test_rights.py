"""What the policies of the caller and of the job's role permit."""

import ssl
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import pytest
from botocore import UNSIGNED
from botocore.exceptions import ClientError

from tests.support import ROOT
from tests.support.cloud import BUCKET, GROUP, algorithm, channel, deny, role_without


def test_role_without_get_object(cloud):
    uri = cloud.put("rights/a", b"1")
    job = cloud.run(RoleArn=role_without(cloud, "s3:GetObject"), InputDataConfig=[channel(uri)])
    assert job["FailureReason"] == (
        f"ClientError: Data download failed:Unable to download object {uri} (AccessDenied: Access Denied)"
    )


def test_role_without_put_object(cloud):
    arn = role_without(cloud, "s3:PutObject")
    job = cloud.run("open('/opt/ml/model/x', 'w').write('x')", RoleArn=arn)
    assert job["FailureReason"].startswith("ClientError: Artifact upload failed:")
    assert "AccessDenied" in job["FailureReason"]


def test_script_has_the_rights_of_the_role(cloud):
    cloud.put("rights/a", b"1")
    script = f"""
        import boto3
        s3 = boto3.client("s3")
        print(s3.list_objects_v2(Bucket="{BUCKET}", Prefix="rights/")["KeyCount"])
        for call in (lambda: s3.list_buckets(), lambda: boto3.client("sagemaker").search(Resource="TrainingJob")):
            try:
                call()
            except Exception as error:
                print(error.response["Error"]["Code"])
    """
    lines = cloud.lines(cloud.run(script)["TrainingJobName"])
    assert [line for line in lines if line == "1" or "Denied" in line] == ["1", "AccessDenied", "AccessDeniedException"]


@pytest.mark.parametrize("action", ["CreateLogGroup", "CreateLogStream", "PutLogEvents"])
def test_role_without_logs_has_a_job_without_a_log(cloud, action):
    job = cloud.run("print('hello')", RoleArn=role_without(cloud, f"logs:{action}"))
    assert job["TrainingJobStatus"] == "Completed" and cloud.log(job["TrainingJobName"]) == {}


def test_role_that_may_write_no_metrics(cloud):
    """The job's description has them all the same."""
    definitions = [{"Name": "loss", "Regex": "loss=(.*?);"}]
    job = cloud.run(
        "print('loss=0.5;')",
        RoleArn=role_without(cloud, "cloudwatch:PutMetricData"),
        AlgorithmSpecification=algorithm(MetricDefinitions=definitions),
    )
    assert job["FinalMetricDataList"][0]["Value"] == 0.5
    assert cloud.account.client("cloudwatch").list_metrics(Namespace=GROUP)["Metrics"] == []


def test_tags_need_a_right_of_their_own(cloud):
    deny(cloud, "sagemaker:AddTags")
    with pytest.raises(ClientError, match=r"AccessDeniedException.* sagemaker:AddTags on resource: .*job/job-"):
        cloud.start(Tags=[{"Key": "a", "Value": "1"}])
    assert cloud.run()["TrainingJobStatus"] == "Completed"


def test_a_policy_about_one_stream(cloud):
    deny(cloud, "logs:GetLogEvents", f"arn:aws:logs:*:*:log-group:{GROUP}:log-stream:one/*")
    for stream, code in (("one/algo-1", "AccessDenied"), ("two/algo-1", "ResourceNotFound")):
        with pytest.raises(ClientError, match=f"{code}Exception"):
            cloud.logs.get_log_events(logGroupName=GROUP, logStreamName=stream)


def test_role_that_may_not_be_passed(cloud):
    trust = (ROOT / "notebooks" / "policies" / "trust-policy.json").read_text()
    arn = cloud.iam.create_role(RoleName="NotPassed", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    with pytest.raises(ClientError) as refusal:
        cloud.start(RoleArn=arn)
    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"
    assert f"is not authorized to perform: iam:PassRole on resource: {arn}" in str(refusal.value)


def test_deleting_many_objects_and_a_url_with_a_signature(cloud):
    cloud.put("many/a", b"a")
    url = cloud.s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "many/a"})
    context = ssl.create_default_context(cafile=cloud.account.ca_bundle)
    opener = build_opener(ProxyHandler({"https": cloud.account.proxies[0].url}), HTTPSHandler(context=context))
    assert opener.open(url, timeout=60).read() == b"a"
    with pytest.raises(HTTPError, match="403"):
        opener.open(url.partition("?")[0], timeout=60)
    answer = cloud.s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "many/a"}]})
    assert "Errors" not in answer and cloud.keys("many/") == []


def test_strangers_are_refused(cloud):
    stranger = cloud.account.client("sagemaker", AccessKeyId="AKIAIOSFODNN7EXAMPLE", SecretAccessKey="x")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        stranger.list_training_jobs()
    with pytest.raises(ClientError, match=r"AuthFailure.*not able to validate the provided access credentials"):
        cloud.account.client("ec2", AccessKeyId="AKIAIOSFODNN7EXAMPLE", SecretAccessKey="x").describe_subnets()
    stranger.meta.events.register("choose-signer.sagemaker.*", lambda **_: UNSIGNED)
    with pytest.raises(ClientError, match="MissingAuthenticationTokenException"):
        stranger.list_training_jobs()
    with pytest.raises(
        ClientError,
        match=r"InvalidSignatureException.*The request signature we calculated does not match the signature you",
    ):
        cloud.account.client("sagemaker", **{**cloud.key, "SecretAccessKey": "x"}).list_training_jobs()
    with pytest.raises(ClientError, match="AccessDenied"):
        cloud.s3.create_bucket(Bucket="not-of-this-series")
