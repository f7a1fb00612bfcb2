"""Train a small convolutional network on MNIST: the one entry point of this series.

SageMaker calls it inside the training container as `python train.py --batch-size 512 --epochs 1 ...`:
hyperparameters arrive as options, folders and hosts as SM_* variables. Both can be given by hand, so
that the same file runs anywhere:

    python train.py --training ../data --testing ../data

Beside it, mnist.py reads the data as a stream, and cluster.py knows the other hosts. It writes
    MODEL_DIR/1/                  a SavedModel: images uint8 [N, 28, 28] -> probabilities float32 [N, 10]
    OUTPUT_DATA_DIR/metrics.json  the metrics of every epoch
    OUTPUT_DATA_DIR/job.json      what this job saw: options, files, SM_* variables. These include the
                                  hyperparameters, which SageMaker shows to whoever may describe the
                                  job: never put a secret there.
    CHECKPOINT_DIR/               if that option is given: what a stopped job needs to go on

With several hosts in SM_HOSTS all of them train one model. The batch size is that of each host, every
host reads its share of the images, and the first one writes. A mistake in the input ends the script with
status 1 and one line that names the file or the option. TensorFlow 2.3 or later, Keras 2 or Keras 3.
"""

import argparse
import json
import math
import os
import platform
import random
import signal
import sys
import time

import numpy as np
import tensorflow as tf
from cluster import HOST, HOSTS, distribute, first_host_s, make_strategy, share_of, silent_hosts
from mnist import find_files, stream

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


