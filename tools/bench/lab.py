"""How long a newcomer waits: from a bare clone until JupyterLab answers, and until the quick start has run to its end.

    python -m tools.bench.lab

Once with empty caches, once with full ones, in a clone of the last commit; with the jobs of the sandbox, as on a
machine without Docker. SDK 2 asks for a job's status every 30 seconds.
"""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

import psutil

from tools import ROOT

NOTEBOOK = "notebooks/01-quick-start.ipynb"


def answers(address):
    with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=1):
        return True
    return False


def environment_inside(process):
    """The environment that the sandbox gives to JupyterLab."""
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.Error):  # one that has just ended
            if "jupyter-lab" in " ".join(child.cmdline()):
                return child.environ()
    raise RuntimeError("JupyterLab answers, and does not run")


def measure(clone, environment):
    """`make lab` in a clone -> seconds until JupyterLab answers, and until the quick start has run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"LAB_OPTIONS=--no-browser --allow-root --port={port} --IdentityProvider.token="
    began = time.monotonic()
    process = psutil.Popen(
        ["make", "lab", options],
        cwd=clone,
        env=environment,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not answers(f"http://127.0.0.1:{port}/api"):
            assert process.poll() is None and time.monotonic() - began < 600, "JupyterLab does not answer"
            time.sleep(0.1)
        lab = time.monotonic() - began
        command = [".venv/bin/jupyter", "execute", "--timeout=300", NOTEBOOK]
        subprocess.run(command, cwd=clone, env=environment_inside(process), check=True, stderr=subprocess.DEVNULL)
        return lab, time.monotonic() - began
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=60)


def main():
    with tempfile.TemporaryDirectory(prefix="bench-lab-", ignore_cleanup_errors=True) as folder:
        environment = {
            **os.environ,
            "UV_CACHE_DIR": f"{folder}/uv",
            "PIP_CACHE_DIR": f"{folder}/pip",
            "LOCAL_MODE": "0",
        }
        environment.pop("MAKEFLAGS", None)  # of `make bench`
        for caches in ("empty", "full"):
            clone = Path(folder) / caches
            subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
            lab, lesson = measure(clone, environment)
            text = f"JupyterLab answers after {lab:.0f} s, the quick start has run after {lesson:.0f} s"
            print(f"caches {caches}: {text}", flush=True)


if __name__ == "__main__":
    main()
