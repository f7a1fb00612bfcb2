"""studio/kernels.py with real packages from PyPI: gigabytes and minutes, which `make matrix` takes."""

import shutil
import subprocess

import pytest

from tests.support import ROOT
from tests.support.studio_space import Space

pytestmark = pytest.mark.slow
IMPORTS = {
    "sagemaker-v2": "from sagemaker.tensorflow import TensorFlow; import tensorflow",
    "sagemaker-v3": "from sagemaker.train import ModelTrainer",
}


@pytest.mark.parametrize(("image", "kernel"), [("3.12.0", "sagemaker-v2"), ("2.257.0", "sagemaker-v3")])
def test_the_kernel_of_the_other_sdk_starts_and_has_it(tmp_path, image, kernel):
    space = Space(tmp_path, image)
    for name in ("requirements.txt", "requirements-v3.txt"):
        shutil.copy(ROOT / name, space.series)
    space.keep_pip_settings()
    space.make(timeout=1500)
    python = space.spec(kernel)["argv"][0]
    subprocess.run([python, "-c", f"import ipykernel; {IMPORTS[kernel]}"], env=space.environment, check=True)
    assert [line.rpartition(", ")[2] for line in space.make()] == ["was there", "was there"]
    used = sum(file.lstat().st_size for file in (space.home / ".venvs").rglob("*")) / 1e9
    assert used < 2.5, f"{used:.1f} GB: studio/kernels.py says how much it needs"
