"""Notebook 00 in simulated Studio spaces. tests/matrix_setup.py does the same with real packages."""

import pytest
from studio_space import Space

SDK2, SDK3 = "SDK 2: ", "SDK 3: "


@pytest.fixture
def space(tmp_path):
    return lambda sdk: Space(tmp_path, sdk)


def test_an_image_with_sdk_3_gets_an_environment_for_sdk_2_and_keeps_its_packages(space):
    space = space("3.12.0")
    before = sorted(space.packages.iterdir())
    printed, found = space.run()
    assert printed == [
        "sagemaker-v2: installing requirements.txt, some minutes",
        "SDK 2: made: it has an environment of its own",
        "SDK 3: made: it starts the Python of the image",
    ]
    assert found["found"] == {"sagemaker-v2": "2", "sagemaker-v3": "3"}
    assert found["choices"]["01"] == "choose Python 3 (SageMaker SDK 2)"
    assert space.spec("sagemaker-v2")["display_name"] == "Python 3 (SageMaker SDK 2)"
    assert space.spec("sagemaker-v2")["argv"][0] == str(space.home / ".venvs/sagemaker-v2/bin/python")
    assert space.spec("sagemaker-v3")["argv"][0] == str(space.image / "bin/python")
    assert sorted(space.packages.iterdir()) == before

    # The second run finds everything there and changes nothing.
    files = space.files()
    made = (space.home / ".venvs/sagemaker-v2/made-from.txt").stat().st_mtime_ns
    assert space.run()[0] == [SDK2 + "was there", SDK3 + "was there"]
    assert space.files() == files
    assert (space.home / ".venvs/sagemaker-v2/made-from.txt").stat().st_mtime_ns == made

    # Another image has the other SDK: the spec that points to it no longer fits.
    space.set_sdk("2.245.0")
    printed, found = space.run()
    assert printed[0] == SDK2 + "was there"
    assert printed[-1] == SDK3 + "made: it has an environment of its own"
    assert found["serves"]["sagemaker-v2"] == "python3" and found["choices"]["01"] == "opens with the right one"

    # The series asks for other packages than before: its environments are made again.
    (space.series / "requirements-v3.txt").write_text("sagemaker>=3,<4\n")
    assert space.run()[0][-1] == SDK3 + "made: it has an environment of its own"


def test_an_image_without_the_sdk_gets_two_environments_and_jupyter_decides_where_their_specs_are(space, tmp_path):
    space = space(None)
    space.environment["JUPYTER_DATA_DIR"] = str(tmp_path / "data")
    printed, found = space.run()
    assert [line for line in printed if line.startswith("SDK")] == [
        SDK2 + "made: it has an environment of its own",
        SDK3 + "made: it has an environment of its own",
    ]
    assert found["serves"] == {"sagemaker-v2": "sagemaker-v2", "sagemaker-v3": "sagemaker-v3"}
    assert sorted(path.name for path in (tmp_path / "data/kernels").iterdir()) == ["sagemaker-v2", "sagemaker-v3"]
    assert not (space.home / ".local").exists()


def test_two_runs_at_once_make_one_environment(space):
    space = space("3.12.0")
    printed = [space.finish(process)[0] for process in [space.start(), space.start()]]
    lines = sorted(line for lines in printed for line in lines if line.startswith(SDK2))
    assert lines == [SDK2 + "made: it has an environment of its own", SDK2 + "was there"]


def test_no_network_is_one_sentence_and_leaves_nothing_half_made(space):
    space = space("3.12.0")
    del space.environment["PIP_NO_INDEX"], space.environment["PIP_FIND_LINKS"]
    space.environment |= {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
    printed, found = space.run()
    assert printed[1].startswith(SDK2 + "not made: pip does not reach PyPI")
    assert found["serves"] == {"sagemaker-v2": None, "sagemaker-v3": "python3"}
    assert found["choices"]["01"] == "missing: see above"
    assert not (space.home / ".venvs/sagemaker-v2").exists()
    assert not (space.home / ".local/share/jupyter/kernels/sagemaker-v2").exists()


def test_a_full_disk_is_told_before_the_download(space):
    space = space("3.12.0")
    (space.packages / "sitecustomize.py").write_text(
        "import shutil, types\nshutil.disk_usage = lambda path: types.SimpleNamespace(free=1.2e9)\n"
    )
    printed, _ = space.run()
    assert printed[0].startswith(SDK2 + "not made: your home has 1.2 GB free, and this kernel needs")
    assert not (space.home / ".venvs/sagemaker-v2").exists()


def test_outside_studio_it_writes_nothing(space):
    space = space("2.257.7")
    del space.environment["SAGEMAKER_SPACE_NAME"]
    printed, found = space.run()
    assert printed == [SDK2 + "the kernel python3 has it", SDK3 + "missing: make lab brings it"]
    assert found["found"] == {"sagemaker-v2": "2", "sagemaker-v3": None}
    assert space.files() == []
