"""Several hosts that train one model: how they meet, and the loop that they need.

Keras 3's `fit` cannot train on several hosts. This loop does by hand what `fit` does: TensorFlow's guide to it is
https://www.tensorflow.org/tutorials/distribute/multi_worker_with_ctl. Who the hosts are, SageMaker says in SM_HOSTS and
SM_CURRENT_HOST; TensorFlow wants to read it in TF_CONFIG. AWS's container can write that too (`distribution=`), for the
same hosts: what is written here takes its place, whatever it was.
"""

import atexit
import contextlib
import json
import math
import os
import socket
import threading
import time

import numpy as np
import tensorflow as tf
from saving import fail

from data import stream

HOSTS = json.loads(os.environ.get("SM_HOSTS", '["localhost"]'))
HOST = HOSTS.index(os.environ.get("SM_CURRENT_HOST", HOSTS[0]))  # 0 is the first, which saves
PORT = int(os.environ.get("CLUSTER_PORT", 12222))  # of the first host; each other one has the next
PATIENCE = 600  # seconds in which all hosts must have come
ended = threading.Event()


def make_strategy():
    """How the training is spread. On one host with one processor: TensorFlow's default, not at all."""
    if len(HOSTS) > 1:
        meet()
        workers = [f"{host}:{PORT + number}" for number, host in enumerate(HOSTS)]
        task = {"type": "worker", "index": HOST}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
        early = not hasattr(tf.distribute, "MultiWorkerMirroredStrategy")
        return (tf.distribute.experimental if early else tf.distribute).MultiWorkerMirroredStrategy()
    if int(os.environ.get("SM_NUM_GPUS", 0)) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def share_of(channel):
    """(how many hosts share the images of a channel, which of them this is). Where SageMaker has shared
    out the files (ShardedByS3Key), all that are here are this host's."""
    config = json.loads(os.environ.get("SM_INPUT_DATA_CONFIG", "{}")).get(channel, {})
    sharded = config.get("S3DistributionType") == "ShardedByS3Key"
    return (1, 0) if sharded else (len(HOSTS), HOST)


@contextlib.contextmanager
def naming_silent_hosts():
    """Fail with the names of the hosts that do not answer, if that is what ends the training."""
    try:
        yield
    except tf.errors.OpError:
        fail_without(silent(HOSTS, PORT))
        raise
    finally:
        ended.set()


def make_steps(strategy, model):
    """-> train_step(batch, flags) and test_step(batch): what all processors do together, each with its own batch."""
    loss_of = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")

    def measure(images, labels, training):
        """One batch -> its mean loss, and what is added up over an epoch: [loss, hits, images]."""
        logits = model(images, training=training)
        losses = loss_of(labels, logits)
        hits = tf.cast(tf.argmax(logits, 1) == tf.cast(labels, tf.int64), tf.float32)
        return tf.reduce_mean(losses), tf.stack([tf.reduce_sum(losses), tf.reduce_sum(hits), float(len(hits))])

    def train_batch(images, labels, flags):
        with tf.GradientTape() as tape:
            loss, sums = measure(images, labels, training=True)
            loss /= strategy.num_replicas_in_sync  # because the optimizer adds up the gradients of all
        gradients = tape.gradient(loss, model.trainable_variables)
        model.optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return tf.concat([sums, flags], 0)

    @tf.function
    def train_step(iterator, flags):
        return strategy.reduce("SUM", strategy.run(train_batch, args=(*next(iterator), flags)), axis=None)

    @tf.function
    def test_step(iterator):
        sums = strategy.run(lambda images, labels: measure(images, labels, False)[1], args=next(iterator))
        return strategy.reduce("SUM", sums, axis=None)

    return train_step, test_step


