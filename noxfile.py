"""The matrix: train.py on five versions of TensorFlow, the notebooks in the seed's image and on Studio's packages.

`make matrix` runs all sessions, `make matrix SESSIONS="tensorflow-2.12.1 studio-4.5"` some of them. Jobs of the sandbox
find the environments of TensorFlow here, in .matrix or in the folder that MATRIX names: https://nox.thea.codes
"""

import os
import platform
from pathlib import Path

import nox

# The oldest is the seed's, the newest that of requirements.txt.
VERSIONS = ("2.3.1", "2.12.1", "2.15.1", "2.18.1", "2.21.0")
MATRIX = Path(os.environ.get("MATRIX") or ".matrix").absolute()
TENSORFLOW = "tensorflow-cpu" if platform.machine() == "x86_64" else "tensorflow"
CONTAINER = ("--requirement", "sandbox/machine/container.txt")
# What a job imports of the toolkit's dependencies: its own list wants a protobuf that TensorFlow 2.12 and 2.15 refuse.
TOOLKITS = ("boto3", "inotify_simple==1.2.1", "paramiko", "psutil", "retrying", "six")
# Of each version: its Python, what it needs beside it, and AWS's container code.
PYTHONS = {"2.3.1": "3.7"}  # as AWS's image of it; it installs on 3.8 at most
BESIDE = {
    # The seed's environment is as AWS made its image, 2.3.1-cpu-py37, in February 2021.
    "2.3.1": ("numpy==1.18.5", "protobuf==3.20.3", "sagemaker-training==3.7.3"),
    # TensorFlow 2.18 takes any newer Keras. AWS's image has one of its time, whose models Studio's Keras can read.
    "2.18.1": (*TOOLKITS, "keras==3.6.0"),
}
CODE = {"2.3.1": ("sagemaker-tensorflow-training==20.3.0",)}
NOTEBOOKS = sorted(map(str, Path("notebooks").glob("[0-9]*.ipynb")))
# All but the notebook that looks at the machine.
SERIES = [path for path in NOTEBOOKS if "00-setup" not in path]
SDK_3 = [path for path in NOTEBOOKS if "10-model-trainer" in path]
NBVAL = (
    "python -m pytest --nbval --nbval-cell-timeout=300 --nbval-sanitize-with tests/notebooks/sanitize.cfg -q".split()
)
PARALLEL = ("-n", "4", "--dist", "loadfile")

# Where the machine has no uv, `make .venv` has installed one here. A uv of the machine comes first.
os.environ["PATH"] += os.pathsep + str(Path(".uv", "bin").absolute())

nox.options.default_venv_backend = "uv"
nox.options.envdir = str(MATRIX)
nox.options.reuse_venv = "yes"
nox.options.stop_on_first_error = True


def interpreter(version):
    """The Python of a version: one of pyenv's, or else that of the PATH."""
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    return str(found[-1]) if found else version


def tested(session, where, python, what):
    session.run(".venv/bin/python", "-m", "tools.tested_on", where, str(python), what, external=True)


def run_notebooks(session, notebooks, *plugins, before=(), **environment):
    """Run notebooks as managed jobs in the sandbox against their committed outputs."""
    settings = {"LOCAL_MODE": "0", "SANDBOX_STOP_SECONDS": "5", "SANDBOX_IMAGES": os.devnull, **environment}
    command = [".venv/bin/python", "-m", "sandbox", "env", *before, *NBVAL, *plugins, *PARALLEL, *notebooks]
    session.run(*command, env=settings, external=True)


def add_tensorflow(version):
    @nox.session(name=f"tensorflow-{version}", python=interpreter(PYTHONS.get(version, "3.11")))
    def tensorflow(session):
        """The tests of train.py, in an environment like that of AWS's image."""
        beside = BESIDE.get(version, TOOLKITS)
        # A job installs its requirements.txt with pip, which uv leaves out of an environment.
        needed = ("pip", "pytest<10", "setuptools<81", *beside)
        session.install("--compile-bytecode", f"{TENSORFLOW}=={version}", *needed)
        session.install("--no-deps", *CODE.get(version, CONTAINER), env={"CC": "true"})
        place = Path(session.virtualenv.location)
        (place / "installed").write_text(version)
        # Without tests/conftest.py, which is about the sandbox and needs a newer Python.
        session.run("python", "-m", "pytest", "--noconftest", "-q", "tests/code")
        tested(session, f"TensorFlow {version}", place / "bin" / "python", "the tests of `train.py`")


for version in VERSIONS:
    add_tensorflow(version)


@nox.session(name="seed-image", python=False, requires=["tensorflow-2.3.1"])
def seed_image(session):
    """The notebooks' jobs as on AWS: tests/notebooks/seed_image.cfg names the cells whose output differs there."""
    plugin = ("-p", "tests.notebooks.seed_image")
    run_notebooks(session, NOTEBOOKS, *plugin, before=["--unset=TRAINING_IMAGE"], SANDBOX_IMAGES=str(MATRIX))
    python = MATRIX / "tensorflow-2-3-1" / "bin" / "python"
    what = "notebooks 00 to 12, as managed jobs; tests/notebooks/seed_image.cfg"
    tested(session, "The image of TensorFlow 2.3.1", python, what)


def studio(session, version, kernel, notebooks, what, **settings):
    """Notebooks with the packages of an image of SageMaker Studio, in a kernel with the name that they ask for. The
    kernel for the other SDK is that of the series, as studio/kernels.py makes it."""
    lock = Path("locks/studio", f"{version}.txt")
    session.install("--compile-bytecode", "pip", "--requirement", str(lock))
    if (without := lock.with_suffix(".no-deps")).exists():
        session.install("--no-deps", "--requirement", str(without))
    kernels = Path(session.virtualenv.location, "kernels")
    path = {"JUPYTER_PATH": str(kernels / "share" / "jupyter")}
    session.run(
        "python", "-m", "ipykernel", "install", "--prefix", str(kernels), "--name", kernel, env=path, silent=True
    )
    run_notebooks(session, notebooks, **path, **settings)
    tested(session, f"SageMaker Distribution {version}", Path(session.virtualenv.location, "bin", "python"), what)


# A job's TensorFlow that is newer than the notebook's can write what the notebook cannot read: this image has 2.18.
@nox.session(name="studio-2.14", python=interpreter("3.11"), requires=["tensorflow-2.18.1"])
def studio_sdk_2(session):
    """The notebooks with the packages of the last Studio image with SDK 2."""
    image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.18.1-cpu-py311"
    settings = {"SANDBOX_IMAGES": str(MATRIX), "before": [f"TRAINING_IMAGE={image}"]}
    studio(session, "2.14", "python3", SERIES, "all notebooks but 00, as managed jobs", **settings)


@nox.session(name="studio-4.5", python=interpreter("3.12"))
def studio_sdk_3(session):
    """The notebook of SDK 3 with the packages of the newest Studio image."""
    studio(session, "4.5", "sagemaker-v3", SDK_3, "notebook 10, as managed jobs")


@nox.session(python=False)
def kernels(session):
    """studio/kernels.py with packages from PyPI: some minutes."""
    session.run(".venv/bin/python", "-m", "pytest", "-q", "-m", "slow", "tests/studio", external=True)
