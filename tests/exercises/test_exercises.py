"""The exercises: a blank is told what is wrong, in a sentence of exercises/checks.py, and other right answers pass."""

import io
import json
import re
import struct
import sys
import tarfile
from types import SimpleNamespace

import checks
import nbformat
import pytest

from tests.support import ROOT
from tools.editions import entries

FOLDER = ROOT / "exercises"
SOLUTIONS = sorted(FOLDER.glob("*-solution.ipynb"))
V3 = ROOT / ".venv-v3" / "bin" / "python"
SENTENCES = [
    re.compile(re.sub(r"\\\{[^}]*\\\}", "[\\\\s\\\\S]*", re.escape(sentence)))
    for sentence in entries(FOLDER / "checks.py")
]


def answers(start, replacement, solutions):
    """What the checks say with these answers in the solutions, by notebook."""
    python = V3 if any(path.name.startswith("10-") for path in solutions) else "python"
    settings = dict(SANDBOX_STOP_SECONDS="2", LOCAL_MODE="0", SANDBOX_IMAGES="/dev/null", PYTHONPATH=str(FOLDER))
    process = start(str(python), "tests/exercises/answers.py", replacement, *map(str, solutions), **settings)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


def cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def with_sdk(number):
    return [path for path in SOLUTIONS if path.name.startswith("10-") == (number == 3)]


@pytest.mark.parametrize("sdk", (2, 3))
def test_each_blank_is_told_what_is_wrong(start, sdk):
    for name, lines in answers(start, "blank", with_sdk(sdk)).items():
        assert len(lines) == sum(cell.source.startswith("checks.") for cell in cells(FOLDER / name))
        for line in lines:
            assert any(sentence.fullmatch(line) for sentence in SENTENCES), (name, line)
        assert len(set(lines)) == len(lines), (name, lines)


@pytest.mark.parametrize("sdk", (2, 3))
def test_another_right_answer_passes(start, sdk):
    solutions = [path for path in with_sdk(sdk) if any("another" in cell.metadata for cell in cells(path))]
    assert solutions
    for name, lines in answers(start, "another", solutions).items():
        assert set(lines) == {checks.RIGHT}, (name, lines)


def test_two_right_answers_and_wrong_ones_where_a_job_is_needed(capsys):
    def session(**job):
        return SimpleNamespace(describe_training_job=lambda name: job, list_s3_files=lambda bucket, key: job["files"])

    def said(check, *arguments):
        check(*arguments)
        return capsys.readouterr().out.strip()

    job = SimpleNamespace(latest_training_job=SimpleNamespace(name="job"), model_data="s3://b/job/model.tar.gz")
    for seconds, status, right in (
        (30, "MaxRuntimeExceeded", 1),
        (60, "MaxRuntimeExceeded", 1),
        (30, "Completed", 0),
        (90, "x", 0),
    ):
        ended = session(StoppingCondition={"MaxRuntimeInSeconds": seconds}, SecondaryStatus=status)
        assert (said(checks.limited, ended, job) == checks.RIGHT) == right
    for reason, right in (
        ("AlgorithmError: the channel holds no pictures, exit code: 1", 1),
        ("AlgorithmError: look.py: the channel holds no pictures, exit code: 1", 1),
        ("AlgorithmError: ExecuteUserScriptError:\nthe channel holds no pictures", 0),
    ):
        ended = session(TrainingJobStatus="Failed", FailureReason=reason)
        assert (said(checks.reason, ended, "job") == checks.RIGHT) == right
    assert said(checks.trained, session(files=["job/model.tar.gz"]), job) == checks.RIGHT
    assert "left no model" in said(checks.trained, session(files=[]), job)
    assert said(checks.predicts, [0, 1], [0, 1]) == said(checks.predicts, ["0", 1.0], [0, 1]) == checks.RIGHT
    assert "50%" in said(checks.predicts, [0, 0], [0, 1])


def policy(
    actions=("s3:ListBucket", "s3:GetObject"), effect="Allow", places=("arn:aws:s3:::b", "arn:aws:s3:::b/DEMO-mnist/*")
):
    statements = zip(actions, places, strict=False)
    return {"Statement": [dict(Effect=effect, Action=action, Resource=place) for action, place in statements]}


def request(machine="ml.m5.xlarge", volume=30, seconds=600, hosts=1, **more):
    """Of a training job, as far as the exercises look at it."""
    resources = dict(InstanceType=machine, VolumeSizeInGB=volume, InstanceCount=hosts)
    return dict(ResourceConfig=resources, StoppingCondition=dict(MaxRuntimeInSeconds=seconds), **more)


