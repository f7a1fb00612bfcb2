"""python3 tools/environments.py NAME …: make the Python environments of the series, each with uv and from its lock.

.venv        JupyterLab, the sandbox, the tests and the notebooks of SDK 2
.venv-v3     the kernel of SDK 3, which cannot share an environment with SDK 2; the Jupyter of .venv shows it
.venv-docs   Sphinx for the site; an environment of its own, because Sphinx needs a docutils that awscli refuses
.slides      reveal.js for the slides, as a package of PyPI has it
locks        no environment: the lock files of all of them, with the newest versions that the ranges allow

`make` calls it with the Python of the machine, so it needs nothing but the standard library of Python 3.8. What
is there and fits is left alone: a stamp in each environment remembers the lock and the place that it was made for.
https://docs.astral.sh/uv/pip
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEWEST = bool(os.environ.get("NEWEST"))
# SDK 3 needs 3.11, and TensorFlow 2.21 has no wheel for 3.14. Where the machine has none of these, uv fetches one.
SUPPORTED = os.environ.get("SYSTEM_PYTHON") or ">=3.11,<3.14"
UV = "uv>=0.9,<1"
CONTAINER = "sandbox/machine/container.txt"  # AWS's container code
COLLECTOR = "sandbox/machine/garbage_collection.py"
OVERRIDES = "studio/jupyterlab.json"
REVEAL = "sphinx-revealjs==3.2.1"  # https://github.com/attakei/sphinx-revealjs
# The ranges of each lock: what we ask for, and what came of it.
RANGES = {"lab": "locks/lab.in", "v3": "requirements-v3.txt", "docs": "locks/docs.in"}


def say(text):
    print(f"== {text}", flush=True)


def run(*command, **settings):
    """Run a command from the root, or end with its exit code; it has said why."""
    done = subprocess.run([str(word) for word in command], cwd=str(ROOT), **settings)
    if done.returncode:
        sys.exit(
            f"environments: `{' '.join(str(word) for word in command)}` failed, for the reason above. Behind a proxy "
            "or without a way to the package index, docs/troubleshooting.md helps. Where no Python is found: the "
            f"series needs {SUPPORTED}; SYSTEM_PYTHON=/path/to/python3.12 make lab names one."
        )


def find_uv():
    """The uv of this machine, or one in .uv, installed with the machine's pip or in an environment of its own."""
    if shutil.which("uv"):
        return shutil.which("uv")
    own = ROOT / ".uv" / "bin" / "uv"
    if own.exists():
        return own
    say(".uv: installing uv")
    target = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(own.parents[1]), UV]
    if subprocess.run(target, stderr=subprocess.DEVNULL).returncode:
        if subprocess.run([sys.executable, "-m", "venv", "--clear", str(own.parents[1])]).returncode:
            sys.exit(
                "python3-venv is missing: apt-get install python3-venv; or install uv: "
                "https://docs.astral.sh/uv/getting-started/installation"
            )
        run(own.with_name("python"), "-m", "pip", "install", "--quiet", UV)
    return own


class Environment:
    """A folder of packages; `inputs` are the files that decide what is in it."""

    def __init__(self, name, lock=None, *inputs):
        self.name, self.folder = name, ROOT / name
        self.lock = lock and (RANGES[lock] if NEWEST else f"locks/{lock}.txt")
        self.inputs = [Path(__file__).relative_to(ROOT), *([self.lock] if lock else []), *inputs]

    def fingerprint(self):
        """What the stamp holds; an environment names its own place, so one that was moved does not fit."""
        content = b"\0".join((ROOT / path).read_bytes() for path in self.inputs)
        return f"{self.folder}\n{SUPPORTED}\n{NEWEST}\n{hashlib.sha256(content).hexdigest()}\n"

    def fits(self):
        stamp = self.folder / "installed"
        return stamp.exists() and stamp.read_text() == self.fingerprint()

    def make(self):
        if self.fits():
            return
        say(f"{self.name}: installing {self.lock or REVEAL}")
        self.uv = find_uv()
        shutil.rmtree(str(self.folder), ignore_errors=True)
        self.build()
        (self.folder / "installed").write_text(self.fingerprint())

    def create(self):
        run(self.uv, "venv", "--quiet", "--seed", "--clear", "--python", SUPPORTED, self.name)

    def install(self, *options):
        # sagemaker-training compiles one small C file, for MPI alone, which nothing here uses: no compiler is needed.
        run(self.uv, "pip", "install", "--quiet", "--python", self.name, *options, env={**os.environ, "CC": "true"})

    def build(self):
        self.create()
        self.install("--compile-bytecode", "--requirement", self.lock)


