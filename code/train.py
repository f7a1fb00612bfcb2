"""Train a small convolutional network on MNIST: the one entry point of this series.

SageMaker calls it in the training container as `python train.py --batch-size 512 --epochs 1 ...`: hyperparameters are
options, folders and hosts are SM_* variables. By hand it is `python train.py --training ../data --testing ../data`.
It writes
    MODEL_DIR/1/                   a SavedModel: images uint8 [N, 28, 28] -> probabilities float32 [N, 10]
    OUTPUT_DATA_DIR/metrics.json   the metrics of every epoch
    OUTPUT_DATA_DIR/job.json       what this job saw: options (never put a secret there), files, SM_* variables
    CHECKPOINT_DIR/checkpoint.npz  if that option is given: what a stopped job needs to go on
    TENSORBOARD_DIR/events.out...  if that option is given: the metrics of every epoch, for TensorBoard
data.py reads the data, saving.py writes what is kept, and hosts.py is for jobs of several hosts. A mistake in the input
ends it with status 1 and one line. TensorFlow 2.3 or later, Keras 2 or Keras 3.
"""

import argparse
import functools
import os
import random

import hosts
import tensorflow as tf
from saving import Checkpoints, fail, folder, save_model, save_records

from data import find_files, scale, stream


def number(kind, accepted, name):
    """The type of an option: int or float, which of its values are accepted, and how an error names them."""

    def parse(text):
        if not accepted(kind(text)):
            raise ValueError
        return kind(text)

    parse.__name__ = name
    return parse


def parse_args():
    whole_number = number(int, lambda value: value >= 1, "whole number (1, 2, ...)")
    above_0 = number(float, lambda value: 0 < value < float("inf"), "positive number")
    decay_rate = number(float, lambda value: 0 <= value < 1, "number in [0, 1)")
    channel = functools.partial(folder, make=False)
    parser = argparse.ArgumentParser(allow_abbrev=False)  # a misspelt hyperparameter is an error, not a guess
    parser.error = fail  # argparse would print its usage first; a log wants the one line alone
    parser.add_argument("--batch-size", type=whole_number, default=512)  # of each host
    parser.add_argument("--epochs", type=whole_number, default=1)
    parser.add_argument("--learning-rate", type=above_0, default=1e-3)
    parser.add_argument("--beta_1", type=decay_rate, default=0.9)
    parser.add_argument("--beta_2", type=decay_rate, default=0.999)
    parser.add_argument("--seed", type=whole_number, default=1)
    parser.add_argument("--precision", choices=["float32", "mixed_bfloat16"], default="float32")
    parser.add_argument("--training", type=channel, default=os.environ.get("SM_CHANNEL_TRAINING"))
    parser.add_argument("--testing", type=channel, default=os.environ.get("SM_CHANNEL_TESTING"))
    parser.add_argument("--model-dir", type=folder, default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--output-data-dir", type=folder, default=os.environ.get("SM_OUTPUT_DATA_DIR", "output"))
    parser.add_argument("--checkpoint-dir", type=folder)
    parser.add_argument("--checkpoint-seconds", type=above_0, default=60.0)
    parser.add_argument("--tensorboard-dir", type=folder)
    parser.add_argument("--model_dir", dest="unused")  # AWS's container adds it in tuning jobs
    args = parser.parse_args()
    unused = vars(args).pop("unused")
    if unused is not None:
        print(f"--model_dir {unused} is not used: the model goes to {args.model_dir}", flush=True)
    return args


def build_model(args):
    """Images float32 [N, 28, 28, 1] in [0, 1] -> logits float32 [N, 10]."""
    layers = tf.keras.layers
    model = tf.keras.Sequential()
    model.add(tf.keras.Input(shape=(28, 28, 1)))
    model.add(layers.Conv2D(16, 5, strides=2, activation="relu"))
    model.add(layers.Conv2D(16, 3))
    model.add(layers.MaxPooling2D())
    model.add(layers.ReLU())  # before the pooling it would give the same, for four times the work
    model.add(layers.Flatten())
    model.add(layers.Dense(384, activation="relu"))
    model.add(layers.BatchNormalization(momentum=0.9))  # 0.99 would remember too much of the first steps
    model.add(layers.Dense(10, dtype="float32"))  # whatever the precision of the rest
    optimizer = tf.keras.optimizers.Adam(args.learning_rate, beta_1=args.beta_1, beta_2=args.beta_2)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    model.jit_compile = False  # XLA takes longer here
    return model


def train(model, args, training, testing, checkpoints):
    """One `fit` an epoch: each has its own order of the images, so a job that resumes sees what it would have seen."""
    tests = stream(testing, args.batch_size)
    for epoch in range(checkpoints.now["epoch"], args.epochs + 1):
        images = stream(training, args.batch_size, seed=args.seed + epoch).skip(checkpoints.now["step"])
        model.fit(images, validation_data=tests, callbacks=[checkpoints], shuffle=False, verbose=0)


def main():
    args = parse_args()
    random.seed(args.seed)  # Keras 3 draws from it, Keras 2 from TensorFlow's
    tf.random.set_seed(args.seed)
    policies = tf.keras.mixed_precision  # early versions have experimental ones
    (getattr(policies, "set_global_policy", None) or policies.experimental.set_policy)(args.precision)
    training = find_files("training", args.training, "train")
    testing = find_files("testing", args.testing, "t10k")
    print(f"{training.images} images to train on, {testing.images} to test with", flush=True)
    checkpoints = Checkpoints(args, training, testing, len(hosts.HOSTS), hosts.HOST == 0)
    strategy = hosts.make_strategy()
    with strategy.scope():
        model = build_model(args)
        checkpoints.start(model)
    if len(hosts.HOSTS) > 1:
        model = hosts.train(strategy, model, args, training, testing, checkpoints)
    else:
        train(model, args, training, testing, checkpoints)
    if hosts.HOST == 0:
        save_model(model, scale, args.model_dir)
        save_records(args, checkpoints.now["history"])


if __name__ == "__main__":
    main()
