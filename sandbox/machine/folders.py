"""The sandbox's temporary folder: locked while its sandbox lives, so that the next start can tell what a sandbox that
was killed has left, and remove it."""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "sagemaker-sandbox-"


def place() -> str:
    """Where temporary files go: /tmp, if TensorFlow, a shell or PATH would not take the path of TMPDIR as it is."""
    folder = tempfile.gettempdir()
    return folder if re.fullmatch(r"[\w./+@-]+", folder) else "/tmp"


def create() -> Path:
    """A new folder; the lock on it ends with this process, whatever ends that."""
    folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=place()))
    lock = os.open(folder / "new", os.O_CREAT | os.O_WRONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.rename(folder / "new", folder / "lock")
    return folder


def stale() -> Iterator[Path]:
    """The folders of sandboxes that are no more."""
    for folder in Path(place()).glob(f"{PREFIX}*"):
        try:
            with open(folder / "lock") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # in use, somebody else's, or not a sandbox's
            continue
        yield folder


def remove(folder: Path) -> None:
    """Remove a folder, and also what it holds that nobody may read, as overlayfs leaves."""
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.isdir(folder):
        for parent, names, _ in os.walk(folder):
            for name in names:
                if not os.path.islink(os.path.join(parent, name)):
                    with contextlib.suppress(OSError):
                        os.chmod(os.path.join(parent, name), 0o700)
        shutil.rmtree(folder, ignore_errors=True)
