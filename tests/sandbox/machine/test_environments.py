"""The image decides in which environment a job runs."""

import platform
import sys
import venv

import pytest

from sandbox.machine import environments
from tests.support.cloud import algorithm

AWS = "763104351884.dkr.ecr.us-east-1.amazonaws.com"


def folder(matrix, version):
    """Where nox makes the environment of a version."""
    return matrix / f"tensorflow-{version.replace('.', '-')}"


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("SANDBOX_IMAGES", str(tmp_path))
    for version in ("2.15.0", "2.15.10", "2.3.1"):
        venv.create(folder(tmp_path, version), with_pip=False)
        (folder(tmp_path, version) / "installed").write_text(version)
    venv.create(folder(tmp_path, "2.16.0"))  # half made
    return tmp_path


@pytest.mark.parametrize(
    ("tag", "version"),
    [("2.3.1-cpu-py37", "2.3.1"), ("2.15-cpu-py310", "2.15.10"), ("2.15.0-gpu-py310-cu121-ubuntu20.04", "2.15.0")],
)
def test_versions_that_were_made(made, tag, version):
    environment, note = environments.environment(f"{AWS}/tensorflow-training:{tag}")
    assert environment.prefix == str(folder(made, version)) and note is None


@pytest.mark.parametrize(
    "image", ["any", f"{AWS}/tensorflow-training:2.16-cpu-py310", f"{AWS}/pytorch-training:2.3.1-cpu"]
)
def test_other_images_run_in_the_sandboxs_own_environment_and_say_so(made, image):
    environment, note = environments.environment(image)
    assert environment.prefix == sys.prefix and f"no environment like the image {image} is here" in note
    assert note.endswith(
        f"this job runs with TensorFlow {environments.tensorflow()} and Python {platform.python_version()}"
    )


def test_the_own_version(made):
    assert environments.environment(f"{AWS}/tensorflow-training:2.21.0-cpu-py312-amzn2023-sagemaker") == (
        environments.own(),
        None,
    )
    assert environments.environment("tensorflow-training:2.21-cpu") == (environments.own(), None)


def test_a_job_in_another_environment(cloud, made):
    show = algorithm(TrainingImage=f"{AWS}/tensorflow-training:2.3.1-cpu-py37", ContainerEntrypoint=["python", "-c"])
    (folder(made, "2.3.1") / "ours").touch()
    show["ContainerArguments"] = ["import os, sys; print(sys.prefix, os.path.exists(sys.prefix + '/ours'))"]
    job = cloud.run(AlgorithmSpecification=show)
    assert cloud.lines(job["TrainingJobName"]) == ["/opt/environment True"]


def test_the_first_line_of_the_log(cloud, made):
    show = algorithm(TrainingImage="any", ContainerEntrypoint=["echo", "hello"])
    first, second = cloud.lines(cloud.run(AlgorithmSpecification=show)["TrainingJobName"])
    assert first.startswith("sandbox: no environment like the image any is here") and second == "hello"
