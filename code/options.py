"""The types of the options of train.py: which values each option accepts.

argparse calls the type of an option with the text from the command line. The type returns the value, or it raises
ArgumentTypeError, whose message argparse prints: https://docs.python.org/3/library/argparse.html#type
"""

import argparse
import math
import os
import tempfile


def whole_number(text):
    """A whole number of at least 1, such as a batch size."""
    return parse_number(text, int, lambda number: number >= 1, "whole number (1, 2, ...)")


def positive_number(text):
    """A number above 0 that is not infinite, such as a learning rate."""
    return parse_number(text, float, lambda number: 0 < number < math.inf, "positive number")


def decay_rate(text):
    """A number of at least 0 and below 1, as Adam takes it for its two decay rates."""
    return parse_number(text, float, lambda number: 0 <= number < 1, "number in [0, 1)")


def parse_number(text, convert, is_accepted, description):
    """Turn the text of an option into a number.

    `convert` is int or float, `is_accepted` says whether the option takes a number, and `description` says in the
    error message what the option takes.
    """
    try:
        number = convert(text)
        if is_accepted(number):
            return number
    except ValueError:
        pass  # The text is not a number at all, so the error below is right for it, too.
    raise argparse.ArgumentTypeError(f"invalid {description} value: {text!r}")


def input_folder(path):
    """A folder that exists and can be read."""
    refuse_address(path)
    try:
        os.listdir(path)
    except OSError as error:
        raise argparse.ArgumentTypeError(error) from error
    return path


def output_folder(path):
    """A folder that can be written to. It is made if it does not exist.

    Folders are checked before the training, because nobody wants to learn after hours that the model cannot be saved.
    """
    refuse_address(path)
    try:
        if not os.path.isfile(path):
            os.makedirs(path, exist_ok=True)
        os.listdir(path)  # raises NotADirectoryError if the path is that of a file
        with tempfile.TemporaryFile(dir=path):
            pass  # The folder can be written to, or this would have raised an error.
    except OSError as error:
        raise argparse.ArgumentTypeError(error) from error
    return path


def refuse_address(path):
    """Raise an error if the path is an address such as s3://bucket/model, which open() would take for a folder."""
    if "://" in path:
        scheme = path.split(":")[0].upper()
        raise argparse.ArgumentTypeError(f"{path} is an address in {scheme}, not a folder of this machine")
