"""What a job's image means here: the Python environment in which the job runs, for no image runs in the sandbox.

AWS's TensorFlow images have their version in their tag
(https://github.com/aws/deep-learning-containers/blob/master/available_images.md). `make matrix` makes environments like
them, each with a file `installed` that holds the version; every other image gets the environment of the sandbox.
"""

import functools
import importlib.util
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from sandbox import settings

# Where a job has its Python environment, whatever it is called on the machine: SDK 3's scripts do not quote its path.
PLACE = "/opt/environment"
TOOLKIT = Path(__file__).with_name("toolkit.py")
COMMAND = [f"{PLACE}/bin/python", str(TOOLKIT)]  # the `train` of an image
# AWS's images, and those that are built from them under the same name.
TENSORFLOW = re.compile(r"(?:^|/)tensorflow-(?:training|inference):(\d+(?:\.\d+)+)")
LOOK = """
import json, platform, sys, sysconfig
print(json.dumps([sys.prefix, sys.base_prefix, sysconfig.get_path("purelib"), platform.python_version()]))
"""


def package(name: str) -> Path:
    """The folder of a package of the sandbox's own environment."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the sandbox's environment lacks {name}: make .venv")
    return Path(spec.origin).parent


class Environment:
    """A Python environment, which a job has at PLACE; `visible` are the paths of this machine that it needs."""

    def __init__(self, python: Path | str) -> None:
        found = subprocess.run([python, "-I", "-c", LOOK], capture_output=True, text=True, check=True)
        self.prefix, base, self.site_packages, self.version = json.loads(found.stdout)
        self.visible: list[str] = list(dict.fromkeys([self.prefix, base, str(Path(base).resolve()), str(TOOLKIT)]))


@functools.cache
def own() -> Environment:
    """The environment of the sandbox."""
    return Environment(sys.executable)


other = functools.cache(Environment)


def tensorflow() -> str:
    """The version in the sandbox's own environment."""
    for name in ("tensorflow-cpu", "tensorflow"):
        for distribution in metadata.distributions(name=name):
            return distribution.version
    return "none"


def begins(version: str, wanted: str) -> bool:
    return f"{version}.".startswith(f"{wanted}.")


def made() -> dict[str, Path]:
    """The environments of other TensorFlow versions: {version: folder}"""
    stamps = [stamp for stamp in settings.environments().glob("*/installed") if stamp.is_file()]
    return {stamp.read_text().strip(): stamp.parent for stamp in stamps}


def environment(image: str, what: str = "job") -> tuple[Environment, str | None]:
    """Where a job with this image runs -> its environment, and a line that says so where it is not the image's own."""
    wanted = TENSORFLOW.search(image)
    if wanted:
        if begins(tensorflow(), wanted[1]):
            return own(), None
        fitting = {version: folder for version, folder in made().items() if begins(version, wanted[1])}
        if fitting:
            newest = max(fitting, key=lambda version: [int(part) for part in re.findall(r"\d+", version)])
            return other(fitting[newest].resolve() / "bin" / "python"), None
    here = f"TensorFlow {tensorflow()} and Python {own().version}"
    return own(), f"sandbox: no environment like the image {image} is here; this {what} runs with {here}"
