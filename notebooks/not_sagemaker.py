"""What the notebooks use that is not SageMaker: a look at the kernel, quiet logs, tables, and a job's log as lines.

Nothing here is part of a lesson: `from not_sagemaker import prepare, table, keep_log`.
"""

import contextlib
import io
import logging
import os
import re
import sys
import warnings
from importlib.metadata import distributions

COLOURS = re.compile(r"\x1b\[[\d;]*m")
# As SDK 2 prints each status, and SDK 3 the last one.
STATUS = re.compile(r"(?:\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?=\w+ - )|Final Resource Status: \[bold\])(\w+)")
CONTAINER = re.compile(r"^\S+ +\| ?")  # local mode's "...-algo-1-x7k2p | "


class WrongKernel(Exception):
    """The kernel has another version of the SageMaker Python SDK than the notebook needs."""

    def _render_traceback_(self):  # Jupyter shows these lines alone
        return str(self).splitlines()


def prepare(sdk=2):
    """Stop in a kernel with another version of the SDK; short errors, the SDK's log quiet. Raises WrongKernel."""
    installed = [package.version for package in distributions(name="sagemaker")] or ["none"]
    if not installed[0].startswith(f"{sdk}."):
        raise WrongKernel(
            f"This notebook needs version {sdk} of the SageMaker Python SDK. This kernel has: {installed[0]}.\n"
            "Run 00-setup.ipynb: it makes the kernel with the right version, and says which one to choose."
        )
    short_errors()
    logging.basicConfig(level=logging.WARNING)  # else the SDK prints INFO lines from its first fit() on
    logging.getLogger("sagemaker").setLevel(logging.ERROR)  # else a warning where a role may not read itself
    for name in ("config", "local.image", "core.local.image", "core.helper.iam_role_resolver", "core.utils.utils"):
        logging.getLogger(f"sagemaker.{name}").setLevel(logging.ERROR)  # these have levels of their own
    logging.getLogger("sagemaker.jumpstart").setLevel(logging.CRITICAL)  # SDK 2.257.0 lacks a file of JumpStart's
    warnings.filterwarnings("ignore", message=".*ipywidgets")  # SDK 3 would show a status in one
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # TensorFlow in the notebook: errors only
    os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # else two lines about rounding at every start


def short_errors():
    """Show an error as its last line, also where a library would bring its own way (the SDKs install that of rich)."""
    from IPython import get_ipython

    with contextlib.suppress(ImportError):
        import rich.traceback

        rich.traceback.install = lambda **options: None  # an SDK that a later cell imports calls it
    shell = get_ipython()
    if shell:
        shell.InteractiveTB.set_mode("Minimal")
        for way in ("showtraceback", "_showtraceback", "showsyntaxerror"):  # of an SDK that was imported before
            vars(shell).pop(way, None)


def table(rows, columns=None):
    """Rows, or anything else that makes a pandas.DataFrame, as a table whose text starts on the left."""
    import pandas as pd
    from IPython.display import HTML

    html = pd.DataFrame(rows, columns=columns, dtype=object).to_html(index=False)
    return HTML(re.sub("<(t[dh])>", r'<\1 style="text-align: left">', html))


class Log(io.TextIOBase):
    """Keeps what is written to it, and shows the statuses in it on `screen`."""

    def __init__(self, screen):
        self.screen, self.text = screen, ""

    def write(self, text):
        for status in STATUS.findall(text):
            print(status, end=" ", file=self.screen, flush=True)
        self.text += text
        return len(text)

    @property
    def lines(self):
        """The lines as the container printed them: without colours and without the container's name."""
        return [CONTAINER.sub("", line) for line in COLOURS.sub("", self.text).splitlines()]

    def find(self, pattern):
        """The lines in which a regular expression is found."""
        return [line for line in self.lines if re.search(pattern, line)]


@contextlib.contextmanager
def keep_log():
    """`with keep_log() as log:` keeps what is printed in `log.lines`, and shows a job's statuses meanwhile."""
    log = Log(sys.stdout)
    sdk_3 = logging.getLogger("sagemaker.core.resources")  # SDK 3 passes a managed job's log on through it, as INFO
    handler = logging.StreamHandler(log)
    sdk_3.addHandler(handler)
    sdk_3.setLevel(logging.INFO)
    sdk_3.propagate = False
    try:
        with contextlib.redirect_stdout(log):
            yield log
    finally:
        sdk_3.removeHandler(handler)
        print(file=log.screen)
