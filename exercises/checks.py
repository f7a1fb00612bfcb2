"""What the check cells of the exercises say: a tick, or one sentence on what is still wrong.

Each function checks one exercise, and is named after it. The sentences are English; in another edition sentences.json,
beside the notebook, has them in its language.
"""

import functools
import gzip
import io
import json
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

RIGHT = "✓"


def say(sentence, **values):
    """A sentence in the language of this edition, with these values in it."""
    file = Path("sentences.json")  # in the folder of the notebook
    sentences = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return sentences.get(sentence, sentence).format(**values)


def exercise(faults):
    """Print the first of the faults that a check finds, or the tick. An error in the learner's code is a fault, too."""

    @functools.wraps(faults)
    def check(*arguments, **options):
        try:
            print(next(faults(*arguments, **options), RIGHT))
        except (Exception, SystemExit) as error:
            print(say("Your code ends in an error: {error}.", error=f"{type(error).__name__}: {error}".rstrip(".")))

    return check


def call(function, *arguments):
    """What a learner's function returns, or the error that it raises."""
    try:
        return function(*arguments)
    except (Exception, SystemExit) as error:
        return error


# --- 2. Session and role --------------------------------------------------------------------------


@exercise
def tokyo(sess, answer):
    if not hasattr(answer, "boto_region_name"):
        yield say("`tokyo` is no session yet: make one with `sagemaker.Session(…)`.")
    if answer.boto_region_name != "ap-northeast-1":
        yield say("`tokyo` is in {region}; Tokyo is `ap-northeast-1`.", region=answer.boto_region_name)
    if answer is sess or sess.boto_region_name == "ap-northeast-1":
        yield say("`sess` must stay in its own region: give the new region to the new session alone.")


@exercise
def policy(answer, bucket):
    statements = answer.get("Statement") or []
    if not statements:
        yield say("The policy has no statement yet: `Statement` is a list of dictionaries.")
    allowed = {}
    for statement in statements:
        actions, resources = (
            [part] if isinstance(part, str) else part for part in (statement["Action"], statement["Resource"])
        )
        if statement["Effect"] != "Allow":
            yield say("A role may do only what is allowed: the `Effect` of each statement is `Allow`.")
        for action in actions:
            allowed.setdefault(action, set()).update(resources)
    if wide := [action for action in allowed if "*" in action]:
        yield say("`{action}` allows too much: name each action, without a `*`.", action=wide[0])
    if more := set(allowed) - {"s3:GetObject", "s3:ListBucket"}:
        yield say("`{action}` is not needed to list and read.", action=min(more))
    for action, resource in (
        ("s3:ListBucket", f"arn:aws:s3:::{bucket}"),
        ("s3:GetObject", f"arn:aws:s3:::{bucket}/DEMO-mnist/*"),
    ):
        if action not in allowed:
            yield say("`{action}` is missing.", action=action)
        if allowed[action] != {resource}:
            yield say("The resource of `{action}` is `{resource}`, and nothing else.", action=action, resource=resource)


# --- 3. Data upload -------------------------------------------------------------------------------


def unpacked(name):
    """A file of MNIST."""
    return gzip.decompress((Path(__file__).parents[1] / "data" / name).read_bytes())


@exercise
def thousand(sess, address):
    if not str(address).startswith("s3://"):
        yield say("`small` is not an address in S3 yet.")
    if not address.endswith("/"):
        yield say("`small` must end with a slash, or longer names are included, too.")
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    keys = sess.list_s3_files(bucket, prefix)
    if len(keys) != 2:
        yield say("There are {count} files at `small`; two are wanted, images and labels.", count=len(keys))
    for key in keys:
        content = sess.boto_session.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
        content = gzip.decompress(content) if key.endswith(".gz") else content
        kind, count = struct.unpack(">2I", content[:8])
        name = key.rpartition("/")[2]
        if kind not in (2049, 2051) or count != 1000:
            yield say(
                "The header of `{name}` says {kind} and {count}; see the hint.", name=name, kind=kind, count=count
            )
        start, size, original = {2049: (8, 1, "labels-idx1"), 2051: (16, 784, "images-idx3")}[kind]
        if len(content) != start + 1000 * size:
            yield say("`{name}` does not hold what its header says.", name=name)
        if content[start:] != unpacked(f"train-{original}-ubyte.gz")[start : len(content)]:
            yield say("`{name}` does not hold MNIST's first 1,000: is the old header still in it?", name=name)


