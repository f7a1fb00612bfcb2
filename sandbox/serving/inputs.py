"""From a request's JSON to tensors, as TensorFlow Serving does it, with its rules and the words of its errors.

The form of requests and answers: https://www.tensorflow.org/tfx/serving/api_rest#predict_api. The rules and the words:
https://github.com/tensorflow/serving/blob/master/tensorflow_serving/util/json_tensor.cc

This runs in the image's own Python, which may be 3.7, with nothing but its NumPy.
"""

import base64
import binascii
import json
import re

import numpy

INTEGERS = {"int32": 32, "int16": 32, "int8": 32, "uint8": 32, "int64": 64, "uint32": 32, "uint64": 64}
FLOATS = {"float": numpy.float32, "double": numpy.float64}
# What JSON's errors are called there, by what Python calls them.
PARSE_ERRORS = {
    "Expecting value": "Invalid value.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
}
MISSING = {
    "{": "Missing a comma or } after an object member.",
    "[": "Missing a comma or ] after an array element.",
}
LONGEST = 256  # characters of a value that an error shows


class Invalid(Exception):
    """The request cannot be answered: the text of the error, and the status of the answer."""

    def __init__(self, text, status=400):
        super().__init__(text)
        self.status = status

    def body(self):
        """The answer to the request."""
        return '{\n    "error": ' + json.dumps(str(self), ensure_ascii=False) + "\n}"


def shown(value):
    """A JSON value in an error."""
    text = json.dumps(value, indent=4, ensure_ascii=False)
    return re.sub(r"\[\s+|,\s+(?=[\d\[\"-])|\s+\]", lambda found: found[0].strip().replace(",", ", "), text)[:LONGEST]


def kind_of(value):
    names = {type(None): "Null", bool: str(value), dict: "Object", list: "Array", str: "String"}
    return names.get(type(value), "Number")


def innermost(text):
    """The bracket that is open at the end of a text."""
    opened = ["{"]
    for bracket in re.findall(r"[\[\]{}]", re.sub(r'"(\\.|[^"\\])*"', "", text)):
        if bracket in "[{":
            opened.append(bracket)
        else:
            opened.pop()
    return opened[-1]


def parse(text):
    """The request's JSON object."""
    if not text:
        raise Invalid("JSON Parse error: The document is empty")
    try:
        request, _ = json.JSONDecoder(strict=True).raw_decode(text.lstrip())
    except RecursionError:
        raise Invalid("JSON Parse error: Terminate parsing due to Handler error.") from None
    except ValueError as error:
        words = PARSE_ERRORS.get(error.msg) or MISSING[innermost(text[: error.pos])]
        raise Invalid("JSON Parse error: {} at offset: {}".format(words, error.pos)) from None
    if not isinstance(request, dict):
        raise Invalid("JSON Value: {} Is not object".format(shown(request)))
    return request


def is_base64(value):
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def is_object(value):
    return isinstance(value, dict) and not is_base64(value)


