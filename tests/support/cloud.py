"""An account of the sandbox in the process of a test, with clients that hold the execution role, and shorthands."""

import contextlib
import io
import json
import tarfile
import textwrap
import time

from sandbox.account import Account
from tests.support import ROOT

BUCKET = "sagemaker-us-east-1-123456789012"
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
GROUP = "/aws/sagemaker/TrainingJobs"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.21.0-cpu-py312-amzn2023-sagemaker"
OVER = ("Completed", "Failed", "Stopped")


def wait_for(condition, seconds=120):
    """Ask again and again -> the first answer that is true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)  # a request costs 8 ms of a CPU, which the job could use
    return value


class Cloud:
    """Clients that hold the execution role, as a notebook does, and shorthands for jobs."""

    def __init__(self, folder):
        self.account, self.count = Account(folder), 0
        environment = self.account.environment()
        self.key = {
            "AccessKeyId": environment["AWS_ACCESS_KEY_ID"],
            "SecretAccessKey": environment["AWS_SECRET_ACCESS_KEY"],
            "SessionToken": environment["AWS_SESSION_TOKEN"],
        }
        names = ("s3", "sagemaker", "logs", "sagemaker-runtime")
        self.s3, self.sagemaker, self.logs, self.runtime = (self.account.client(name, **self.key) for name in names)
        self.iam = self.account.client("iam")
        self.s3.create_bucket(Bucket=BUCKET)

    def put(self, key, content=b"", bucket=BUCKET):
        self.s3.put_object(Bucket=bucket, Key=key, Body=content)
        return f"s3://{bucket}/{key}"

    def get(self, key, bucket=BUCKET):
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def keys(self, prefix, bucket=BUCKET):
        return [item["Key"] for item in self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])]

    def request(self, script="", **changes):
        """A request with a source archive that holds the script."""
        self.count += 1
        name = f"job-{self.count}"
        archive, code = io.BytesIO(), textwrap.dedent(script).encode()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            member = tarfile.TarInfo("train.py")
            member.size = len(code)
            tar.addfile(member, io.BytesIO(code))
        uri = self.put(f"{name}/source/sourcedir.tar.gz", archive.getvalue())
        request = {
            "TrainingJobName": name,
            "RoleArn": ROLE,
            "HyperParameters": {
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": json.dumps(uri),
                **changes.pop("hyperparameters", {}),
            },
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {"InstanceType": "ml.c4.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 100},
        }
        return {**request, **changes}

    def start(self, script="", **changes):
        request = self.request(script, **changes)
        self.sagemaker.create_training_job(**request)
        return request["TrainingJobName"]

    def run(self, script="", **changes):
        return self.wait(self.start(script, **changes))

    def describe(self, name):
        return self.sagemaker.describe_training_job(TrainingJobName=name)

    def wait(self, name, until=lambda job: job["TrainingJobStatus"] in OVER):
        wait_for(lambda: until(self.describe(name)))
        return self.describe(name)

    def wait_for_line(self, name, line):
        def there():
            if line in self.lines(name):
                return True
            assert self.describe(name)["TrainingJobStatus"] not in OVER, self.lines(name)

        wait_for(there)

    def log(self, name):
        """{stream: its lines}"""
        with contextlib.suppress(self.logs.exceptions.ResourceNotFoundException):
            found = self.logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
            return {stream["logStreamName"]: self.events(stream["logStreamName"]) for stream in found}
        return {}

    def events(self, stream):
        lines, token = [], {}
        while True:
            page = self.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token)
            lines += [event["message"] for event in page["events"]]
            if token == {"nextToken": page["nextForwardToken"]}:
                return lines
            token = {"nextToken": page["nextForwardToken"]}

    def lines(self, name):
        return [line for lines in self.log(name).values() for line in lines]

    def archive(self, name, kind="model"):
        """The files of a job's archive: {name: content}"""
        with tarfile.open(fileobj=io.BytesIO(self.get(f"out/{name}/output/{kind}.tar.gz"))) as tar:
            return {member.name: tar.extractfile(member).read().decode() for member in tar if member.isfile()}


def channel(uri, name="training", distribution="FullyReplicated", kind="S3Prefix", **more):
    source = {"S3DataType": kind, "S3Uri": uri, "S3DataDistributionType": distribution, **more.pop("source", {})}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **more}


def algorithm(**more):
    return {"TrainingImage": IMAGE, "TrainingInputMode": "File", **more}


def hosts(count):
    return {"InstanceType": "ml.c4.xlarge", "InstanceCount": count, "VolumeSizeInGB": 1}


def statuses(job):
    return [transition["Status"] for transition in job["SecondaryStatusTransitions"]]


def run_python(cloud, script, **changes):
    """A job whose command is Python itself: AWS's toolkit strips what a script prints, and may cut it into pieces."""
    return cloud.wait(start_python(cloud, script, **changes))


def start_python(cloud, script, **changes):
    read = "import json; exec(json.load(open('/opt/ml/input/config/hyperparameters.json'))['script'])"
    specification = algorithm(ContainerEntrypoint=["python", "-c", read])  # which has room for 256 characters
    return cloud.start(
        AlgorithmSpecification=specification, hyperparameters={"script": textwrap.dedent(script)}, **changes
    )


def deny(cloud, action, resource="*"):
    """Add a statement to the execution role's policy."""
    policy = json.loads((ROOT / "notebooks" / "policies" / "execution-policy.json").read_text())
    policy["Statement"].append({"Effect": "Deny", "Action": action, "Resource": resource})
    cloud.iam.put_role_policy(
        RoleName="SageMakerExecutionRole", PolicyName="execution-policy", PolicyDocument=json.dumps(policy)
    )


def role_without(cloud, *actions):
    """A role like the execution role, but without these actions -> its ARN."""
    name = "Without-" + "-".join(action.replace(":", "") for action in actions)
    policy = json.loads((ROOT / "notebooks" / "policies" / "execution-policy.json").read_text())
    policy["Statement"] = [statement for statement in policy["Statement"] if statement["Action"] not in actions]
    for statement in policy["Statement"]:
        if isinstance(statement["Action"], list):
            statement["Action"] = [action for action in statement["Action"] if action not in actions]
    trust = (ROOT / "notebooks" / "policies" / "trust-policy.json").read_text()
    role = cloud.iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    cloud.iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    everybody = json.loads((ROOT / "notebooks" / "policies" / "execution-policy.json").read_text())
    everybody["Statement"].append({"Effect": "Allow", "Action": "iam:PassRole", "Resource": role["Arn"]})
    cloud.iam.put_role_policy(
        RoleName="SageMakerExecutionRole", PolicyName="execution-policy", PolicyDocument=json.dumps(everybody)
    )
    return role["Arn"]
