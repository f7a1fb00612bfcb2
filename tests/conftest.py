"""Commands in the sandbox, for the tests of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import local_mode

ROOT = Path(__file__).parents[1]


@pytest.fixture
def start(tmp_path):
    """Start a command in the sandbox, with a folder of its own for temporary files."""

    started = []

    def start(*command, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", *command],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(tmp_path), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.terminate()
        process.communicate(timeout=60)
    assert list(tmp_path.iterdir()) == [], "the sandbox left files behind"


@pytest.fixture
def run(start):
    """Run a Python script in the sandbox -> what it printed."""

    def run(script, *options, python="python", **environment):
        process = start(*options, python, "-c", script, **environment)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        return out

    return run


@pytest.fixture
def docker():
    """Docker, fit for local mode; a machine without it skips the test, but CI must have it."""
    if reason := local_mode.unfit():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