def element(value, kind):
    """One JSON value as an element of a tensor of this kind."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind == "string" and isinstance(value, dict):
        if not is_base64(value):
            raise Invalid("JSON Value: {} not formatted correctly for base64 data".format(shown(value)))
        try:
            return base64.b64decode(value["b64"] + "=" * (-len(value["b64"]) % 4), validate=True)
        except binascii.Error:
            raise Invalid("Unable to base64 decode") from None
    if kind == "string" and isinstance(value, str):
        return value.encode()
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind in FLOATS and number:
        return value
    if kind in INTEGERS and number and isinstance(value, int):
        lowest = 0 if kind in ("uint32", "uint64") else -(2 ** (INTEGERS[kind] - 1))
        if lowest <= value < lowest + 2 ** INTEGERS[kind]:
            return value
    if kind not in FLOATS and kind not in INTEGERS and kind not in ("string", "bool"):
        raise Invalid("Conversion of JSON Value: {} to type: {}".format(shown(value), kind), 501)
    raise Invalid("JSON Value: {} Type: {} is not of expected type: {}".format(shown(value), kind_of(value), kind))


def fill(value, level, shape, kind, found):
    """Append the elements of a nested list to `found`; it must have this shape."""
    if not isinstance(value, list):
        if level != len(shape):
            raise Invalid(
                "JSON Value: {} found at incorrect level: {} in the JSON DOM. Expected at level: {}".format(
                    shown(value), level + 1, len(shape)
                )
            )
        found.append(element(value, kind))
        return
    if level >= len(shape):
        raise Invalid("Encountered list at unexpected level: {} expected < {}".format(level, len(shape)))
    if len(value) != shape[level]:
        raise Invalid(
            "Encountered list at unexpected size: {} at level: {} expected size: {}".format(
                len(value), level, shape[level]
            )
        )
    for item in value:
        fill(item, level + 1, shape, kind, found)


def quick(value, kind):
    """A tensor of numbers, or None where it must be looked at value by value. NumPy takes true and false for numbers:
    the caller has made sure that there are none."""
    wanted = "iuf" if kind in FLOATS else "i" if kind in ("int32", "int64") else ""
    try:
        array = numpy.array(value)
    except (ValueError, OverflowError):
        return None
    if not wanted or array.dtype.kind not in wanted:
        return None
    if kind == "int32" and array.size and (array.min() < -(2**31) or array.max() >= 2**31):
        return None
    with numpy.errstate(over="ignore"):
        return array.astype(FLOATS.get(kind, kind))


def tensor(value, kind, pure):
    """A JSON value as a tensor; `pure`: there is neither true nor false in it."""
    if pure:
        array = quick(value, kind)
        if array is not None:
            return array
    shape, first = [], value
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    found = []
    fill(value, 0, shape, kind, found)
    kind = {"string": object, "bool": bool}.get(kind, FLOATS.get(kind, kind))
    return numpy.array(found, dtype="int64" if kind in ("int8", "int16", "uint8") else kind).astype(kind).reshape(shape)


def item(value, name, inputs, pure, first):
    """One element of `instances` for one input: as the first one had it."""
    if name not in inputs:
        raise Invalid("JSON object: does not have named input: {}".format(name))
    array = tensor(value, inputs[name], pure)
    expected = first.setdefault(name, array.shape)
    if numpy.prod(expected, dtype=int) != array.size:
        raise Invalid("Expecting tensor size: {} but got: {}".format(numpy.prod(expected, dtype=int), array.size))
    if expected != array.shape:
        raise Invalid("Expecting shape {} but got: {}".format(as_shape(expected), as_shape(array.shape)))
    return array


def as_shape(shape):
    return "[{}]".format(",".join(map(str, shape)))


def from_rows(rows, inputs, pure):
    """`instances` -> {input: tensor}, the rows one after another."""
    if not isinstance(rows[0], dict) and len(inputs) > 1:
        raise Invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = is_object(rows[0])
    [*names] = inputs
    if not named and pure:
        array = quick(rows, inputs[names[0]])
        if array is not None:
            return {names[0]: array}
    columns, first = {name: [] for name in names}, {}
    for number, row in enumerate(rows):
        if named != is_object(row):
            what = "Expecting object but got list" if named else "Expecting value/list but got object"
            raise Invalid("{} at item {} of input list".format(what, number))
        for name, value in row.items() if named else [(names[0], row)]:
            try:
                columns.setdefault(name, []).append(item(value, name, inputs, pure, first))
            except Invalid as error:
                key = " key: {}".format(name) if named else ""
                text = "Failed to process element: {}{} of 'instances' list. Error: INVALID_ARGUMENT: {}"
                raise Invalid(text.format(number, key, error)) from None
        if named and set(row) != set(inputs):
            text = "Failed to process element: {} of 'instances' list. JSON object: {} keys must be equal to: {}"
            raise Invalid(text.format(number, shown(row), ",".join(sorted(inputs))))
    return {name: numpy.stack(arrays) for name, arrays in columns.items()}


def from_columns(value, inputs, pure):
    """`inputs` -> {input: tensor}"""
    if not is_object(value):
        if len(inputs) > 1:
            raise Invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        [(name, kind)] = inputs.items()
        return {name: tensor(value, kind, pure)}
    for name in inputs:
        if name not in value:
            raise Invalid("Missing named input: {} in 'inputs' object.".format(name))
    return {name: tensor(value[name], kind, pure) for name, kind in inputs.items()}


def from_request(request, inputs, pure):
    """A request -> {input: tensor}, and whether it asks by rows."""
    if "instances" in request and "inputs" in request:
        text = "JSON Value: {} Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        raise Invalid(text.format(shown(request)))
    if "instances" in request:
        rows = request["instances"]
        if not isinstance(rows, list):
            raise Invalid("JSON Value: {} Excepting 'instances' to be an list/array".format(shown(request)))
        if not rows:
            raise Invalid("JSON Value: {} No values in 'instances' array".format(shown(request)))
        return from_rows(rows, inputs, pure), True
    if "inputs" in request:
        return from_columns(request["inputs"], inputs, pure), False
    raise Invalid("Missing 'inputs' or 'instances' key")
