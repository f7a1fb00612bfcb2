"""Tuning jobs: training jobs with values of their own, what clients see of them, and how they end."""

import json
import re
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from sandbox.tuning import job as tuning_job
from sandbox.tuning import members as tuning_members
from sandbox.tuning import record
from sandbox.tuning.ranges import read
from tests.support import ROOT
from tests.support.cloud import BUCKET, ROLE, deny, hosts, role_without, wait_for

OVER = ("Completed", "Failed", "Stopped")
# The best lr is 0.01, the best size 16.
SCRIPT = """
import json, sys
values = dict(zip(sys.argv[1::2], sys.argv[2::2]))
print(f"arguments {json.dumps(values)}")
loss = abs(float(values.get("--lr", 0.01)) - 0.01) + abs(int(values.get("--size", 16)) - 16)
print(f"loss={loss};")
"""


def continuous(low, high, name="lr", scaling="Auto"):
    return {"Name": name, "MinValue": str(low), "MaxValue": str(high), "ScalingType": scaling}


def categorical(*values, name="size"):
    return {"Name": name, "Values": [str(value) for value in values]}


def ranges(integer=(), floating=(), categories=()):
    return {
        "IntegerParameterRanges": list(integer),
        "ContinuousParameterRanges": list(floating),
        "CategoricalParameterRanges": list(categories),
    }


def asked(cloud, script=SCRIPT, strategy="Random", jobs=2, parallel=1, parameters=None, kind="Minimize", **changes):
    """A request for a tuning job whose training jobs run the script."""
    training = cloud.request(script, hyperparameters={"model_dir": f'"s3://{BUCKET}/m"', **changes.pop("static", {})})
    limits = {"MaxParallelTrainingJobs": parallel, **({"MaxNumberOfTrainingJobs": jobs} if jobs else {})}
    training["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": "loss=(.*?);"}]
    name, static = f"tune-{training.pop('TrainingJobName')}", training.pop("HyperParameters")
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": strategy,
            "HyperParameterTuningJobObjective": {"Type": kind, "MetricName": "loss"},
            "ResourceLimits": limits | changes.pop("limits", {}),
            "ParameterRanges": parameters or ranges(floating=[continuous(0.0001, 1)]),
            "TrainingJobEarlyStoppingType": "Off",
            **changes.pop("config", {}),
        },
        "TrainingJobDefinition": {
            **training,
            "StaticHyperParameters": static,
            **changes.pop("definition", {}),
        },
        **changes,
    }


def start(cloud, *positional, **arguments):
    request = asked(cloud, *positional, **arguments)
    cloud.sagemaker.create_hyper_parameter_tuning_job(**request)
    return request["HyperParameterTuningJobName"]


def describe(cloud, name):
    return cloud.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def finished(cloud, name):
    wait_for(lambda: describe(cloud, name)["HyperParameterTuningJobStatus"] in OVER)
    return describe(cloud, name)


def trainings(cloud, name, **more):
    listed = cloud.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job
    return listed(HyperParameterTuningJobName=name, MaxResults=100, **more)["TrainingJobSummaries"]


def counts(job):
    """The counters that are not 0."""
    both = job["TrainingJobStatusCounters"] | {f"objective {k}": v for k, v in job["ObjectiveStatusCounters"].items()}
    return {name: count for name, count in both.items() if count}


def refusal(cloud, **changes):
    with pytest.raises(ClientError) as error:
        start(cloud, **changes)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def tuned(cloud):
    """The description of a tuning job that has come to its end, and its training jobs."""
    parameters = ranges([continuous(8, 64, "size")], [continuous(0.0001, 1, scaling="Logarithmic")])
    more = {"Tags": [{"Key": "series", "Value": "mnist"}], "definition": {"DefinitionName": "mnist"}}
    request = asked(cloud, jobs=3, parallel=2, parameters=parameters, **more)
    arn = cloud.sagemaker.create_hyper_parameter_tuning_job(**request)["HyperParameterTuningJobArn"]
    name = request["HyperParameterTuningJobName"]
    assert arn == f"arn:aws:sagemaker:us-east-1:123456789012:hyper-parameter-tuning-job/{name}"
    return finished(cloud, name), trainings(cloud, name)


