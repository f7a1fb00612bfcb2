"""`train` of AWS's training toolkit, as AWS's images start it
(https://github.com/aws/sagemaker-training-toolkit#readme), but without a second TensorFlow.

The toolkit, and the container code over it (https://github.com/aws/sagemaker-tensorflow-training-toolkit), import
TensorFlow into their own process for the names of its errors alone, unless there are parameter servers. That takes
3.4 s and 500 MB before the script begins. Here they find the names, and TensorFlow itself once they ask for more.
The script is untouched, for it runs in a process of its own.

The container code sets some variables for TensorFlow (s3_utils.py): those that the request has set stay as they are.
And it asks curl whether the host of the master, which uses the others' parameter servers, is still there; curl 7.66 and
later do not take what TensorFlow's server answers for an answer (https://curl.se/docs/http09.html).
"""

import importlib.util
import os
import re
import socket
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

STUBS = ("tensorflow", "tensorflow.python", "tensorflow.python.framework", "tensorflow.python.framework.errors_impl")
sys.path[0] = os.path.dirname(sys.executable)  # where `train` lies: the toolkit hands sys.path on to the script


def load_tensorflow(name: str) -> Any:
    """An attribute of the real TensorFlow, which takes the place of the empty one."""
    if name.startswith("__"):
        raise AttributeError(name)
    if not hasattr(sys.modules["tensorflow"], "__file__"):  # it cannot be imported twice
        for stub in STUBS:
            sys.modules.pop(stub, None)
    return getattr(importlib.import_module("tensorflow"), name)


def stand_in_for_tensorflow() -> None:
    spec = importlib.util.find_spec("tensorflow")
    source = Path(str(spec and spec.origin)).parent / "python" / "framework" / "errors_impl.py"
    if not source.exists():  # before 2.2 its modules lie elsewhere: then TensorFlow itself is imported
        return
    *modules, errors = [sys.modules.setdefault(name, ModuleType(name)) for name in STUBS]
    for name in re.findall(r"^class (\w+)", source.read_text(), re.MULTILINE):
        setattr(errors, name, type(name, (), {}))
    vars(modules[-1])["errors_impl"] = errors
    vars(modules[0])["__getattr__"] = load_tensorflow


def stand_in_for_gethostname() -> None:
    """The toolkit imports a module of C for MPI alone, which is refused here: so nothing has to compile it."""
    sys.modules.setdefault("gethostname", ModuleType("gethostname"))


def keep_the_requests_variables() -> None:
    from sagemaker_tensorflow_container import s3_utils

    configure, given = s3_utils.configure, dict(os.environ)

    def configure_and_restore(*arguments: Any) -> None:
        configure(*arguments)
        os.environ.update(given)

    s3_utils.configure = configure_and_restore


def wait_without_curl() -> None:
    from sagemaker_tensorflow_container import training

    def wait(master: str) -> None:
        try:
            while True:
                socket.create_connection((master, 2222)).close()
                time.sleep(1)
        except OSError:
            training.logger.info(f"master {master} is down, stopping parameter server")

    training._wait_until_master_is_down = wait


if __name__ == "__main__":
    stand_in_for_tensorflow()
    stand_in_for_gethostname()
    from sagemaker_training.cli.train import main

    keep_the_requests_variables()
    wait_without_curl()
    main()
