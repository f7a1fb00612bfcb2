"""Train a small convolutional network on MNIST: the one entry point of this series.

SageMaker calls it inside the training container as `python train.py --batch-size 512 --epochs 1 ...`:
hyperparameters arrive as options, folders as SM_* variables. Both can be given by hand, so that the
same file runs anywhere:

    python train.py --training ../data --testing ../data

It reads IDX files, gzipped or not (their format: http://yann.lecun.com/exdb/mnist), and writes
    MODEL_DIR/1/                  a SavedModel: images uint8 [N, 28, 28] -> probabilities float32 [N, 10]
    OUTPUT_DATA_DIR/metrics.json  the metrics of every epoch
    OUTPUT_DATA_DIR/job.json      what this job saw: options, files, SM_* variables. These include the
                                  hyperparameters, which SageMaker shows to whoever may describe the
                                  job: never put a secret there.

A mistake in the input ends it with status 1 and one line that names the file or the option.
Syntax of Python 3.7, APIs that TensorFlow 2.3 and later share, with Keras 2 and with Keras 3.
"""

import argparse
import glob
import gzip
import json
import math
import os
import platform
import random
import struct
import sys
import time
import zlib

import numpy as np
import tensorflow as tf

# --- arguments ------------------------------------------------------------------------------------


def fail(message):
    """Print one line and exit with status 1. What is in SM_OUTPUT_DIR/failure, SageMaker shows as the
    job's FailureReason (docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html)."""
    line = "train.py: error: " + " ".join(str(message).split())
    print(line, file=sys.stderr, flush=True)
    if "SM_OUTPUT_DIR" in os.environ:
        with open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w") as file:
            file.write(line)
    sys.exit(1)


class Parser(argparse.ArgumentParser):
    """argparse prints its usage before an error; a training log wants the one line alone."""

    def error(self, message):
        fail(message)