@naming_silent_hosts()
def train(strategy, model, args, training, testing, checkpoints):
    """Do with all hosts what train.py's `fit` does with one -> the model, as one host has it."""
    hosts, index = share = share_of("training")  # every host tests with all images that it has
    images = len(range(index, training.images, hosts))
    print(f"host {HOSTS[HOST]} of {', '.join(HOSTS)} trains on {images} images", flush=True)
    steps, test_steps = (math.ceil(mean_of_hosts(strategy, n) / args.batch_size) for n in (images, testing.images))
    threading.Thread(target=watch, daemon=True).start()
    size = max(1, args.batch_size * len(HOSTS) // strategy.num_replicas_in_sync)  # of one processor's batch
    train_step, test_step = make_steps(strategy, model)
    now, checkpoints.wait = checkpoints.now, lambda: mean_of_hosts(strategy, 0)  # no host ends while one is writing
    while now["epoch"] <= args.epochs:
        checkpoints.began = time.time()
        data = stream(training, size, share, args.seed + now["epoch"]).repeat()
        batches = distribute(strategy, data.skip(now["step"] * args.batch_size // size))
        while now["step"] < steps:
            flags = tf.constant(checkpoints.asked(), tf.float32)
            *sums, stop, save = train_step(batches, flags).numpy().tolist()
            now["sums"] = np.add(now["sums"] or [0.0, 0.0, 0.0], sums).tolist()
            checkpoints.end_step(now["step"] + 1 == steps, stop, save)  # what one host was told, all know now
        batches = distribute(strategy, stream(testing, size).repeat())
        tests = sum(test_step(batches).numpy() for _ in range(test_steps)).tolist()
        (loss, hits, count), (test_loss, test_hits, test_count) = now["sums"], tests
        metrics = dict(loss=loss / count, accuracy=hits / count)
        metrics.update(test_loss=test_loss / test_count, test_accuracy=test_hits / test_count)
        checkpoints.end_epoch(stop, **metrics)
    own = tf.keras.models.clone_model(model)
    own.set_weights(model.get_weights())
    return own


def distribute(strategy, dataset):
    """A dataset of this host's -> an iterator over its batches, for each processor of the host in turn."""
    if strategy.num_replicas_in_sync == len(HOSTS):
        return iter(dataset)
    early = not hasattr(strategy, "distribute_datasets_from_function")
    method = getattr(strategy, ("experimental_" if early else "") + "distribute_datasets_from_function")
    return iter(method(lambda context: dataset))


@tf.function
def mean(strategy, value):
    return strategy.reduce("MEAN", strategy.run(tf.identity, args=[value]), axis=None)


def mean_of_hosts(strategy, value):
    """The mean of a number of which every host has its own: the same on all of them, once all have it."""
    return float(mean(strategy, tf.constant(float(value))))


def silent(hosts, port):
    """Those of the hosts, this one aside, that accept no connection on the port."""
    result = []
    for host in [other for other in hosts if other != HOSTS[HOST]]:
        try:
            socket.create_connection((host, port + HOSTS.index(host)), timeout=5).close()
        except OSError:
            result.append(host)
    return result


def fail_without(hosts):
    if hosts:
        fail(f"host {', '.join(hosts)} does not answer, and the others cannot go on without it")


def meet():
    """Wait until every host is here, which TensorFlow would do without end."""
    began, missing, port, door = time.time(), HOSTS, PORT - 100, socket.socket()
    atexit.register(door.close)  # until then it is open, for the hosts that come later
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        door.bind(("", port + HOST))
    except OSError as error:
        fail(f"port {port + HOST} is not free; CLUSTER_PORT can name another than {PORT}: {error}")
    door.listen()
    while missing:
        missing = silent(missing, port)
        if time.time() - began > PATIENCE:
            fail_without(missing)
        time.sleep(0.5 if missing else 0)


def watch():
    """End the script where a host is gone. TensorFlow does so itself, but before version 2.4 it waits."""
    while not ended.wait(timeout=10):
        try:
            fail_without(silent(HOSTS, PORT))
        except SystemExit:
            os._exit(1)  # sys.exit() would end this thread only
