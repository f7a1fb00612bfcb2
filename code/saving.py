"""What is saved: checkpoints to go on from, the model, the metrics, a record of the job, and why a job failed."""

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf


def fail(message):
    """Print one line and exit with status 1. What is in SM_OUTPUT_DIR/failure, SageMaker shows as the
    job's FailureReason (docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html)."""
    line = "train.py: error: " + " ".join(str(message).split())
    print(line, file=sys.stderr, flush=True)
    if "SM_OUTPUT_DIR" in os.environ:
        Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text(line)
    sys.exit(1)


def folder(path, make=True):
    """The type of an option: a folder of this machine. What can be none is refused before the training."""
    try:
        if "://" in path:
            raise OSError(f"{path} is an address in {path.split(':')[0].upper()}, not a folder of this machine")
        if make and not os.path.isfile(path):
            os.makedirs(path, exist_ok=True)
        os.listdir(path)
        if make:
            tempfile.TemporaryFile(dir=path).close()  # can it be written to?
    except OSError as error:
        raise argparse.ArgumentTypeError(error) from error
    return path


def save_model(model, scale, model_dir):
    """Write a SavedModel with one signature. TensorFlow Serving wants the version, 1, as its folder."""

    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.uint8)])
    def serve(images):
        return {"probabilities": tf.nn.softmax(model(scale(images), training=False))}

    saved = tf.Module()  # the model without its optimizer: later versions cannot load that of TensorFlow 2.3
    # Not the wrappers in which Keras 3 has them: TensorFlow Serving would find such variables empty.
    saved.weights = [weight if callable(weight.value) else weight.value for weight in model.weights]
    tf.saved_model.save(saved, os.path.join(model_dir, "1"), signatures=serve)


def save_records(args, history):
    """Write the metrics, and what this job saw, for a person to read afterwards."""
    job = dict(
        options=vars(args),
        files={name: sorted(os.listdir(getattr(args, name))) for name in ("training", "testing")},
        environment={name: value for name, value in os.environ.items() if name.startswith("SM_")},
        tensorflow=tf.__version__,
    )
    for name, content in (("metrics.json", history), ("job.json", job)):
        Path(args.output_data_dir, name).write_text(json.dumps(content, indent=2, sort_keys=True))


class Checkpoints(tf.keras.callbacks.Callback):
    """How far the training has come: printed, and kept in --checkpoint-dir, where the next job goes on, and ends where
    an uninterrupted one ends. `fit` calls what is named on_..., the loop in hosts.py end_step and end_epoch."""

    def __init__(self, args, training, testing, hosts, first_host):
        super().__init__()
        names = ("batch_size", "learning_rate", "beta_1", "beta_2", "seed", "precision")
        self.plan = {name: getattr(args, name) for name in names}  # a checkpoint of another one is not taken
        self.plan.update(hosts=hosts, tensorflow=tf.__version__)
        if first_host:  # each host can have data of its own
            for name, files in (("training", training), ("testing", testing)):
                self.plan[name] = f"on {files.images} images with checksum {files.checksum:08x}"
        self.path = args.checkpoint_dir and os.path.join(args.checkpoint_dir, "checkpoint.npz")
        board = first_host and args.tensorboard_dir
        self.events = board and tf.summary.create_file_writer(board)
        self.args, self.images, self.first_host = args, training.images, first_host
        self.now = dict(epoch=1, step=0, sums=[], history=[])  # sums: what the epoch's metrics come from
        self.told, self.saved, self.wait = [], time.time(), lambda: None

    def start(self, model):
        """Give the model and its optimizer the values in the folder, if there are any."""
        (getattr(model.optimizer, "build", None) or model.optimizer._create_all_weights)(model.trainable_variables)
        more = model.optimizer.variables  # in early versions it is a method, and build has another name
        self.values = [*model.weights, *(more() if callable(more) else more)]
        if self.path:  # SageMaker sends SIGTERM before it ends a job, but AWS's images do not pass it on
            signal.signal(signal.SIGTERM, lambda number, frame: self.told.append(number))
        if not self.path or not os.path.exists(self.path):
            return
        try:
            with np.load(self.path) as file:
                plan, now = json.loads(str(file["saved"]))
                for name, value in self.plan.items():
                    if plan[name] != value:
                        fail(f"{self.path} is of another training: {name} {plan[name]}, here {value}")
                if now["epoch"] - (now["step"] == 0) > self.args.epochs:
                    fail(f"{self.path} is in epoch {now['epoch']}, and --epochs is {self.args.epochs}")
                for number, variable in enumerate(self.values):
                    variable.assign(file[str(number)])
        except Exception as error:  # whatever is in that file
            fail(f"{self.path} is no checkpoint of train.py: {error!r}")
        self.now = now
        print(f"resumes in epoch {now['epoch']} after {now['step']} steps", flush=True)

    def asked(self):
        """-> [to stop, to save now]."""
        return [bool(self.told), self.path is not None and time.time() - self.saved > self.args.checkpoint_seconds]

    def save(self, stop=False):
        """Keep all values, and end the script if the job is being stopped."""
        if self.path:
            values = {str(number): variable.numpy() for number, variable in enumerate(self.values)}
            if self.first_host:
                with open(self.path + ".new", "wb") as file:
                    np.savez(file, saved=json.dumps([self.plan, self.now]), **values)
                os.replace(self.path + ".new", self.path)  # so that there is a whole one at any time
            self.wait()
            self.saved = time.time()
        if stop:
            print(f"stopped in epoch {self.now['epoch']} after {self.now['step']} steps", flush=True)
            sys.exit(143)

    def end_step(self, last, stop, save):
        self.now["step"] += 1
        if (stop or save) and not last:
            self.save(stop)

    def end_epoch(self, stop, test_loss, test_accuracy):
        """Note and print an epoch's metrics: in one string, because pieces can reach the log as several lines."""
        loss, hits, images = self.now["sums"]
        metrics = dict(loss=loss / images, accuracy=hits / images, test_loss=test_loss, test_accuracy=test_accuracy)
        if self.first_host:
            print(" ".join([f"epoch={self.now['epoch']}", *(f"{k}={v:.4f}" for k, v in metrics.items())]), flush=True)
        if self.events:  # tf.summary.scalar needs TensorBoard, which AWS's image of TensorFlow 2.21 does not have
            values = [tf.compat.v1.Summary.Value(tag=name, simple_value=value) for name, value in metrics.items()]
            summary = tf.compat.v1.Summary(value=values).SerializeToString()
            with self.events.as_default():  # which flushes at its end
                tf.summary.experimental.write_raw_pb(summary, step=self.now["epoch"])
        self.now["history"].append(dict(epoch=self.now["epoch"], seconds=time.time() - self.began, **metrics))
        self.now.update(epoch=self.now["epoch"] + 1, step=0, sums=[])
        self.save(stop and self.now["epoch"] <= self.args.epochs)

    def on_train_begin(self, logs=None):
        self.began, self.before = time.time(), self.now["sums"] or [0.0, 0.0, 0.0]

    def on_train_batch_end(self, batch, logs=None):
        """`logs` has the means over the images of this `fit`. A job that resumes adds them to what was before."""
        images = min((batch + 1) * self.args.batch_size, self.images - self.before[2])
        means = [float(logs["loss"]), float(logs["accuracy"]), 1.0]
        self.now["sums"] = [old + images * mean for old, mean in zip(self.before, means)]
        self.end_step(batch + 1 == self.params["steps"], *self.asked())

    def on_epoch_end(self, epoch, logs=None):
        self.end_epoch(bool(self.told), float(logs["val_loss"]), float(logs["val_accuracy"]))