class Lab(Environment):
    def build(self):
        self.create()
        self.install("--requirement", self.lock)
        self.install("--no-deps", "--requirement", CONTAINER)
        settings = self.folder / "share" / "jupyter" / "lab" / "settings"
        settings.mkdir(parents=True, exist_ok=True)
        shutil.copy(str(ROOT / OVERRIDES), str(settings / "overrides.json"))
        [packages] = self.folder.glob("lib/python3*/site-packages")
        # Python reads each .pth file of an environment when it starts: https://docs.python.org/3/library/site.html
        shutil.copy(str(ROOT / COLLECTOR), str(packages))
        (packages / Path(COLLECTOR).with_suffix(".pth").name).write_text(f"import {Path(COLLECTOR).stem}\n")
        kernel = self.folder / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
        kernel.write_text(kernel.read_text().replace("Python 3 (ipykernel)", "Python 3 (SageMaker SDK 2)"))


class Sdk3(Environment):
    def fits(self):
        return super().fits() and (ROOT / ".venv/share/jupyter/kernels/sagemaker-v3/kernel.json").exists()

    def build(self):
        self.compile_lab()
        super().build()
        command = [self.folder / "bin" / "python", "-m", "ipykernel", "install", "--prefix", ".venv"]
        command += ["--name", "sagemaker-v3", "--display-name", "Python 3 (SageMaker SDK 3)"]
        environment = {**os.environ, "JUPYTER_PATH": str(ROOT / ".venv" / "share" / "jupyter")}
        run(*command, env=environment, stdout=subprocess.DEVNULL)

    def compile_lab(self):
        """Compile the packages of .venv, because jobs may not write there and would compile them each time. What the
        quick start and its job import comes first. Else Python 3.12 would warn about the SDK's syntax at its import."""
        [packages] = (ROOT / ".venv").glob("lib/python3*/site-packages")
        first = [path for name in ("sagemaker*", "tensorflow", "keras") for path in packages.glob(name)]
        for folders in (first, [packages.parent]):
            compileall = [ROOT / ".venv" / "bin" / "python", "-W", "ignore", "-m", "compileall", "-q", "-j", "0"]
            subprocess.run([str(word) for word in (*compileall, *folders)], stdout=subprocess.DEVNULL)


class Slides(Environment):
    def build(self):
        self.install("--no-deps", "--target", self.name, REVEAL)

    def install(self, *options):
        run(self.uv, "pip", "install", "--quiet", "--python", ".venv", *options)


ENVIRONMENTS = {
    ".venv": Lab(".venv", "lab", "requirements.txt", CONTAINER, COLLECTOR, OVERRIDES),
    ".venv-v3": Sdk3(".venv-v3", "v3"),
    ".venv-docs": Environment(".venv-docs", "docs"),
    ".slides": Slides(".slides"),
}


def write_locks():
    options = ["--quiet", "--upgrade", "--universal", "--python-version", "3.11", "--no-annotate"]
    for name, ranges in RANGES.items():
        output = ["--custom-compile-command", "make locks", "--output-file", f"locks/{name}.txt"]
        run(find_uv(), "pip", "compile", *options, *output, ranges)


def main(names):
    for name in names:
        write_locks() if name == "locks" else ENVIRONMENTS[name].make()


if __name__ == "__main__":
    main(sys.argv[1:])