def channel(mode="FastFile", distribution="ShardedByS3Key"):
    return dict(InputMode=mode, DataSource=dict(S3DataSource=dict(S3DataDistributionType=distribution)))


class Kind(SimpleNamespace):
    scaling_type = "Logarithmic"


def space(**changes):
    """The ranges of the exercise on tuning."""
    kinds = {name: type(f"{name}Parameter", (Kind,), {}) for name in ("Continuous", "Categorical", "Integer")}
    right = {
        "learning-rate": kinds["Continuous"](min_value=1e-5, max_value=1e-1),
        "beta_1": kinds["Categorical"](values=["0.9", "0.95", "0.99"]),
        "epochs": kinds["Integer"](min_value=1, max_value=5),
    }
    return right | {name.replace("_rate", "-rate"): change for name, change in changes.items()}


def tuner(**changes):
    metric = {"Name": "loss", "Regex": " val_loss=([0-9.]+)"}
    right = dict(objective_type="Minimize", objective_metric_name="loss", metric_definitions=[metric])
    return SimpleNamespace(**right | dict(max_jobs=20, max_parallel_jobs=2, strategy="Bayesian") | changes)


def asks(body=None, twice=False, give=None, **changes):
    """What a learner could write for the exercise on an endpoint."""

    def ask(runtime, name, numbers):
        asked = body or json.dumps({"instances": numbers})
        sent = dict(EndpointName=name, ContentType="application/json", Body=asked) | changes
        for _ in range(1 + twice):
            answer = json.loads(runtime.invoke_endpoint(**sent)["Body"].read())
        return give or answer["predictions"]

    return ask


def as_text(training_env, **changes):
    folders = {f"SM_CHANNEL_{name.upper()}": path for name, path in training_env["channel_input_dirs"].items()}
    return folders | {"SM_HPS": json.dumps(training_env["hyperparameters"])} | changes


def of_sdk_2(name, environment):
    kinds = {"batch-size": int, "shuffle": lambda text: text == "True", "note": str}
    return kinds[name](environment["SM_HP_" + name.upper()])


def plain(range_):
    """The same without a scaling."""
    range_.scaling_type = "Auto"
    return range_


