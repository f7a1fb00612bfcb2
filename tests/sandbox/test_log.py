"""SANDBOX_LOG: a line for each request, every traceback, and no secret; one line on the terminal for a fault."""

import os
import re
import ssl
import stat
import urllib.request

import pytest
from botocore.exceptions import ClientError

from sandbox import log
from tests.support.cloud import BUCKET

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
CALLER = r"arn:aws:sts::\d{12}:assumed-role/SageMakerExecutionRole/sandbox"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sandbox.log"
    log.open_file(str(path))
    yield path
    log.close_file()


def lines(file, operation):
    return [line for line in file.read_text().splitlines() if f" {operation} " in line]


def test_a_line_for_each_request(cloud, file):
    cloud.put("log/a", b"x")
    cloud.sagemaker.list_training_jobs()
    cloud.iam.list_roles()
    for operation, caller in (
        ("s3:PutObject", CALLER),
        ("sagemaker:ListTrainingJobs", CALLER),
        ("iam:ListRoles", ".*"),
    ):
        [line] = lines(file, operation)
        assert re.fullmatch(rf"{TIME} {caller} {operation} 200 \d+ ms", line), line


def test_the_code_of_an_error(cloud, file):
    with pytest.raises(ClientError):
        cloud.sagemaker.describe_training_job(TrainingJobName="nobody")
    with pytest.raises(ClientError):
        cloud.sagemaker.list_notebook_instances()
    with pytest.raises(ClientError):
        cloud.s3.get_object(Bucket=BUCKET, Key="nothing")
    with pytest.raises(ClientError):
        cloud.account.client("dynamodb", **cloud.key).list_tables()
    assert re.search(r" 400 ValidationException \d+ ms$", lines(file, "sagemaker:DescribeTrainingJob")[0])
    assert re.search(r" 400 ValidationException \d+ ms$", lines(file, "sagemaker:ListNotebookInstances")[0])
    assert re.search(r" 404 NoSuchKey \d+ ms$", lines(file, "s3:GetObject")[0])
    assert re.search(r" 400 ValidationException \d+ ms$", lines(file, "dynamodb:ListTables")[0])


def test_a_stranger_has_no_name(cloud, file):
    with pytest.raises(ClientError):
        cloud.account.client("sagemaker", AccessKeyId="AKIAUNKNOWN", SecretAccessKey="wrong").list_models()
    [line] = lines(file, "sagemaker:ListModels")
    assert re.fullmatch(rf"{TIME} - sagemaker:ListModels 4\d\d \w+ \d+ ms", line), line


def test_no_secret_is_written(cloud, file):
    """Each kind of secret is sent once, in requests that are answered, that are refused, and that fail inside."""
    address = cloud.s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "signed"})
    handler = urllib.request.ProxyHandler({"https": cloud.account.proxies[0].url})
    context = ssl.create_default_context(cafile=cloud.account.ca_bundle)
    opener = urllib.request.build_opener(handler, urllib.request.HTTPSHandler(context=context))
    binary = {"Content-Type": "binary/octet-stream"}
    opener.open(urllib.request.Request(address, data=b"BODY-OF-S3", method="PUT", headers=binary)).read()
    secrets = {"Environment": {"PASSWORD": "SECRET-OF-A-JOB"}, "HyperParameters": {"token": "SECRET-PARAMETER"}}
    cloud.run("print('done')", **secrets)
    with pytest.raises(ClientError):
        cloud.sagemaker.create_training_job(
            **{**cloud.request(**secrets), "RoleArn": "arn:aws:iam::1:role/SECRET-ROLE"}
        )
    text = file.read_text()
    assert lines(file, "s3:PutObject") and lines(file, "sagemaker:CreateTrainingJob")
    assert " signed-address s3:PutObject 200 " in text
    signature = re.search(r"Signature=([^&]+)", address)[1]
    for secret in (*cloud.key.values(), signature, "SECRET", "BODY-OF-S3", "AWS4-HMAC-SHA256", "Authorization"):
        assert secret not in text, secret


def test_what_has_not_the_form_of_a_name_is_not_written(file):
    with log.request() as entry:
        log.note(operation="sagemaker:SECRET WITH space", caller="a\nforged line")
    assert entry.operation == entry.caller == "unknown" and "SECRET" not in file.read_text()


MESSAGE = "SECRET-IN-A-MESSAGE"


def fail(*_):
    raise RuntimeError(MESSAGE)


def test_a_fault_is_one_line_on_the_terminal_and_a_traceback_in_the_file(cloud, file, monkeypatch, capfd):
    monkeypatch.setattr("sandbox.training.search.list_jobs", fail)
    with pytest.raises(ClientError, match="InternalFailure"):
        cloud.sagemaker.list_training_jobs()
    printed = capfd.readouterr().err
    assert set(printed.splitlines()) == {
        "sandbox: a fault of the sandbox itself in sagemaker:ListTrainingJobs (RuntimeError): "
        f"the traceback is in {file}"
    }
    text = file.read_text()
    assert "in list\n    return search.list_jobs(" in text and "builtins.RuntimeError\n" in text
    assert MESSAGE not in text + printed
    assert re.search(r"sagemaker:ListTrainingJobs 400 InternalFailure \d+ ms", text)


def test_without_a_file_the_terminal_says_how_to_get_the_traceback(capfd):
    try:
        fail()
    except RuntimeError:
        log.fault("training job a")
    assert capfd.readouterr().err == (
        "sandbox: a fault of the sandbox itself in training job a (RuntimeError): "
        "SANDBOX_LOG=FILE keeps the traceback in a file\n"
    )


def test_an_error_of_the_machine_keeps_its_reason(file):
    try:
        try:
            raise OSError(28, "No space left on device", "/a/path/SECRET")
        except OSError as error:
            raise KeyError("SECRET") from error
    except KeyError:
        log.fault("endpoint e")
    text = file.read_text()
    assert (
        "builtins.KeyError\n… which came of:\n" in text
        and "builtins.OSError: [Errno 28] No space left on device" in text
    )
    assert "SECRET" not in text.replace('raise KeyError("SECRET")', "").replace('"/a/path/SECRET")', "")


def test_only_its_owner_can_read_it(tmp_path):
    path = tmp_path / "log"
    path.write_text("before\n")
    path.chmod(0o666)
    before = os.umask(0)
    try:
        for name in ("log", "new"):
            log.open_file(str(tmp_path / name))
            log.close_file()
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    finally:
        os.umask(before)
    assert path.read_text() == "before\n"


@pytest.mark.parametrize("kind", ("link", "folder", "nowhere"))
def test_a_place_that_cannot_be_ends_the_start_with_one_line(start, tmp_path_factory, kind):
    folder = tmp_path_factory.mktemp("log")
    path = {"link": folder / "link", "folder": folder, "nowhere": folder / "no" / "log"}[kind]
    (folder / "link").symlink_to(folder / "target")
    process = start("true", SANDBOX_LOG=str(path))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and out == "" and not (folder / "target").exists()
    assert re.fullmatch(rf"sandbox: SANDBOX_LOG={re.escape(str(path))}: [^\n]+\n", err), err


def test_a_command_in_the_sandbox_is_logged(start, tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "log"
    process = start("aws", "sts", "get-caller-identity", SANDBOX_LOG=str(path))
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert re.search(rf"^{TIME} {CALLER} sts:GetCallerIdentity 200 \d+ ms$", path.read_text(), re.MULTILINE)