@exercise
def sharded(config):
    if config.get("InputMode") != "FastFile":
        yield say(
            "The input mode is {mode}; with `FastFile` the script starts at once, and need not be changed.",
            mode=config.get("InputMode", "File"),
        )
    if config["DataSource"]["S3DataSource"]["S3DataDistributionType"] != "ShardedByS3Key":
        yield say("Each host still gets all files: look at `distribution`.")


# --- 4. The estimator's parameters ----------------------------------------------------------------


@exercise
def cheaper(before, after):
    def flat(request, name=""):
        if not isinstance(request, dict):
            return {name: request}
        return {
            key: value for part in request for key, value in flat(request[part], f"{name}.{part}".strip(".")).items()
        }

    before, after = flat(before), flat(after)
    moved = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    wanted = {"ResourceConfig.InstanceType", "ResourceConfig.VolumeSizeInGB", "StoppingCondition.MaxRuntimeInSeconds"}
    if missing := wanted - moved:
        yield say("`{field}` has not moved yet.", field=min(missing))
    if more := moved - wanted:
        yield say("`{field}` has moved, too; only three fields should.", field=min(more))
    if after["ResourceConfig.InstanceType"] != "ml.m5.xlarge":
        yield say("The machine is {machine}; take an `ml.m5.xlarge`.", machine=after["ResourceConfig.InstanceType"])
    seconds = after["StoppingCondition.MaxRuntimeInSeconds"]
    if after["ResourceConfig.VolumeSizeInGB"] > 30 or seconds > 600:
        yield say("At most 30 GB and 600 seconds are wanted.")
    if seconds < 60:
        yield say("`max_run` counts seconds: after {seconds} of them the job would be stopped.", seconds=seconds)


@exercise
def booleans(parse):
    for text, value in {"False": False, "0": False, "True": True, "1": True}.items():
        arguments = ["--shuffle", text]
        if (result := call(parse, arguments)) is not value:
            yield say(
                "`parse({arguments})` gives {result}, not {value}.",
                arguments=arguments,
                result=repr(result),
                value=value,
            )


# --- 5. The SM_* variables ------------------------------------------------------------------------


@exercise
def folder(answer):
    environment = {
        "SM_CHANNELS": '["images","labels"]',
        "SM_CHANNEL_IMAGES": "/opt/ml/input/data/images",
        "SM_CHANNEL_LABELS": "/opt/ml/input/data/labels",
    }
    for channel in ("images", "labels"):
        if (result := call(answer, channel, environment)) != f"/opt/ml/input/data/{channel}":
            yield say(
                "`folder({channel})` gives {result}, not the channel's folder.",
                channel=repr(channel),
                result=repr(result),
            )
    error = call(answer, "train", environment)
    if not isinstance(error, Exception):
        yield say("There is no channel `train`, but `folder` raises no error for it.")
    if not all(name in str(error) for name in ("images", "labels")):
        yield say("The error for a channel that is not there should name those that are.")


@exercise
def variables(answer, training_env):
    result = answer(training_env)
    if not isinstance(result, dict):
        yield say("`variables` should return a dictionary: names of variables and their values.")
    channels = {f"SM_CHANNEL_{name.upper()}": path for name, path in training_env["channel_input_dirs"].items()}
    for name in (*channels, "SM_HPS"):
        if not isinstance(result.get(name), str):
            yield say("`{name}` is missing, or no text; a variable of the environment is always text.", name=name)
    for name, path in channels.items():
        if result[name] != path:
            yield say("`{name}` is not the folder of its channel.", name=name)
    if call(json.loads, result["SM_HPS"]) != training_env["hyperparameters"]:
        yield say("`SM_HPS`, read as JSON, should give the hyperparameters with their types.")


# --- 6. Train and inspect -------------------------------------------------------------------------


