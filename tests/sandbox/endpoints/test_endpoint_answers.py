"""One endpoint with TensorFlow behind it: what it answers to JSON, and that SDKs and the end of the sandbox agree."""

import json
import math
import os
import select
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import inputs
import numpy as np
import outputs
import psutil
import pytest
from botocore.exceptions import ClientError

from tests.support import ROOT
from tests.support.cloud import ROLE, wait_for
from tests.support.hosting import Hosting, archive

PYTHON_V3 = ROOT / ".venv-v3" / "bin" / "python"
MODEL = """
import sys
import tensorflow as tf

class Module(tf.Module):
    def __init__(self, factor):
        self.factor = tf.Variable(factor)

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def product(self, x):
        return {"y": tf.linalg.matmul(x, tf.fill([3, 2], self.factor))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int32, "n"), tf.TensorSpec([None], tf.string, "s")])
    def several(self, n, s):
        return {"third": tf.cast(n, tf.float32) / 3, "even": n % 2 == 0, "s": s, "s_bytes": s}

for factor in sys.argv[2:]:
    module = Module(float(factor))
    signatures = {"serving_default": module.product, "several": module.several}
    tf.saved_model.save(module, f"{sys.argv[1]}/{factor}/1", signatures=signatures)
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two SavedModels, which multiply by 1 and by 2: a folder with the folders 1.0/1 and 2.0/1."""
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, "-c", MODEL, folder, "1.0", "2.0"], check=True, capture_output=True, timeout=200)
    return folder


def files(folder, under):
    """The files of a folder, for an archive."""
    found = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {f"{under}/{path.relative_to(folder)}": path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def served(cloud, models):
    """An endpoint with two models: `double`, at two versions, and `Servo`, which is not the default."""
    hosting = Hosting(cloud)
    content = {**files(models / "1.0" / "1", "export/Servo/1"), **files(models / "2.0" / "1", "double/0002")}
    content |= files(models / "1.0" / "1", "double/1")
    described = hosting.serve("served", archive(content))
    assert described["EndpointStatus"] == "InService", hosting.lines("served")
    return hosting


def test_archives_without_a_model_that_loads(cloud):
    """Their log says what is wrong with them."""
    hosting = Hosting(cloud)
    none = archive({"1/model.h5": b"weights", "m/saved_model.pb": b"in a folder that is no version"})
    broken = archive({"m/1/saved_model.pb": b"no protocol buffer"})
    for name, content in {"none": none, "broken": broken}.items():  # side by side
        hosting.start(name, content)
    for name, text in {"none": "no SavedModel bundles found!", "broken": "m/1/saved_model.pb"}.items():
        described = hosting.wait(name)
        assert described["EndpointStatus"] == "Failed" and "did not pass the ping" in described["FailureReason"]
        assert any(text in line for line in hosting.lines(name)), hosting.lines(name)
        hosting.remove(name)


def answer(served, body, **more):
    return served.invoke("served", body if isinstance(body, (str, bytes)) else json.dumps(body), **more)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"instances": [[1, 2, 3]]}, {"predictions": [[12, 12]]}),
        ({"instances": [{"x": [1, 2, 3]}, {"x": [0.5, 0, 0]}]}, {"predictions": [[12, 12], [1, 1]]}),
        ({"instances": [[0.1234, 0, 0]]}, {"predictions": [[0.2468, 0.2468]]}),
        ({"instances": [[1e39, 0, 0], [-1e39, 0, 0]]}, {"predictions": [[math.inf] * 2, [-math.inf] * 2]}),
        ({"inputs": [[1, 2, 3]]}, {"outputs": [[12, 12]]}),
        ({"inputs": {"x": [[1, 2, 3]]}}, {"outputs": [[12, 12]]}),
        ([[1, 2, 3], [0, 0, 1]], {"predictions": [[12, 12], [2, 2]]}),
        ([1, 2, 3], {"predictions": [[12, 12]]}),
        ("[1, 2, 3]\n[0, 0, 1]\n", {"predictions": [[12, 12], [2, 2]]}),
        (
            {"signature_name": "several", "instances": [{"n": 1, "s": "é"}, {"n": 2, "s": {"b64": "aGk="}}]},
            {
                "predictions": [
                    {"even": False, "s": "é", "s_bytes": {"b64": "w6k="}, "third": 0.333333343},
                    {"even": True, "s": "hi", "s_bytes": {"b64": "aGk="}, "third": 0.666666687},
                ]
            },
        ),
        (
            {"signature_name": "several", "inputs": {"n": [3], "s": ["x"]}},
            {"outputs": {"even": [False], "s": ["x"], "s_bytes": [{"b64": "eA=="}], "third": [1.0]}},
        ),
    ],
)
def test_json_that_is_answered(served, body, expected):
    assert json.loads(answer(served, body)) == expected


