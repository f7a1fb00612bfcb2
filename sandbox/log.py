"""The sandbox's log: SANDBOX_LOG=FILE has a line for each request, and every traceback of the sandbox's own faults.

The file holds no password, token, signature or body. So a traceback has its frames and the class of its exception, and
not the exception's message, which can quote what a client sent. https://docs.python.org/3/library/logging.html
"""

import contextlib
import contextvars
import logging
import os
import re
import stat
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LOGGER = logging.getLogger("sandbox")
LOGGER.propagate = False
LOGGER.setLevel(logging.INFO)


@dataclass
class Entry:
    """What is known of a request so far; whoever finds out more writes it here."""

    caller: str = "-"
    operation: str = "-"
    status: int | str = "-"
    code: str = ""


# Parts of both come from the client, who could put anything there: only what has the form of a name is written.
FORMS = {"caller": re.compile(r"[\w+=,.@:/-]{1,300}"), "operation": re.compile(r"[a-z0-9-]+:[A-Z][A-Za-z0-9]{1,80}")}
_entry: contextvars.ContextVar[Entry | None] = contextvars.ContextVar("entry", default=None)


class File(logging.StreamHandler):
    """Writes to an open file; `path` says where it is."""

    def __init__(self, descriptor: int, path: str) -> None:
        super().__init__(os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace"))
        self.path = str(Path(path).absolute())


def open_file(path: str) -> None:
    """Write to this file from now on; nobody but its owner can read it. Where that cannot be, end with one line."""
    try:
        descriptor = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600
        )
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is no regular file")
        os.fchmod(descriptor, 0o600)
    except OSError as error:
        raise SystemExit(f"sandbox: SANDBOX_LOG={path}: {error.strerror or error}") from None
    handler = File(descriptor, path)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03dZ %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    LOGGER.addHandler(handler)


def close_file() -> None:
    for handler in [handler for handler in LOGGER.handlers if isinstance(handler, File)]:
        LOGGER.removeHandler(handler)
        handler.stream.close()


def name_of_file() -> str | None:
    return next((handler.path for handler in LOGGER.handlers if isinstance(handler, File)), None)


@contextlib.contextmanager
def request() -> Iterator[Entry]:
    """The time of one request; its line is written at the end."""
    entry, began = Entry(), time.perf_counter()
    token = _entry.set(entry)
    try:
        yield entry
    finally:
        _entry.reset(token)
        if name_of_file():
            milliseconds = (time.perf_counter() - began) * 1000
            answer = f"{entry.status} {entry.code}".strip()
            LOGGER.info("%s %s %s %.0f ms", entry.caller, entry.operation, answer, milliseconds)


def note(**known: str) -> None:
    """Add to the entry of the request that this thread is answering, if it is."""
    if entry := _entry.get():
        for name, value in known.items():
            setattr(entry, name, value if FORMS[name].fullmatch(value) else "unknown")


def operation() -> str:
    """What the request asks for that this thread is answering."""
    entry = _entry.get()
    return entry.operation if entry else "-"


def without_message(error: BaseException) -> str:
    """The traceback of an exception, and of those behind it, each with its class alone."""
    parts, seen = [], set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        reason = f": [Errno {cause.errno}] {cause.strerror}" if isinstance(cause, OSError) and cause.errno else ""
        frames = "".join(traceback.format_tb(cause.__traceback__))
        parts.append(f"{frames}{type(cause).__module__}.{type(cause).__qualname__}{reason}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\n… which came of:\n".join(parts)


def fault(where: str) -> None:
    """Report the exception that is being handled as the sandbox's own fault: one line on the terminal, the traceback in
    the file."""
    error = sys.exc_info()[1]
    if error is None:
        return
    file = name_of_file()
    rest = f"the traceback is in {file}" if file else "SANDBOX_LOG=FILE keeps the traceback in a file"
    line = f"sandbox: a fault of the sandbox itself in {where} ({type(error).__name__}): {rest}"
    print(line, file=sys.stderr, flush=True)
    LOGGER.error("fault in %s\n%s", where, without_message(error))
