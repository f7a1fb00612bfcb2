#!/bin/bash
# The notebooks as managed jobs in the image of the lab, and in the devcontainer made from a copy of the last commit.
# `make containers` calls it; it needs Docker and npx: https://containers.dev
set -euo pipefail
cd "$(dirname "$0")/.."

label=sagemaker-tensorflow-series
devcontainer=(npx --yes @devcontainers/cli@0)

echo "== the image of the lab"
# The network of a build is the machine's: a proxy may listen there.
docker build --network=host --tag $label --label $label=lab --file .devcontainer/Dockerfile .
# The flags of docs/where-to-run.md and .devcontainer/devcontainer.json.
docker run --rm --cap-add=SYS_ADMIN --cap-add=NET_ADMIN --security-opt apparmor=unconfined $label make managed

echo "== the devcontainer, on a copy of the last commit"
folder=$(mktemp -d)
finish() {
    docker ps --all --quiet --filter "label=devcontainer.local_folder=$folder" | xargs -r docker rm --force
    rm -rf "$folder"
}
trap finish EXIT
git clone --quiet . "$folder"
if [ -e .devcontainer/ca.pem ]; then cp .devcontainer/ca.pem "$folder/.devcontainer"; fi
"${devcontainer[@]}" up --workspace-folder "$folder" --skip-post-attach
"${devcontainer[@]}" exec --workspace-folder "$folder" make managed
