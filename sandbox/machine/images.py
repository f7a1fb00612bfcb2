"""What a job's image means here: the Python environment in which the job runs, for no image runs in the sandbox.

AWS's TensorFlow images have their version in their tag
(https://github.com/aws/deep-learning-containers/blob/master/available_images.md). `make matrix` makes environments like
them, in a folder VERSION each; every other image gets the environment of the sandbox.
"""

import functools
import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from sandbox import settings
from sandbox.machine import filesystem

TOOLKIT = Path(__file__).with_name("toolkit.py")
COMMAND = [f"{filesystem.ENVIRONMENT}/bin/python", str(TOOLKIT)]  # the `train` of an image
# AWS's images, and those that are built from them under the same name.
TENSORFLOW = re.compile(r"(?:^|/)tensorflow-(?:training|inference):(\d+(?:\.\d+)+)")
LOOK = """
import json, platform, sys, sysconfig
print(json.dumps([sys.prefix, sys.base_prefix, sysconfig.get_path("purelib"), platform.python_version()]))
"""


class Environment:
    """A Python environment, which a job has at filesystem.ENVIRONMENT; `shown` are the paths that it needs."""

    def __init__(self, python):
        found = subprocess.run([python, "-I", "-c", LOOK], capture_output=True, text=True, check=True)
        self.prefix, base, self.site_packages, self.version = json.loads(found.stdout)
        self.shown = list(dict.fromkeys([self.prefix, base, str(Path(base).resolve()), str(TOOLKIT)]))


own = functools.cache(lambda: Environment(sys.executable))
other = functools.cache(Environment)


def tensorflow():
    """The version in the sandbox's own environment."""
    for name in ("tensorflow-cpu", "tensorflow"):
        for package in metadata.distributions(name=name):
            return package.version
    return "none"


def begins(version, wanted):
    return f"{version}.".startswith(f"{wanted}.")


def environment(image, what="job"):
    """Where a job with this image runs -> its environment, and a line that says so where it is not the image's own."""
    wanted = TENSORFLOW.search(image)
    if wanted:
        if begins(tensorflow(), wanted[1]):
            return own(), None
        made = [stamp.parent for stamp in settings.images().glob("*/installed") if begins(stamp.parent.name, wanted[1])]
        if made:
            newest = max(made, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)])
            return other(newest.resolve() / "bin" / "python"), None
    here = f"TensorFlow {tensorflow()} and Python {own().version}"
    return own(), f"sandbox: no environment like the image {image} is here; this {what} runs with {here}"
