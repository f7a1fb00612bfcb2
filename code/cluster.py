"""The hosts of the job, from SM_HOSTS and SM_CURRENT_HOST: how they train one model, and which one writes."""

import atexit
import contextlib
import json
import os
import shutil
import socket
import tempfile
import threading
import time

import tensorflow as tf
from job import fail

HOSTS = json.loads(os.environ.get("SM_HOSTS", '["localhost"]'))
HOST = HOSTS.index(os.environ.get("SM_CURRENT_HOST", HOSTS[0]))  # 0 is the first
PORT = int(os.environ.get("CLUSTER_PORT", 12222))  # of the first host; each other one has the next
PATIENCE = 600  # seconds in which all hosts must have come
train_together = threading.Event()


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


def distribute(strategy, dataset):
    """A dataset of this host's -> an iterator over its batches, for each processor of the host in turn."""
    if strategy.num_replicas_in_sync == len(HOSTS):
        return iter(dataset)
    early = not hasattr(strategy, "distribute_datasets_from_function")
    method = getattr(strategy, ("experimental_" if early else "") + "distribute_datasets_from_function")
    return iter(method(lambda context: dataset))


def mean_of_hosts(strategy, value):
    """The mean of a number of which every host has its own: the same on all of them, once all have it."""
    if len(HOSTS) == 1:
        return float(value)

    @tf.function
    def mean():
        return strategy.reduce("MEAN", strategy.run(lambda: tf.constant(float(value))), axis=None)

    result = float(mean())
    train_together.set()
    return result


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


def first_host_s(folder):
    """All hosts have to save, because they exchange values for it; only the first host's files are kept."""
    if HOST == 0:
        return folder
    aside = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, aside, ignore_errors=True)
    return aside
