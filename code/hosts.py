"""Several hosts, or several processors of one host, that train one model: how they meet, and the loop that they need.

Keras 3's `fit` cannot train on several hosts. This loop does by hand what `fit` does: TensorFlow's guide to it is
https://www.tensorflow.org/tutorials/distribute/multi_worker_with_ctl. Who the hosts are, SageMaker says in SM_HOSTS and
SM_CURRENT_HOST; TensorFlow wants to read it in TF_CONFIG.
"""

import atexit
import contextlib
import json
import math
import os
import shutil
import socket
import tempfile
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
train_together = threading.Event()

# --- who trains -----------------------------------------------------------------------------------


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


def first_host_s(folder):
    """All hosts have to save, because they exchange values for it; only the first host's files are kept."""
    if HOST == 0 or folder is None:
        return folder
    aside = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, aside, ignore_errors=True)
    return aside


# --- the loop -------------------------------------------------------------------------------------


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

    def test_batch(images, labels):
        return measure(images, labels, training=False)[1]

    @tf.function
    def train_step(iterator, flags):
        return strategy.reduce("SUM", strategy.run(train_batch, args=(*next(iterator), flags)), axis=None)

    @tf.function
    def test_step(iterator):
        return strategy.reduce("SUM", strategy.run(test_batch, args=next(iterator)), axis=None)

    return train_step, test_step


def train(strategy, model, args, training, testing, checkpoints):
    """Do with all hosts what train.py's `fit` does with one."""
    (files, images, _), (test_files, test_images, _) = training, testing
    hosts, index = share = share_of("training")  # every host tests with all images that it has
    images = len(range(index, images, hosts))
    if len(HOSTS) > 1:
        print(f"host {HOSTS[HOST]} of {', '.join(HOSTS)} trains on {images} images", flush=True)
    steps, test_steps = (math.ceil(mean_of_hosts(strategy, n) / args.batch_size) for n in (images, test_images))
    size = max(1, args.batch_size * len(HOSTS) // strategy.num_replicas_in_sync)  # of one processor's batch
    train_step, test_step = make_steps(strategy, model)
    now = checkpoints.now
    while now["epoch"] <= args.epochs:
        began = time.time()
        data = stream(files, size, share, args.seed + now["epoch"], now["step"] * args.batch_size // size)
        batches = distribute(strategy, data)
        while now["step"] < steps:
            flags = tf.constant([checkpoints.stopping, checkpoints.due()], tf.float32)
            *sums, stopping, due = train_step(batches, flags).numpy().tolist()
            now.update(step=now["step"] + 1, sums=np.add(now["sums"], sums).tolist())
            checkpoints.stopping = bool(stopping)  # one host was told to, and all hosts know it at the same step
            if now["step"] < steps and (stopping or due):
                checkpoints.save()
                mean_of_hosts(strategy, 0)  # so that no host ends while another one is writing
                if stopping:
                    checkpoints.leave()
        batches = distribute(strategy, stream(test_files, size))
        loss, hits, count = sum(test_step(batches).numpy() for _ in range(test_steps)).tolist()
        checkpoints.end_epoch(time.time() - began, loss / count, hits / count)
        mean_of_hosts(strategy, 0)


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
    result = float(mean(strategy, tf.constant(float(value)))) if len(HOSTS) > 1 else float(value)
    train_together.set()
    return result


# --- hosts that are missing -----------------------------------------------------------------------


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
        if missing and time.time() - began > PATIENCE:
            fail_without(missing)
        time.sleep(0.5 if missing else 0)


def watch(done):
    """End the script where a host is gone. TensorFlow does so itself, but before version 2.4 it waits."""
    train_together.wait()
    while not done.wait(timeout=10):
        gone = silent(HOSTS, PORT)
        if gone:
            try:
                fail_without(gone)
            finally:
                os._exit(1)  # sys.exit() would end this thread only


@contextlib.contextmanager
def naming_silent_hosts():
    """Fail with the names of the hosts that do not answer, if that is what ends the training or lets it wait."""
    done = threading.Event()
    if len(HOSTS) > 1:
        threading.Thread(target=watch, args=[done], daemon=True).start()
    try:
        yield
    except tf.errors.OpError:
        gone = silent(HOSTS, PORT)
        if gone:
            fail_without(gone)
        raise
    finally:
        done.set()
