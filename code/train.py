"""Train a small convolutional network on MNIST: the one entry point of this series.

SageMaker calls it in the training container as `python train.py --batch-size 512 --epochs 1 ...`: hyperparameters are
options, and SM_* variables name the folders and hosts. On your own machine, pass the folders as options, too:

    python train.py --training ../data --testing ../data

It writes

    MODEL_DIR/1/                   a SavedModel: images uint8 [N, 28, 28] -> probabilities float32 [N, 10]
    OUTPUT_DATA_DIR/metrics.json   the metrics of every epoch
    OUTPUT_DATA_DIR/job.json       what this job saw: options (never put a secret there), files, SM_* variables
    CHECKPOINT_DIR/checkpoint.npz  if that option is given: what a stopped job needs to resume
    TENSORBOARD_DIR/events.out...  if that option is given: the metrics of every epoch, for TensorBoard

If something is wrong with the input, it prints one line and ends with status 1. It runs on TensorFlow 2.3 and later.

This file has the options, the model and the training. Each file beside it has one purpose:

    options.py      which values an option accepts
    errors.py       how the script ends when something is wrong
    data.py         the images
    progress.py     how far the training has come, and its metrics
    checkpoints.py  stopping and resuming
    export.py       the model and the records that are left behind
    hosts.py        which hosts take part, and whether they can be reached
    distributed.py  training on several processors and hosts
    compat.py       what differs between the versions of TensorFlow and Keras
"""

import argparse
import os
import random

import tensorflow as tf

import compat
import distributed
import hosts
from checkpoints import Checkpoints
from data import find_files, make_dataset
from errors import fail
from export import save_model, save_records
from options import decay_rate, input_folder, output_folder, positive_number, whole_number
from progress import Progress, ProgressCallback


def parse_args():
    """Read the options of the command line. A hyperparameter of a job is an option here."""
    parser = argparse.ArgumentParser(allow_abbrev=False)  # Otherwise argparse would take --epoch for --epochs.
    parser.error = fail  # argparse calls this if an option is wrong. Its own function prints several lines.

    # The hyperparameters.
    parser.add_argument("--batch-size", type=whole_number, default=512)  # Each host trains on batches of this size.
    parser.add_argument("--epochs", type=whole_number, default=1)
    parser.add_argument("--learning-rate", type=positive_number, default=1e-3)
    parser.add_argument("--beta_1", type=decay_rate, default=0.9)
    parser.add_argument("--beta_2", type=decay_rate, default=0.999)
    parser.add_argument("--seed", type=whole_number, default=1)
    parser.add_argument("--precision", choices=["float32", "mixed_bfloat16"], default="float32")

    # The folders. In a job, SageMaker names them in environment variables.
    parser.add_argument("--training", type=input_folder, default=os.environ.get("SM_CHANNEL_TRAINING"))
    parser.add_argument("--testing", type=input_folder, default=os.environ.get("SM_CHANNEL_TESTING"))
    parser.add_argument("--model-dir", type=output_folder, default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--output-data-dir", type=output_folder, default=os.environ.get("SM_OUTPUT_DATA_DIR", "output"))

    # Checkpoints and TensorBoard are switched on by naming a folder for them.
    parser.add_argument("--checkpoint-dir", type=output_folder)
    parser.add_argument("--checkpoint-seconds", type=positive_number, default=60.0)
    parser.add_argument("--tensorboard-dir", type=output_folder)

    # In tuning jobs, AWS's container adds --model_dir, an address in S3 that this script does not need.
    parser.add_argument("--model_dir", dest="unused_address")

    args = parser.parse_args()
    if args.unused_address is not None:
        print(f"--model_dir {args.unused_address} is not used: the model goes to {args.model_dir}", flush=True)
    del args.unused_address  # job.json records all options in `args`, and this is none of ours.
    return args


def build_model(args):
    """Build and compile the network: images float32 [N, 28, 28, 1] from 0 to 1 -> logits float32 [N, 10]."""
    layers = tf.keras.layers
    model = tf.keras.Sequential()
    model.add(tf.keras.Input(shape=(28, 28, 1)))
    model.add(layers.Conv2D(16, 5, strides=2, activation="relu"))
    model.add(layers.Conv2D(16, 3))
    model.add(layers.MaxPooling2D())
    model.add(layers.ReLU())  # Before the pooling, the result would be the same, but with four times the work.
    model.add(layers.Flatten())
    model.add(layers.Dense(384, activation="relu"))
    model.add(layers.BatchNormalization(momentum=0.9))  # The default, 0.99, is slow to forget the first steps.
    model.add(layers.Dense(10, dtype="float32"))  # The logits are float32, whatever --precision says.

    optimizer = tf.keras.optimizers.Adam(args.learning_rate, beta_1=args.beta_1, beta_2=args.beta_2)
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    model.jit_compile = False  # Keras 3 would compile the model with XLA, which takes longer for one this small.
    return model


def train(model, args, training, testing, progress, checkpoints):
    """Train the model with `fit`, which is called once for each epoch.

    The order of the images in an epoch depends only on --seed and on the number of the epoch. So a job that resumes in
    the middle of an epoch can skip the batches that the stopped job has seen.
    """
    callback = ProgressCallback(args.batch_size, training.image_count, progress, checkpoints)
    test_set = make_dataset(testing, args.batch_size)
    for epoch in range(progress.epoch, args.epochs + 1):
        training_set = make_dataset(training, args.batch_size, seed=args.seed + epoch)
        remaining = training_set.skip(progress.step)  # The step is 0, unless the job has resumed in this epoch.
        model.fit(
            remaining,
            validation_data=test_set,
            callbacks=[callback],
            shuffle=False,  # The dataset has shuffled the images already.
            verbose=0,  # The callback prints the metrics.
        )


def main():
    """Read the options and the data, train the model, and save it."""
    args = parse_args()
    # Keras 3 takes its random numbers from Python, and Keras 2 takes them from TensorFlow.
    random.seed(args.seed)
    tf.random.set_seed(args.seed)
    compat.set_precision(args.precision)

    training = find_files("training", args.training, prefix="train")
    testing = find_files("testing", args.testing, prefix="t10k")
    print(f"{training.image_count} images to train on, {testing.image_count} to test with", flush=True)

    progress = Progress(args.tensorboard_dir)
    checkpoints = Checkpoints(args, training, testing, progress)
    strategy = distributed.make_strategy()
    with strategy.scope():  # If there are several processors, each of them has a copy of a model that is built here.
        model = build_model(args)
        checkpoints.start(model)  # If an earlier job has left a checkpoint, the training resumes from it.

    if len(hosts.HOSTS) > 1:
        model = distributed.train(strategy, model, args, training, testing, progress, checkpoints)
    else:
        train(model, args, training, testing, progress, checkpoints)

    if hosts.is_first_host():  # All hosts have the same model now, so it is enough that one of them saves it.
        save_model(model, args.model_dir)
        save_records(args, progress.history)


if __name__ == "__main__":
    main()
