"""A job in local mode that does not end by itself, and what Docker has of such jobs."""

from sandbox.local_mode import docker as local_mode

SLOW_JOB = """
import pathlib, sagemaker, tempfile
source = tempfile.mkdtemp()
pathlib.Path(source, "slow.py").write_text("import time; print('training', flush=True); time.sleep(1000)")
from sagemaker.estimator import Estimator
import os
Estimator(image_uri=os.environ["TRAINING_IMAGE"], role=sagemaker.get_execution_role(), instance_count=1,
          instance_type="local", entry_point="slow.py", source_dir=source).fit()
"""


def containers(folder):
    """The images' commands of the containers that were started from below a folder."""
    listing = local_mode.docker("ps", "--all", "--format", '{{.Label "' + local_mode.FOLDER_LABEL + '"}} {{.Command}}')
    return [line.split('"')[1] for line in listing.splitlines() if line.startswith(str(folder))]
