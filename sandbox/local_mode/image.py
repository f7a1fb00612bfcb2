"""python -m sandbox.local_mode.image: build the training image of local mode from Dockerfile."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NoReturn

from sandbox import settings
from sandbox.local_mode.docker import IMAGE

DOCKERFILE = Path(__file__).with_name("Dockerfile")
MACHINE = Path(__file__).parents[1] / "machine"
# Where the CA bundle of a corporate network may be named.
CA_VARIABLES = ("PIP_CERT", *settings.CA_VARIABLES)
PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def main() -> NoReturn:
    ca_bundle = next((os.environ[name] for name in CA_VARIABLES if os.environ.get(name)), os.devnull)
    proxies = [name for name in PROXY_VARIABLES if name in os.environ]
    with tempfile.TemporaryDirectory(prefix="sagemaker-image-") as context:
        for file in (
            DOCKERFILE,
            *(MACHINE / name for name in ("container.txt", "toolkit.py", "garbage_collection.py")),
        ):
            shutil.copy(file, context)
        shutil.copyfile(ca_bundle, os.path.join(context, "ca.pem"))
        # The host's network, because a proxy may listen on this machine's loopback.
        command = ["docker", "build", "--network=host", "--tag", IMAGE]
        command += [word for name in proxies for word in ("--build-arg", name)]
        sys.exit(subprocess.run([*command, context]).returncode)


if __name__ == "__main__":
    main()
