"""The SavedModels of an endpoint: found as AWS's container finds them, loaded by TensorFlow, and asked.

Which are found: https://github.com/aws/sagemaker-tensorflow-serving-container/blob/master/docker/build_artifacts/sagemaker/tfs_utils.py.
What becomes of a request: https://github.com/tensorflow/serving/blob/master/tensorflow_serving/servables/tensorflow/predict_util.cc.
TensorFlow Serving is on no package index: here a session of TensorFlow's own runs the same graph with the same tensors.
"""

import os
import re

import tensorflow
from inputs import Invalid, from_request, parse
from outputs import to_columns, to_rows
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import config_pb2

tensorflow.get_logger().setLevel("ERROR")  # what it warns of is for who writes a model, not for who serves it
DEFAULT = "serving_default"
# https://github.com/tensorflow/serving/blob/master/tensorflow_serving/model_servers/http_server.cc
STATUSES = {1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 14: 503}


def find(folder):
    """Folders NAME/VERSION with a SavedModel, at any depth -> {name: {version: path}}, in the order they are found."""
    found = {}
    for parent, folders, names in os.walk(folder):
        folders.sort()
        base, version = os.path.split(parent)
        if "saved_model.pb" in names and re.match(r"^\d+$", version):
            found.setdefault(os.path.basename(base), {})[int(version)] = parent
    return found


class Model:
    """A loaded SavedModel, which any number of threads may ask at once."""

    def __init__(self, path):
        self.session = tensorflow.compat.v1.Session(graph=tensorflow.Graph())
        with self.session.graph.as_default():
            loaded = tensorflow.compat.v1.saved_model.load(self.session, ["serve"], path)
        self.signatures, self.calls = dict(loaded.signature_def), {}

    def signature(self, name):
        """-> {input: its type}, and a callable of the inputs in their order; made once for each signature."""
        if name not in self.signatures:
            raise Invalid('Serving signature name: "{}" not found in signature def'.format(name))
        if name not in self.calls:
            signature = self.signatures[name]
            outputs = sorted(signature.outputs)
            # Session.run() compares shapes itself, in other words than the graph's, which TensorFlow Serving gives.
            call = self.session._make_callable_from_options(
                config_pb2.CallableOptions(
                    feed=[tensor.name for _, tensor in sorted(signature.inputs.items())],
                    fetch=[signature.outputs[output].name for output in outputs],
                )
            )
            kinds = {
                alias: types_pb2.DataType.Name(tensor.dtype)[3:].lower()
                for alias, tensor in sorted(signature.inputs.items())
            }
            self.calls[name] = kinds, outputs, call
        return self.calls[name]

    def predict(self, text):
        """A request's text -> the answer's, or raise Invalid."""
        request = parse(text)
        name = request.get("signature_name", DEFAULT)
        if not isinstance(name, str):
            raise Invalid("JSON Value: 'signature_name' key must be a string value.")
        kinds, names, call = self.signature(name or DEFAULT)
        if not kinds:
            raise Invalid("Failed to get input map for signature: {}".format(request.get("signature_name", "DEFAULT")))
        tensors, by_rows = from_request(request, kinds, not re.search("true|false", text))
        try:
            outputs = dict(zip(names, call(*[tensors[alias] for alias in kinds])))
        except tensorflow.errors.OpError as error:
            raise Invalid(error.message, STATUSES.get(error.error_code, 500)) from None
        return to_rows(outputs) if by_rows else to_columns(outputs)


class Models:
    """All models of an endpoint; `default` is the one that requests go to which name none."""

    def __init__(self, folder):
        found = find(folder)
        if not found:
            raise ValueError("no SavedModel bundles found!")
        self.default = next(iter(found))
        self.loaded = {
            name: {version: Model(path) for version, path in versions.items()} for name, versions in found.items()
        }

    def get(self, name, version):
        """The model of this name and version, where they are given."""
        name = name or self.default
        versions = self.loaded.get(name, {})
        wanted = int(version) if version else max(versions, default=None)
        if wanted not in versions:
            which = "Specific({}, {})".format(name, version) if version else "Latest({})".format(name)
            raise Invalid("Servable not found for request: {}".format(which), 404)
        return versions[wanted]
