"""What notebooks 04 and 05 and their pictures say of the SDK and of a job, where no cell shows it."""

import inspect
import json
import re

import pytest

from tests.support import ROOT
from tests.support.cloud import channel

WRITE = """
import json, os, sys
with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "seen.json"), "w") as file:
    json.dump([sys.argv[1:], dict(os.environ)], file)
"""
VALUES = {"batch-size": 512, "epochs": 1, "learning-rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999}
COMPARE = """
import copy, json, tempfile
from unittest.mock import patch
import pandas as pd
import sagemaker
from sagemaker.tensorflow import TensorFlow
from sagemaker.workflow.airflow import training_config

folder = tempfile.mkdtemp()
open(folder + "/train.py", "w").close()
sess, sent = sagemaker.Session(), {}
est = TensorFlow(entry_point="train.py", source_dir=folder, role=sagemaker.get_execution_role(), py_version="py37",
                 framework_version="2.3.1", instance_type="ml.c4.xlarge", instance_count=1, model_dir=False,
                 hyperparameters={"epochs": 1}, sagemaker_session=sess)
loc = sess.upload_data(folder, key_prefix="in")
config = training_config(est, {"training": loc}, "one-job")
config.pop("S3Operations")
with patch.object(sess.sagemaker_client, "create_training_job", lambda **request: sent.update(copy.deepcopy(request))):
    est.fit({"training": loc}, job_name="one-job", wait=False)
both = pd.DataFrame({"shown": pd.json_normalize(config).iloc[0], "sent": pd.json_normalize(sent).iloc[0]}, dtype=object)
both = both.fillna("")
print(json.dumps(both[both["shown"] != both["sent"]]["shown"].to_dict()))
"""


@pytest.fixture(scope="module")
def seen(cloud):
    """A job with the series' channels and hyperparameters -> its options and its environment."""
    folder = cloud.put("in/file").removesuffix("file")
    name = cloud.start(
        WRITE,
        InputDataConfig=[channel(folder, name) for name in ("training", "testing")],
        HyperParameters=cloud.request(WRITE)["HyperParameters"] | {k: json.dumps(v) for k, v in VALUES.items()},
    )
    assert cloud.wait(name)["TrainingJobStatus"] == "Completed", cloud.lines(name)
    return json.loads(cloud.archive(name, "output")["seen.json"])


def test_training_config_shows_what_fit_sends_but_for_debugger_profiler_and_metrics(run):
    differ = json.loads(run(COMPARE).splitlines()[-1])
    assert set(differ.values()) == {""}, "fields that both have, with another value"
    parts = {field.partition(".")[0] for field in differ}
    assert parts == {"AlgorithmSpecification", "DebugHookConfig", "ProfilerConfig"}
    assert "AlgorithmSpecification.EnableSageMakerMetricsTimeSeries" in differ


def test_local_mode_does_not_read_role_and_volume_size(monkeypatch):
    monkeypatch.setenv("SAGEMAKER_SUPPRESS_V2_WARNING", "1")
    from sagemaker.local import LocalSagemakerClient

    code = inspect.getsource(LocalSagemakerClient.create_training_job)
    assert "InstanceCount" in code and "InstanceType" in code
    assert "RoleArn" not in code and "VolumeSizeInGB" not in code


@pytest.mark.parametrize("picture", ["container", "parameter-request-container"])
def test_the_variables_in_a_picture_are_those_of_a_job(seen, picture):
    names = set(re.findall(r"\bSM_\w+\*?", (ROOT / "notebooks" / "pictures" / f"{picture}.svg").read_text()))
    assert len(names) > 5
    for name in names:
        assert any(re.fullmatch(name.replace("*", ".+"), variable) for variable in seen[1]), name


def test_sm_training_env_holds_nearly_all_that_the_other_variables_hold(seen):
    options, environment = seen
    whole = json.loads(environment["SM_TRAINING_ENV"])
    for name in ("MODEL_DIR", "CURRENT_HOST", "NETWORK_INTERFACE_NAME", "INPUT_DIR", "INPUT_CONFIG_DIR"):
        assert whole[name.lower()] == environment[f"SM_{name}"]
    for name in ("HOSTS", "NUM_GPUS", "NUM_NEURONS", "NUM_CPUS", "LOG_LEVEL", "RESOURCE_CONFIG", "INPUT_DATA_CONFIG"):
        assert whole[name.lower()] == json.loads(environment[f"SM_{name}"])
    assert whole["hyperparameters"] == json.loads(environment["SM_HPS"]) == VALUES
    assert whole["channel_input_dirs"] == {n: environment[f"SM_CHANNEL_{n.upper()}"] for n in ("training", "testing")}
    assert json.loads(environment["SM_USER_ARGS"]) == options
