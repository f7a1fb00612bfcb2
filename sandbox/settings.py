"""The sandbox's own settings: environment variables of `python -m sandbox`, all of them optional."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
REGION = "us-east-1"
# Not the sandbox's own: where requests, OpenSSL and curl look for the authorities that they trust.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


def number(name, default):
    """A setting in seconds, at least 0; anything else ends the sandbox with one line."""
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
        if value is not None and not 0 <= value < float("inf"):
            raise ValueError
        return value
    except ValueError:
        raise SystemExit(f"sandbox: {name}={text}: a number of seconds is needed") from None


def stop_seconds():
    """From the signal of a stop to the kill. AWS: 120."""
    return number("SANDBOX_STOP_SECONDS", 120)


def spot_seconds():
    """Each spot job is interrupted once, after so many seconds of Training. Not at all where it is not set."""
    return number("SANDBOX_SPOT_SECONDS", None)


def images():
    """The folder with environments of other TensorFlow versions, each in a folder VERSION: `make matrix` makes them."""
    return Path(os.environ.get("SANDBOX_IMAGES") or ROOT / ".matrix").absolute()


def policy():
    """The ARN of a managed policy, or a file, that the execution role has instead of the one of the notebooks."""
    return os.environ.get("SANDBOX_POLICY") or str(ROOT / "notebooks" / "policies" / "execution-policy.json")
