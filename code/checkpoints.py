"""Checkpoints: how a job that was stopped goes on where it was, and ends where it would have ended."""

import json
import signal

import tensorflow as tf
from cluster import first_host_s, mean_of_hosts
from job import fail


def resume(folder, strategy, now, **objects):
    """Give the objects, a model and its optimizer, the values in the folder's latest checkpoint.

    `strategy` is the one they were made with, `now` a dict that says how far the training has come.
    -> `now` as that checkpoint has it, and the function save(now). Without a folder (None) nothing is
    read, and save does nothing."""
    if folder is None:
        return now, lambda now: None
    state = tf.Variable(json.dumps(now))
    checkpoint = tf.train.Checkpoint(state=state, **objects)
    manager = tf.train.CheckpointManager(checkpoint, first_host_s(folder), max_to_keep=2)
    latest = tf.train.latest_checkpoint(folder)
    if latest:
        try:
            with strategy.scope():  # early versions make the optimizer's variables now
                checkpoint.restore(latest).assert_existing_objects_matched()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            fail(f"--checkpoint-dir {folder} holds no checkpoint of this training: {error}")
        now = json.loads(state.numpy())
        print(f"resumes in epoch {now['epoch']} after {now['step']} steps", flush=True)

    def save(now):
        state.assign(json.dumps(now))
        manager.save()
        mean_of_hosts(strategy, 0)  # so that no host ends while another one is writing

    return now, save


def stop_signal():
    """SageMaker sends SIGTERM two minutes before it ends a job -> a list, empty until then."""
    received = []
    signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    return received