def whole_number(text):
    """A whole number of at least 1."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def learning_rate(text):
    """A finite number above 0."""
    if not 0 < float(text) < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return float(text)


def decay_rate(text):
    """A number from 0 to below 1."""
    if not 0 <= float(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to below 1")
    return float(text)


def parse_args():
    parser = Parser(allow_abbrev=False)  # so that a misspelt hyperparameter is an error, not a guess
    parser.add_argument("--batch-size", type=whole_number, default=512)
    parser.add_argument("--epochs", type=whole_number, default=1)
    parser.add_argument("--learning-rate", type=learning_rate, default=1e-3)
    parser.add_argument("--beta_1", type=decay_rate, default=0.9)
    parser.add_argument("--beta_2", type=decay_rate, default=0.999)
    parser.add_argument("--seed", type=whole_number, default=1)
    parser.add_argument("--training", default=os.environ.get("SM_CHANNEL_TRAINING"))
    parser.add_argument("--testing", default=os.environ.get("SM_CHANNEL_TESTING"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--output-data-dir", default=os.environ.get("SM_OUTPUT_DATA_DIR", "output"))
    return parser.parse_args()


# --- data -----------------------------------------------------------------------------------------


def read_idx(path, dimensions):
    """One IDX file of unsigned bytes -> uint8 array of so many dimensions, the first the example's."""
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            content = file.read()
    except (OSError, EOFError, zlib.error) as error:
        fail(f"{path} cannot be read, it is corrupt or truncated: {error}")
    start = 4 + 4 * dimensions
    if len(content) < start or content[:4] != bytes([0, 0, 8, dimensions]):
        fail(f"{path} is not an IDX file of unsigned bytes in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    expected = np.prod(shape, dtype=object)  # Python's integers: a corrupt header must not overflow
    if len(content) - start != expected:
        fail(f"{path} is corrupt or truncated: {len(content) - start} bytes of data instead of {expected}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def load_channel(channel, folder, prefix):
    """Every pair PREFIX-images-idx3-ubyte*, PREFIX-labels-idx1-ubyte* in the folder of a channel
    -> images uint8 [N, 28, 28], labels uint8 [N]."""
    if folder is None:
        fail(
            f"no channel {channel!r}: SM_CHANNEL_{channel.upper()} is not set, the channels of this job "
            f"are {os.environ.get('SM_CHANNELS', '[]')}; name it in fit() or pass --{channel} FOLDER"
        )
    image_files = sorted(glob.glob(os.path.join(folder, f"{prefix}-images-idx3-ubyte*")))
    label_files = sorted(glob.glob(os.path.join(folder, f"{prefix}-labels-idx1-ubyte*")))
    if not image_files or len(image_files) != len(label_files):
        fail(
            f"channel {channel!r}: {folder} holds {len(image_files)} files {prefix}-images-idx3-ubyte* and "
            f"{len(label_files)} files {prefix}-labels-idx1-ubyte*, but needs one or more of both"
        )
    images, labels = [], []
    for image_file, label_file in zip(image_files, label_files):
        images.append(read_idx(image_file, 3))
        labels.append(read_idx(label_file, 1))
        if len(images[-1]) != len(labels[-1]):
            fail(f"{image_file} holds {len(images[-1])} images, {label_file} {len(labels[-1])} labels")
        if images[-1].shape[1:] != (28, 28):
            fail(f"{image_file} holds images of {images[-1].shape[1:]} pixels instead of (28, 28)")
        if (labels[-1] > 9).any():
            fail(f"{label_file} holds labels above 9")
    if sum(map(len, labels)) == 0:
        fail(f"channel {channel!r}: the files in {folder} hold no images")
    return np.concatenate(images), np.concatenate(labels)


# --- model ----------------------------------------------------------------------------------------


def build_model():
    """Images float32 [N, 28, 28, 1] in [0, 1] -> logits float32 [N, 10]."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            tf.keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(32, 5, strides=2, activation="relu"),
            layers.Conv2D(64, 3, strides=2, activation="relu"),
            layers.BatchNormalization(momentum=0.9),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dense(10),
        ]
    )


def scale(images):
    """uint8 [N, 28, 28] -> float32 [N, 28, 28, 1] in [0, 1]."""
    return tf.cast(images, tf.float32)[..., tf.newaxis] / 255.0


# --- training loop --------------------------------------------------------------------------------

BATCH = [tf.TensorSpec([None, 28, 28], tf.uint8), tf.TensorSpec([None], tf.uint8)]


def train(args, training, testing):
    """Train for args.epochs -> the model and a list of one dict of metrics an epoch."""
    model = build_model()
    optimizer = tf.keras.optimizers.Adam(args.learning_rate, beta_1=args.beta_1, beta_2=args.beta_2)

    def loss_and_hits(images, labels, training):
        logits = model(scale(images), training=training)
        labels = tf.cast(labels, tf.int64)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return tf.reduce_mean(losses), tf.reduce_mean(tf.cast(tf.argmax(logits, 1) == labels, tf.float32))

    @tf.function(input_signature=BATCH)
    def train_step(images, labels):
        with tf.GradientTape() as tape:
            loss, accuracy = loss_and_hits(images, labels, training=True)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return loss, accuracy

    @tf.function(input_signature=BATCH)
    def test_step(images, labels):
        return loss_and_hits(images, labels, training=False)

    def run(step, images, labels, order):
        """One pass over the data in this order -> mean loss and accuracy."""
        totals = np.zeros(2)
        for start in range(0, len(order), args.batch_size):
            batch = order[start : start + args.batch_size]
            totals += len(batch) * np.array(step(images[batch], labels[batch]))
        return (totals / len(order)).tolist()

    history = []
    for epoch in range(1, args.epochs + 1):
        began = time.time()
        loss, accuracy = run(train_step, *training, np.random.permutation(len(training[0])))
        test_loss, test_accuracy = run(test_step, *testing, np.arange(len(testing[0])))
        metrics = dict(loss=loss, accuracy=accuracy, test_loss=test_loss, test_accuracy=test_accuracy)
        print(f"epoch={epoch}", *(f"{k}={v:.4f}" for k, v in metrics.items()), flush=True)
        history.append(dict(epoch=epoch, seconds=time.time() - began, **metrics))
    return model, history


# --- artifacts ------------------------------------------------------------------------------------


def save_model(model, folder):
    """Write a SavedModel with one signature. TensorFlow Serving wants the version, 1, as its folder."""

    @tf.function(input_signature=BATCH[:1])
    def serve(images):
        return {"probabilities": tf.nn.softmax(model(scale(images), training=False))}

    tf.saved_model.save(model, os.path.join(folder, "1"), signatures=serve)


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


def check_writable(option, folder):
    """Before the training, not after it."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        fail(f"{option} {folder} cannot be made: {error}")
    if not os.access(folder, os.W_OK):
        fail(f"{option} {folder} is not writable")


def main():
    args = parse_args()
    check_writable("--model-dir", args.model_dir)
    check_writable("--output-data-dir", args.output_data_dir)
    random.seed(args.seed)
    np.random.seed(args.seed)
    tf.random.set_seed(args.seed)
    training = load_channel("training", args.training, "train")
    testing = load_channel("testing", args.testing, "t10k")
    print(f"{len(training[0])} images to train on, {len(testing[0])} to test with", flush=True)
    model, history = train(args, training, testing)
    save_model(model, args.model_dir)
    save_json(args.output_data_dir, "metrics.json", history)
    save_json(args.output_data_dir, "job.json", describe_job(args))


if __name__ == "__main__":
    main()
