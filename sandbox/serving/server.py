"""The program of an endpoint for AWS's TensorFlow images: /ping and /invocations on port 8080.

What a container must answer: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html. What
AWS's makes of content types, of lists without a key and of the custom attributes that choose a model:
https://github.com/aws/sagemaker-tensorflow-serving-container/blob/master/docker/build_artifacts/sagemaker/tensorflowServing.js.
It has nginx and TensorFlow Serving; here waitress (https://docs.pylonsproject.org/projects/waitress) and TensorFlow.

Run in the image's own Python, which may be 3.7, as `python server.py FOLDER`: that Python lacks waitress, the folder
has it.
"""

import os
import re
import sys
import time
from http.client import responses

PORT = 8080
THREADS = 8  # requests at once; more of them wait
MODEL = "/opt/ml/model"
FOREVER = 10**6  # seconds for which an idle connection stays open: whoever made it closes it
JSON_TYPES = ("application/json", "application/jsonlines", "application/jsons")


def wrapped(text):
    """The request that TensorFlow Serving gets: a bare list or several lines become `instances`."""
    if re.search(r'"(instances|inputs|examples)"\s*:', text):
        return text
    if re.search(r"[}\]]\s*[\[{]", text):
        lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
        return '{"instances":' + (lines[0] if len(lines) == 1 else "[" + ",".join(lines) + "]") + "}"
    return '{"instances":' + (text if re.match(r"\s*\[\s*\[", text) else "[" + text + "]") + "}"


def attributes(header):
    """`tfs-model-name=a,tfs-model-version=1` -> a dictionary"""
    return dict(pair.split("=", 1) for pair in re.findall(r"tfs-[a-z\-]+=[^,]+", header))


class Application:
    """The WSGI application over loaded models; `invalid` is the exception of a request that they cannot answer."""

    def __init__(self, models, invalid):
        self.models, self.invalid = models, invalid

    def __call__(self, environ, start_response):
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        headers, body = [("Content-Type", "application/json")], ""
        if path == "/ping":
            status = 200
        elif path == "/invocations":
            status, body, headers = self.invoke(environ)
        else:
            status, body = 404, '{"error": "Not Found"}'
        encoded = body.encode()
        if path != "/ping":
            moment = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime())
            line = '{} - - [{}] "{} {} HTTP/1.1" {} {} "-" "{}"'
            client = environ["REMOTE_ADDR"], moment, method, path, status, len(encoded), "AHC/2.0"
            print(line.format(*client), flush=True)
        start_response(
            "{} {}".format(status, responses.get(status, "")), [*headers, ("Content-Length", str(len(encoded)))]
        )
        return [encoded]

    def invoke(self, environ):
        """-> status, body, headers"""
        kind, headers = environ.get("CONTENT_TYPE", ""), [("Content-Type", "application/json")]
        if kind in ("text/csv", "application/x-npy"):
            text = "The sandbox does not fulfil the content type {}: send application/json, or use AWS."
            return 415, '{"error": "' + text.format(kind) + '"}', headers
        if kind not in JSON_TYPES:
            return 415, '{"error": "Unsupported Media Type: ' + (kind or "Unknown") + '"}', headers
        status, body = self.answer(
            environ["wsgi.input"].read(), attributes(environ.get("HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES", ""))
        )
        accepted = environ.get("HTTP_ACCEPT", "").strip().replace(" ", "").split(",")
        if {"application/jsonlines", "application/json"} & set(accepted):
            body, headers = body.replace("\n", ""), [("Content-Type", accepted[0])]
        return status, body, headers

    def answer(self, content, chosen):
        """A request's bytes -> status, body"""
        try:
            if chosen.get("tfs-method", "predict") != "predict":
                text = "The sandbox does not fulfil tfs-method={}: it runs predict alone."
                raise self.invalid(text.format(chosen["tfs-method"]), 501)
            model = self.models.get(chosen.get("tfs-model-name"), chosen.get("tfs-model-version"))
            return 200, model.predict(wrapped(content.decode("utf-8", "replace")))
        except self.invalid as error:
            return error.status, error.body()


def main():
    sys.path.append(sys.argv[1])
    import waitress

    sys.path.remove(sys.argv[1])  # nothing else of it is for this Python
    if os.path.exists(MODEL + "/code/inference.py"):
        sys.exit("The sandbox does not run code/inference.py of a model: leave it out, or use AWS.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ["TF_USE_LEGACY_KERAS"] = "1"  # which is not there: no Keras is imported, and no SavedModel needs one
    import inputs
    import models

    found = models.Models(MODEL)
    print("INFO:__main__:using default model name: {}".format(found.default), flush=True)
    application = Application(found, inputs.Invalid)
    waitress.serve(application, listen="0.0.0.0:{}".format(PORT), threads=THREADS, channel_timeout=FOREVER, ident=None)


if __name__ == "__main__":
    main()
