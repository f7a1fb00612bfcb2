"""From tensors to an answer's JSON, in the form that TensorFlow Serving writes:
https://github.com/tensorflow/serving/blob/master/tensorflow_serving/util/json_tensor.cc

This runs in the image's own Python, which may be 3.7, with nothing but its NumPy.
"""

import base64
import json

import numpy
from inputs import Invalid


def decimals(array):
    """Numbers in six digits where these are exact, else in as many as the type has; with a point, or an exponent."""
    digits = 17 if array.dtype == numpy.float64 else 9
    texts = ["%.6g" % value for value in array.tolist()]
    back = numpy.array([float(text) for text in texts]).astype(array.dtype)
    for place in numpy.flatnonzero(back != array):
        texts[place] = "%.*g" % (digits, array[place])
    special = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return [special.get(text, text if set(".e") & set(text) else text + ".0") for text in texts]


def elements(name, array):
    """The elements of an output as JSON, one after another."""
    flat = array.ravel()
    if flat.dtype == numpy.float16:
        flat = flat.astype(numpy.float32)
    if flat.dtype.kind == "f":
        return decimals(flat)
    if flat.dtype.kind == "b":
        return ["true" if value else "false" for value in flat]
    if flat.dtype.kind in "iu":
        return [str(value) for value in flat.tolist()]
    if flat.dtype.kind != "O":
        raise Invalid("Failed to write JSON value for tensor type: {}".format(flat.dtype))
    if name.endswith("_bytes"):
        return ['{{ "b64": "{}" }}'.format(base64.b64encode(value).decode()) for value in flat]
    return [json.dumps(value.decode("utf-8", "replace"), ensure_ascii=False) for value in flat]


def nested(values, shape, indent=None):
    """The next values of an iterator as nested lists: in one line, or with an indentation, one below another."""
    if not shape:
        return next(values)
    items = [nested(values, shape[1:], indent and indent + "    ") for _ in range(shape[0])]
    if indent is None or not items:
        return "[{}]".format(", ".join(items))
    return "[\n{0}    {1}\n{0}]".format(indent, (",\n" + indent + "    ").join(items))


def to_rows(outputs):
    """{output: array} -> the JSON of an answer by rows."""
    sizes = {}
    for name, array in outputs.items():
        if not array.shape:
            raise Invalid("Tensor name: {} has no shape information ".format(name))
        expected = sizes.setdefault("all", array.shape[0])
        if expected != array.shape[0]:
            text = "Tensor name: {} has inconsistent batch size: {} expecting: {}"
            raise Invalid(text.format(name, array.shape[0], expected))
    columns = {name: iter(elements(name, array)) for name, array in outputs.items()}
    rows = []
    for _ in range(sizes["all"]):
        values = {name: nested(columns[name], array.shape[1:]) for name, array in outputs.items()}
        pairs = ",\n".join('            "{}": {}'.format(name, value) for name, value in values.items())
        rows.append("\n        {\n" + pairs + "\n        }" if len(outputs) > 1 else " " + next(iter(values.values())))
    return '{\n    "predictions": [' + ",".join(rows).lstrip(" ") + "\n    ]\n}"


def to_columns(outputs):
    """{output: array} -> the JSON of an answer by outputs."""
    if len(outputs) == 1:
        [(name, array)] = outputs.items()
        return '{\n    "outputs": ' + nested(iter(elements(name, array)), array.shape, "    ") + "\n}"
    lines = [
        '        "{}": {}'.format(name, nested(iter(elements(name, array)), array.shape, "        "))
        for name, array in outputs.items()
    ]
    return '{\n    "outputs": {\n' + ",\n".join(lines) + "\n    }\n}"
