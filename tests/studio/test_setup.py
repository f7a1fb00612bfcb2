"""studio/kernels.py in simulated Studio spaces. test_kernels_from_pypi.py does the same with real packages."""

import ast
import importlib.util
import json
import pathlib

import pytest

from tests.support import ROOT
from tests.support.studio_space import Space

PROGRAM = ROOT / "studio" / "kernels.py"
OWN = "made: it has an environment of its own"
IMAGE = "made: it starts the Python of the image"
ALL = {path.name[:2] for path in (ROOT / "notebooks").glob("[0-9]*.ipynb")} - {"00"}
DOCKER, COMPOSE = 'test "$1" = info && echo 28', "echo v2"


@pytest.fixture
def space(tmp_path):
    return lambda sdk, **options: Space(tmp_path, sdk, **options)


def choices(space):
    return {name: kernel for name, (kernel, _, _) in space.table().items()}


def test_an_image_with_sdk_3_gets_an_environment_for_sdk_2_and_keeps_its_packages(space):
    space = space("3.12.0")
    before = sorted(space.packages.iterdir())
    assert space.make() == [
        "sagemaker-v2: installing requirements.txt, some minutes",
        f"SDK 2: 2.257.9 in the kernel sagemaker-v2, {OWN}",
        f"SDK 3: 3.12.0 in the kernel sagemaker-v3, {IMAGE}",
    ]
    assert choices(space) == {
        **dict.fromkeys(ALL, "choose Python 3 (SageMaker SDK 2)"),
        "10": "opens with the right one",
    }
    python = space.home / ".venvs/sagemaker-v2/bin/python"
    assert space.spec("sagemaker-v2")["argv"][0] == str(python)
    assert space.spec("sagemaker-v3")["argv"][0] == str(space.image / "bin/python")
    assert sorted(space.packages.iterdir()) == before

    # The second run finds everything there and changes nothing, also from a kernel that the first one made, where the
    # package that stands for ipykernel has not brought jupyter_client.
    [packages] = python.parents[1].glob("lib/python3*/site-packages")
    (packages / "jupyter_client.pth").write_text(f"{space.packages}\n")
    there = [line.partition(", ")[0] + ", was there" for line in space.make()]
    files, made = space.files(), python.lstat().st_ino
    assert space.make() == space.run("make", python=python) == there
    assert space.files() == files and python.lstat().st_ino == made
    assert space.run("where", python=python)[-1] == "SDK     3.12.0"

    # Another image has the other SDK: the spec that points to it no longer fits.
    space.set_sdk("2.245.0")
    assert space.make()[-1] == f"SDK 3: 3.20.0 in the kernel sagemaker-v3, {OWN}"
    assert choices(space) == dict.fromkeys(ALL, "opens with the right one")

    # Made again: one for other packages than today's, one that was stopped half-way, then one with a broken spec.
    (space.series / "requirements-v3.txt").write_text("sagemaker>=3,<4\n")
    (space.home / ".venvs/sagemaker-v2/made-from.txt").unlink()
    _, two, three = space.make()
    assert two == f"SDK 2: 2.245.0 in the kernel sagemaker-v2, {IMAGE}" and three.endswith(OWN)
    (space.home / ".local/share/jupyter/kernels/sagemaker-v3/kernel.json").write_text("")
    assert space.make()[-1].endswith(OWN)


def test_an_image_without_the_sdk_gets_two_environments_and_jupyter_decides_where_their_specs_are(space, tmp_path):
    space = space(None)
    space.environment["JUPYTER_DATA_DIR"] = str(tmp_path / "data")
    assert [line.rpartition(", ")[2] for line in space.make() if line.startswith("SDK")] == [OWN, OWN]
    assert sorted(path.name for path in (tmp_path / "data/kernels").iterdir()) == ["sagemaker-v2", "sagemaker-v3"]
    assert not (space.home / ".local").exists()


def test_two_runs_at_once_make_one_environment(space):
    space = space("3.12.0")
    printed = [space.finish(process) for process in [space.start("make"), space.start("make")]]
    ends = sorted(line.rpartition(", ")[2] for lines in printed for line in lines if line.startswith("SDK 2"))
    assert ends == [OWN, "was there"]
    assert "sagemaker-v2: another run is making it, this one waits" in printed[0] + printed[1]


def test_no_network_is_one_sentence_and_leaves_nothing_half_made(space):
    space = space("3.12.0")
    del space.environment["PIP_NO_INDEX"], space.environment["PIP_FIND_LINKS"]
    space.environment |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
    assert space.make(code=1)[1].startswith("SDK 2: not made: pip does not reach PyPI")
    missing = ["missing", "no: the kernel is missing", "no: the kernel is missing"]
    assert space.table()["01"] == missing
    assert not (space.home / ".venvs/sagemaker-v2").exists()
    assert not (space.home / ".local/share/jupyter/kernels/sagemaker-v2").exists()


def test_a_full_disk_is_told_before_the_download(space):
    space = space("3.12.0")
    # No sitecustomize: Debian's Python has one of its own.
    (space.packages / "full_disk.py").write_text(
        "import shutil, types\nshutil.disk_usage = lambda path: types.SimpleNamespace(free=1.2e9)\n"
    )
    (space.packages / "full_disk.pth").write_text("import full_disk\n")
    printed = space.make(code=1)
    assert printed[0].startswith("SDK 2: not made: your home has 1.2 GB free, and this kernel needs 2.5 GB")
    assert not (space.home / ".venvs/sagemaker-v2").exists()


