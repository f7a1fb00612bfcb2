"""Several hosts that train one model: how they meet, and the loop that they need.

Keras 3's `fit` cannot train on several hosts. This loop does by hand what `fit` does: TensorFlow's guide to it is
https://www.tensorflow.org/tutorials/distribute/multi_worker_with_ctl. Who the hosts are, SageMaker says in SM_HOSTS and
SM_CURRENT_HOST; TensorFlow reads it in TF_CONFIG, which AWS's container can write too (`distribution=`).
"""

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
DOOR = socket.socket()  # where this host is found: open to the end, for those that come later
ended = threading.Event()


def make_strategy():
    """How the training is spread. On one host with one processor: TensorFlow's default, not at all."""
    if len(HOSTS) > 1:
        meet()
        cluster = {"worker": [f"{host}:{PORT + number}" for number, host in enumerate(HOSTS)]}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": HOST}})
        early = not hasattr(tf.distribute, "MultiWorkerMirroredStrategy")
        return (tf.distribute.experimental if early else tf.distribute).MultiWorkerMirroredStrategy()
    if int(os.environ.get("SM_NUM_GPUS", 0)) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def silent(hosts, port, last=True):
    """Those of the hosts, this one aside, that accept no connection. If it was the last try, that ends the script."""
    result = []
    for host in [other for other in hosts if other != HOSTS[HOST]]:
        try:
            socket.create_connection((host, port + HOSTS.index(host)), timeout=5).close()
        except OSError:
            result.append(host)
    if result and last:
        fail(f"host {', '.join(result)} does not answer, and the others cannot go on without it")
    return result


def meet():
    """Wait until every host is here, which TensorFlow would do without end."""
    began, missing, port = time.time(), HOSTS, PORT - 100
    DOOR.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        DOOR.bind(("", port + HOST))
    except OSError as error:
        fail(f"port {port + HOST} is not free; CLUSTER_PORT can name another than {PORT}: {error}")
    DOOR.listen()
    while missing:
        missing = silent(missing, port, last=time.time() - began > PATIENCE)
        time.sleep(0.5 if missing else 0)


def watch():
    """End the script where a host is gone. TensorFlow does so itself, but before version 2.4 it waits."""
    while not ended.wait(timeout=10):
        try:
            silent(HOSTS, PORT)
        except SystemExit:
            os._exit(1)  # sys.exit() would end this thread only


@contextlib.contextmanager
def naming_silent_hosts():
    """End the script with the names of the hosts that do not answer, if that is what ends the training."""
    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    except tf.errors.OpError:
        silent(HOSTS, PORT)
        raise
    finally:
        ended.set()


def make_steps(strategy, model):
    """-> train_step(batches, flags), test_step(batches), mean(number): what all processors do together."""
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

    @tf.function
    def mean_of_hosts(number):
        """A number of which every host has its own -> their mean: the same on all of them, once all have it."""
        return strategy.reduce("MEAN", strategy.run(tf.identity, args=[number]), axis=None)

    return train_step, test_step, lambda number: float(mean_of_hosts(tf.constant(float(number))))


@naming_silent_hosts()
def train(strategy, model, args, training, testing, checkpoints):
    """Do with all hosts what train.py's `fit` does with one -> the model, as one host has it."""
    channel = json.loads(os.environ.get("SM_INPUT_DATA_CONFIG", "{}")).get("training", {})
    sharded = channel.get("S3DistributionType") == "ShardedByS3Key"  # then SageMaker has shared out the files
    share = (1, 0) if sharded else (len(HOSTS), HOST)  # of the images to train on; each host tests with all it has
    images = len(range(share[1], training.images, share[0]))
    print(f"host {HOSTS[HOST]} of {', '.join(HOSTS)} trains on {images} images", flush=True)
    train_step, test_step, mean = make_steps(strategy, model)
    steps, test_steps = (math.ceil(mean(n) / args.batch_size) for n in (images, testing.images))
    size = max(1, args.batch_size * len(HOSTS) // strategy.num_replicas_in_sync)  # of one processor's batch
    now, checkpoints.wait = checkpoints.now, lambda: mean(0)  # no host ends while one is writing
    while now["epoch"] <= args.epochs:
        checkpoints.began = time.time()
        data = stream(training, size, share, args.seed + now["epoch"]).repeat()
        batches = distribute(strategy, data.skip(now["step"] * args.batch_size // size))
        while now["step"] < steps:
            flags = tf.constant(checkpoints.asked(), tf.float32)  # what one host was told, all know now
            *sums, stop, save = train_step(batches, flags).numpy().tolist()
            now["sums"] = np.add(now["sums"] or [0.0, 0.0, 0.0], sums).tolist()
            checkpoints.end_step(now["step"] + 1 == steps, stop, save)
        batches = distribute(strategy, stream(testing, size).repeat())
        loss, hits, tests = sum(test_step(batches).numpy() for _ in range(test_steps)).tolist()
        checkpoints.end_epoch(stop, loss / tests, hits / tests)
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