def test_the_form_of_an_answer(served):
    assert answer(served, {"instances": [[1, 2, 3], [0, 0, 0.25]]}) == (
        '{\n    "predictions": [[12.0, 12.0], [0.5, 0.5]\n    ]\n}'
    )
    assert answer(served, [1, 2, 3], Accept="application/json") == '{    "predictions": [[12.0, 12.0]    ]}'
    assert "outputs" in answer(served, {"inputs": [[1, 2, 3]]}, kind="application/jsonlines")


def test_models_and_versions_by_custom_attributes(served):
    for attributes, product in (
        ("tfs-model-name=double", 12),
        ("tfs-model-name=double,tfs-model-version=1", 6),
        ("tfs-model-name=Servo", 6),
    ):
        assert json.loads(answer(served, [1, 2, 3], CustomAttributes=attributes)) == {"predictions": [[product] * 2]}


ITEM = "Failed to process element: {} of 'instances' list. Error: INVALID_ARGUMENT: "


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("no json", "JSON Parse error: Invalid value. at offset: 14"),
        ('{"instances": [1, 2', "JSON Parse error: Missing a comma or ] after an array element. at offset: 19"),
        ('{"instances": {"x": 1', "JSON Parse error: Missing a comma or } after an object member. at offset: 21"),
        ({"instances": [[1, 2]]}, "Matrix size-incompatible: In[0]: [1,2], In[1]: [3,2]"),
        ({"instances": [[1, 2, 3], [1, 2]]}, ITEM.format(1) + "Expecting tensor size: 3 but got: 2"),
        (
            {"instances": [[1, 2, True]]},
            ITEM.format(0) + "JSON Value: true Type: True is not of expected type: float",
        ),
        (
            {"instances": [[1, [2], 3]]},
            ITEM.format(0) + "Encountered list at unexpected level: 1 expected < 1",
        ),
        ({"instances": [{"z": 1}]}, ITEM.format("0 key: z") + "JSON object: does not have named input: z"),
        ({"instances": []}, "No values in 'instances' array"),
        ({"instances": 1}, "Excepting 'instances' to be an list/array"),
        ({"inputs": {"z": 1}}, "Missing named input: x in 'inputs' object."),
        ({"instances": [1], "inputs": [1]}, "expecting only one of 'inputs' or 'instances' keys to exist "),
        ({"examples": [1]}, "Missing 'inputs' or 'instances' key"),
        ({"signature_name": "none", "instances": [1]}, 'Serving signature name: "none" not found in signature def'),
        (
            {"signature_name": "several", "instances": [[1]]},
            "instances is a plain list, but expecting list of objects as multiple input tensors",
        ),
        (
            {"signature_name": "several", "inputs": {"n": [1.5], "s": ["x"]}},
            "JSON Value: 1.5 Type: Number is not of expected type: int32",
        ),
        (
            {"signature_name": "several", "inputs": {"n": [-(2**31) - 1], "s": ["x"]}},
            "JSON Value: -2147483649 Type: Number is not of expected type: int32",
        ),
        ({"signature_name": "several", "inputs": {"n": [1], "s": [{"b64": "#"}]}}, "Unable to base64 decode"),
        (
            {"signature_name": "several", "instances": [{"n": 1}]},
            "Failed to process element: 0 of 'instances' list. JSON object: ",
        ),
        (
            {"instances": [{"x": [1, 2, 3]}, {"x": [[1], [2], [3]]}]},
            ITEM.format("1 key: x") + "Expecting shape [3] but got: [3,1]",
        ),
        (
            {"signature_name": "several", "inputs": {"n": [2**31], "s": ["x"]}},
            "JSON Value: 2147483648 Type: Number is not of expected type: int32",
        ),
    ],
)
def test_json_that_cannot_be_answered(served, body, text):
    with pytest.raises(ClientError) as raised:
        answer(served, body)
    assert raised.value.response["OriginalStatusCode"] == 400
    assert "Received client error (400) from primary with message " in raised.value.response["Error"]["Message"]
    assert text in json.loads(raised.value.response["OriginalMessage"])["error"]