ENV = {"channel_input_dirs": {"a": "/a"}, "hyperparameters": {"epochs": 1}}
CHEAP = request(), request("ml.c4.xlarge", 250, 86400)
HERE, TOKYO = (SimpleNamespace(boto_region_name=region) for region in ("us-east-1", "ap-northeast-1"))
WRONG = [  # a check, what it gets, and what it says; None: it is right
    ("tokyo", (HERE, TOKYO), None),
    ("tokyo", (HERE, HERE), "`tokyo` is in us-east-1"),
    ("tokyo", (TOKYO, TOKYO), "must stay in its own region"),
    ("policy", (policy(), "b"), None),
    ("policy", (policy(effect="Deny"), "b"), "`Effect`"),
    ("policy", (policy(["s3:*"]), "b"), "`s3:*` allows too much"),
    ("policy", (policy(["s3:PutObject"]), "b"), "`s3:PutObject` is not needed"),
    ("policy", (policy(["s3:ListBucket"]), "b"), "`s3:GetObject` is missing"),
    ("policy", (policy(), "other"), "The resource of `s3:ListBucket` is `arn:aws:s3:::other`"),
    ("sharded", (channel(),), None),
    ("sharded", (channel("Pipe"),), "The input mode is Pipe"),
    ("sharded", (channel(distribution="FullyReplicated"),), "Each host still gets all files"),
    ("cheaper", CHEAP[::-1], None),
    ("cheaper", (CHEAP[1], request(volume=250)), "`ResourceConfig.VolumeSizeInGB` has not moved"),
    ("cheaper", (CHEAP[1], request(RoleArn="r")), "`RoleArn` has moved, too"),
    ("cheaper", (CHEAP[1], request("ml.m5.large")), "The machine is ml.m5.large"),
    ("cheaper", (CHEAP[1], request(volume=31)), "At most 30 GB"),
    ("cheaper", (CHEAP[1], request(seconds=601)), "At most 30 GB"),
    ("cheaper", (CHEAP[1], request(seconds=10)), "after 10 of them"),
    ("booleans", (lambda arguments: arguments[1] in ("True", "1"),), None),
    ("booleans", (lambda arguments: bool(arguments[1]),), "gives True, not False"),
    ("booleans", (lambda arguments: int(arguments[1] in ("True", "1")),), "gives 0, not False"),
    ("folder", (lambda name, environment: environment[f"SM_CHANNEL_{name.upper()}"],), "name those that are"),
    ("folder", (lambda name, environment: f"/opt/ml/input/data/{name}",), "raises no error"),
    ("folder", (lambda name, environment: name,), "not the channel's folder"),
    ("variables", (as_text, ENV), None),
    ("variables", (list, ENV), "should return a dictionary"),
    ("variables", (lambda env: as_text(env, SM_HPS=env["hyperparameters"]), ENV), "`SM_HPS` is missing, or no text"),
    ("variables", (lambda env: as_text(env, SM_CHANNEL_A="/b"), ENV), "`SM_CHANNEL_A` is not the folder"),
    ("variables", (lambda env: as_text(env, SM_HPS='{"epochs": "1"}'), ENV), "with their types"),
    ("variables", (lambda env: as_text(env, SM_HPS="{'epochs': 1}"), ENV), "read as JSON"),
    ("metric", (r"\bval_loss: ([0-9.e-]+)",), None),
    ("metric", (r"val_loss: ([0-9.e-]+)",), "the pattern finds ['0.42', '0.40'], not ['0.42']"),
    ("metric", (r"(?<!_)val_loss: ([0-9.]+)",), "4.2e-05"),
    ("metric", (r"(?<!_)val_loss\w*: ([0-9.e-]+)",), "val_loss_weight"),
    ("share", (lambda host, hosts, images: range(host, images, hosts),), None),
    ("share", (lambda host, hosts, images: range(images),), "With 2 hosts some images are trained on twice"),
    ("share", (lambda host, hosts, images: range(host, images - images % hosts, hosts),), "are left out"),
    ("share", (lambda host, hosts, images: range(images) if host == 0 else [],), "more to do than another"),
    ("hyperparameter", (lambda name, env: json.loads(env["SM_HPS"])[name],), None),
    (
        "hyperparameter",
        (lambda name, env: env["SM_HP_" + name.upper()],),
        "Under SDK 2, `hp('batch-size')` gives '512'",
    ),
    ("ranges", (space(),), None),
    ("ranges", (space(epochs=space()["beta_1"]),), "`epochs` needs a `IntegerParameter`"),
    ("ranges", (space(more=1),), "more than the three hyperparameters: `more`"),
    ("ranges", (space(beta_1=type(space()["beta_1"])(values=[0.9, 0.95])),), "`beta_1` is 0.9, 0.95 or 0.99"),
    ("ranges", (space(epochs=type(space()["epochs"])(min_value=1, max_value=6)),), "goes from 1 to 5, not from 1 to 6"),
    ("search", (tuner(),), None),
    ("search", (tuner(objective_type="Maximize"),), "a loss should be small"),
    ("search", (tuner(objective_metric_name="other"),), "No metric has the name"),
    ("search", (tuner(metric_definitions=[{"Name": "loss", "Regex": "loss=([0-9.]+)"}]),), "not only 0.42"),
    ("search", (tuner(max_jobs=2),), "2 jobs are asked for, 2 at a time"),
    ("search", (tuner(strategy="Random"),), "does not learn"),
    ("ask", (asks(),), None),
    ("ask", (asks(twice=True),), "sends 2 requests"),
    ("ask", (asks(body={"instances": [1]}),), "is no JSON"),
    ("ask", (asks(body="instances"),), "is no JSON"),
    ("ask", (asks(EndpointName="mine"),), "needs the `EndpointName`"),
    ("ask", (asks(ContentType="text/csv"),), "needs the `EndpointName`"),
    ("ask", (asks(body="[1]"),), "wants `instances`"),
    ("ask", (asks(give={"predictions": [2, 5, -6]}),), "not the list of doubled numbers"),
    ("predicts", ([0], [0, 1]), "1 predictions for 2 points"),
    ("predicts", ([0] * 17 + [1] * 3, [0] * 20), "right for 85% of the points"),
    ("policy", (policy(places=("arn:aws:s3:::b", "arn:aws:s3:::b/*")), "b"), "The resource of `s3:GetObject`"),
    ("two_hosts", (request(HyperParameters={"batch-size": "256"}),), "The job has 1 hosts"),
    ("two_hosts", (request(hosts=2, HyperParameters={"batch-size": "512"}),), "One step takes 512 images"),
    ("hyperparameter", (of_sdk_2,), "Under SDK 3, `hp('batch-size')` gives KeyError('SM_HP_BATCH-SIZE'), not 512."),
    ("ranges", (space(learning_rate=plain(space()["learning-rate"])),), "is not searched by its zeros"),
]


