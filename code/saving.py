"""What is saved: checkpoints to go on from, the model, the metrics, a record of the job, and why a job failed."""

import json
import os
import platform
import signal
import sys
import tempfile
import time

import numpy as np
import tensorflow as tf

from data import scale


def fail(message):
    """Print one line and exit with status 1. What is in SM_OUTPUT_DIR/failure, SageMaker shows as the
    job's FailureReason (docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html)."""
    line = "train.py: error: " + " ".join(str(message).split())
    print(line, file=sys.stderr, flush=True)
    if "SM_OUTPUT_DIR" in os.environ:
        with open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w") as file:
            file.write(line)
    sys.exit(1)


def check_folders(args):
    """Fail where an option names what can be no folder of this machine: before the training, not after it."""
    for name in ("training", "testing", "model_dir", "output_data_dir", "checkpoint_dir", "tensorboard_dir"):
        folder, named = getattr(args, name), f"--{name.replace('_', '-')} {getattr(args, name)}"
        if folder is None:
            continue
        if "://" in folder:
            fail(f"{named} is an address in {folder.split(':')[0].upper()}, not a folder of this machine")
        try:
            if name.endswith("_dir"):
                os.makedirs(folder, exist_ok=True)
                tempfile.TemporaryFile(dir=folder).close()  # can it be written to?
            else:
                os.listdir(folder)
        except OSError as error:
            fail(f"{named} {'is a file, not a folder' if os.path.isfile(folder) else f'is no folder to use: {error}'}")


def save_model(model, folder):
    """Write a SavedModel with one signature. TensorFlow Serving wants the version, 1, as its folder."""

    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28], tf.uint8)])
    def serve(images):
        return {"probabilities": tf.nn.softmax(model(scale(images), training=False))}

    saved = tf.Module()  # the model without its optimizer: later versions cannot load that of TensorFlow 2.3
    # Not the wrappers in which Keras 3 has them: TensorFlow Serving would find such variables empty.
    saved.weights = [weight if callable(weight.value) else weight.value for weight in model.weights]
    saved.serve = serve
    tf.saved_model.save(saved, os.path.join(folder, "1"), signatures=serve)


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


def write_events(writer, step, metrics):
    """For TensorBoard. tf.summary.scalar would need its package, which AWS's image of TensorFlow 2.21 does not have."""
    kind = tf.compat.v1.SummaryMetadata()
    kind.plugin_data.plugin_name = "scalars"
    with writer.as_default():
        for name, value in metrics.items():
            tf.summary.write(name, tf.constant(value), step, kind)
    writer.flush()


class Checkpoints(tf.keras.callbacks.Callback):
    """How far the training has come: printed, and with --checkpoint-dir kept there in one file, with all weights. The
    next job goes on from it, and ends where an uninterrupted one ends. `fit` calls what is named on_...; the loop in
    hosts.py calls end_step and end_epoch itself."""

    def __init__(self, args, training, testing, hosts, first_host):
        super().__init__()
        names = ("batch-size", "learning-rate", "beta_1", "beta_2", "seed", "precision")
        self.plan = {name: getattr(args, name.replace("-", "_")) for name in names}  # of another one, none is taken
        self.plan.update(hosts=hosts, tensorflow=tf.__version__)
        if first_host:  # each host can have data of its own
            for name, files in (("training", training), ("testing", testing)):
                self.plan[name] = f"on {files.images} images with checksum {files.checksum:08x}"
        self.path = args.checkpoint_dir and os.path.join(args.checkpoint_dir, "checkpoint.npz")
        self.seconds, self.epochs, self.first_host = args.checkpoint_seconds, args.epochs, first_host
        self.events = args.tensorboard_dir and first_host and tf.summary.create_file_writer(args.tensorboard_dir)
        self.now = dict(epoch=1, step=0, sums=[], history=[])  # sums: what the epoch's metrics come from
        self.told, self.saved, self.wait = [], time.time(), lambda: None

    def start(self, model):
        """Give the model and its optimizer the values in the folder, if there are any."""
        make = getattr(model.optimizer, "build", None) or model.optimizer._create_all_weights  # early versions
        make(model.trainable_variables)
        more = model.optimizer.variables
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
                if now["epoch"] - (now["step"] == 0) > self.epochs:
                    fail(f"{self.path} is in epoch {now['epoch']}, and --epochs is {self.epochs}")
                for number, variable in enumerate(self.values):
                    variable.assign(file[str(number)])
        except Exception as error:  # whatever is in that file
            fail(f"{self.path} is no checkpoint of train.py: {error!r}")
        self.now = now
        print(f"resumes in epoch {now['epoch']} after {now['step']} steps", flush=True)

    def asked(self):
        """-> [to stop, to save now]."""
        return [bool(self.told), self.path is not None and time.time() - self.saved > self.seconds]

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

    def end_epoch(self, stop, **metrics):
        """Note and print an epoch's metrics: in one string, because pieces can reach the log as several lines."""
        if self.first_host:
            print(" ".join([f"epoch={self.now['epoch']}", *(f"{k}={v:.4f}" for k, v in metrics.items())]), flush=True)
            if self.events:
                write_events(self.events, self.now["epoch"], metrics)
        self.now["history"].append(dict(epoch=self.now["epoch"], seconds=time.time() - self.began, **metrics))
        self.now.update(epoch=self.now["epoch"] + 1, step=0, sums=[])
        self.save(stop and self.now["epoch"] <= self.epochs)

    def sums(self):
        return [variable for metric in self.model.metrics for variable in metric.variables]

    def on_train_begin(self, logs=None):
        self.began = time.time()
        if self.now["step"]:  # Keras makes the variables of its metrics only when it needs them
            self.model.evaluate(np.zeros([8, 28, 28, 1], np.float32), np.zeros([8], np.uint8), verbose=0)

    def on_epoch_begin(self, epoch, logs=None):
        for variable, value in zip(self.sums(), self.now["sums"]):
            variable.assign(value)

    def on_train_batch_end(self, batch, logs=None):
        asked = self.asked()
        if any(asked):
            self.now["sums"] = [float(variable.numpy()) for variable in self.sums()]
        self.end_step(batch + 1 == self.params["steps"], *asked)

    def on_epoch_end(self, epoch, logs=None):
        names = dict(loss="loss", accuracy="accuracy", test_loss="val_loss", test_accuracy="val_accuracy")
        self.end_epoch(bool(self.told), **{name: float(logs[key]) for name, key in names.items()})