@exercise
def metric(regex):
    for line, numbers in {
        "epoch 3 - loss: 0.31 - val_loss: 0.42 - best_val_loss: 0.40": ["0.42"],
        "val_loss: 4.2e-05": ["4.2e-05"],
        "epoch 3 - loss: 0.31": [],
        "val_loss_weight: 2": [],
    }.items():
        if (found := re.findall(regex, line)) != numbers:
            yield say("In `{line}` the pattern finds {found}, not {numbers}.", line=line, found=found, numbers=numbers)


@exercise
def accurate(work):
    epochs = json.loads(Path(work, "output/metrics.json").read_text())
    accuracy = epochs[-1]["test_accuracy"]
    if len(epochs) > 3:
        yield say("That took {count} epochs; at most 3 are wanted.", count=len(epochs))
    if accuracy < 0.985:
        yield say("The test accuracy is {accuracy}; at least 0.985 is wanted.", accuracy=round(accuracy, 4))
    if not Path(work, "model/1/saved_model.pb").exists():
        yield say("There is no model in `work/model`.")


# --- 7. Your own script ---------------------------------------------------------------------------


def run_as_a_job(script, data, *options):
    """Run a script with a channel `points`, in an empty folder, as a job would -> what is wrong, or None; and the files
    of its model and of its other results, as name -> bytes."""
    with tempfile.TemporaryDirectory() as place:
        folders = {"SM_MODEL_DIR": Path(place, "model"), "SM_OUTPUT_DATA_DIR": Path(place, "output", "data")}
        for folder in folders.values():
            folder.mkdir(parents=True)
        environment = {**os.environ, "SM_CHANNEL_POINTS": str(data), "SM_OUTPUT_DIR": str(Path(place, "output"))}
        environment.update({name: str(folder) for name, folder in folders.items()})
        code = Path(place, "code")
        code.mkdir()
        command = [sys.executable, Path(script).resolve(), *options]
        ended = subprocess.run(command, cwd=code, env=environment, capture_output=True, text=True)
        fault = None
        if ended.returncode:
            error = ended.stderr.splitlines()[-1].rstrip(".")
            fault = say("The script ends with an error where a job runs it: {error}.", error=error)
        files = [{file.name: file.read_bytes() for file in folder.glob("*")} for folder in folders.values()]
    return fault, *files


def model_of(script, data, *options):
    """Run a script as a job would: yields what is wrong, and returns the files of its model."""
    fault, model, _ = run_as_a_job(script, data, *options)
    if fault:
        yield fault
    if not model:
        yield say("The script runs, but leaves nothing in the folder `SM_MODEL_DIR`.")
    return model


@exercise
def script(answer, data):
    model = yield from model_of(answer, data, "--degree", "2")
    if (count := len(json.loads(next(iter(model.values()))))) != 3:
        yield say("A curve of degree 2 has 3 numbers, this model {count}: is `--degree` used?", count=count)


@exercise
def results(script, data):
    fault, model, output = run_as_a_job(script, data, "--degree", "1")
    if fault:
        yield fault
    if "line.json" not in model:
        yield say("The model, `line.json`, is lost: it belongs in the folder of `SM_MODEL_DIR`.")
    if "errors.csv" in model:
        yield say("`errors.csv` lies beside the model; it is no model.")
    if "errors.csv" not in output:
        yield say("`errors.csv` would be lost with the machine: write it to the folder of `SM_OUTPUT_DATA_DIR`.")


# --- 8. Managed training --------------------------------------------------------------------------


@exercise
def limited(sess, estimator):
    if estimator is None:
        yield say("`limited` is no estimator yet.")
    job = sess.describe_training_job(estimator.latest_training_job.name)
    if job["StoppingCondition"]["MaxRuntimeInSeconds"] > 60:
        yield say(
            "The limit is {seconds} seconds; take 60 or less.", seconds=job["StoppingCondition"]["MaxRuntimeInSeconds"]
        )
    if job["SecondaryStatus"] != "MaxRuntimeExceeded":
        yield say("The job ended as {status}, not as `MaxRuntimeExceeded`.", status=job["SecondaryStatus"])


@exercise
def reason(sess, name):
    if not name:
        yield say("`failed` is not the name of a job yet.")
    job = sess.describe_training_job(name)
    if job["TrainingJobStatus"] != "Failed":
        yield say("The job should fail, but is {status}.", status=job["TrainingJobStatus"])
    if "the channel holds no pictures" not in job["FailureReason"] or "Error" in job["FailureReason"].partition(":")[2]:
        yield say(
            "The reason is “{reason}”: write your own words to `/opt/ml/output/failure`.",
            reason=job["FailureReason"].splitlines()[0],
        )


