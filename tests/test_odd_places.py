"""A clone in a folder with an odd name, one that was moved, and a machine whose user has set this and that."""

import os
import shutil
import subprocess

import pytest

from tests.support import ROOT

pytestmark = pytest.mark.slow


def make(clone, *arguments, **environment):
    ours = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MATRIX")}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=clone, env=ours | environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def copy_to(clone):
    """The files of this clone as they are, committed or not."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, files.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    if (ROOT / ".uv").exists():
        shutil.copytree(ROOT / ".uv", clone / ".uv", symlinks=True)
    return clone


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    clone = copy_to(tmp_path_factory.mktemp("odd") / "a [b] 'c'; d")
    done = make(clone, ".venv-v3")
    assert done.returncode == 0, done.stdout
    return clone


@pytest.mark.timeout(600)
def test_notebooks_of_both_sdks_in_a_folder_with_an_odd_name(odd, tmp_path):
    """Here a user has a profile of IPython that prints, a stricter Python, and an environment without write bits."""
    startup = tmp_path / "home/.ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "hello.py").write_text("print('hello')")
    temporary = tmp_path / "t [1]; x"
    temporary.mkdir()
    subprocess.run(["chmod", "--recursive", "a-w", odd / ".venv"], check=True)
    try:
        settings = dict(HOME=str(tmp_path / "home"), TMPDIR=str(temporary), PYTHONSAFEPATH="1")
        notebooks = "NOTEBOOKS=notebooks/02-session-and-role.ipynb notebooks/10-model-trainer.ipynb"
        done = make(odd, "managed", notebooks, **settings)
    finally:
        subprocess.run(["chmod", "--recursive", "u+w", odd / ".venv"], check=True)
    assert done.returncode == 0, done.stdout
    assert list(temporary.iterdir()) == []


def test_a_clone_that_was_moved_gets_new_environments(odd):
    assert make(odd, ".venv-v3").stdout == ""
    moved = odd.rename(odd.with_name("moved"))
    try:
        done = make(moved, ".venv")
        assert done.returncode == 0 and "== .venv: installing" in done.stdout
        python = subprocess.run([moved / ".venv/bin/jupyter", "--version"], capture_output=True, text=True)
        assert "jupyterlab" in python.stdout
    finally:
        moved.rename(odd)


def test_a_colon_is_refused_in_one_line(tmp_path):
    clone = tmp_path / "a:b"
    clone.mkdir()
    shutil.copy(ROOT / "Makefile", clone)
    done = make(clone, "lab")
    assert done.returncode == 2 and "a folder with a colon in its path" in done.stdout
    assert len(done.stdout.splitlines()) == 1