def test_completed(tuned):
    job, jobs = tuned
    assert job["HyperParameterTuningJobStatus"] == "Completed" and "FailureReason" not in job
    assert counts(job) == {"Completed": 3, "objective Succeeded": 3}
    assert job["CreationTime"] <= jobs[0]["TrainingStartTime"] <= job["HyperParameterTuningEndTime"]
    name = job["HyperParameterTuningJobName"]
    assert [training["TrainingJobDefinitionName"] for training in jobs] == ["mnist"] * 3
    for number, training in enumerate(jobs, 1):
        assert re.fullmatch(rf"{name}-00{number}-[0-9a-f]{{8}}", training["TrainingJobName"])


def test_the_best_training_job(tuned):
    job, jobs = tuned
    best = min(jobs, key=lambda training: training["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
    assert job["BestTrainingJob"] == best and best["ObjectiveStatus"] == "Succeeded"
    metric = best["FinalHyperParameterTuningJobObjectiveMetric"]
    assert (metric["Type"], metric["MetricName"]) == ("Minimize", "loss")
    values = best["TunedHyperParameters"]
    assert metric["Value"] == pytest.approx(abs(float(values["lr"]) - 0.01) + abs(int(values["size"]) - 16))


def test_what_a_training_job_gets(cloud, tuned):
    """Its values as text, the objective's name, the tuning job's tags; and from AWS's container code its model_dir."""
    job, jobs = tuned
    for training in jobs:
        found = cloud.describe(training["TrainingJobName"])
        assert found["TuningJobArn"] == job["HyperParameterTuningJobArn"]
        static = job["TrainingJobDefinition"]["StaticHyperParameters"]
        assert static["_tuning_objective_metric"] == "loss"
        values = training["TunedHyperParameters"]
        assert found["HyperParameters"] == static | values
        assert re.fullmatch(r"\d+", values["size"]) and 8 <= int(values["size"]) <= 64
        assert str(float(values["lr"])) == values["lr"] and 0.0001 <= float(values["lr"]) <= 1
        tags = cloud.sagemaker.list_tags(ResourceArn=training["TrainingJobArn"])["Tags"]
        assert tags == [{"Key": "series", "Value": "mnist"}]
        [line] = [line for line in cloud.lines(found["TrainingJobName"]) if line.startswith("arguments ")]
        assert f'"--model_dir": "s3://{BUCKET}/m/{found["TrainingJobName"]}/model"' in line
        assert "_tuning_objective_metric" not in line


def test_lists(cloud, tuned):
    job, jobs = tuned
    name = job["HyperParameterTuningJobName"]
    by_value = trainings(cloud, name, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    values = [training["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for training in by_value]
    assert values == sorted(values, reverse=True)
    assert trainings(cloud, name, StatusEquals="Failed") == []
    administrator = cloud.account.client("sagemaker")
    [listed] = administrator.list_hyper_parameter_tuning_jobs(NameContains=name)["HyperParameterTuningJobSummaries"]
    assert listed["HyperParameterTuningJobName"] == name and listed["Strategy"] == "Random"
    assert listed["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 2}
    assert (
        administrator.list_hyper_parameter_tuning_jobs(StatusEquals="Failed")["HyperParameterTuningJobSummaries"] == []
    )
    page = cloud.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, MaxResults=2
    )
    rest = cloud.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name, MaxResults=2, NextToken=page["NextToken"]
    )
    assert page["TrainingJobSummaries"] + rest["TrainingJobSummaries"] == jobs and "NextToken" not in rest
    assert administrator.list_tags(ResourceArn=job["HyperParameterTuningJobArn"])["Tags"][0]["Key"] == "series"


def test_grid_tries_every_combination_once(cloud):
    parameters = ranges(categories=[categorical(8, 16), categorical("adam", '"sgd"', name="optimizer")])
    resources = {"InstanceType": "ml.c4.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1}
    request = asked(cloud, strategy="Grid", jobs=None, parallel=2, parameters=parameters, kind="Maximize")
    del request["TrainingJobDefinition"]["ResourceConfig"]  # as SDK 2 sends it
    request["TrainingJobDefinition"]["HyperParameterTuningResourceConfig"] = resources
    cloud.sagemaker.create_hyper_parameter_tuning_job(**request)
    job = finished(cloud, request["HyperParameterTuningJobName"])
    assert job["TrainingJobDefinition"]["ResourceConfig"] == resources  # SDK 2's attach() asks for it
    tried = [training["TunedHyperParameters"] for training in trainings(cloud, job["HyperParameterTuningJobName"])]
    assert sorted(tuple(sorted(values.items())) for values in tried) == [
        (("optimizer", optimizer), ("size", size)) for optimizer in ('"sgd"', "adam") for size in ("16", "8")
    ]
    assert job["BestTrainingJob"]["TunedHyperParameters"]["size"] == "8"  # its loss is 8, which is maximized


@pytest.mark.parametrize("kind", ["Minimize", "Maximize"])
def test_the_search_goes_where_the_objective_says(cloud, kind):
    request = asked(cloud, kind=kind)
    found = read(request["HyperParameterTuningJobConfig"]["ParameterRanges"])
    job = tuning_job.TuningJob("us-east-1", request, found, start_training=None)
    assert job.strategy.study.direction.name == kind.upper()


def test_as_many_at_a_time_as_asked_and_as_the_machine_bears(cloud, monkeypatch):
    script = "import time; print('ready', flush=True); time.sleep(90)"
    monkeypatch.setenv("SANDBOX_STOP_SECONDS", "0")
    for cpus, asks, runs in ((2, 3, 2), (8, 1, 1)):
        monkeypatch.setattr(tuning_job.os, "cpu_count", lambda cpus=cpus: cpus)
        name = start(cloud, script, jobs=4, parallel=asks)
        wait_for(lambda name=name, runs=runs: len(trainings(cloud, name)) == runs)
        for training in trainings(cloud, name):
            cloud.wait_for_line(training["TrainingJobName"], "ready")
        job = describe(cloud, name)
        assert job["HyperParameterTuningJobStatus"] == "InProgress" and "BestTrainingJob" not in job
        assert job["LastModifiedTime"] > job["CreationTime"]  # a training job's change is one of its own
        assert counts(job) == {"InProgress": runs, "objective Pending": runs}
        cloud.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        assert describe(cloud, name)["HyperParameterTuningJobStatus"] in ("Stopping", "Stopped")
        job = finished(cloud, name)
        assert job["HyperParameterTuningJobStatus"] == "Stopped"
        assert counts(job) == {"Stopped": runs, "objective Failed": runs}
        with pytest.raises(
            ClientError, match=r"ValidationException.*The request was rejected .* is in status Stopped\."
        ):
            cloud.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)


def test_each_host_needs_a_cpu(cloud, monkeypatch):
    monkeypatch.setattr(tuning_job.os, "cpu_count", lambda: 5)
    request = asked(cloud, parallel=4, definition={"ResourceConfig": hosts(2)})
    assert tuning_job.at_a_time(request) == 2


def test_nothing_starts_after_the_end_of_the_account(cloud, monkeypatch):
    """The tuning job ends first: else it would start another training job for each that ends."""
    name = start(cloud, "import time; print('ready', flush=True); time.sleep(90)")
    wait_for(lambda: trainings(cloud, name))
    monkeypatch.setattr(cloud.account, "proxies", [])  # these stay open, for the next tests
    cloud.account.close()
    [training] = trainings(cloud, name)
    jobs = {**cloud.account.tuning.jobs, **cloud.account.training.jobs}
    for ended in (name, training["TrainingJobName"]):
        assert not jobs["us-east-1", ended].thread.is_alive()


def test_a_failed_training_job_is_no_failed_tuning_job(cloud):
    script = SCRIPT + "\nif values['--size'] == '8': raise SystemExit(3)"
    name = start(cloud, script, strategy="Grid", jobs=2, parameters=ranges(categories=[categorical(8, 16)]))
    job = finished(cloud, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    assert counts(job) == {"Completed": 1, "NonRetryableError": 1, "objective Succeeded": 1, "objective Failed": 1}
    [failed] = trainings(cloud, name, StatusEquals="Failed")
    assert failed["FailureReason"].startswith("AlgorithmError")
    assert "FinalHyperParameterTuningJobObjectiveMetric" not in failed
    assert job["BestTrainingJob"]["TunedHyperParameters"] == {"size": "16"}
    assert trainings(cloud, name, SortBy="FinalObjectiveMetricValue") == [job["BestTrainingJob"]]


@pytest.mark.parametrize(
    ("reason", "counted"),
    [
        ("CapacityError: The sandbox's machine: No space left on device", "RetryableError"),
        ("InternalServerError: We encountered an internal error.", "RetryableError"),
        ("AlgorithmError: , exit code: 1", "NonRetryableError"),
    ],
)
def test_what_another_try_may_not_meet(reason, counted):
    failed = SimpleNamespace(status="Failed", failure_reason=reason)
    assert record.Training(failed, {}, {}).counted == counted


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("raise SystemExit(3)", "No training job succeeded after 2 attempts. For additional details, please take a "),
        ("print('loss=nan;')", "No objective metrics found after running 2 training jobs. Please ensure that the "),
    ],
    ids=["failed", "without a value"],
)
def test_failed(cloud, monkeypatch, script, reason):
    monkeypatch.setattr(tuning_job, "ATTEMPTS", 2)
    job = finished(cloud, start(cloud, script, jobs=5))
    assert job["HyperParameterTuningJobStatus"] == "Failed" and job["FailureReason"].startswith(reason)
    assert sum(job["TrainingJobStatusCounters"].values()) == 2 and "BestTrainingJob" not in job


def test_failed_where_there_are_fewer_jobs_than_attempts(cloud):
    job = finished(cloud, start(cloud, "raise SystemExit(3)", jobs=1))
    assert job["FailureReason"].startswith("No training job succeeded after 1 attempts. ")


def test_data_that_is_gone_while_it_runs(cloud):
    uri = cloud.put("tuning/a", b"1")
    script = SCRIPT + f"import boto3; boto3.client('s3').delete_object(Bucket='{BUCKET}', Key='tuning/a')"
    source = {"S3DataType": "S3Prefix", "S3Uri": uri}
    data = [{"ChannelName": "training", "DataSource": {"S3DataSource": source}}]
    job = finished(cloud, start(cloud, script, definition={"InputDataConfig": data}))
    assert job["FailureReason"].startswith(f'No S3 objects found under S3 URL "{uri}"')
    assert counts(job) == {"Completed": 1, "objective Succeeded": 1}


def test_maximum_runtime(cloud, monkeypatch):
    monkeypatch.setenv("SANDBOX_STOP_SECONDS", "0")
    clock = tuning_job.time.monotonic
    name = start(cloud, SCRIPT + "import time; time.sleep(90)", limits={"MaxRuntimeInSeconds": 120})
    wait_for(lambda: trainings(cloud, name))
    monkeypatch.setattr(tuning_job, "time", type("Late", (), {"monotonic": staticmethod(lambda: clock() + 121)}))
    job = finished(cloud, name)
    assert job["HyperParameterTuningJobStatus"] == "Completed" and counts(job)["Stopped"] == 1


def test_names(cloud, tuned):
    name = tuned[0]["HyperParameterTuningJobName"]
    assert refusal(cloud, HyperParameterTuningJobName=name.upper()) == (
        "ResourceInUse",
        f"A hyperparameter tuning job with the name, {name.upper()}, already exists. Choose a different name.",
    )
    for operation in ("describe", "stop"):
        with pytest.raises(ClientError, match=r"can't find a tuning job called none\. Type another name\.") as error:
            getattr(cloud.sagemaker, f"{operation}_hyper_parameter_tuning_job")(HyperParameterTuningJobName="none")
        assert error.value.response["Error"]["Code"] == "ResourceNotFound"


def test_deleted(cloud):
    administrator = cloud.account.client("sagemaker")
    name = start(cloud, jobs=1)
    with pytest.raises(ClientError, match="is in status InProgress"):
        administrator.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    finished(cloud, name)
    stopped = start(cloud, "import time; print('ready', flush=True); time.sleep(90)", jobs=1)
    cloud.wait_for_line(wait_for(lambda: trainings(cloud, stopped))[0]["TrainingJobName"], "ready")
    cloud.sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=stopped)
    with pytest.raises(ClientError, match="is in status Stopping"):
        administrator.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=stopped)
    finished(cloud, stopped)
    [training] = trainings(cloud, name)
    administrator.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    with pytest.raises(ClientError, match="can't find a tuning job"):
        describe(cloud, name)
    assert cloud.describe(training["TrainingJobName"])["TrainingJobStatus"] == "Completed"  # its training jobs stay


FLOAT, CHOICE = continuous(0, 1), categorical(8, 16, 32)
VALIDATION = {
    "Hyperband": ({"strategy": "Hyperband"}, "The sandbox does not run strategy Hyperband"),
    "early stopping": ({"config": {"TrainingJobEarlyStoppingType": "Auto"}}, "does not stop training jobs early"),
    "warm start": (
        {
            "WarmStartConfig": {
                "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "a"}],
                "WarmStartType": "TransferLearning",
            }
        },
        "The sandbox does not fulfil WarmStartConfig.",
    ),
    "Autotune": ({"Autotune": {"Mode": "Enabled"}}, "The sandbox does not fulfil Autotune.Mode"),
    "a target": (
        {"config": {"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.0}}},
        "does not fulfil HyperParameterTuningJobConfig.TuningJobCompletionCriteria",
    ),
    "VPC": (
        {"definition": {"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}},
        "The sandbox does not fulfil TrainingJobDefinition.VpcConfig",
    ),
    "metric": (
        {"config": {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "accuracy"}}},
        "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric "
        "definitions.",
    ),
    "combinations": (
        {"jobs": 10, "parameters": ranges(categories=[CHOICE])},
        "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter combinations "
        "for the provided ranges [3.0] must be equal or greater than the value of MaxNumberOfJobs, [10]. Provide "
        "additional ranges.",
    ),
    "a grid of numbers": ({"strategy": "Grid", "jobs": None}, "Only categorical parameters are supported"),
    "a part of a grid": (
        {"strategy": "Grid", "jobs": 2, "parameters": ranges(categories=[CHOICE])},
        "should equal the total number of distinct categorical combinations possible, [3]",
    ),
    "no number of jobs": ({"jobs": None}, "MaxNumberOfTrainingJobs is missing"),
    "no range": ({"parameters": ranges()}, "ParameterRanges has no range"),
    "a range that is upside down": ({"parameters": ranges(floating=[continuous(2, 1)])}, "is greater than MaxValue"),
    "a text": ({"parameters": ranges([continuous("few", 9)])}, "MinValue few is no integer value"),
    "infinity": ({"parameters": ranges(floating=[continuous(0, "inf")])}, "MaxValue inf is no continuous value"),
    "logarithm of 0": (
        {"parameters": ranges(floating=[continuous(0, 1, scaling="Logarithmic")])},
        "only for values greater than 0",
    ),
    "reverse logarithm of 1": (
        {"parameters": ranges(floating=[continuous(0, 1, scaling="ReverseLogarithmic")])},
        "within 0 <= x < 1.0",
    ),
    "reverse logarithm of integers": (
        {"parameters": ranges([continuous(0, 0, scaling="ReverseLogarithmic")])},
        "only for continuous ranges",
    ),
    "two ranges": (
        {"parameters": ranges([continuous(1, 9, "lr")], [FLOAT])},
        "Invalid hyperparameter lr: it is given more than once",
    ),
    "a range and a value": ({"static": {"lr": "0.1"}}, "Invalid hyperparameter lr: it is given more than once"),
    "two resources": (
        {"definition": {"HyperParameterTuningResourceConfig": {"InstanceType": "ml.c4.xlarge", "InstanceCount": 1}}},
        "exactly one of ResourceConfig and HyperParameterTuningResourceConfig",
    ),
    "a training job that is refused": ({"definition": {"RoleArn": ROLE + "-none"}}, "Could not assume role"),
    "a tag of AWS's": ({"Tags": [{"Key": "aws:x", "Value": "x"}]}, "aws:"),
}


@pytest.mark.parametrize("case", VALIDATION)
def test_refused(cloud, case):
    changes, message = VALIDATION[case]
    before = len(cloud.account.tuning.jobs)
    code, text = refusal(cloud, **changes)
    assert code == "ValidationException" and message in text and len(cloud.account.tuning.jobs) == before


def test_several_definitions_are_refused(cloud):
    request = asked(cloud)
    request["TrainingJobDefinitions"] = [request.pop("TrainingJobDefinition")]
    with pytest.raises(ClientError, match=r"The sandbox does not fulfil TrainingJobDefinitions\."):
        cloud.sagemaker.create_hyper_parameter_tuning_job(**request)


@pytest.mark.parametrize(("limits", "what"), [({"parallel": 11}, "parallel training"), ({"jobs": 751}, "training")])
def test_limits_of_the_account(cloud, limits, what):
    config = asked(cloud, parallel=10, jobs=750)["HyperParameterTuningJobConfig"]
    tuning_members.check_limits(config, read(config["ParameterRanges"]))  # these are none too many
    code, text = refusal(cloud, **limits)
    assert code == "ResourceLimitExceeded"
    assert text.startswith(f"The account-level service limit 'Number of {what} jobs per hyperparameter tuning job' is ")


def test_rights(cloud):
    arn = role_without(cloud, "sagemaker:CreateHyperParameterTuningJob")
    policy = cloud.iam.get_role_policy(RoleName=arn.rpartition("/")[2], PolicyName="p")["PolicyDocument"]
    request = asked(cloud)
    cloud.iam.put_role_policy(
        RoleName="SageMakerExecutionRole", PolicyName="execution-policy", PolicyDocument=json.dumps(policy)
    )
    with pytest.raises(ClientError, match="not authorized to perform: sagemaker:CreateHyperParameterTuningJob on"):
        cloud.sagemaker.create_hyper_parameter_tuning_job(**request)


def test_tags_need_a_right_of_their_own(cloud):
    deny(cloud, "sagemaker:AddTags")
    code, text = refusal(cloud, Tags=[{"Key": "a", "Value": "1"}])
    assert code == "AccessDeniedException" and "sagemaker:AddTags on resource: " in text


def test_the_list_is_by_name(cloud, tuned):
    finished(cloud, start(cloud, jobs=1, HyperParameterTuningJobName="a"))
    listed = cloud.account.client("sagemaker").list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    assert listed[0]["HyperParameterTuningJobName"] == "a"


def test_role_that_may_not_be_passed(cloud):
    trust = (ROOT / "notebooks" / "policies" / "trust-policy.json").read_text()
    arn = cloud.iam.create_role(RoleName="NotPassedToTuning", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    code, text = refusal(cloud, definition={"RoleArn": arn})
    assert code == "AccessDeniedException" and f"iam:PassRole on resource: {arn}" in text