# --- 9. Distributed training ----------------------------------------------------------------------


@exercise
def share(answer):
    for hosts in range(1, 6):
        shares = [list(answer(host, hosts, 23)) for host in range(hosts)]
        together = sorted(number for part in shares for number in part)
        if len(together) != len(set(together)):
            yield say("With {hosts} hosts some images are trained on twice.", hosts=hosts)
        if together != list(range(23)):
            yield say("With {hosts} hosts some images are left out.", hosts=hosts)
        if max(map(len, shares)) - min(map(len, shares)) > 1:
            yield say("With {hosts} hosts one has more to do than another.", hosts=hosts)


@exercise
def two_hosts(request):
    hosts = request["ResourceConfig"]["InstanceCount"]
    if hosts != 2:
        yield say("The job has {hosts} hosts; two are wanted.", hosts=hosts)
    images = int(request["HyperParameters"]["batch-size"].strip('"'))  # set_hyperparameters sends it as JSON
    if images * hosts != 512:
        yield say("One step takes {images} images on each of 2 hosts; in all it should be 512.", images=images)


# --- 10. ModelTrainer -----------------------------------------------------------------------------


@exercise
def trainer(answer, estimator):
    if answer is None:
        yield say("`trainer` is no ModelTrainer yet.")
    places = {
        "entry_point": answer.source_code and answer.source_code.entry_script,
        "source_dir": answer.source_code and answer.source_code.source_dir,
        "instance_type": answer.compute.instance_type,
        "volume_size": answer.compute.volume_size_in_gb,
        "max_run": answer.stopping_condition.max_runtime_in_seconds,
        "hyperparameters": answer.hyperparameters,
    }
    for name, value in places.items():
        if value != estimator[name]:
            yield say(
                "`{name}` is {value} in SDK 3, and was {old} in SDK 2.",
                name=name,
                value=repr(value),
                old=repr(estimator[name]),
            )


@exercise
def hyperparameter(hp):
    values = {"batch-size": 512, "shuffle": False, "note": "two words"}
    for sdk, sign in (2, "-"), (3, "_"):
        environment = {"SM_HPS": json.dumps(values)}
        environment.update({"SM_HP_" + name.upper().replace("-", sign): str(value) for name, value in values.items()})
        for name, value in values.items():
            if (result := call(hp, name, environment)) != value or type(result) is not type(value):
                yield say(
                    "Under SDK {sdk}, `hp({name})` gives {result}, not {value}.",
                    sdk=sdk,
                    name=repr(name),
                    result=repr(result),
                    value=repr(value),
                )


# --- 11. Tuning -----------------------------------------------------------------------------------


@exercise
def ranges(answer):
    kinds = {"learning-rate": "Continuous", "beta_1": "Categorical", "epochs": "Integer"}
    for name, kind in kinds.items():
        if name not in answer:
            yield say("`ranges` has no `{name}` yet.", name=name)
        if not type(answer[name]).__name__.startswith(kind):
            yield say("`{name}` needs a `{kind}Parameter`.", name=name, kind=kind)
    if more := sorted(set(answer) - set(kinds)):
        yield say("`ranges` has more than the three hyperparameters: `{name}`.", name=more[0])
    if sorted(map(float, answer["beta_1"].values)) != [0.9, 0.95, 0.99]:
        yield say("`beta_1` is 0.9, 0.95 or 0.99, but the values are {values}.", values=answer["beta_1"].values)
    for name, low, high in ("learning-rate", 1e-5, 1e-1), ("epochs", 1, 5):
        found = answer[name].min_value, answer[name].max_value
        if found != (low, high):
            yield say(
                "`{name}` goes from {low} to {high}, not from {min} to {max}.",
                name=name,
                low=low,
                high=high,
                min=found[0],
                max=found[1],
            )
    if answer["learning-rate"].scaling_type != "Logarithmic":
        yield say("The range of `learning-rate` is not searched by its zeros: it needs a `scaling_type`.")


