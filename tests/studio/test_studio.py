"""The lifecycle configuration, run in a simulated space, and the workshop's template."""

import hashlib
import json
import re
import subprocess
import time

import pytest
from cfnlint.decode import cfn_yaml

from tests.support import ROOT
from tests.support.studio_space import Space

SCRIPT = ROOT / "studio" / "lifecycle.sh"
SEATS = [f"{number:02}" for number in range(1, 31)]
LIMIT = 16384  # of a lifecycle configuration, in base64


class Started:
    """A space that starts with the lifecycle configuration."""

    def __init__(self, folder, **options):
        self.space = Space(folder, "3.12.0", **options)
        self.home = self.space.home
        self.log = self.home / "series-setup.log"
        # The series is in a Git repository, not in the home.
        self.repository = self.space.series.rename(folder / "repository")
        for command in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message", "The series"]):
            identity = ["-c", "user.name=series", "-c", "user.email=series@example.com"]
            subprocess.run(["git", *identity, *command], cwd=self.repository, check=True)
        path = f"{self.space.environment['PATH']}:/usr/bin:/bin"  # for git and curl
        self.environment = {**self.space.environment, "PATH": path, "SERIES_URL": f"file://{self.repository}"}

    def start(self, **environment):
        """Start the space: seconds until the script returned, and what the log says when all is done."""
        begin, before = time.monotonic(), self.lines()
        subprocess.run(["bash", SCRIPT], env={**self.environment, **environment}, check=True, timeout=30)
        seconds = time.monotonic() - begin
        while not any(line.endswith("Z done") for line in self.lines()[len(before) :]):
            assert time.monotonic() - begin < 180, self.lines()
            time.sleep(0.2)
        return seconds, self.lines()[len(before) :]

    def lines(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    plugin = tmp_path_factory.mktemp("compose") / "plugin"
    plugin.write_text("#!/bin/sh\necho Docker Compose version v2.39.4\n")
    started = Started(tmp_path_factory.mktemp("space"), docker='test "$1" = info')
    started.environment["COMPOSE_URL"] = f"file://{plugin}"
    started.environment["COMPOSE_SHA256"] = hashlib.sha256(plugin.read_bytes()).hexdigest()
    started.seconds, started.first = started.start()
    return started


def test_it_returns_at_once_and_the_kernels_are_there_when_it_is_done(started):
    assert started.seconds < 5
    assert [line for line in started.first if "FAILED" in line] == []
    text = "\n".join(started.first)
    assert "SDK 2: 2.257.9 in the kernel sagemaker-v2, made: it has an environment of its own" in text
    assert "SDK 3: 3.12.0 in the kernel sagemaker-v3, made: it starts the Python of the image" in text
    assert (started.home / "sagemaker-tensorflow-series/notebooks/02-session-and-role.ipynb").exists()
    assert started.space.spec("sagemaker-v2")["display_name"] == "Python 3 (SageMaker SDK 2)"


def test_it_brings_docker_compose_where_docker_is(started):
    plugin = started.home / ".docker/cli-plugins/docker-compose"
    assert "v2" in subprocess.run([plugin], capture_output=True, text=True, check=True).stdout


def test_docker_compose_with_another_checksum_is_not_kept(started):
    plugin = started.home / ".docker/cli-plugins/docker-compose"
    plugin.unlink()
    _, lines = started.start(COMPOSE_SHA256="0" * 64)
    assert any("FAILED: no Docker Compose, or one with another checksum" in line for line in lines)
    assert list(plugin.parent.iterdir()) == []


def test_the_next_start_keeps_what_the_learner_did(started):
    notebook = started.home / "sagemaker-tensorflow-series/notebooks/02-session-and-role.ipynb"
    notebook.write_text(edited := notebook.read_text() + "\n")
    _, lines = started.start()
    assert notebook.read_text() == edited
    assert [line.rpartition(", ")[2] for line in lines if line.startswith("SDK")] == ["was there", "was there"]


def test_a_workshop_gets_the_version_that_it_has_rehearsed(tmp_path):
    started = Started(tmp_path)
    git = ["git", "-c", "user.name=series", "-c", "user.email=series@example.com", "-C", started.repository]
    subprocess.run([*git, "tag", "v2026.12.1"], check=True)
    (started.repository / "newer.txt").touch()
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "--message", "Newer"], check=True)
    started.start(SERIES_VERSION="v2026.12.1")
    [series] = started.home.glob("sagemaker-tensorflow-series*")
    assert (series / "studio" / "kernels.py").exists() and not (series / "newer.txt").exists()


