"""What is saved: the model, the metrics, a record of the job, checkpoints to go on from, and why a job failed."""

import json
import os
import platform
import signal
import sys
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


def make_folder(option, folder):
    """Make the folder that an option names, or fail: before the training, not after it."""
    if folder.startswith("s3://"):
        fail(f"{option} {folder} is an address in S3, not a folder of this machine: SageMaker does the uploading")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        fail(f"{option} {folder} cannot be made: {'it is a file' if os.path.isfile(folder) else error}")
    if not os.access(folder, os.W_OK):
        fail(f"{option} {folder} is not writable")


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


def variables(model):
    """All that training changes: the model's weights, and what its optimizer remembers."""
    optimizer, trained = model.optimizer, model.trainable_variables
    make = getattr(optimizer, "build", None) or optimizer._create_all_weights  # early versions have the latter
    make(trained)
    more = optimizer.variables
    return [*model.weights, *(more() if callable(more) else more)]


class Checkpoints(tf.keras.callbacks.Callback):
    """How far the training has come. With a folder it is kept there, in one file, with all weights: at the end of
    each epoch, every `seconds` within one, and at a SIGTERM, after which the script exits with status 143. AWS's
    training images pass no such signal on. `plan` says what is trained: a checkpoint of another one is refused."""

    def __init__(self, folder, seconds, plan, writes=True):
        super().__init__()
        self.path = folder and os.path.join(folder, "checkpoint.npz")
        self.seconds, self.plan, self.writes = seconds, plan, writes
        # sums: of the losses, of the right answers, and of the images so far in this epoch
        self.now = dict(epoch=1, step=0, sums=[0.0, 0.0, 0.0], history=[])
        self.stopping, self.saved = False, time.time()

    def start(self, model):
        """Give the model and its optimizer the values in the folder, if there are any."""
        self.values = variables(model)
        if self.path is None:
            return
        signal.signal(signal.SIGTERM, self.stop)
        if not os.path.exists(self.path):
            return
        try:
            with np.load(self.path) as file:
                saved = json.loads(str(file["now"]))
                self.compare(saved["plan"])
                for number, variable in enumerate(self.values):
                    variable.assign(file[str(number)])
        except Exception as error:  # whatever is in that file
            fail(f"--checkpoint-dir: {self.path} cannot be read: {error}")
        self.now = saved["now"]
        print(f"resumes in epoch {self.now['epoch']} after {self.now['step']} steps", flush=True)

    def compare(self, plan):
        for name, value in self.plan.items():
            if plan.get(name) != value and (self.writes or name not in ("images", "data")):  # a host's data is its own
                fail(f"--checkpoint-dir: {self.path} is of another training: {name} {plan.get(name)}, here {value}")

    def stop(self, *_):
        self.stopping = True

    def on_train_begin(self, logs=None):
        self.before = self.now["step"], self.now["sums"]

    def on_train_batch_end(self, batch, logs=None):
        """Of Keras: `logs` has the means since `fit` began, which is where the epoch begins or was stopped."""
        (step, sums), size, images = self.before, self.plan["batch-size"], self.plan["images"]
        self.now["step"] = step + batch + 1
        seen = min(self.now["step"] * size, images) - step * size
        self.now["sums"] = [old + new * seen for old, new in zip(sums, [logs["loss"], logs["accuracy"], 1])]
        if self.now["step"] * size < images and (self.stopping or self.due()):
            self.save()
            if self.stopping:
                self.leave()

    def due(self):
        return self.path is not None and time.time() - self.saved > self.seconds

    def save(self):
        if self.path is not None:
            values = {str(number): variable.numpy() for number, variable in enumerate(self.values)}
            if self.writes:
                with open(self.path + ".new", "wb") as file:
                    np.savez(file, now=json.dumps(dict(now=self.now, plan=self.plan)), **values)
                os.replace(self.path + ".new", self.path)  # so that there is a whole one at any time
        self.saved = time.time()

    def leave(self):
        print(f"stopped in epoch {self.now['epoch']} after {self.now['step']} steps", flush=True)
        sys.exit(143)

    def end_epoch(self, seconds, test_loss, test_accuracy):
        """Note and print an epoch's metrics: in one string, because pieces can reach the log as several lines."""
        loss, hits, images = self.now["sums"]
        metrics = dict(loss=loss / images, accuracy=hits / images, test_loss=test_loss, test_accuracy=test_accuracy)
        if self.writes:
            print(" ".join([f"epoch={self.now['epoch']}", *(f"{k}={v:.4f}" for k, v in metrics.items())]), flush=True)
        self.now["history"].append(dict(epoch=self.now["epoch"], seconds=seconds, **metrics))
        self.now.update(epoch=self.now["epoch"] + 1, step=0, sums=[0.0, 0.0, 0.0])
        self.save()