def number(kind, accepted, description):
    """The type of an option: int or float, and which of its values are accepted."""

    def parse(text):
        value = kind(text)
        if not accepted(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {description}")
        return value

    parse.__name__ = kind.__name__  # argparse names it where the text is no number
    return parse


whole_number = number(int, lambda value: value >= 1, "a whole number of at least 1")
learning_rate = number(float, lambda value: 0 < value < math.inf, "a number above 0")
decay_rate = number(float, lambda value: 0 <= value < 1, "a number from 0 to below 1")


def parse_args():
    parser = argparse.ArgumentParser(allow_abbrev=False)  # a misspelt hyperparameter is an error, not a guess
    parser.error = fail  # argparse would print its usage first; a log wants the one line alone
    parser.add_argument("--batch-size", type=whole_number, default=512)
    parser.add_argument("--epochs", type=whole_number, default=1)
    parser.add_argument("--learning-rate", type=learning_rate, default=1e-3)
    parser.add_argument("--beta_1", type=decay_rate, default=0.9)
    parser.add_argument("--beta_2", type=decay_rate, default=0.999)
    parser.add_argument("--seed", type=whole_number, default=1)
    parser.add_argument("--precision", choices=["float32", "mixed_bfloat16"], default="float32")
    parser.add_argument("--training", default=os.environ.get("SM_CHANNEL_TRAINING"))
    parser.add_argument("--testing", default=os.environ.get("SM_CHANNEL_TESTING"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--output-data-dir", default=os.environ.get("SM_OUTPUT_DATA_DIR", "output"))
    parser.add_argument("--checkpoint-dir")
    return parser.parse_args()


# --- model ----------------------------------------------------------------------------------------


def build_model():
    """Images float32 [N, 28, 28, 1] in [0, 1] -> logits float32 [N, 10]."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            tf.keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.BatchNormalization(momentum=0.9),  # 0.99 would remember too much of the first steps
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(10, dtype="float32"),  # whatever the precision of the rest
        ]
    )


def scale(images):
    """uint8 [N, 28, 28] -> float32 [N, 28, 28, 1] in [0, 1]."""
    return tf.cast(images, tf.float32)[..., tf.newaxis] / 255.0


# --- training loop --------------------------------------------------------------------------------


def train(args, training, testing):
    """Train on what find_files found in both channels -> the model, and a dict of metrics of each epoch.
    With a folder for checkpoints, SIGTERM saves one and exits with status 143."""
    strategy = make_strategy()
    replicas = strategy.num_replicas_in_sync  # the processors of all hosts that train
    with strategy.scope():
        model = build_model()
        optimizer = tf.keras.optimizers.Adam(args.learning_rate, beta_1=args.beta_1, beta_2=args.beta_2)
        if hasattr(optimizer, "build"):  # early versions do it at the first step
            optimizer.build(model.trainable_variables)

    def measure(images, labels, training):
        """One batch -> its mean loss, and what is added up over an epoch: [loss, hits, images]."""
        logits, labels = model(scale(images), training=training), tf.cast(labels, tf.int64)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        hits = tf.cast(tf.argmax(logits, 1) == labels, tf.float32)
        sums = [tf.reduce_sum(losses), tf.reduce_sum(hits), tf.reduce_sum(tf.ones_like(hits))]
        return tf.reduce_mean(losses), tf.stack(sums)

    def train_batch(images, labels, stop):
        with tf.GradientTape() as tape:
            loss, sums = measure(images, labels, training=True)
            loss /= replicas  # because the optimizer adds up the gradients of all replicas
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return tf.concat([sums, [stop]], 0)

    def test_batch(images, labels):
        return measure(images, labels, training=False)[1]

    @tf.function
    def train_step(iterator, stop):
        return strategy.reduce("SUM", strategy.run(train_batch, args=(*next(iterator), stop)), axis=None)

    @tf.function
    def test_step(iterator):
        return strategy.reduce("SUM", strategy.run(test_batch, args=next(iterator)), axis=None)

    @tf.function
    def all_hosts(value):
        """The mean of a number over all hosts."""
        return strategy.reduce("MEAN", strategy.run(lambda: tf.identity(value)), axis=None)

    def steps(images):
        """How many batches make an epoch, from the images of this host: the same number on all hosts."""
        return math.ceil(float(all_hosts(tf.constant(float(images)))) / args.batch_size)

    def batches(files, **options):
        size = max(1, args.batch_size * len(HOSTS) // replicas)
        return distribute(strategy, lambda: stream(files, size, **options))

    hosts, index = share = share_of("training")
    images = len(range(index, training[1], hosts))
    if len(HOSTS) > 1:
        print(f"host {HOSTS[HOST]} of {', '.join(HOSTS)} trains on {images} images", flush=True)
    train_steps, test_steps = steps(images), steps(testing[1])  # every host tests with all images that it has

    now = dict(epoch=1, step=0, sums=[0.0, 0.0, 0.0], history=[])  # a checkpoint holds this, too
    state = tf.Variable(json.dumps(now))
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, state=state)
    manager = tf.train.CheckpointManager(checkpoint, first_host_s(args.checkpoint_dir or "unused"), max_to_keep=2)
    latest = args.checkpoint_dir and tf.train.latest_checkpoint(args.checkpoint_dir)
    if latest:
        try:
            checkpoint.restore(latest).assert_existing_objects_matched()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            fail(f"--checkpoint-dir {args.checkpoint_dir} holds no checkpoint of this training: {error}")
        now = json.loads(state.numpy())
        print(f"resumes in epoch {now['epoch']} after {now['step']} steps", flush=True)
    stop = []
    if args.checkpoint_dir:
        signal.signal(signal.SIGTERM, lambda *_: stop.append(True))

    def save_checkpoint():
        if args.checkpoint_dir:
            state.assign(json.dumps(now))
            manager.save()

    try:
        while now["epoch"] <= args.epochs:
            began = time.time()
            iterator = batches(training[0], share=share, seed=args.seed + now["epoch"], skip=now["step"])
            while now["step"] < train_steps:
                *sums, stopping = train_step(iterator, tf.constant(float(len(stop)))).numpy().tolist()
                now["sums"] = np.add(now["sums"], sums).tolist()
                now["step"] += 1
                if stopping:  # one host was told to, and all hosts know it at the same step
                    save_checkpoint()
                    print(f"stopped in epoch {now['epoch']} after {now['step']} steps", flush=True)
                    sys.exit(143)
            iterator, test_sums = batches(testing[0]), np.zeros(3)
            for _ in range(test_steps):
                test_sums += test_step(iterator).numpy()
            (loss, hits, count), (test_loss, test_hits, test_count) = now["sums"], test_sums.tolist()
            metrics = dict(loss=loss / count, accuracy=hits / count)
            metrics.update(test_loss=test_loss / test_count, test_accuracy=test_hits / test_count)
            if HOST == 0:
                print(f"epoch={now['epoch']}", *(f"{k}={v:.4f}" for k, v in metrics.items()), flush=True)
            now["history"].append(dict(epoch=now["epoch"], seconds=time.time() - began, **metrics))
            now.update(epoch=now["epoch"] + 1, step=0, sums=[0.0, 0.0, 0.0])
            save_checkpoint()
    except tf.errors.OpError:
        silent = silent_hosts()
        if silent:
            fail(f"host {', '.join(silent)} no longer answers, and the others cannot go on without it")
        raise
    return model, now["history"]


# --- artifacts ------------------------------------------------------------------------------------


def save_model(model, folder):
    """Write a SavedModel with one signature. TensorFlow Serving wants the version, 1, as its folder."""

    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.uint8)])
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
    for option in ("model-dir", "output-data-dir", "checkpoint-dir"):
        folder = getattr(args, option.replace("-", "_"))
        if folder is not None:
            check_writable("--" + option, folder)
    random.seed(args.seed)
    np.random.seed(args.seed)
    tf.random.set_seed(args.seed)
    if args.precision != "float32":
        tf.keras.mixed_precision.set_global_policy(args.precision)
    try:
        training = find_files("training", args.training, "train")
        testing = find_files("testing", args.testing, "t10k")
    except ValueError as error:
        fail(error)
    print(f"{training[1]} images to train on, {testing[1]} to test with", flush=True)
    model, history = train(args, training, testing)
    save_model(model, first_host_s(args.model_dir))
    if HOST == 0:
        save_json(args.output_data_dir, "metrics.json", history)
        save_json(args.output_data_dir, "job.json", describe_job(args))


if __name__ == "__main__":
    main()
