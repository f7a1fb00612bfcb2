#!/bin/bash
# A lifecycle configuration for JupyterLab spaces in SageMaker Studio. It runs whenever a space starts: it fetches the
# series where it is not there yet, and makes its kernels. A space whose script fails or takes longer than five minutes
# does not start; so the work is done in the background, and ~/series-setup.log tells of it.

# The address of the series, as `git clone` takes it. It must be public: a script cannot type a password.
SERIES_URL="${SERIES_URL:-}"
# A version of it, or what is newest.
SERIES_VERSION="${SERIES_VERSION:-}"
SERIES_FOLDER="${SERIES_FOLDER:-$HOME/sagemaker-tensorflow-series}"
# Docker Compose, which local mode needs and the image lacks. SDK 2 does not recognise version 5.
COMPOSE_URL="${COMPOSE_URL:-https://github.com/docker/compose/releases/download/v2.39.4/docker-compose-linux-x86_64}"
# As the Dockerfile of Docker's own image has it (https://github.com/docker-library/docker).
COMPOSE_SHA256="${COMPOSE_SHA256:-7af95166a730b87e172d4fc9aefea8725d3c6c7327d59149267b452114ddb7d4}"
# In a workshop each seat has a bucket of its own, named by this and the seat.
SEAT_BUCKET="${SEAT_BUCKET:-}"
METADATA="${METADATA:-/opt/ml/metadata/resource-metadata.json}"
# The image's own Python comes first.
PATH="/opt/conda/bin:$PATH"
export SERIES_URL SERIES_VERSION SERIES_FOLDER COMPOSE_URL COMPOSE_SHA256 PATH

say() { echo "$(date -u +%FT%TZ) $*"; }

# The SDK's settings (https://sagemaker.readthedocs.io/en/v2/overview.html#configuring-and-using-defaults-with-the-sagemaker-python-sdk):
# the bucket of the seat, which is at the end of its role's name, and a tag for all that it makes.
write_settings() {
    local seat settings="$HOME/.config/sagemaker/config.yaml"
    seat=$(sed -n 's|.*role/SageMakerExecutionRole-seat-\([a-z0-9]*\)".*|\1|p' "$METADATA" 2>/dev/null)
    if [ -z "$SEAT_BUCKET" ] || [ -z "$seat" ]; then return; fi
    mkdir -p "$(dirname "$settings")"
    cat >"$settings" <<END
SchemaVersion: "1.0"
SageMaker:
  PythonSDK: {Modules: {Session: {DefaultS3Bucket: $SEAT_BUCKET$seat}}}
  TrainingJob: {Tags: &seat [{Key: seat, Value: "$seat"}]}
  Model: {Tags: *seat}
  EndpointConfig: {Tags: *seat}
  Endpoint: {Tags: *seat}
END
    say "the bucket of this seat: $SEAT_BUCKET$seat"
}

fetch_series() {
    if [ -e "$SERIES_FOLDER" ]; then
        say "the series is there already: $SERIES_FOLDER"
        return
    fi
    say "fetching the series from $SERIES_URL"
    # A clone that broke off must not look like a whole one.
    rm -rf "$SERIES_FOLDER.part"
    if GIT_TERMINAL_PROMPT=0 git clone --quiet ${SERIES_VERSION:+--branch "$SERIES_VERSION"} "$SERIES_URL" "$SERIES_FOLDER.part"; then
        mv "$SERIES_FOLDER.part" "$SERIES_FOLDER"
    else
        say "FAILED: is the address right and public, is there such a version, and has the domain a way to it?"
    fi
}

fetch_compose() {
    local plugin="$HOME/.docker/cli-plugins/docker-compose"
    if [ -e "$plugin" ] || docker compose version >/dev/null 2>&1; then return; fi
    if ! docker info >/dev/null 2>&1; then
        say "no Docker here, so no local mode"
        return
    fi
    say "fetching Docker Compose"
    mkdir -p "$(dirname "$plugin")"
    if curl --fail --silent --show-error --location --output "$plugin.part" "$COMPOSE_URL" &&
        echo "$COMPOSE_SHA256  $plugin.part" | sha256sum --check --status; then
        chmod +x "$plugin.part"
        mv "$plugin.part" "$plugin"
    else
        rm -f "$plugin.part"
        say "FAILED: no Docker Compose, or one with another checksum, so no local mode"
    fi
}

make_kernels() {
    if [ ! -d "$SERIES_FOLDER" ]; then return; fi
    say "making the kernels"
    python "$SERIES_FOLDER/studio/kernels.py" make || say "FAILED: notebook 00 tries again"
}

prepare() {
    fetch_series
    fetch_compose
    make_kernels
    say "done"
}

write_settings >>"$HOME/series-setup.log" 2>&1
export -f say fetch_series fetch_compose make_kernels prepare
nohup setsid bash -c prepare >>"$HOME/series-setup.log" 2>&1 </dev/null &
exit 0
