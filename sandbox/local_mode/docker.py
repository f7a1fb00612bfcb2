"""Docker for SageMaker's local mode (https://sagemaker.readthedocs.io/en/v2/overview.html#local-mode).

The SDK runs a job with Docker Compose from a temporary folder, and leaves the stopped containers and its network
behind. Compose labels each container with that folder, which tells the sandbox's containers from everybody else's.
"""

import ipaddress
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from sandbox.machine import folders

IMAGE = "tensorflow-training:2.21-cpu"
NETWORK = "sagemaker-local"
FOLDER_LABEL = "com.docker.compose.project.working_dir"
METADATA = Path("/opt/ml/metadata")
NETWORK_LABEL = "sagemaker-sandbox"  # on a network that the sandbox has made, and may remove


def docker(*arguments: str) -> str | None:
    """What a docker command prints, stripped, or None where it fails."""
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def unfit() -> str | None:
    """Why local mode cannot run on this machine, with the remedy, or None where it can."""
    image = os.environ.get("TRAINING_IMAGE", IMAGE)
    if shutil.which("docker") is None:
        return "Docker is not installed: install Docker Engine and docker-compose (Debian: docker.io docker-compose)"
    if docker("info", "--format", "{{.ServerVersion}}") is None:
        return "no Docker engine answers: start it (systemctl start docker), or ask for the right to use it"
    if "v2" not in (docker("compose", "version") or "") and shutil.which("docker-compose") is None:
        return "SDK 2.x needs Docker Compose v2, or a docker-compose on the PATH (Debian: docker-compose)"
    if not docker("images", "--quiet", image):
        return f"the training image {image} is not there: run `make image`"
    return None


def gateway() -> str:
    """The address of this machine on Docker's default bridge, where containers reach it."""
    [network] = json.loads(docker("network", "inspect", "bridge") or "[]")
    config = network["IPAM"]["Config"][0]
    # A freshly started engine names the subnet alone; the gateway is its first address.
    return config.get("Gateway") or str(ipaddress.ip_network(config["Subnet"])[1])


def remove_networks() -> None:
    """Remove the networks that sandboxes have made and that no container is in."""
    docker("network", "prune", "--force", "--filter", f"label={NETWORK_LABEL}")


def run_in_image(folder: Path, program: str, *arguments: str) -> None:
    """Run a program of the training image, with its root's rights, in a folder of this machine."""
    image = os.environ.get("TRAINING_IMAGE", IMAGE)
    options = ["--volume", f"{folder}:/folder", "--workdir", "/folder", "--entrypoint", program]
    docker("run", "--rm", *options, image, *arguments)


def clean_up(folder: Path) -> None:
    """Remove the containers that were started from below `folder`, the SDK's network, and what root wrote there."""
    listing = docker("ps", "--all", "--format", '{{.ID}} {{.Label "' + FOLDER_LABEL + '"}}') or ""
    for line in listing.splitlines():
        container, _, working_dir = line.partition(" ")
        if working_dir.startswith(str(folder)):
            docker("rm", "--force", "--volumes", container)
    docker("network", "rm", NETWORK)  # refused, as it should be, while others use it
    remove_networks()
    if (folder / "space").exists() and METADATA.exists():
        # SDK 2 mounts this folder of a space's into each container, so the engine has made one on the machine.
        run_in_image(METADATA.parents[1], "rmdir", "--parents", "--ignore-fail-on-non-empty", "ml/metadata")
    folders.remove(folder)
    if folder.exists():  # containers run as root, so their files are root's
        run_in_image(folder, "find", ".", "-mindepth", "1", "-delete")
        folders.remove(folder)


if __name__ == "__main__":  # python -m sandbox.local_mode.docker: exit 0, or 1 and the reason why it cannot run
    sys.exit(unfit())
