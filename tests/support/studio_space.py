"""A Studio space in a folder: an image with the SDK you name, an empty home, and the series in it."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support import ROOT

REQUIREMENTS = {
    "requirements.txt": "sagemaker>=2.257,<3\nipykernel\n",
    "requirements-v3.txt": "sagemaker>=3,<4\nipykernel\n",
}


def wheel(folder, name, version):
    """A package that holds nothing but its name and version."""
    stem = f"{name}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")


class Space:
    """`sdk`: the version that the image's Python has, or None; `docker`: a shell script that stands for it."""

    def __init__(self, folder, sdk, docker="exit 1"):
        self.home, self.image, self.index = folder / "home", folder / "image", folder / "index"
        self.series = self.home / "series"
        self.index.mkdir()
        for name in ("notebooks", "studio"):
            shutil.copytree(ROOT / name, self.series / name)
        for name, text in REQUIREMENTS.items():
            (self.series / name).write_text(text)
        for name, version in (("sagemaker", "2.257.9"), ("sagemaker", "3.20.0"), ("ipykernel", "7.0.0")):
            wheel(self.index, name, version)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", self.image], check=True)
        [self.packages] = self.image.glob("lib/python3*/site-packages")
        [real] = Path(sys.prefix).glob("lib/python3*/site-packages")
        for entry in real.iterdir():
            if not entry.name.startswith("sagemaker"):
                (self.packages / entry.name).symlink_to(entry)
        self.set_sdk(sdk)
        self.set_program("docker", docker)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "AWS_", "JUPYTER_"))},
            "HOME": str(self.home),
            "PATH": str(self.image / "bin"),  # not this machine's Docker
            "SAGEMAKER_SPACE_NAME": "seat-01",
            "IMAGE_VERSION": "4.5.3",
            "AWS_EC2_METADATA_DISABLED": "true",  # nobody waits for a machine of AWS's
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.index),
        }

    def set_sdk(self, version):
        """As if the space ran with another image."""
        for old in self.packages.glob("sagemaker-*.dist-info"):
            (old / "METADATA").unlink()
            old.rmdir()
        if version:
            folder = self.packages / f"sagemaker-{version}.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: sagemaker\nVersion: {version}\n")

    def set_program(self, name, script):
        program = self.image / "bin" / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def start(self, *arguments, python=None):
        """Begin studio/kernels.py, in a process; in the notebook's folder, as notebook 00 does."""
        return subprocess.Popen(
            [python or self.image / "bin" / "python", "../studio/kernels.py", *arguments],
            cwd=self.series / "notebooks",
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, process, code=0, timeout=300):
        """The lines that it printed."""
        output, errors = process.communicate(timeout=timeout)
        assert (process.returncode, errors) == (code, "")
        return output.splitlines()

    def run(self, *arguments, python=None, **end):
        return self.finish(self.start(*arguments, python=python), **end)

    def make(self, **end):
        return self.run("make", **end)

    def table(self):
        """What `runs` says: notebook -> which kernel, managed jobs, local mode."""
        _, *rows = [re.split(" {2,}", line) for line in self.run("runs")]
        return {name[:2]: said for name, *said in rows}

    def keep_pip_settings(self):
        """Use the package index that this machine uses."""
        del self.environment["PIP_NO_INDEX"], self.environment["PIP_FIND_LINKS"]
        self.environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}

    def spec(self, kernel):
        return json.loads((self.home / ".local/share/jupyter/kernels" / kernel / "kernel.json").read_text())

    def files(self):
        """All that is in the home, but for the series and what IPython itself keeps there."""
        return sorted(str(path) for path in self.home.rglob("*") if not {"series", ".ipython"} & set(path.parts))
