"""The kernels of the series: where this Jupyter is, a kernel for each version of the SDK, and what runs here.

python studio/kernels.py where|make|runs|docker     Notebook 00 and lifecycle.sh call it.

It needs Python 3.8 and jupyter_client, which every Jupyter has, and works with any version of the SDK, and with none.
Only a Studio space is changed; `make --here` makes the kernels on another Jupyter, too.
"""

import fcntl
import functools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {"2": ROOT / "requirements.txt", "3": ROOT / "requirements-v3.txt"}  # by version of the SDK
ENVIRONMENTS = Path.home() / ".venvs"
MADE_FROM = "made-from.txt"  # in an environment: the Python that made it, then its list of packages
NEEDED_GB = 2.5  # with SDK 2 and TensorFlow 1.9, with SDK 3 no more
REMEDIES = {  # what pip prints -> what helps
    "No space left": "the disk is full: stop the space, give it more storage on its page in Studio, and run it again",
    "CERTIFICATE_VERIFY": "a corporate network: name its certificates with %env PIP_CERT=/path/to/ca-bundle.pem",
    "NewConnection|NameResolution|timed out|ProxyError|refused": "pip does not reach PyPI: ask the administrator of "
    "the domain for a way to it, or for an index that the domain reaches, and set it with %env PIP_INDEX_URL=ADDRESS",
    "ensurepip": "this Python cannot make environments: choose a newer image of SageMaker Distribution",
}


def printed(*command):
    """What a command prints; nothing where it is missing or fails."""
    try:
        options = dict(check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, timeout=60)
        return subprocess.run(command, **options).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def show(rows):
    columns = range(len(rows[0]))
    widths = [max(len(row[column]) for row in rows) for column in columns]
    lines = ("  ".join(row[column].ljust(widths[column]) for column in columns).rstrip() for row in rows)
    print("\n".join(lines))  # at once: a notebook keeps what comes in pieces as pieces


# --- where ------------------------------------------------------------------------------------------


