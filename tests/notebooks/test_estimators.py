"""Every estimator of the series has the seed's values, except where its notebook means another: DIFFERENCES says why.

Read from the notebooks' code, without running it. What a name stands for is looked up where it is a dictionary.
"""

import ast
import re

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tests.support import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
IMAGE = {"image_uri": "os.environ.get('TRAINING_IMAGE')"}  # the one keyword that the series adds everywhere
HYPERPARAMETERS = {"batch-size": "512", "epochs": "1", "learning-rate": "0.001", "beta_1": "0.9", "beta_2": "0.999"}
SEED = {
    "TensorFlow": {
        "entry_point": "'train.py'",
        "source_dir": "'../code'",
        "role": "role",
        "framework_version": "'2.3.1'",
        "model_dir": "False",
        "py_version": "'py37'",
        "instance_type": "instance_type",
        "instance_count": "1",
        "volume_size": "250",
        "output_path": "output_path",
        "hyperparameters": HYPERPARAMETERS,
    },
    "hyperparameters": {"hyperparameters": HYPERPARAMETERS},
    # The same values in the words of SDK 3.
    "ModelTrainer": {
        "role": "role",
        "source_code": "source_code",
        "compute": "compute",
        "output_data_config": "output",
        "hyperparameters": HYPERPARAMETERS,
    },
    "SourceCode": {"source_dir": "'../code'", "entry_script": "'train.py'"},
    "Compute": {"instance_type": "instance_type", "instance_count": "1", "volume_size_in_gb": "250"},
    "OutputDataConfig": {"s3_output_path": "output_path"},
}
# What those names stand for, in every notebook that has them.
NAMES = {
    "role": ["get_execution_role()"],
    "output_path": ["'s3://' + sess.default_bucket() + '/DEMO-tensorflow/mnist'"],
    "local_mode": ["os.environ.get('LOCAL_MODE') == '1'"],
    "instance_type": ["'local'", "'ml.c4.xlarge'"],
}
OUT = "(left out)"
# notebook and variable: what differs from the seed, and why.
DIFFERENCES = {
    "02 role": ({"=": "get_execution_role(laptop)"}, "shown to fail: the credentials of a user on a laptop"),
    "02 role 2": (
        {"=": "f'arn:aws:iam::{sess.account_id()}:role/SageMakerExecutionRole'"},
        "the remedy on a laptop: the role is named",
    ),
    "03 on_aws": (
        {"hyperparameters": OUT, "instance_type": "'ml.m5.xlarge'", "code_location": "f's3://{bucket}/{mine}'"},
        "a request to look at, never run: the instance for new accounts, and a place of its own for the code",
    ),
    "04 estimator": (
        {"sagemaker_session": "est.sagemaker_session", "**": "values"},
        "each parameter is changed once, to see which field of the request moves; one session for all of them",
    ),
    "04 look": (
        {
            "**": "parameters",
            "source_dir": "folder",
            "entry_point": "'look.py'",
            "hyperparameters.rate": "0.001",
            "hyperparameters.shuffle": "False",
            "hyperparameters.augment": "True",
            "hyperparameters.layers": "[32, 64]",
            "hyperparameters.note": "''",
            "hyperparameters.limit": "None",
        },
        "a script that prints how each type of value arrives",
    ),
    "04 strict": (
        {"**": "parameters", "source_dir": "folder", "entry_point": "'strict.py'", "model_dir": "'/opt/ml/model'"},
        "a script without --model_dir, which the seed's comment warns of",
    ),
    "05 own": (
        {"hyperparameters": OUT, "entry_point": "'own.py'", "source_dir": "folder"},
        "a script that reads the variables itself",
    ),
    "06 est": (
        {"metric_definitions": "metric_definitions", "hyperparameters.epochs": "3"},
        "three epochs make a curve, and metrics are read from the log",
    ),
    "07 est": (
        {
            "hyperparameters.learning-rate": OUT,
            "hyperparameters.beta_1": OUT,
            "hyperparameters.beta_2": OUT,
            "source_dir": "'own-script/sagemaker'",
            "hyperparameters.batch-size": "64",
            "hyperparameters.epochs": "5",
        },
        "the learner's own script: five epochs of a small data set, two options",
    ),
    "07 est.source_dir": ({"=": "'own-script/laptop'"}, "a usual mistake: the script of the laptop, unchanged"),
    "07 est.source_dir 2": ({"=": "f'{laptop}/wrong'"}, "a usual mistake: the model is saved in another folder"),
    "07 est.set_hyperparameters": ({"epochs": "1"}, "one epoch is enough for that mistake"),
    "08 instance_type": ({"=": "'ml.m5.xlarge'"}, "managed jobs alone, on the instance for new accounts"),
    "08 est": (
        {
            "base_job_name": "'mnist-managed'",
            "max_run": "1800",
            "metric_definitions": "[{'Name': 'test_accuracy', 'Regex': ' test_accuracy=([0-9.]+)'}]",
        },
        "a name, a limit and a metric of its own, for the lesson on what describes a job",
    ),
    "08 long": (
        {
            "base_job_name": "'mnist-managed'",
            "max_run": "1800",
            "checkpoint_s3_uri": "checkpoints",
            "hyperparameters.epochs": "500",
            "hyperparameters.checkpoint-dir": "'/opt/ml/checkpoints'",
            "hyperparameters.checkpoint-seconds": "5",
            "hyperparameters.tensorboard-dir": "'/opt/ml/output/tensorboard'",
            "tensorboard_output_config": "TensorBoardOutputConfig(output_path)",
        },
        "long enough to be stopped, with checkpoints by the clock and events for TensorBoard",
    ),
    "08 spot": (
        {
            "checkpoint_s3_uri": "checkpoints",
            "use_spot_instances": "True",
            "max_run": "1800",
            "max_wait": "2400",
            "hyperparameters.epochs": "finished + 3",
            "hyperparameters.checkpoint-dir": "'/opt/ml/checkpoints'",
            "hyperparameters.checkpoint-seconds": "5",
        },
        "a spot instance that goes on from these checkpoints for some epochs more",
    ),
    "08 refused": (
        {"hyperparameters": OUT, "use_spot_instances": "True", "max_run": "1800", "max_wait": "60"},
        "a request that SageMaker refuses: max_wait is less than max_run",
    ),
    "08 est.set_hyperparameters": ({"epochs": "0"}, "a job that fails: train.py refuses 0 epochs"),
    "09 est": ({"instance_count": "2", "hyperparameters.batch-size": "256"}, "two hosts share the seed's batch of 512"),
    "09 mirrored": (
        {
            "hyperparameters": OUT,
            "entry_point": "'look.py'",
            "source_dir": "folder",
            "framework_version": "'2.18.0'",
            "py_version": "'py310'",
            "distribution": {"multi_worker_mirrored_strategy": {"enabled": "True"}},
            "instance_count": "2",
        },
        "a script that prints TF_CONFIG, in an image whose container code sets it",
    ),
    "09 mirrored.set_hyperparameters": ({"fail": "1"}, "one of two hosts fails"),
    "10 trainer": (
        {
            "sagemaker_session": "sess",
            "training_image": "image",
            "base_job_name": "f'{run}-3'",
            "local_container_root": "work",
        },
        "SDK 3 needs the image's address; a name and a folder of this run alone",
    ),
    "10 least": (
        {
            "role": OUT,
            "source_code": OUT,
            "compute": OUT,
            "output_data_config": OUT,
            "hyperparameters": OUT,
            "sagemaker_session": "sess",
            "training_image": "image",
        },
        "what SDK 3 fills in where all is left out",
    ),
    "10 est.image_uri": (
        {"=": "os.environ.get('TRAINING_IMAGE')"},
        "the image is given after the request was made with the seed's versions",
    ),
    "10 trainer.training_mode": ({"=": "Mode.LOCAL_CONTAINER"}, "local mode, in SDK 3's words"),
    "10 trainer.training_image": (
        {"=": "os.environ.get('TRAINING_IMAGE', image)"},
        "the image of local mode, in SDK 3's words",
    ),
    "10 ModelTrainer": (
        {
            "role": OUT,
            "source_code": OUT,
            "compute": OUT,
            "output_data_config": OUT,
            "hyperparameters": OUT,
            "training_image": "image",
            "framework_version": "'2.3.1'",
        },
        "shown to fail: a parameter of SDK 2's",
    ),
    "11 est": (
        {
            "hyperparameters.batch-size": OUT,
            "hyperparameters.learning-rate": OUT,
            "instance_type": "'ml.m5.xlarge'",
            "volume_size": "30",
        },
        "managed jobs alone, eight of them with a small disk; the tuning job chooses the two that are left out",
    ),
    "11 hyperparameters": ({"hyperparameters": OUT}, "those of the best job, read"),
    "12 est": (
        {"instance_type": "'ml.m5.xlarge'", "volume_size": "30"},
        "a managed job alone, with a small disk",
    ),
    "12 est.set_hyperparameters": ({"epochs": "3"}, "a better model"),
}


