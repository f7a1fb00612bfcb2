"""Train a small convolutional network on MNIST: the one entry point of this series.

SageMaker calls it in the training container as `python train.py --batch-size 512 --epochs 1 ...`: hyperparameters are
options, folders and hosts are SM_* variables. By hand it is `python train.py --training ../data --testing ../data`.
It writes
    MODEL_DIR/1/                   a SavedModel: images uint8 [N, 28, 28] -> probabilities float32 [N, 10]
    OUTPUT_DATA_DIR/metrics.json   the metrics of every epoch
    OUTPUT_DATA_DIR/job.json       what this job saw: options (never put a secret there), files, SM_* variables
    CHECKPOINT_DIR/checkpoint.npz  if that option is given: what a stopped job needs to go on
    TENSORBOARD_DIR/events.out...  if that option is given: the metrics of every epoch, for TensorBoard
Beside it, data.py reads the data, saving.py writes what is kept, and hosts.py is for jobs of several hosts. A mistake
in the input ends it with status 1 and one line. TensorFlow 2.3 or later, Keras 2 or Keras 3.
"""

import argparse
import math
import os
import random

import hosts
import numpy as np
import tensorflow as tf
from saving import Checkpoints, check_folders, describe_job, fail, save_json, save_model

from data import find_files, stream

# --- arguments ------------------------------------------------------------------------------------


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
    above_0 = number(float, lambda value: 0 < value < math.inf, "positive number")
    decay_rate = number(float, lambda value: 0 <= value < 1, "number in [0, 1)")
    parser = argparse.ArgumentParser(allow_abbrev=False)  # a misspelt hyperparameter is an error, not a guess
    parser.error = fail  # argparse would print its usage first; a log wants the one line alone
    parser.add_argument("--batch-size", type=whole_number, default=512)  # of each host
    parser.add_argument("--epochs", type=whole_number, default=1)
    parser.add_argument("--learning-rate", type=above_0, default=1e-3)
    parser.add_argument("--beta_1", type=decay_rate, default=0.9)
    parser.add_argument("--beta_2", type=decay_rate, default=0.999)
    parser.add_argument("--seed", type=whole_number, default=1)
    parser.add_argument("--precision", choices=["float32", "mixed_bfloat16"], default="float32")
    parser.add_argument("--training", default=os.environ.get("SM_CHANNEL_TRAINING"))
    parser.add_argument("--testing", default=os.environ.get("SM_CHANNEL_TESTING"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--output-data-dir", default=os.environ.get("SM_OUTPUT_DATA_DIR", "output"))
    parser.add_argument("--checkpoint-dir")
    parser.add_argument("--checkpoint-seconds", type=above_0, default=60.0)
    parser.add_argument("--tensorboard-dir")
    parser.add_argument("--model_dir", dest="unused")  # AWS's container adds it in tuning jobs
    args = parser.parse_args()
    unused = vars(args).pop("unused")
    if unused is not None:
        print(f"--model_dir {unused} is not used: the model goes to {args.model_dir}", flush=True)
    return args


# --- model ----------------------------------------------------------------------------------------


def build_model(args):
    """Images float32 [N, 28, 28, 1] in [0, 1] -> logits float32 [N, 10]."""
    layers = tf.keras.layers
    model = tf.keras.Sequential(
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
    optimizer = tf.keras.optimizers.Adam(args.learning_rate, beta_1=args.beta_1, beta_2=args.beta_2)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    model.jit_compile = False  # XLA takes longer here
    return model


# --- training -------------------------------------------------------------------------------------


def train(model, args, training, testing, checkpoints):
    """One `fit` an epoch: each has its own order of the images, so a job that resumes sees what it would have seen."""
    for epoch in range(checkpoints.now["epoch"], args.epochs + 1):
        model.fit(
            stream(training, args.batch_size, seed=args.seed + epoch).skip(checkpoints.now["step"]),
            validation_data=stream(testing, args.batch_size),
            callbacks=[checkpoints],
            shuffle=False,  # the stream does it
            verbose=0,
        )


def main():
    args = parse_args()
    check_folders(args)
    for set_seed in (random.seed, np.random.seed, tf.random.set_seed):
        set_seed(args.seed)
    if args.precision != "float32":
        policies = tf.keras.mixed_precision
        (getattr(policies, "set_global_policy", None) or policies.experimental.set_policy)(args.precision)
    try:
        training = find_files("training", args.training, "train")
        testing = find_files("testing", args.testing, "t10k")
    except ValueError as error:
        fail(error)
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
        save_model(model, args.model_dir)
        save_json(args.output_data_dir, "metrics.json", checkpoints.now["history"])
        save_json(args.output_data_dir, "job.json", describe_job(args))


if __name__ == "__main__":
    main()