@pytest.mark.parametrize(("check", "given", "sentence"), WRONG)
def test_an_answer_gets_its_sentence(capsys, check, given, sentence):
    getattr(checks, check)(*given)
    said = capsys.readouterr().out.strip()
    assert said == checks.RIGHT if sentence is None else sentence in said


class Bucket(SimpleNamespace):
    """Stands for a session and its bucket: {key: content}."""

    def list_s3_files(self, bucket, prefix):
        return [key for key in self.files if key.startswith(prefix)]

    @property
    def boto_session(self):
        return SimpleNamespace(client=lambda name: self)

    def get_object(self, Bucket, Key):
        return {"Body": io.BytesIO(self.files[Key])}


def test_a_thousand_images(capsys):
    header, images = struct.pack(">4I", 2051, 1000, 28, 28), checks.unpacked("train-images-idx3-ubyte.gz")
    labels = struct.pack(">2I", 2049, 1000) + checks.unpacked("train-labels-idx1-ubyte.gz")[8:1008]
    right = {"p/i": header + images[16:784016], "p/l": labels}
    for address, files, sentence in (
        ("s3://b/p/", right, checks.RIGHT),
        ("p/", right, "not an address in S3"),
        ("s3://b/p", right, "must end with a slash"),
        ("s3://b/p/", {"p/i": right["p/i"]}, "There are 1 files"),
        ("s3://b/p/", right | {"p/l": struct.pack(">2I", 2049, 60000)}, "The header of `l` says 2049 and 60000"),
        ("s3://b/p/", right | {"p/i": header + images[16:800]}, "`i` does not hold what its header says"),
        ("s3://b/p/", right | {"p/i": header + images[:784000]}, "`i` does not hold MNIST's first 1,000"),
    ):
        checks.thousand(Bucket(files=files), address)
        assert sentence in capsys.readouterr().out


def test_nearly_right_files(capsys, tmp_path):
    for name, content in (("output/metrics.json", b'[{"test_accuracy": 0.9849}]'), ("model/1/saved_model.pb", b"")):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(content)
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as file:
        file.addfile(tarfile.TarInfo("model/saved_model.pb"))
    checks.accurate(tmp_path)
    checks.archive(tmp_path)
    assert capsys.readouterr().out.splitlines() == [
        "The test accuracy is 0.9849; at least 0.985 is wanted.",
        "In the archive the model is `model/saved_model.pb`: its folder must have a number as its name.",
    ]


def test_a_result_in_each_folder_that_a_job_has(capsys, tmp_path):
    script = tmp_path / "errors.py"
    for folder, sentence in (
        ("SM_OUTPUT_DATA_DIR", checks.RIGHT),
        ("SM_OUTPUT_DIR", "would be lost with the machine"),
        ("SM_MODEL_DIR", "lies beside the model"),
        ("SM_NO_DIR", "KeyError: 'SM_NO_DIR'"),
    ):
        files = dict.fromkeys(("errors.csv", "line.json"), folder) | {"line.json": "SM_MODEL_DIR"}
        lines = [f"open(os.environ['{folder}'] + '/{name}', 'w')" for name, folder in files.items()]
        script.write_text("\n".join(["import os", *lines]))
        checks.results(script, tmp_path)
        assert sentence in capsys.readouterr().out
    script.write_text(script.read_text().replace("line.json", "other.json").replace("SM_NO_DIR", "SM_OUTPUT_DATA_DIR"))
    checks.results(script, tmp_path)
    assert "The model, `line.json`, is lost" in capsys.readouterr().out


def test_an_error_in_a_learner_s_code_is_a_sentence(capsys):
    checks.share(lambda host, hosts, images: 1 / 0)
    checks.booleans(lambda arguments: sys.exit(2))
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Your code ends in an error: ZeroDivisionError: division by zero."
    assert second.startswith("`parse(['--shuffle', 'False'])` gives SystemExit(2)")


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.stem)
def test_shape(path):
    """Two exercises, each with a blank, a check and a hint; the last one has three parts."""
    count = 3 if path.name.startswith("project-") else 2
    text = "\n".join(entries(path))
    assert len(re.findall(r"^## \d\. ", text, re.MULTILINE)) == text.count("<summary>Hint</summary>") == count
    assert sum("blank" in cell.metadata for cell in cells(path)) == count
    said = [output.text for cell in cells(path) if cell.source.startswith("checks.") for output in cell.outputs]
    assert said == [checks.RIGHT + "\n"] * count
    assert re.search(r"\*\*Time:\*\* \d+ minutes", text) and "**Cost:**" in text