def value(node, known):
    """A dictionary -> its values by key; all else -> its text."""
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.Subscript) and isinstance(value(node.value, known), dict):
        return value(node.value, known).get(ast.literal_eval(node.slice), ast.unparse(node))
    if isinstance(node, ast.Dict):
        pairs = [(key and ast.unparse(key).strip("'"), part) for key, part in zip(node.keys, node.values, strict=True)]
        return merged(pairs, known)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "dict":
        return keywords(node, known)
    return ast.unparse(node)


def merged(pairs, known):
    """(key, node) -> values by key; a key None is a dictionary to merge."""
    found = {}
    for key, node in pairs:
        part = value(node, known)
        found |= {key: part} if key else part if isinstance(part, dict) else {"**": part}
    return found


def keywords(call, known):
    return merged([(None, node) for node in call.args] + [(word.arg, word.value) for word in call.keywords], known)


def code(notebook):
    """A notebook's code, and that of the files which it writes, as one Python text."""
    cells = [cell.source for cell in nbformat.read(notebook, as_version=4).cells if cell.cell_type == "code"]
    cells = [re.sub(r"\A%%writefile.*", "", cell) for cell in cells]
    return "\n".join(map(TransformerManager().transform_cell, cells))  # magics as Python


def calls(text):
    """-> {variable: (class, values by keyword)} of every estimator; what is changed later is `variable.what`."""
    known, found = {}, {}

    def note(name, kind, values):
        number = sum(re.fullmatch(rf"{re.escape(name)}( \d+)?", old) is not None for old in found) + 1
        found[name if number == 1 else f"{name} {number}"] = kind, values

    nodes = [node for node in ast.walk(ast.parse(text)) if hasattr(node, "lineno")]
    assigned = set()
    for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
        if isinstance(node, ast.Assign):
            target, made = ast.unparse(node.targets[0]), node.value
            kind = ast.unparse(made.func) if isinstance(made, ast.Call) else None
            if kind in SEED:
                assigned.add(made)
                note(target, kind, keywords(made, known))
            elif target.partition(".")[0] in found and "." in target:
                note(target, "change", {"=": value(made, known)})
            elif target.endswith("['hyperparameters']"):
                note(target, "hyperparameters", {"hyperparameters": value(made, known)})
            elif target in NAMES and ast.unparse(made) not in NAMES[target]:
                note(target, "change", {"=": ast.unparse(made)})
            known.pop(target, None)
            if isinstance(value(made, known), dict):
                known[target] = value(made, known)
        elif isinstance(node, ast.Call) and node not in assigned:
            name, _, method = ast.unparse(node.func).rpartition(".")
            if method in SEED:
                note(method, method, keywords(node, known))
            elif method == "set_hyperparameters":
                note(f"{name}.{method}", "change", keywords(node, known))
            elif method == "update" and name in known:
                known[name] = {**known[name], **keywords(node, known)}
    return found


