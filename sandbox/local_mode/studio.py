"""A SageMaker Studio space around a command: what the SDKs look for in one, and Docker as they find it there.

A space of Studio's is itself a container: a file under /opt/ml/metadata tells what it is, and its role
(https://docs.aws.amazon.com/sagemaker/latest/dg/notebooks-run-and-manage-metadata.html). Where Docker is enabled its
engine runs outside: it sees of the space's folders the home alone, and containers belong on its network `sagemaker`
(https://docs.aws.amazon.com/sagemaker/latest/dg/studio-updated-local.html).

Here a private mount namespace gives the command that file, and a folder for temporary files which the engine does not
see. Its home is a folder of the sandbox's, which the engine sees under the same name.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from sandbox.local_mode import docker
from sandbox.machine import kernel
from sandbox.machine.namespaces.filesystem import Tree

NAME = "sandbox"
DOMAIN = "d-sandbox"
NETWORK = "sagemaker"
ATTEMPTS = 10


def metadata(role: str, region: str) -> dict[str, str]:
    """What resource-metadata.json holds in a JupyterLab space."""
    account = role.split(":")[4]
    app = f"arn:aws:sagemaker:{region}:{account}:app/{DOMAIN}/{NAME}/JupyterLab/default"
    return {
        "AppType": "JupyterLab",
        "DomainId": DOMAIN,
        "SpaceName": NAME,
        "ExecutionRoleArn": role,
        "ResourceArn": app,
        "ResourceName": "default",
        "AppImageVersion": "",
        "ResourceArnCaseSensitive": app,
        "IpAddressType": "ipv4",
    }


def join_network(folder: Path) -> None:
    """Provide the network, and keep a container in it that does nothing: the engine does not remove a network that is
    in use, so it stays for as long as one space needs it, whichever has made it."""
    image = os.environ.get("TRAINING_IMAGE", docker.IMAGE)
    options = ["--detach", "--rm", "--network", NETWORK, "--label", f"{docker.FOLDER_LABEL}={folder}"]
    for _ in range(ATTEMPTS):
        docker.docker("network", "create", "--label", docker.NETWORK_LABEL, NETWORK)  # fails where it is there
        if docker.docker("run", *options, "--entrypoint", "sleep", image, "infinity"):
            return
        # Between the two another space has removed the network, or made a second one of the same name.
        docker.remove_networks()
        time.sleep(random.random())
    sys.exit(f"sandbox: Docker does not provide the network {NETWORK}")


def create(folder: Path, role: str, region: str, with_docker: bool) -> tuple[list[str], dict[str, str]]:
    """Make a space in the sandbox's folder -> what comes before its command, and variables for its environment."""
    home, temporary = folder / "home", folder / "temporary"
    opt_ml, outside = folder / "space" / "opt-ml", folder / "space" / "outside"
    for path in (home, temporary, opt_ml / "metadata", outside, folder / "space" / "temporary"):
        path.mkdir(parents=True)
    (opt_ml / "metadata" / "resource-metadata.json").write_text(json.dumps(metadata(role, region)))
    if with_docker:
        join_network(folder)
    own = Path.home()
    variables = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "SAGEMAKER_APP_TYPE": "JupyterLab",
        "SAGEMAKER_SPACE_NAME": NAME,
        # The way to the engine, and what programs would else compute or download again.
        "DOCKER_CONFIG": os.environ.get("DOCKER_CONFIG", str(own / ".docker")),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(own / ".cache")),
    }
    return [sys.executable, "-m", "sandbox.local_mode.studio", str(folder)], variables


def enter(folder: str) -> None:
    """Give this process, and those that it will start, the folders of the space."""
    kernel.unshare(kernel.CLONE_NEWNS, os.getuid(), os.getgid())
    kernel.make_private()
    outside = f"{folder}/space/outside"
    kernel.mount("/", outside, kernel.MS_BIND | kernel.MS_REC)
    machine = Tree("", source=outside, protect=False)
    machine.give(f"{folder}/space/opt-ml", "/opt/ml")
    machine.give(f"{folder}/space/temporary", f"{folder}/temporary")
    kernel.call("umount2", os.fsencode(outside), kernel.MNT_DETACH)


def main() -> NoReturn:
    folder, *command = sys.argv[1:]
    try:
        enter(folder)
    except OSError as error:
        sys.exit(f"sandbox: no Studio space, because this kernel allows no mount namespace: {error}")
    kernel.die_with_parent(signal.SIGTERM)  # which the new namespace has made it forget
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"sandbox: cannot run {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":  # python -m sandbox.local_mode.studio FOLDER COMMAND…
    main()