@exercise
def search(tuner):
    if tuner is None:
        yield say("`tuner` is no HyperparameterTuner yet.")
    if tuner.objective_type != "Minimize":
        yield say("The tuner looks for the largest value: a loss should be small.")
    regexes = {metric["Name"]: metric["Regex"] for metric in tuner.metric_definitions or []}
    if tuner.objective_metric_name not in regexes:
        yield say("No metric has the name of the objective, `{name}`.", name=tuner.objective_metric_name)
    line = "epoch=3 loss=0.31 val_loss=0.42 val_accuracy=0.88"
    found = re.findall(regexes[tuner.objective_metric_name], line)
    if found != ["0.42"]:
        yield say("In `{line}` the regular expression finds {found}, not only 0.42.", line=line, found=found)
    if (tuner.max_jobs, tuner.max_parallel_jobs) != (20, 2):
        yield say(
            "{jobs} jobs are asked for, {parallel} at a time; it should be 20, and 2.",
            jobs=tuner.max_jobs,
            parallel=tuner.max_parallel_jobs,
        )
    if tuner.strategy != "Bayesian":
        yield say("The strategy {strategy} does not learn from the jobs that are over.", strategy=tuner.strategy)


# --- 12. Deployment -------------------------------------------------------------------------------


@exercise
def archive(work):
    path = Path(work, "model.tar.gz")
    if not path.exists():
        yield say("There is no `model.tar.gz` in the folder `work` yet.")
    with tarfile.open(path, "r:gz") as file:
        models = [Path(name) for name in file.getnames() if name.endswith("saved_model.pb")]
    if not models:
        yield say("`model.tar.gz` holds no `saved_model.pb`.")
    if not models[0].parent.name.isdecimal():
        yield say("In the archive the model is `{path}`: its folder must have a number as its name.", path=models[0])


class Endpoint:
    """Stands for a client of sagemaker-runtime and an endpoint whose model doubles numbers; keeps the requests."""

    def __init__(self):
        self.requests = []

    def invoke_endpoint(self, **request):
        self.requests.append(request)
        asked = json.loads(request["Body"])
        names = {"instances": "predictions", "inputs": "outputs"}
        answer = {names[name]: [2.0 * number for number in numbers] for name, numbers in asked.items()}
        return {"ContentType": "application/json", "Body": io.BytesIO(json.dumps(answer).encode())}


@exercise
def ask(answer):
    endpoint, numbers = Endpoint(), [1, 2.5, -3]
    result = call(answer, endpoint, "double", numbers)
    if len(endpoint.requests) != 1:
        yield say("`ask` sends {count} requests; it should be one.", count=len(endpoint.requests))
    [request] = endpoint.requests
    asked = call(json.loads, request.get("Body", ""))
    if isinstance(asked, Exception):
        yield say("The `Body` of the request is no JSON.")
    if request.get("EndpointName") != "double" or request.get("ContentType") != "application/json":
        yield say("The request needs the `EndpointName` that `ask` gets, and the `ContentType` of JSON.")
    if not isinstance(asked, dict) or list(asked) not in (["instances"], ["inputs"]):
        yield say("The JSON is {asked}; TensorFlow Serving wants `instances` with the list of numbers.", asked=asked)
    if result != [2, 5, -6]:
        yield say(
            "For {numbers}, `ask` gives {result}, not the list of doubled numbers.",
            numbers=numbers,
            result=repr(result),
        )


# --- Your own project -----------------------------------------------------------------------------


@exercise
def project(script, data):
    yield from model_of(script, data, "--epochs", "1")


@exercise
def trained(sess, estimator):
    if estimator is None:
        yield say("`est` is no estimator yet.")
    name = estimator.latest_training_job.name
    bucket, _, key = estimator.model_data.removeprefix("s3://").partition("/")
    if key not in sess.list_s3_files(bucket, key):
        yield say("The job {name} left no model in S3.", name=name)


@exercise
def predicts(labels, truth):
    if len(labels) != len(truth):
        yield say("There are {count} predictions for {points} points.", count=len(labels), points=len(truth))
    accuracy = sum(int(label) == int(true) for label, true in zip(labels, truth, strict=True)) / len(truth)
    if accuracy < 0.9:
        yield say("The model is right for {accuracy:.0%} of the points; at least 90 % is wanted.", accuracy=accuracy)
