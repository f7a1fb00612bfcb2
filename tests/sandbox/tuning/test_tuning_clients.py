"""The tuners of both SageMaker SDKs in the sandbox: what a notebook calls, from fit() to stop_tuning_job()."""

import contextlib

import psutil

from tests.support import ROOT

PYTHON_V3 = ROOT / ".venv-v3" / "bin" / "python"
TRAIN = """
import argparse, time
parser = argparse.ArgumentParser()
parser.add_argument("--learning-rate", type=float)
parser.add_argument("--units", type=int)
parser.add_argument("--wait", type=float, default=0)
known, _ = parser.parse_known_args()
time.sleep(known.wait)
print(f"val_accuracy={1 - abs(known.learning_rate - 0.1) - known.units / 1000}")
"""
SDK_2 = """
import os, sys, time
from sagemaker import Session, get_execution_role
from sagemaker.tensorflow import TensorFlow
from sagemaker.tuner import CategoricalParameter, ContinuousParameter, HyperparameterTuner, IntegerParameter

estimator = TensorFlow(entry_point="train.py", source_dir=sys.argv[1], role=get_execution_role(), py_version="py312",
    framework_version="2.19", instance_type="ml.c4.xlarge", instance_count=1,
    hyperparameters={"marker": os.getppid()})
arguments = dict(objective_metric_name="accuracy", metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=(.*)"}],
    max_jobs=3, max_parallel_jobs=2)
tuner = HyperparameterTuner(estimator, hyperparameter_ranges={"learning-rate": ContinuousParameter(0.01, 0.9),
    "units": CategoricalParameter([8, 16])}, random_seed=1, **arguments)
tuner.fit()
table = tuner.analytics().dataframe()
best = table.loc[table.FinalObjectiveValue.idxmax()]
assert len(table) == 3 and set(table.TrainingJobStatus) == {"Completed"}, table
assert (table.TrainingElapsedTimeSeconds > 0).all()
assert tuner.best_training_job() == best.TrainingJobName
assert tuner.best_estimator().hyperparameters()["learning-rate"] == str(best["learning-rate"])
again = HyperparameterTuner.attach(tuner.latest_tuning_job.name)
assert again.best_training_job() == tuner.best_training_job()
assert again.max_jobs == 3 and set(again._hyperparameter_ranges) == {"learning-rate", "units"}
grid = HyperparameterTuner(estimator, strategy="Grid", hyperparameter_ranges={"learning-rate": CategoricalParameter(
    [0.1, 0.2]), "units": CategoricalParameter([8]), "wait": CategoricalParameter([90])}, **arguments | {"max_jobs": 2})
grid.fit(job_name="another", wait=False)  # of its own it takes a name that is new once a minute
grid.stop_tuning_job()
grid.wait()
assert grid.describe()["HyperParameterTuningJobStatus"] == "Stopped"
grid.stop_tuning_job()
grid.fit(job_name="left", wait=False)
while not (jobs := grid.analytics().training_job_summaries(force_refresh=True)):
    time.sleep(0.1)
sess = estimator.sagemaker_session
while sess.describe_training_job(jobs[0]["TrainingJobName"])["SecondaryStatus"] != "Training":
    time.sleep(0.1)
print("done")
"""
SDK_3 = """
import sys
from sagemaker.core.helper.session_helper import Session, get_execution_role
from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, OutputDataConfig, SourceCode
from sagemaker.train.tuner import HyperparameterTuner

sess = Session()
trainer = ModelTrainer(sagemaker_session=sess, role=get_execution_role(), training_image="any",
    source_code=SourceCode(source_dir=sys.argv[1], entry_script="train.py"),
    compute=Compute(instance_type="ml.c4.xlarge", instance_count=1),
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{sess.default_bucket()}/out"),
    hyperparameters={"epochs": 1})
tuner = HyperparameterTuner(model_trainer=trainer, objective_metric_name="accuracy", max_jobs=2, max_parallel_jobs=2,
    metric_definitions=[{"Name": "accuracy", "Regex": "accuracy=(.*)"}],
    hyperparameter_ranges={"learning-rate": ContinuousParameter(0.01, 0.9), "units": CategoricalParameter([8, 16])})
tuner.tune(wait=False)
tuner.latest_tuning_job.wait(poll=1)
table = tuner.analytics().dataframe()
assert len(table) == 2 and set(table.TrainingJobStatus) == {"Completed"}, table
assert tuner.best_training_job() == table.loc[table.FinalObjectiveValue.idxmax()].TrainingJobName
assert tuner.describe().training_job_status_counters.completed == 2
trainer.hyperparameters = {"wait": 90}
tuner.tune(job_name="another", wait=False)  # of its own it takes a name that is new once a minute
tuner.stop_tuning_job()
tuner.latest_tuning_job.wait(poll=1)
assert tuner.describe().hyper_parameter_tuning_job_status == "Stopped"
print("done")
"""


def source(tmp_path_factory):
    """The folder of a script that reports an accuracy, without TensorFlow."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "train.py").write_text(TRAIN)
    return str(folder)


def test_the_tuner_of_sdk_2(start, tmp_path_factory):
    """At its end training jobs still run: they end with the sandbox, and leave nothing."""
    sandbox = start("python", "-c", SDK_2, source(tmp_path_factory), SANDBOX_STOP_SECONDS="0")
    finish(sandbox)
    marker = f"--marker {sandbox.pid}"
    assert [process for process in psutil.process_iter() if marker in " ".join(command(process))] == []


def test_the_tuner_of_sdk_3(start, tmp_path_factory):
    finish(start(str(PYTHON_V3), "-c", SDK_3, source(tmp_path_factory), SANDBOX_STOP_SECONDS="0"))


def command(process):
    with contextlib.suppress(psutil.Error):
        return process.cmdline()
    return []


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and out.rstrip().endswith("done"), out + err
