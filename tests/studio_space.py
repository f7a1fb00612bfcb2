"""A Studio space in a folder: an image with the SDK you name, an empty home, and the series cloned into it."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
REQUIREMENTS = {
    "requirements.txt": "sagemaker>=2.257,<3\nipykernel\n",
    "requirements-v3.txt": "sagemaker>=3,<4\nipykernel\n",
}
# Runs the code cells in order, as a kernel does, and prints what they found.
RUN = """
import json, sys
cells = json.load(open("00-setup.ipynb"))["cells"]
names = {}
for cell in cells:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), names)
choices = {path.name[:2]: names["choice"](names["needs"](path)) for path in names["Path"]().glob("0[1-9]-*.ipynb")}
print(json.dumps({"serves": names["serves"], "found": names["found"], "choices": choices}))
"""


def wheel(folder, name, version):
    """A package that holds nothing but its name and version."""
    stem = f"{name}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")


class Space:
    """`sdk`: the version that the image's Python has, or None."""

    def __init__(self, folder, sdk):
        self.home, self.image, self.index = folder / "home", folder / "image", folder / "index"
        self.series = self.home / "series"
        self.index.mkdir()
        shutil.copytree(ROOT / "notebooks", self.series / "notebooks")
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
        share = Path("share", "jupyter", "nbconvert")
        (self.image / share).parent.mkdir(parents=True)
        (self.image / share).symlink_to(Path(sys.prefix) / share)
        self.set_sdk(sdk)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "AWS_", "JUPYTER_"))},
            "HOME": str(self.home),
            "PATH": f"{self.image / 'bin'}:/usr/bin:/bin",
            "SAGEMAKER_SPACE_NAME": "seat-01",
            "IMAGE_VERSION": "4.4.0",
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

    def start(self):
        """Begin notebook 00, in a process."""
        return subprocess.Popen(
            [self.image / "bin" / "python", "-c", RUN],
            cwd=self.series / "notebooks",
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def keep_pip_settings(self):
        """Use the package index that this machine uses."""
        self.environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}

    def finish(self, process, timeout=300):
        """What the notebook said about the two kernels, and what it found."""
        output, errors = process.communicate(timeout=timeout)
        assert process.returncode == 0, errors
        *printed, found = output.splitlines()
        return [line for line in printed if line.startswith(("SDK", "sagemaker-"))], json.loads(found)

    def run(self, timeout=300):
        return self.finish(self.start(), timeout)

    def spec(self, kernel):
        return json.loads((self.home / ".local/share/jupyter/kernels" / kernel / "kernel.json").read_text())

    def files(self):
        """All that is in the home, but for the series and what IPython itself keeps there."""
        return sorted(str(path) for path in self.home.rglob("*") if not {"series", ".ipython"} & set(path.parts))