def test_outside_studio_it_writes_only_when_told(space):
    space = space("2.257.7")
    del space.environment["SAGEMAKER_SPACE_NAME"]
    assert space.make(code=1) == [
        "SDK 2: 2.257.7 in the kernel python3",
        "SDK 3: missing: on your own machine `make lab` brings it, some minutes after its start",
    ]
    assert space.run("where")[:2] == ["place   not Studio: a Jupyter of your own", "image   none"]
    assert space.files() == []
    assert space.run("make", "--here")[-1] == f"SDK 3: 3.20.0 in the kernel sagemaker-v3, {OWN}"


def test_a_kernel_of_just_python_starts_the_one_of_jupyter(space):
    """Whatever the PATH says."""
    space = space("2.257.7")
    del space.environment["SAGEMAKER_SPACE_NAME"]
    folder = space.image / "share/jupyter/kernels/python3"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text('{"argv": ["python"], "display_name": "Python 3", "language": "python"}')
    space.environment["PATH"] = "/nowhere"
    assert space.make(code=1)[0] == "SDK 2: 2.257.7 in the kernel python3"


def test_it_says_where_it_is(space):
    where = [line.split("  ", 1)[1].strip() for line in space("2.257.7").run("where")]
    assert where == ["the Studio space seat-01", "SageMaker Distribution 4.5.3", where[2], "2.257.7"]


@pytest.mark.parametrize(
    ("docker", "compose", "in_studio", "one", "two"),
    [
        ("exit 1", None, True, "no: Docker does not answer", "no: Studio runs one container a job"),
        (DOCKER, None, True, "no: Docker Compose is missing", "no: Studio runs one container a job"),
        ("echo v2", None, True, "yes", "no: Studio runs one container a job"),
        ("exit 1", COMPOSE, False, "no: Docker does not answer", "no: Docker does not answer"),
        ("echo v5", None, False, "no: Docker Compose is missing", "no: Docker Compose is missing"),
        (DOCKER, COMPOSE, False, "yes", "yes"),
    ],
)
def test_local_mode_asks_for_one_thing_after_the_other(space, docker, compose, in_studio, one, two):
    space = space("2.257.7", docker=docker)
    if compose:
        space.set_program("docker-compose", compose)
    if not in_studio:
        del space.environment["SAGEMAKER_SPACE_NAME"]
    said = {name: row[-1] for name, row in space.table().items()}
    assert said == {
        **dict.fromkeys(ALL, one),
        **dict.fromkeys(("08", "11", "12"), "no: it trains on AWS's machines only"),
        "09": two,
        "10": "no: the kernel is missing",
    }


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({}, "no: neither region nor credentials"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "no: no credentials"),
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}, "no: no region"),
        ({"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "eu-west-1"}, "yes"),
    ],
)
def test_managed_jobs_need_a_region_and_credentials(space, environment, said):
    space = space("2.257.7")
    space.environment |= environment
    assert space.table()["01"][1] == said


def test_it_runs_on_the_python_of_old_images_and_explains_its_use(space):
    ast.parse(PROGRAM.read_text(), feature_version=(3, 8))
    process = space("2.257.7").start("made")
    assert process.communicate()[1].startswith("usage: ") and process.returncode == 1


def load():
    spec = importlib.util.spec_from_file_location("kernels", PROGRAM)
    kernels = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(kernels)
    return kernels


@pytest.mark.parametrize(
    ("metadata", "studio"), [({"DomainId": "d-1", "UserProfileName": "u"}, True), ({"ResourceName": "notebook"}, False)]
)
def test_the_file_of_a_space_and_that_of_a_notebook_instance(monkeypatch, capsys, metadata, studio):
    monkeypatch.delenv("SAGEMAKER_SPACE_NAME", raising=False)
    monkeypatch.setattr(pathlib.Path, "read_text", lambda path, encoding: json.dumps(metadata))
    kernels = load()
    kernels.docker()
    assert kernels.IN_STUDIO is studio
    assert f"--domain-id {metadata.get('DomainId', 'DOMAIN_ID')} " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("output", "helps"),
    [
        ("[Errno 28] No space left on device", "the disk is full"),
        ("ssl: CERTIFICATE_VERIFY_FAILED", "PIP_CERT"),
        ("NewConnectionError: refused", "PIP_INDEX_URL"),
        ("NameResolutionError: Failed to resolve", "PIP_INDEX_URL"),
        ("ReadTimeoutError: Read timed out.", "PIP_INDEX_URL"),
        ("ProxyError: Cannot connect to proxy.", "PIP_INDEX_URL"),
        ("ensurepip is not available", "choose a newer image"),
        ("first\nERROR: No matching distribution found for sagemaker", "ERROR: No matching distribution found"),
        ("", "no message"),
    ],
)
def test_a_failure_of_pip_is_one_sentence(output, helps):
    remedy = load().remedy(output)
    assert helps in remedy and "\n" not in remedy
