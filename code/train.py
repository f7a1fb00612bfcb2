"""Train a small convolutional network on MNIST: the one entry point of this series.

SageMaker calls it inside the training container as `python train.py --batch-size 512 --epochs 1 ...`:
hyperparameters arrive as options, folders and hosts as SM_* variables. Both can be given by hand, so
that the same file runs anywhere:

    python train.py --training ../data --testing ../data

It writes
    MODEL_DIR/1/                  a SavedModel: images uint8 [N, 28, 28] -> probabilities float32 [N, 10]
    OUTPUT_DATA_DIR/metrics.json  the metrics of every epoch
    OUTPUT_DATA_DIR/job.json      what this job saw: options, files, SM_* variables. These include the
                                  hyperparameters, which SageMaker shows to whoever may describe the
                                  job: never put a secret there.
    CHECKPOINT_DIR/               if that option is given: what a stopped job needs to go on

Beside it, mnist.py streams the data, cluster.py knows the other hosts, checkpoints.py goes on after a
stop, and job.py holds what every job needs. With several hosts in SM_HOSTS all of them train one model:
the batch size is that of each host, every host reads its share of the images, and the first one writes.
A mistake in the input ends the script with status 1 and one line that names the file or the option.
TensorFlow 2.3 or later, Keras 2 or Keras 3.
"""

import argparse
import math
import os
import random
import sys
import time

import numpy as np
import tensorflow as tf
from checkpoints import resume, stop_signal
from cluster import HOST, HOSTS, distribute, first_host_s, make_strategy, mean_of_hosts, naming_silent_hosts, share_of
from job import describe_job, fail, make_folder, number, save_json
from mnist import find_files, stream

# --- arguments ------------------------------------------------------------------------------------

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
    """Images float32 [N, 28, 28, 1] in [0, 1] -> logits float32 [N, 10]. Measured with `make bench`: the first epoch
    takes 0.36 of the time of a plain network (Conv 32, Dense 128), a later one 0.29, and tests 97.9 %, not 96.8 %."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            tf.keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Conv2D(16, 3),
            layers.MaxPooling2D(),
            layers.ReLU(),  # before the pooling it would give the same, for four times the work
            layers.Flatten(),
            layers.Dense(384, activation="relu"),
            layers.BatchNormalization(momentum=0.9),  # 0.99 would remember too much of the first steps
            layers.Dense(10, dtype="float32"),  # whatever the precision of the rest
        ]
    )


def scale(images):
    """uint8 [N, 28, 28] -> float32 [N, 28, 28, 1] in [0, 1]."""
    return tf.cast(images, tf.float32)[..., tf.newaxis] / 255.0


# --- training loop --------------------------------------------------------------------------------


def make_steps(strategy, model, optimizer):
    """-> train_step(iterator, stop) and test_step(iterator), which take the next batch of an iterator."""

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
            loss /= strategy.num_replicas_in_sync  # because the optimizer adds up the gradients of all
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

    return train_step, test_step


def train(args, training, testing):
    """Train on what find_files found in both channels -> the model, and a dict of metrics of each epoch.
    With a folder for checkpoints, SIGTERM saves one and exits with status 143."""
    strategy = make_strategy()
    with strategy.scope():
        model = build_model()
        optimizer = tf.keras.optimizers.Adam(args.learning_rate, beta_1=args.beta_1, beta_2=args.beta_2)
        if hasattr(optimizer, "build"):  # early versions do it at the first step
            optimizer.build(model.trainable_variables)
    train_step, test_step = make_steps(strategy, model, optimizer)

    (files, images), (test_files, test_images) = training, testing
    hosts, index = share = share_of("training")  # every host tests with all images that it has
    images = len(range(index, images, hosts))
    if len(HOSTS) > 1:
        print(f"host {HOSTS[HOST]} of {', '.join(HOSTS)} trains on {images} images", flush=True)
    steps, test_steps = (math.ceil(mean_of_hosts(strategy, n) / args.batch_size) for n in (images, test_images))
    batch_size = max(1, args.batch_size * len(HOSTS) // strategy.num_replicas_in_sync)  # of one processor

    now = dict(epoch=1, step=0, sums=[0.0, 0.0, 0.0], history=[])
    now, save_checkpoint = resume(args.checkpoint_dir, strategy, now, model=model, optimizer=optimizer)
    stop = stop_signal() if args.checkpoint_dir else []
    while now["epoch"] <= args.epochs:
        began, seed = time.time(), args.seed + now["epoch"]
        iterator = distribute(strategy, stream(files, batch_size, share, seed, skip=now["step"]))
        while now["step"] < steps:
            *sums, stopping = train_step(iterator, tf.constant(float(len(stop)))).numpy().tolist()
            now.update(step=now["step"] + 1, sums=np.add(now["sums"], sums).tolist())
            if stopping:  # one host was told to, and all hosts know it at the same step
                save_checkpoint(now)
                print(f"stopped in epoch {now['epoch']} after {now['step']} steps", flush=True)
                sys.exit(143)
        iterator = distribute(strategy, stream(test_files, batch_size))
        test_sums = sum(test_step(iterator).numpy() for _ in range(test_steps))
        (loss, hits, count), (test_loss, test_hits, test_count) = now["sums"], test_sums.tolist()
        metrics = dict(loss=loss / count, accuracy=hits / count)
        metrics.update(test_loss=test_loss / test_count, test_accuracy=test_hits / test_count)
        if HOST == 0:
            # One string, because what is printed in pieces can reach the log as several lines.
            print(" ".join([f"epoch={now['epoch']}", *(f"{k}={v:.4f}" for k, v in metrics.items())]), flush=True)
        now["history"].append(dict(epoch=now["epoch"], seconds=time.time() - began, **metrics))
        now.update(epoch=now["epoch"] + 1, step=0, sums=[0.0, 0.0, 0.0])
        save_checkpoint(now)
    return model, now["history"]


# --- artifacts ------------------------------------------------------------------------------------


def save_model(model, folder):
    """Write a SavedModel with one signature. TensorFlow Serving wants the version, 1, as its folder."""

    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.uint8)])
    def serve(images):
        return {"probabilities": tf.nn.softmax(model(scale(images), training=False))}

    tf.saved_model.save(model, os.path.join(folder, "1"), signatures=serve)


def main():
    args = parse_args()
    for option in ("model-dir", "output-data-dir", "checkpoint-dir"):
        folder = getattr(args, option.replace("-", "_"))
        if folder is not None:
            make_folder("--" + option, folder)
    random.seed(args.seed)
    np.random.seed(args.seed)
    tf.random.set_seed(args.seed)
    if args.precision != "float32":
        policies = tf.keras.mixed_precision
        set_policy = getattr(policies, "set_global_policy", None) or policies.experimental.set_policy  # early versions
        set_policy(args.precision)
    try:
        training = find_files("training", args.training, "train")
        testing = find_files("testing", args.testing, "t10k")
    except ValueError as error:
        fail(error)
    print(f"{training[1]} images to train on, {testing[1]} to test with", flush=True)
    with naming_silent_hosts():
        model, history = train(args, training, testing)
    save_model(model, first_host_s(args.model_dir))
    if HOST == 0:
        save_json(args.output_data_dir, "metrics.json", history)
        save_json(args.output_data_dir, "job.json", describe_job(args))


if __name__ == "__main__":
    main()