def test_a_wrong_address_is_told_and_lets_the_space_start(tmp_path):
    started = Started(tmp_path)
    _, lines = started.start(SERIES_URL=f"file://{tmp_path}/nothing")
    text = "\n".join(lines)
    assert "FAILED: is the address right and public" in text and "no Docker here" in text
    assert not list(started.home.glob("sagemaker-tensorflow-series*"))
    # Once the address is right, the next start makes up for it.
    assert "SDK 2: 2.257.9 in the kernel sagemaker-v2, made" in "\n".join(started.start()[1])


def test_a_kernel_that_cannot_be_made_is_told_and_lets_the_space_start(tmp_path):
    started = Started(tmp_path)
    _, lines = started.start(PIP_FIND_LINKS=str(tmp_path / "nothing"))
    assert [line for line in lines if line.startswith("SDK 2: not made: ERROR: No matching distribution")]
    assert [line for line in lines if line.endswith("FAILED: notebook 00 tries again")]


# --- the template ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def template():
    return cfn_yaml.load(str(ROOT / "workshop" / "workshop.yaml"))


def policy(name):
    return json.loads((ROOT / "notebooks" / "policies" / f"{name}-policy.json").read_text())


def statements(document):
    """The rights of a policy: {(action, resource)}, and the conditions that each action has."""
    rights, conditions = set(), {}
    for statement in document["Statement"]:
        for action in as_list(statement["Action"]):
            rights |= {(action, resource) for resource in as_list(statement["Resource"])}
            conditions.setdefault(action, []).append(statement.get("Condition"))
    return rights, conditions


def as_list(value):
    return value if isinstance(value, list) else [value]


OWN = "-seat-${aws:PrincipalTag/seat}"
NOT_MADE = (
    "CreateTrainingJob",
    "CreateHyperParameterTuningJob",
    "CreateModel",
    "CreateEndpointConfig",
    "CreateEndpoint",
)


def test_a_seat_may_do_what_the_notebooks_need_with_what_is_its_own(template):
    ours = json.dumps(policy("execution"))
    ours = ours.replace(":::sagemaker-*", f":::sagemaker-*{OWN}").replace(
        "SageMakerExecutionRole", "SageMakerExecutionRole" + OWN
    )
    wanted, wanted_conditions = statements(json.loads(ours))
    theirs = template["Resources"]["TrainingPolicy"]["Properties"]["PolicyDocument"]
    rights, conditions = statements(theirs)
    of_jobs = {right for right in rights if ":sagemaker:" in right[1]}
    assert rights - of_jobs == {right for right in wanted if ":sagemaker:" not in right[1]}
    assert {action for action, _ in of_jobs} == {action for action, resource in wanted if ":sagemaker:" in resource}
    assert {resource for _, resource in of_jobs} == {resource for _, resource in wanted if ":sagemaker:" in resource}
    tag = "${aws:PrincipalTag/seat}"
    for action in {action for action, _ in of_jobs}:
        made = action.removeprefix("sagemaker:") in NOT_MADE
        expected = {"StringEqualsIfExists": {f"aws:{'Request' if made else 'Resource'}Tag/seat": tag}}
        if action == "sagemaker:AddTags":
            expected = {"StringEquals": {"aws:RequestTag/seat": tag}, "Null": {"sagemaker:TaggingAction": "false"}}
        assert conditions.pop(action) == [expected], action
    assert conditions == {action: wanted_conditions[action] for action in conditions}
    assert len(json.dumps(theirs, separators=(",", ":"))) < 6144  # IAM's limit of a managed policy