@pytest.mark.parametrize(
    ("more", "status", "text"),
    [
        ({"kind": "text/csv"}, 415, "The sandbox does not fulfil the content type text/csv"),
        ({"kind": "application/x-npy"}, 415, "The sandbox does not fulfil the content type application/x-npy"),
        ({"kind": "image/png"}, 415, "Unsupported Media Type: image/png"),
        ({"CustomAttributes": "tfs-method=classify"}, 501, "The sandbox does not fulfil tfs-method=classify"),
        ({"CustomAttributes": "tfs-model-name=none"}, 404, "Servable not found for request: Latest(none)"),
        ({"CustomAttributes": "tfs-model-version=9"}, 404, "Servable not found for request: Specific(double, 9)"),
    ],
)
def test_requests_that_the_container_refuses(served, more, status, text):
    with pytest.raises(ClientError) as raised:
        answer(served, [1, 2, 3], **more)
    assert raised.value.response["OriginalStatusCode"] == status
    assert text in json.loads(raised.value.response["OriginalMessage"])["error"]


def test_types_that_few_models_have():
    assert outputs.elements("y", np.array([1, -2], "int32")) == ["1", "-2"]
    assert outputs.elements("y", np.array([0.1, 1 / 3])) == ["0.1", "0.33333333333333331"]
    for kind, least, most in (("uint32", 0, 2**32 - 1), ("uint64", 0, 2**64 - 1), ("int64", -(2**63), 2**63 - 1)):
        assert [inputs.element(value, kind) for value in (least, most)] == [least, most]
        for value in (least - 1, most + 1):
            with pytest.raises(inputs.Invalid, match=f"is not of expected type: {kind}"):
                inputs.element(value, kind)
    with pytest.raises(inputs.Invalid, match="has inconsistent batch size: 1 expecting: 2"):
        outputs.to_rows({"a": np.zeros(2), "b": np.zeros(1)})


def test_many_clients_get_their_own_answers(cloud, served):
    def client(number):
        runtime = cloud.account.client("sagemaker-runtime", **cloud.key)
        for count in range(50):
            body = json.dumps([number, count, 0.5])
            found = runtime.invoke_endpoint(EndpointName="served", Body=body, ContentType="application/json")
            assert json.load(found["Body"]) == {"predictions": [[2.0 * (number + count + 0.5)] * 2]}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(client, range(8)))


def test_its_log_names_the_model_and_every_request(served):
    answer(served, [1, 2, 3])
    lines = served.lines("served")
    assert "INFO:__main__:using default model name: double" in lines
    wait_for(lambda: any('"POST /invocations HTTP/1.1" 200' in line for line in served.lines("served")))


def run(tmp_path, script, *arguments, python=sys.executable):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(script))
    command = [sys.executable, "-m", "sandbox", python, "-W", "ignore", path, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "LOCAL_MODE": "0"}, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return [line.partition("=> ")[2] for line in done.stdout.splitlines() if "=> " in line]


def test_sdk_2_from_the_estimator_to_the_predictor(tmp_path, models):
    """The job only copies a model. The SDK looks at an endpoint every 30 s: here every second."""
    found = run(
        tmp_path,
        """
        import pathlib, sys, time
        import sagemaker
        from sagemaker.predictor import Predictor
        from sagemaker.serializers import JSONSerializer
        from sagemaker.session import Session
        from sagemaker.tensorflow import TensorFlow, TensorFlowModel

        Session.wait_for_endpoint.__defaults__ = (1, False)
        models, source = sys.argv[1:]
        session, role = Session(), sagemaker.get_execution_role()
        pathlib.Path(source, "train.py").write_text(
            "import shutil; shutil.copytree('/opt/ml/input/data/made', '/opt/ml/model', dirs_exist_ok=True)"
        )
        est = TensorFlow(
            entry_point="train.py", source_dir=source, role=role, model_dir=False, framework_version="2.19",
            py_version="py312", instance_type="ml.c4.xlarge", instance_count=1,
        )
        est.fit({"made": session.upload_data(models + "/1.0", key_prefix="one")}, logs=False)
        predictor = est.deploy(initial_instance_count=1, instance_type="ml.m5.xlarge")
        print("\\n=>", predictor.predict([[1, 2, 3]]))
        again = Predictor(predictor.endpoint_name, session, serializer=JSONSerializer())
        print("=>", again.predict({"inputs": [[1, 2, 3]]}))
        est.fit({"made": session.upload_data(models + "/2.0", key_prefix="two")}, logs=False)
        better = TensorFlowModel(model_data=est.model_data, role=role, framework_version="2.19")
        name = dict(endpoint_name=predictor.endpoint_name, update_endpoint=True)
        better.deploy(initial_instance_count=1, instance_type="ml.m5.xlarge", **name)
        print("\\n=>", predictor.predict([[1, 2, 3]]))
        predictor.delete_model()
        predictor.delete_endpoint()
        while session.sagemaker_client.list_endpoints()["Endpoints"]:
            time.sleep(0.1)
        print("=>", len(session.sagemaker_client.list_endpoint_configs()["EndpointConfigs"]), "configuration is left")
        """,
        models,
        tmp_path,
    )
    assert found == [
        "{'predictions': [[6.0, 6.0]]}",
        found[1],
        "{'predictions': [[12.0, 12.0]]}",
        "1 configuration is left",
    ]
    assert json.loads(found[1].removeprefix("b'").removesuffix("'").replace("\\n", "")) == {"outputs": [[6.0, 6.0]]}


