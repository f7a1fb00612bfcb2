"""The sandbox's own settings: environment variables of `python -m sandbox`, all of them optional."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[1]
REGION = "us-east-1"
# Not the sandbox's own: where requests, OpenSSL and curl look for the authorities that they trust.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")


def number(name: str, default: float | None) -> float | None:
    """A setting in seconds, at least 0; anything else ends the sandbox with one line."""
    text = os.environ.get(name, "")
    try:
        value = float(text) if text else default
        if value is not None and not 0 <= value < float("inf"):
            raise ValueError
        return value
    except ValueError:
        raise SystemExit(f"sandbox: {name}={text}: a number of seconds is needed") from None


def stop_seconds() -> float:
    """From the signal of a stop to the kill. AWS: 120."""
    return number("SANDBOX_STOP_SECONDS", 120) or 0


def spot_seconds() -> float | None:
    """Each spot job is interrupted once, after so many seconds of Training. Not at all where it is not set."""
    return number("SANDBOX_SPOT_SECONDS", None)


def environments() -> Path:
    """The folder with environments of other TensorFlow versions, which `make matrix` makes."""
    return Path(os.environ.get("SANDBOX_IMAGES") or ROOT / ".matrix").absolute()


def policy() -> str:
    """The ARN of a managed policy, or a file, that the execution role has instead of the one of the notebooks."""
    return os.environ.get("SANDBOX_POLICY") or str(ROOT / "notebooks" / "policies" / "execution-policy.json")


def log() -> str | None:
    """The file for a line about each request, and for the tracebacks of the sandbox's own faults, or None."""
    return os.environ.get("SANDBOX_LOG") or None
