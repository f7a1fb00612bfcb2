"""What a training script owes to SageMaker: options it can trust, one clear error, and a record of the job."""

import argparse
import json
import os
import platform
import sys

import tensorflow as tf


def fail(message):
    """Print one line and exit with status 1. What is in SM_OUTPUT_DIR/failure, SageMaker shows as the
    job's FailureReason (docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html)."""
    line = "train.py: error: " + " ".join(str(message).split())
    print(line, file=sys.stderr, flush=True)
    if "SM_OUTPUT_DIR" in os.environ:
        with open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w") as file:
            file.write(line)
    sys.exit(1)


def number(kind, accepted, description):
    """The type of an option: int or float, and which of its values are accepted."""

    def parse(text):
        value = kind(text)
        if not accepted(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {description}")
        return value

    parse.__name__ = kind.__name__  # argparse names it where the text is no number
    return parse


def make_folder(option, folder):
    """Make the folder that an option names, or fail: before the training, not after it."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        fail(f"{option} {folder} cannot be made: {error}")
    if not os.access(folder, os.W_OK):
        fail(f"{option} {folder} is not writable")


def save_json(folder, name, content):
    with open(os.path.join(folder, name), "w") as file:
        json.dump(content, file, indent=2, sort_keys=True)


def describe_job(args):
    """What this job saw, for a person to read afterwards."""
    return dict(
        arguments=sys.argv[1:],
        options=vars(args),
        types={name: type(value).__name__ for name, value in vars(args).items()},
        files={name: sorted(os.listdir(getattr(args, name))) for name in ("training", "testing")},
        environment={name: value for name, value in os.environ.items() if name.startswith("SM_")},
        versions=dict(python=platform.python_version(), tensorflow=tf.__version__),
    )
