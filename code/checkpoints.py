"""Checkpoints: what a stopped job saves in --checkpoint-dir, and how the next job resumes from it.

On AWS, SageMaker copies this folder to S3 while the job runs, and back when the next job starts:
https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
A resumed training ends with the same model as one that was never stopped. Without --checkpoint-dir nothing is saved.
"""

import json
import os
import signal
import sys
import time

import numpy as np
import tensorflow as tf

import compat
import hosts
from errors import fail


# This class is written by hand, because Keras's BackupAndRestore deletes its state when `fit` ends, and train.py calls
# `fit` once for each epoch.
class Checkpoints:
    """Saves the state of the training in CHECKPOINT_DIR/checkpoint.npz, and reads it again.

    The file has two kinds of arrays: those called 0, 1, 2 and so on are the values of the model and its optimizer, and
    the one called `saved` is a JSON list of the plan and the position of the training.
    """

    def __init__(self, args, training, testing, progress):
        self.path = None
        if args.checkpoint_dir:
            self.path = os.path.join(args.checkpoint_dir, "checkpoint.npz")
        self.seconds_between_saves = args.checkpoint_seconds
        self.epochs = args.epochs
        self.plan = make_plan(args, training, testing)
        self.progress = progress
        self.stop_requested = False
        self.last_save = time.time()
        self.barrier = None  # With several hosts, a function that returns once all hosts have called it.

    def start(self, model):
        """Resume from the checkpoint if there is one, and be ready to save the state of the model from now on."""
        compat.build_optimizer(model.optimizer, model.trainable_variables)  # Until then it has no values to save.
        self.variables = [*model.weights, *compat.optimizer_variables(model.optimizer)]
        if self.path:
            signal.signal(signal.SIGTERM, self.request_stop)
            if os.path.exists(self.path):
                self.resume()

    def request_stop(self, signal_number, frame):
        """Note the stop signal, SIGTERM, which SageMaker sends before it ends a job. The training stops after its step.

        AWS's images do not pass the signal on to the script. There, a job resumes from what it saved by the clock.
        """
        self.stop_requested = True

    def resume(self):
        """Give the model and its optimizer the values of the checkpoint, and go on from its position."""
        try:
            with np.load(self.path) as file:
                plan, position = json.loads(str(file["saved"]))
                self.check(plan, position)
                for number, variable in enumerate(self.variables):
                    variable.assign(file[str(number)])
                self.progress.set_position(position)
        except Exception as error:  # The file can hold anything, so any error is possible.
            fail(f"{self.path} is no checkpoint of train.py: {error!r}")
        print(f"resumes in epoch {self.progress.epoch} after {self.progress.step} steps", flush=True)

    def check(self, plan, position):
        """End the script if the checkpoint belongs to another training, or to one that is further than --epochs."""
        for name, value in self.plan.items():
            if plan[name] != value:
                fail(f"{self.path} is of another training: {name} {plan[name]}, here {value}")
        epochs_begun = position["epoch"]
        if position["step"] == 0:
            epochs_begun -= 1
        if epochs_begun > self.epochs:
            fail(f"{self.path} is in epoch {position['epoch']}, and --epochs is {self.epochs}")

    def save_is_due(self):
        """Whether --checkpoint-seconds have passed since the last checkpoint."""
        return self.path is not None and time.time() - self.last_save > self.seconds_between_saves

    def end_step(self, is_last_step, stop_requested, save_due):
        """Save after a step if that is due, and stop if that is requested. The last step of an epoch needs neither,
        because end_epoch follows at once."""
        if is_last_step:
            return
        if stop_requested or save_due:
            self.save()
        if stop_requested:
            self.stop()

    def end_epoch(self, stop_requested):
        """Save after an epoch, and stop if that is requested. After the last epoch there is nothing left to stop."""
        self.save()
        if stop_requested and self.progress.epoch <= self.epochs:
            self.stop()

    def save(self):
        """Write the checkpoint. With several hosts, all of them call this, and the first one writes."""
        if self.path is None:
            return
        # Every host reads its values, because with several hosts TensorFlow computes some of them from those of all.
        values = {str(number): variable.numpy() for number, variable in enumerate(self.variables)}
        if hosts.is_first_host():
            saved = json.dumps([self.plan, self.progress.position()])
            with open(self.path + ".new", "wb") as file:
                np.savez(file, saved=saved, **values)
            os.replace(self.path + ".new", self.path)  # so that the folder has a complete checkpoint at any time
        if self.barrier:
            self.barrier()  # No host ends while the first one is writing.
        self.last_save = time.time()

    def stop(self):
        """End the script with status 143, as a process ends that SIGTERM has stopped."""
        print(f"stopped in epoch {self.progress.epoch} after {self.progress.step} steps", flush=True)
        sys.exit(143)


def make_plan(args, training, testing):
    """What decides how the training goes, as a dict. Only a training with the same plan resumes from a checkpoint."""
    plan = {
        "batch_size": args.batch_size,
        "learning_rate": args.learning_rate,
        "beta_1": args.beta_1,
        "beta_2": args.beta_2,
        "seed": args.seed,
        "precision": args.precision,
        "hosts": len(hosts.HOSTS),
        "tensorflow": tf.__version__,
    }
    if hosts.is_first_host():  # The data of the others is not compared, because each host can have data of its own.
        plan["training"] = f"on {training.image_count} images with checksum {training.checksum:08x}"
        plan["testing"] = f"on {testing.image_count} images with checksum {testing.checksum:08x}"
    return plan
