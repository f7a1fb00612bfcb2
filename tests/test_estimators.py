"""Every estimator of the series has the seed's values, except where its notebook means another: DIFFERENCES says why.

Read from the notebooks' code, without running it. What a name stands for is looked up where it is a dictionary.
"""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("[0-9]*.ipynb"))
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
DIFFERENCES = {}


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