def test_sdk_3_from_the_model_builder_to_the_endpoint(tmp_path, models):
    content = tmp_path / "model.tar.gz"
    content.write_bytes(archive(files(models / "1.0" / "1", "1")))
    found = run(
        tmp_path,
        """
        import json, sys
        from sagemaker.core import image_uris
        from sagemaker.core.helper.session_helper import Session, get_execution_role
        from sagemaker.core.resources import Endpoint, EndpointConfig, Model
        from sagemaker.serve import ModelBuilder

        session = Session()
        uri = session.upload_data(sys.argv[1], key_prefix="models")
        image = image_uris.retrieve(
            "tensorflow", "us-east-1", version="2.19", image_scope="inference", instance_type="ml.m5.xlarge"
        )
        builder = ModelBuilder(
            image_uri=image, s3_model_data_url=uri, role_arn=get_execution_role(), sagemaker_session=session,
            instance_type="ml.m5.xlarge", model_path=sys.argv[2],  # else in /tmp, where another user's may be
        )
        builder.build(model_name="built")
        built = builder.deploy(endpoint_name="built", initial_instance_count=1, instance_type="ml.m5.xlarge")
        kind = dict(content_type="application/json", accept="application/json")
        print("\\n=>", json.load(built.invoke(body="[1, 2, 3]", **kind).body))
        [endpoint] = Endpoint.get_all()
        print("=>", endpoint.endpoint_name, endpoint.endpoint_status)
        endpoint.delete()
        endpoint.wait_for_delete(poll=1)
        EndpointConfig.get("built").delete()
        Model.get("built").delete()
        print("=>", list(Endpoint.get_all()), list(Model.get_all()))
        """,
        content,
        tmp_path / "builder",
        python=PYTHON_V3,
    )
    assert found == ["{'predictions': [[6.0, 6.0]]}", "built InService", "[] []"]


@pytest.mark.parametrize("kill", [False, True], ids=["SIGTERM", "SIGKILL"])
def test_endpoints_end_with_the_sandbox(tmp_path, kill):
    """Its server is still importing TensorFlow then: that takes some seconds."""
    script = tmp_path / "start.py"
    script.write_text(
        textwrap.dedent(
            """
            import boto3, sys, time
            role, client = sys.argv[1], boto3.client("sagemaker")
            image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.19-cpu"
            client.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": image})
            variant = dict(VariantName="v", ModelName="m", InitialInstanceCount=1, InstanceType="ml.m5.large")
            client.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
            client.create_endpoint(EndpointName="e", EndpointConfigName="c")
            print("started", flush=True)
            time.sleep(90)
            """
        )
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "python", str(script), ROLE],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def servers():
        found = psutil.Process(process.pid).children(recursive=True)
        return [child for child in found if any("server.py" in word for word in child.cmdline()[:3])] and found

    try:
        assert select.select([process.stdout], [], [], 60)[0] and process.stdout.readline() == "started\n"
        family = wait_for(servers)
    finally:
        process.kill() if kill else process.terminate()
        process.communicate(timeout=60)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    if kill:
        subprocess.run(
            [sys.executable, "-m", "sandbox", "true"], cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path)}, check=True
        )
    assert not list(tmp_path.glob("sagemaker-sandbox-*"))