def flat(values):
    """{"hyperparameters": {"epochs": …}} -> {"hyperparameters.epochs": …}"""
    inner = values.get("hyperparameters", {})
    if not isinstance(inner, dict):
        return dict(values)
    outer = {key: text for key, text in values.items() if key != "hyperparameters"}
    return outer | {f"hyperparameters.{key}": text for key, text in inner.items()}


def differs(kind, values):
    """What of these values is not the seed's."""
    values, seed = flat(values), flat(SEED.get(kind, {}))
    if "**" in values:  # made from what another estimator has
        seed = {key: text for key, text in seed.items() if key in values}
    missing = [key for key in seed if key not in values]
    if not any(key.startswith("hyperparameters") for key in values):
        missing = dict.fromkeys(key.partition(".")[0] for key in missing)
    other = {key: text for key, text in values.items() if seed.get(key, IMAGE.get(key)) != text}
    return dict.fromkeys(missing, OUT) | other


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_values_are_the_seeds_or_meant(notebook):
    number, found = notebook.name[:2], {}
    for name, (kind, values) in calls(code(notebook)).items():
        if different := differs(kind, values):
            found[f"{number} {name}"] = different
    assert found == {key: row[0] for key, row in DIFFERENCES.items() if key.startswith(f"{number} ")}


def test_every_difference_has_its_reason():
    assert all(len(reason) > 10 for _, reason in DIFFERENCES.values())


def test_every_notebook_that_trains_has_an_estimator():
    kinds = {path.name[:2]: {kind for kind, _ in calls(code(path)).values()} for path in NOTEBOOKS}
    with_sdk_2 = {number for number, found in kinds.items() if "TensorFlow" in found}
    assert with_sdk_2 >= {"01", "03", "04", "05", "06", "07", "08", "09"}
    assert {"ModelTrainer", "SourceCode", "Compute", "OutputDataConfig"} <= kinds["10"]
