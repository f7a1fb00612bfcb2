"""The hosts of the job, from SM_HOSTS and SM_CURRENT_HOST: how they train one model, and which one writes."""

import atexit
import contextlib
import json
import os
import shutil
import socket
import tempfile

import tensorflow as tf
from job import fail

HOSTS = json.loads(os.environ.get("SM_HOSTS", '["localhost"]'))
HOST = HOSTS.index(os.environ.get("SM_CURRENT_HOST", HOSTS[0]))  # 0 is the first
WORKERS = [f"{host}:{12222 + number}" for number, host in enumerate(HOSTS)]


def make_strategy():
    """How the training is spread. On one host with one processor: TensorFlow's default, not at all."""
    if len(HOSTS) > 1:
        task = {"type": "worker", "index": HOST}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": WORKERS}, "task": task})
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
    """A dataset of this host's -> an iterator; of each of its batches every GPU gets a part."""
    early = not hasattr(strategy, "distribute_datasets_from_function")
    method = getattr(strategy, ("experimental_" if early else "") + "distribute_datasets_from_function")
    return iter(method(lambda context: dataset))


def mean_of_hosts(strategy, value):
    """The mean of a number of which every host has its own: the same on all of them."""

    @tf.function
    def mean():
        return strategy.reduce("MEAN", strategy.run(lambda: tf.constant(float(value))), axis=None)

    return float(mean())


@contextlib.contextmanager
def naming_silent_hosts():
    """Fail with the names of the hosts that no longer answer, if that is what ends the training."""
    try:
        yield
    except tf.errors.OpError:
        silent = []
        for host, worker in zip(HOSTS, WORKERS) if len(HOSTS) > 1 else ():
            try:
                socket.create_connection(worker.split(":"), timeout=5).close()
            except OSError:
                silent.append(host)
        if silent:
            fail(f"host {', '.join(silent)} no longer answers, and the others cannot go on without it")
        raise


def first_host_s(folder):
    """All hosts have to save, because they exchange values for it; only the first host's files are kept."""
    if HOST == 0:
        return folder
    aside = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, aside, ignore_errors=True)
    return aside