def test_each_seat_has_a_bucket_and_a_role_of_its_own(template):
    seat = template["Resources"]["Fn::ForEach::Seats"][2]
    role, bucket = seat["Role${Seat}"]["Properties"], seat["Bucket${Seat}"]["Properties"]["BucketName"]["Fn::Sub"]
    assert role["AssumeRolePolicyDocument"] == policy("trust")
    assert template["Resources"]["DomainRole"]["Properties"] == {"AssumeRolePolicyDocument": policy("trust")}
    assert role["RoleName"]["Fn::Sub"] == "SageMakerExecutionRole-seat-${Seat}"
    assert role["Tags"] == [{"Key": "seat", "Value": {"Ref": "Seat"}}]
    settings = seat["Profile${Seat}"]["Properties"]["UserSettings"]
    assert settings == {"ExecutionRole": {"Fn::GetAtt": [{"Fn::Sub": "Role${Seat}"}, "Arn"]}}
    content = template["Resources"]["Lifecycle"]["Properties"]["StudioLifecycleConfigContent"]
    exported = content["Fn::Base64"]["Fn::Join"][1][1]["Fn::Sub"]
    assert exported.partition("SEAT_BUCKET=")[2] + "${Seat}" == bucket


def test_a_seat_may_use_its_own_space_and_no_other(template):
    studio = template["Resources"]["StudioPolicy"]["Properties"]["PolicyDocument"]
    for statement in studio["Statement"]:
        actions = as_list(statement["Action"])
        assert not any("*" in action for action in actions)
        if {"sagemaker:CreateApp", "sagemaker:DeleteApp", "sagemaker:UpdateSpace"} & set(actions):
            owner = statement["Condition"]["ArnLike"]["sagemaker:OwnerUserProfileArn"]["Fn::Sub"]
            assert owner.endswith(":user-profile/${!sagemaker:DomainId}/${!sagemaker:UserProfileName}")
        if "sagemaker:CreateApp" in actions:
            allowed = statement["Condition"]["ForAllValues:StringEquals"]["sagemaker:InstanceTypes"]
            assert allowed == template["Parameters"]["InstanceType"]["AllowedValues"]


def test_the_lifecycle_configuration_is_the_script(template):
    content = template["Resources"]["Lifecycle"]["Properties"]["StudioLifecycleConfigContent"]
    separator, [first, address, script] = content["Fn::Base64"]["Fn::Join"]
    assert script == SCRIPT.read_text(), "copy studio/lifecycle.sh into workshop/workshop.yaml, indented"
    assert (separator, first) == ("\n", "#!/bin/bash")
    whole = separator.join([first, re.sub(r"\$\{[\w:]+\}", 200 * "x", address["Fn::Sub"]), script])
    assert len(whole) * 4 / 3 < LIMIT
    subprocess.run(["bash", "-n"], input=whole, text=True, check=True)


def test_docker_thirty_seats_and_nothing_that_outlives_the_stack(template):
    resources = template["Resources"]
    domain = resources["Domain"]["Properties"]
    assert domain["DomainSettings"]["DockerSettings"] == {"EnableDockerAccess": "ENABLED"}
    assert domain["HomeEfsFileSystemCreation"] == "Disabled"
    assert template["Parameters"]["Seats"]["Default"].split(",") == SEATS
    _, collection, seat = resources["Fn::ForEach::Seats"]
    assert collection == {"Ref": "Seats"}
    space = seat["Space${Seat}"]["Properties"]["SpaceSettings"]["JupyterLabAppSettings"]["DefaultResourceSpec"]
    default = domain["DefaultUserSettings"]["JupyterLabAppSettings"]["DefaultResourceSpec"]
    assert space == default and "Fn::GetAtt" in space["LifecycleConfigArn"]
    assert not [resource for resource in resources.values() if "DeletionPolicy" in resource]
