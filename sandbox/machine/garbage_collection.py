"""Python's search for garbage, less often (https://docs.python.org/3/library/gc.html). Environments import it.

TensorFlow and the SageMaker SDK make hundreds of thousands of objects that stay. Python looks through them again and
again while it imports them, and when it ends: a third of the time of a process that imports TensorFlow, without this
file. What a script makes after that is cleared away as ever, and the files that it left open are written to their end.

Not for SDK 3: a thread of its own may still send a report when Python ends. The sooner that is, the likelier the thread
finds OpenSSL gone.
"""

import atexit
import contextlib
import gc
import io
import sys

STAY = "tensorflow", "keras", "sagemaker"


def keep_what_stays(phase: str, info: dict[str, int]) -> None:
    """After a collection while one of them is being imported: what survived is not looked at again."""
    specs = [getattr(sys.modules.get(name), "__spec__", None) for name in STAY]
    if phase == "stop" and any(getattr(spec, "_initializing", False) for spec in specs):
        gc.freeze()


@atexit.register
def write_open_files() -> None:
    """At the end, before all that is left stays: a file in a circle of references would not be closed any more."""
    gc.collect()
    gc.unfreeze()
    for file in gc.get_objects():
        # (Not isinstance(): it asks objects that then import what they stand for.)
        if issubclass(type(file), (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)):
            with contextlib.suppress(OSError, ValueError):  # Python says it itself for stdout; the file may be closed
                file.flush()
    gc.freeze()


gc.set_threshold(100_000, 20, 100)
gc.callbacks.append(keep_what_stays)
