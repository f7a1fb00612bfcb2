"""How the script ends when something is wrong with its input: with one line that says what, and with status 1.

SageMaker shows what is in the file SM_OUTPUT_DIR/failure as the FailureReason of the job:
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

import os
import sys
from pathlib import Path


def fail(message):
    """Print the message as one line, leave it for SageMaker, and exit with status 1."""
    message_in_one_line = " ".join(str(message).split())
    line = f"train.py: error: {message_in_one_line}"
    print(line, file=sys.stderr, flush=True)
    if "SM_OUTPUT_DIR" in os.environ:
        Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text(line)
    sys.exit(1)