def read_space():
    """What a Studio space says about itself. Other machines have no such file; a notebook instance's has no domain."""
    try:
        return json.loads(Path("/opt/ml/metadata/resource-metadata.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


SPACE = read_space()
IN_STUDIO = "DomainId" in SPACE or "SAGEMAKER_SPACE_NAME" in os.environ


def where():
    name = os.environ.get("SAGEMAKER_SPACE_NAME", SPACE.get("SpaceName", "without a name"))
    image = f"SageMaker Distribution {os.environ.get('IMAGE_VERSION', 'of unknown version')}"
    show(
        [
            ("place", f"the Studio space {name}" if IN_STUDIO else "not Studio: a Jupyter of your own"),
            ("image", image if IN_STUDIO else "none"),
            ("Python", platform.python_version()),
            ("SDK", sdk_of(sys.executable) or "none"),
        ]
    )


# --- which kernel has which SDK -----------------------------------------------------------------------


def sdk_of(python):
    """The version of the SDK that a Python has; nothing where it has none."""
    return printed(python, "-c", "import importlib.metadata; print(importlib.metadata.version('sagemaker'))")


def python_of(kernel):
    """The Python that a kernel starts; None where there is no such kernel, or its spec is broken."""
    try:
        program = KernelSpecManager().get_kernel_spec(kernel).argv[0]
    except (NoSuchKernel, ValueError):
        return None
    return program if "/" in program else sys.executable  # just `python` is the one that Jupyter itself runs on


def fits(kernel, sdk):
    """A spec can be there and be wrong: the space has another image now, or the series another list of packages."""
    python = python_of(kernel)
    if python is None or not sdk_of(python).startswith(f"{sdk}."):
        return False
    folder = Path(python).parent.parent
    return folder.parent != ENVIRONMENTS or made_from(folder)[1] == PACKAGES[sdk].read_text(encoding="utf-8")


def made_from(folder):
    """-> the Python that made one of our environments, and its packages; two empty texts for any other folder."""
    file = folder / MADE_FROM
    python, _, packages = (file.read_text(encoding="utf-8") if file.exists() else "").partition("\n")
    return python, packages


def serving(sdk):
    """A kernel that has this version of the SDK, or None."""
    return next((kernel for kernel in (f"sagemaker-v{sdk}", "python3") if fits(kernel, sdk)), None)


# --- make -------------------------------------------------------------------------------------------


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(remedy(done.stdout))


def remedy(output):
    """One sentence for what pip printed when it failed."""
    known = (text for pattern, text in REMEDIES.items() if re.search(pattern, output))
    return next(known, None) or (output.strip().splitlines() or ["no message"])[-1]


def make_environment(sdk):
    folder, packages = ENVIRONMENTS / f"sagemaker-v{sdk}", PACKAGES[sdk]
    shutil.rmtree(str(folder), ignore_errors=True)
    free_gb = shutil.disk_usage(str(Path.home())).free / 1e9
    if free_gb < NEEDED_GB:
        raise RuntimeError(
            f"your home has {free_gb:.1f} GB free, and this kernel needs {NEEDED_GB} GB: delete what you do not "
            "need, or stop the space, give it more storage on its page in Studio, and run it again"
        )
    print(f"sagemaker-v{sdk}: installing {packages.name}, some minutes", flush=True)
    python = str(folder / "bin" / "python")
    try:
        run(sys.executable, "-m", "venv", str(folder))
        run(python, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--requirement", str(packages))
    except BaseException:
        shutil.rmtree(str(folder), ignore_errors=True)  # what is half made would look like a kernel that works
        raise
    (folder / MADE_FROM).write_text(f"{sys.executable}\n{packages.read_text(encoding='utf-8')}", encoding="utf-8")
    return python


def write_spec(sdk, python):
    spec = {
        "argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": f"Python 3 (SageMaker SDK {sdk})",
        "language": "python",
        "metadata": {"debugger": True},
    }
    folder = Path(KernelSpecManager().user_kernel_dir, f"sagemaker-v{sdk}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.json").write_text(json.dumps(spec, indent=1), encoding="utf-8")


def provide(sdk):
    """A kernel that fits stays. Where this Python has the SDK, a spec is enough; if not, packages are installed."""
    if fits(f"sagemaker-v{sdk}", sdk):
        return "was there"
    if sdk_of(sys.executable).startswith(f"{sdk}."):
        write_spec(sdk, sys.executable)
        return "made: it starts the Python of the image"
    write_spec(sdk, make_environment(sdk))
    return "made: it has an environment of its own"


def provide_alone(sdk):
    """When a space starts, its lifecycle configuration may be at it already."""
    ENVIRONMENTS.mkdir(exist_ok=True)
    with open(str(ENVIRONMENTS / f"sagemaker-v{sdk}.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"sagemaker-v{sdk}: another run is making it, this one waits", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        return provide(sdk)


def make(anywhere=False):
    lines, missing = [], False
    for sdk in PACKAGES:
        done = None
        try:
            done = provide_alone(sdk) if IN_STUDIO or anywhere else None
            without = "missing: on your own machine `make lab` brings it, some minutes after its start"
        except (RuntimeError, OSError) as error:
            without = f"not made: {error}"
        kernel = serving(sdk)
        about = f"{sdk_of(python_of(kernel))} in the kernel {kernel}" if kernel else without
        lines.append(f"SDK {sdk}: {about}{f', {done}' if done else ''}")
        missing = missing or kernel is None
    print("\n".join(lines))
    return int(missing)


# --- runs -------------------------------------------------------------------------------------------


def needs(path):
    """What a notebook needs stands in its code, so the table cannot be out of date."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = "\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code")
    kernel = notebook["metadata"]["kernelspec"]["name"]
    return {
        "kernel": kernel,
        "sdk": "3" if kernel == "sagemaker-v3" or "prepare(sdk=3)" in code else "2",
        # One that sets a type of AWS's, whatever LOCAL_MODE says, is about AWS's machines.
        "local": "LOCAL_MODE" in code and not re.search(r'^instance_type = "ml\.', code, re.MULTILINE),
        "machines": max(map(int, re.findall(r"^ *instance_count=(\d+),", code, re.MULTILINE)), default=1),
    }


def choice(need, kernel, right):
    if right[need["kernel"], need["sdk"]]:
        return "opens with the right one"
    return f"choose {KernelSpecManager().get_kernel_spec(kernel).display_name}" if kernel else "missing"


def managed_jobs(kernel):
    """A kernel's own boto3 says whether it finds a region and credentials."""
    if kernel is None:
        return "no: the kernel is missing"
    ask = "import boto3; s = boto3.Session(); print(bool(s.region_name), bool(s.get_credentials()))"
    answers = {"True True": "yes", "False True": "no: no region", "True False": "no: no credentials"}
    return answers.get(printed(python_of(kernel), "-c", ask), "no: neither region nor credentials")


def local_mode(need, kernel, engine, compose):
    if not need["local"]:
        return "no: it trains on AWS's machines only"
    if kernel is None:
        return "no: the kernel is missing"
    if IN_STUDIO and need["machines"] > 1:
        return "no: Studio runs one container a job"
    if not engine:
        return "no: Docker does not answer"
    return "yes" if compose else "no: Docker Compose is missing"


def runs():
    engine = printed("docker", "info", "--format", "{{.ServerVersion}}")
    # SDK 2 knows Compose by `v2` in its version, or by a program with this name.
    compose = "v2" in printed("docker", "compose", "version") or shutil.which("docker-compose")
    serves = {sdk: serving(sdk) for sdk in PACKAGES}
    managed = {sdk: managed_jobs(kernel) for sdk, kernel in serves.items()}
    paths = sorted((ROOT / "notebooks").glob("[0-9][0-9]-*.ipynb"))
    needed = {path.stem: needs(path) for path in paths if not path.name.startswith("00-")}
    right = {pair: fits(*pair) for pair in {(need["kernel"], need["sdk"]) for need in needed.values()}}
    rows = [("notebook", "kernel", "managed jobs", "local mode")]
    for name, need in needed.items():
        sdk, kernel = need["sdk"], serves[need["sdk"]]
        local = local_mode(need, kernel, engine, compose)
        rows.append((name, choice(need, kernel, right), managed[sdk], local))
    show(rows)


# --- docker -----------------------------------------------------------------------------------------


def docker():
    """What the administrator of the domain types, so that a space has Docker."""
    domain = f"--domain-id {SPACE.get('DomainId', 'DOMAIN_ID')}"
    settings = json.dumps({"DockerSettings": {"EnableDockerAccess": "ENABLED"}})
    print(
        f"look:   aws sagemaker describe-domain {domain} --query DomainSettings.DockerSettings\n"
        f"change: aws sagemaker update-domain {domain} --domain-settings-for-update '{settings}'"
    )


def main(arguments):
    python = made_from(Path(sys.prefix))[0]
    if python:  # started in one of our environments: the image's Python looks
        os.execv(python, [python, __file__, *arguments])
    commands = {
        ("where",): where,
        ("make",): make,
        ("make", "--here"): functools.partial(make, anywhere=True),
        ("runs",): runs,
        ("docker",): docker,
    }
    if tuple(arguments) not in commands:
        sys.exit("usage: python kernels.py where | make [--here] | runs | docker")
    return commands[tuple(arguments)]()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
