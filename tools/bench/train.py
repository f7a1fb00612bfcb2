"""python -m tools.bench.train: code/train.py beside the plain recipe, in turn on the same machine.

The plain recipe keeps all pictures in memory as float32, feeds them with tf.data.from_tensor_slices, and trains
Conv 32 -> Dense 128. Both run at the seed's hyperparameters, each run in a process of its own, five times in turn. Both
switch off tf.data's autotuner: else the end of an epoch can wait for it, and the plain recipe takes 5.12 or 10.24 s
whatever the work was.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from tools import ROOT

PLAIN = """
import gzip, json, sys, time
import numpy as np, tensorflow as tf
data, epochs = sys.argv[1], int(sys.argv[2])
def read(name, start): return np.frombuffer(gzip.open(f"{data}/{name}-ubyte.gz").read(), np.uint8, offset=start)
def load(prefix):
    pictures = read(f"{prefix}-images-idx3", 16).reshape(-1, 28, 28, 1)
    return (pictures / 255).astype(np.float32), read(f"{prefix}-labels-idx1", 8).astype(np.int64)
train, test = load("train"), load("t10k")
layers = tf.keras.layers
model = tf.keras.Sequential([layers.Conv2D(32, 3, activation="relu"), layers.Flatten(),
                             layers.Dense(128, activation="relu"), layers.Dense(10)])
optimizer = tf.keras.optimizers.Adam(1e-3)
loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
training = tf.data.Dataset.from_tensor_slices(train).shuffle(len(train[1])).batch(512)
testing = tf.data.Dataset.from_tensor_slices(test).batch(512)
options = tf.data.Options()
options.autotune.enabled = False
training, testing = training.with_options(options), testing.with_options(options)
@tf.function
def step(pictures, labels):
    with tf.GradientTape() as tape:
        loss = loss_of(labels, model(pictures, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables))
@tf.function
def hits(pictures, labels):
    return tf.reduce_sum(tf.cast(tf.argmax(model(pictures), 1) == labels, tf.float32))
history = []
for epoch in range(epochs):
    began = time.time()
    for batch in training: step(*batch)
    right = sum(float(hits(*batch)) for batch in testing)
    history.append(dict(seconds=time.time() - began, test_accuracy=right / len(test[1])))
print(json.dumps(history))
"""


def run(*command):
    """A process -> its seconds, its peak memory in MB and what it printed."""
    environment = {"TF_CPP_MIN_LOG_LEVEL": "2", **os.environ}
    with tempfile.TemporaryFile("w+") as out:
        began = time.perf_counter()
        process = subprocess.Popen([sys.executable, *map(str, command)], env=environment, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        assert status == 0, command
        out.seek(0)
        return time.perf_counter() - began, usage.ru_maxrss * resource.getpagesize() / 4096 / 1024, out.read()


def plain(epochs):
    _, memory, printed = run("-c", PLAIN, ROOT / "data", epochs)
    return json.loads(printed.splitlines()[-1]), memory


def ours(folder, data, *options):
    places = [f"--{name}={folder}" for name in ("model-dir", "output-data-dir")]
    seconds, memory, _ = run(
        ROOT / "code" / "train.py", f"--training={data}", f"--testing={ROOT / 'data'}", *places, *options
    )
    return json.loads((Path(folder) / "metrics.json").read_text()), memory, seconds


def until(history, accuracy):
    """Seconds of training until a test accuracy is reached, or None."""
    total = 0
    for entry in history:
        total += entry["seconds"]
        if entry["test_accuracy"] >= accuracy:
            return total
    return None


def tenfold(folder):
    """MNIST's training set ten times, as ten pairs of files."""
    for path in (ROOT / "data").glob("train-*.gz"):
        for number in range(10):
            shutil.copy(path, Path(folder) / path.name.replace(".gz", f"-{number}.gz"))


def row(name, theirs, own, unit=""):
    print(f"{name:52} {theirs:9.2f} {own:9.2f} {own / theirs:7.2f} {unit}", flush=True)


def later_epoch(history):
    return median(entry["seconds"] for entry in history[1:])


def main():
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as ten:
        tenfold(ten)
        imports = median(run("-c", "import tensorflow")[0] for _ in range(5))
        their_runs, runs = [], []
        for seed in range(1, 6):
            their_runs.append(plain(4))
            runs.append(ours(folder, ROOT / "data", f"--seed={seed}", "--epochs=10"))
        _, memory, _ = ours(folder, ROOT / "data", "--epochs=4")
        large, large_memory, _ = ours(folder, ten)
    their, histories = [history for history, _ in their_runs], [history for history, *_ in runs]
    both = their, histories
    print(f"{'median of five':52} {'plain':>9} {'train.py':>9} {'ratio':>7}")
    row("seconds of the first epoch", *(median(history[0]["seconds"] for history in side) for side in both))
    row("seconds of a later epoch", *(median(map(later_epoch, side)) for side in both))
    ways = [[until(history, 0.98) or float("inf") for history in side] for side in both]
    row("seconds until 98.0 % test accuracy", *map(median, ways))
    row("peak memory in MB, of four epochs", median(memory for _, memory in their_runs), memory)
    accuracies = [[history[0]["test_accuracy"] * 100 for history in side] for side in both]
    row("test accuracy after one epoch", *map(median, accuracies), "%")
    print("accuracies of train.py's five seeds: " + ", ".join(f"{value:.2f}" for value in sorted(accuracies[1])))
    best = [next((entry["epoch"] for entry in h if entry["test_accuracy"] >= 0.99), None) for h in histories]
    print(f"first epoch of ten with 99.0 %, of the five seeds: {best}")
    a_tenth = large[0]["seconds"] / 10 / median(map(later_epoch, histories))
    print(f"ten times the pictures: {a_tenth:.2f} of the time of a picture, {large_memory / memory:.2f} of the memory")
    beyond = median(seconds - sum(entry["seconds"] for entry in history) for history, _, seconds in runs)
    print(f"outside the epochs: {beyond:.1f} s, of which TensorFlow's import {imports:.1f} s")


if __name__ == "__main__":
    main()
