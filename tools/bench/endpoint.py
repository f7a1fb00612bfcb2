"""python -m sandbox python -m tools.bench.endpoint [ENDPOINTS]: an endpoint beside its SavedModel in a Python loop.

1. The model of code/train.py after one epoch, asked about one picture after another: in the loop of a Python process,
   then 2,000 times through an endpoint, by one client and by eight. Requests per second, the median latency, and both
   as a ratio to the loop's. Every answer must be what the loop gave for the picture.
2. ENDPOINTS (10) endpoints made, called and deleted in a row, then three at once: seconds until one is in service, and
   whether processes, threads, open files and memory of the sandbox return to where they were.
"""

import gzip
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import numpy as np
import psutil

from tools import ROOT

BUCKET = "sagemaker-us-east-1-123456789012"
ROLE = "arn:aws:iam::123456789012:role/SageMakerExecutionRole"
REQUESTS, CLIENTS = 2000, 8
LOOP = """
import sys, time
import numpy as np, tensorflow as tf
model, pictures, out = sys.argv[1:]
pictures = np.load(pictures)
predict = tf.saved_model.load(model).signatures["serving_default"]
[name] = predict.structured_input_signature[1]
answers, seconds = [], []
for picture in [*pictures[:50], *pictures]:  # the first are slower
    began = time.perf_counter()
    [answer] = predict(**{name: tf.constant(picture[None])}).values()
    answers.append(answer.numpy()[0])
    seconds.append(time.perf_counter() - began)
np.savez(out, answers=answers[50:], seconds=seconds[50:])
"""


def sandbox():
    """What the process of the sandbox holds now: its size, and what it might have forgotten."""
    process = psutil.Process().parent()
    others = [child for child in process.children() if child.pid != os.getpid()]
    return {
        "processes": len(others),
        "threads": process.num_threads(),
        "files": process.num_fds(),
        "MB": round(process.memory_info().rss / 1e6),
    }


class Client:
    """The account, and the pictures that are sent."""

    def __init__(self, pictures):
        self.sagemaker, self.s3, self.pictures = boto3.client("sagemaker"), boto3.client("s3"), pictures
        self.s3.create_bucket(Bucket=BUCKET)

    def make_config(self, name, folder):
        """Upload a SavedModel, and make a model and a configuration of it."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            tar.add(folder, "1")
        self.s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=archive.getvalue())
        image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-inference:2.21-cpu"
        container = {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/{name}.tar.gz"}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
        variant = {"VariantName": "v", "ModelName": name, "InitialInstanceCount": 1, "InstanceType": "ml.m5.xlarge"}
        self.sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])

    def status(self, name):
        listed = self.sagemaker.list_endpoints(NameContains=name)["Endpoints"]
        return next((found["EndpointStatus"] for found in listed if found["EndpointName"] == name), "gone")

    def start(self, name):
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="bench")

    def wait(self, name, wanted="InService"):
        while (status := self.status(name)) != wanted:
            assert status in ("Creating", "Deleting"), status
            time.sleep(0.02)

    def remove(self, name):
        self.sagemaker.delete_endpoint(EndpointName=name)

    def ask(self, name, numbers):
        """One picture after another -> the answers, and the seconds of each."""
        runtime, answers, seconds = boto3.client("sagemaker-runtime"), [], []
        for number in numbers:
            began = time.perf_counter()
            body = json.dumps({"instances": [self.pictures[number].tolist()]})
            answer = runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/json")
            answers += json.load(answer["Body"])["predictions"]
            seconds.append(time.perf_counter() - began)
        return answers, seconds


def train(folder):
    command = [sys.executable, ROOT / "code" / "train.py", "--training", ROOT / "data", "--testing", ROOT / "data"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return folder / "model" / "1"


def loop(model, pictures, folder):
    """The model in a process of its own -> its answers, and the seconds of each."""
    np.save(folder / "pictures.npy", pictures)
    command = [sys.executable, "-c", LOOP, model, folder / "pictures.npy", folder / "loop.npz"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    with np.load(folder / "loop.npz") as found:
        return found["answers"], found["seconds"].tolist()


def speed(client, answers, seconds):
    rate, latency = len(seconds) / sum(seconds), statistics.median(seconds)
    print(f"a Python loop:       {rate:7.0f} predictions/s, median {1000 * latency:6.2f} ms", flush=True)
    client.ask("bench", range(50))  # the first are slower
    for clients in (1, CLIENTS):
        began = time.perf_counter()
        with ThreadPoolExecutor(clients) as pool:
            parts = [range(first, REQUESTS, clients) for first in range(clients)]
            results = list(pool.map(lambda part: client.ask("bench", part), parts))
        its_rate = REQUESTS / (time.perf_counter() - began)
        its_latency = statistics.median(second for _, seconds in results for second in seconds)
        for part, (found, _) in zip(parts, results, strict=True):
            assert np.allclose(found, answers[part], atol=1e-5), "an answer that is not the loop's"
        print(
            f"endpoint, {clients} client{'s' if clients > 1 else ' '}: {its_rate:7.0f} requests/s,    "
            f"median {1000 * its_latency:6.2f} ms: {its_rate / rate:.3f} of the loop's rate, "
            f"{its_latency / latency:.1f} times its latency",
            flush=True,
        )


def turnover(client, answers, groups):
    """Make, call and delete endpoints, those of one group at once."""
    number, seconds = 0, []
    for size in groups:
        names = [f"bench-{number + count}" for count in range(size)]
        number += size
        began = time.perf_counter()
        for name in names:
            client.start(name)
        for name in names:
            client.wait(name)
        seconds.append(time.perf_counter() - began)
        for name in names:
            assert np.allclose(client.ask(name, [0])[0], answers[:1], atol=1e-5)
            client.remove(name)
        for name in names:
            client.wait(name, "gone")
    text = f"{len(groups)} endpoints in a row" if max(groups) == 1 else f"{sum(groups)} at once"
    print(f"{text}: in service after {statistics.median(seconds):.1f} s; {sandbox()}", flush=True)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with gzip.open(ROOT / "data" / "t10k-images-idx3-ubyte.gz") as file:
        pictures = np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28)[:REQUESTS]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = train(folder)
        answers, seconds = loop(model, pictures, folder)
        client = Client(pictures)
        client.make_config("bench", model)
        print(f"before: {sandbox()}", flush=True)
        client.start("bench")
        client.wait("bench")
        speed(client, answers, seconds)
        client.remove("bench")
        client.wait("bench", "gone")
        print(f"after {2 * REQUESTS} requests: {sandbox()}", flush=True)
        turnover(client, answers, [1] * count)
        turnover(client, answers, [3])


if __name__ == "__main__":
    main()
