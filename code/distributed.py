"""Training on several processors: which strategy of TensorFlow's spreads it, and the loop that several hosts need.

Keras 3's `fit` cannot train on several hosts, so this loop does by hand what `fit` does. It follows TensorFlow's guide:
https://www.tensorflow.org/tutorials/distribute/multi_worker_with_ctl
A replica is the copy of the model on one processor. A host has one replica for each of its GPUs, or one on its CPU.
"""

import json
import math
import os

import numpy as np
import tensorflow as tf

import compat
import hosts
from data import make_dataset, shard_size


def make_strategy():
    """Choose how TensorFlow spreads the training over processors.

    With several hosts, their processors train together; on one host with several GPUs, these do. Otherwise it is
    TensorFlow's default, which does not spread the training at all.
    """
    if len(hosts.HOSTS) > 1:
        hosts.wait_for_hosts()
        set_tf_config()
        return compat.multi_worker_strategy()
    if int(os.environ.get("SM_NUM_GPUS", 0)) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def set_tf_config():
    """Tell TensorFlow the addresses of all hosts, and which of them this is, in the variable TF_CONFIG.

    AWS's container can set it, too (`distribution=`), but not for every version of TensorFlow.
    """
    addresses = [f"{host}:{hosts.PORT + number}" for number, host in enumerate(hosts.HOSTS)]
    task = {"type": "worker", "index": hosts.HOST_NUMBER}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})


class Replicas:
    """What all replicas of the model do together, one step at a time.

    Sums are those of a batch, or of several: [sum of the losses, number of right answers, number of images].
    """

    def __init__(self, strategy, model):
        self.strategy = strategy
        self.model = model
        self.loss_function = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")

    def measure(self, images, labels, training):
        """One batch of one replica -> the loss of each image float32 [N], and the sums float32 [3]."""
        logits = self.model(images, training=training)
        losses = self.loss_function(labels, logits)
        predictions = tf.argmax(logits, axis=1)
        is_right = tf.cast(predictions == tf.cast(labels, tf.int64), tf.float32)  # 1 for a right answer, otherwise 0
        image_count = tf.cast(tf.size(labels), tf.float32)
        return losses, tf.stack([tf.reduce_sum(losses), tf.reduce_sum(is_right), image_count])

    def train_batch(self, images, labels, flags):
        """Train one replica on its batch -> the sums, followed by the flags."""
        with tf.GradientTape() as tape:
            losses, sums = self.measure(images, labels, training=True)
            # apply_gradients adds up the gradients of all replicas. To make that their mean, each is divided here.
            loss = tf.reduce_mean(losses) / self.strategy.num_replicas_in_sync
        gradients = tape.gradient(loss, self.model.trainable_variables)
        self.model.optimizer.apply_gradients(zip(gradients, self.model.trainable_variables))
        return tf.concat([sums, flags], axis=0)

    def test_batch(self, images, labels):
        """Test one replica on its batch -> the sums."""
        _, sums = self.measure(images, labels, training=False)
        return sums

    @tf.function
    def train_step(self, batches, flags):
        """Train every replica on its next batch -> the sums of all replicas, followed by the flags of all hosts."""
        images, labels = next(batches)
        results = self.strategy.run(self.train_batch, args=(images, labels, flags))
        return self.strategy.reduce("SUM", results, axis=None)

    @tf.function
    def test_step(self, batches):
        """Test every replica on its next batch -> the sums of all replicas."""
        images, labels = next(batches)
        results = self.strategy.run(self.test_batch, args=(images, labels))
        return self.strategy.reduce("SUM", results, axis=None)

    @tf.function
    def reduce_mean(self, number):
        """A tensor with a number of this host's -> the mean over all hosts."""
        numbers = self.strategy.run(tf.identity, args=(number,))
        return self.strategy.reduce("MEAN", numbers, axis=None)

    def mean_over_hosts(self, number):
        """A number of this host's -> the mean over all hosts, as a float. It returns once all hosts have called it."""
        return float(self.reduce_mean(tf.constant(float(number))))

    def barrier(self):
        """Wait until all hosts have called this."""
        self.mean_over_hosts(0)


def train(strategy, model, args, training, testing, progress, checkpoints):
    """Do on several hosts what the function `train` of train.py does on one.

    Returns the model as one host has it, without the strategy, so that the first host can save it by itself.
    """
    num_shards, shard = shard_of_this_host()
    image_count = shard_size(training.image_count, num_shards, shard)
    this_host = hosts.HOSTS[hosts.HOST_NUMBER]
    print(f"host {this_host} of {', '.join(hosts.HOSTS)} trains on {image_count} images", flush=True)
    with hosts.naming_lost_hosts():
        replicas = Replicas(strategy, model)
        checkpoints.barrier = replicas.barrier
        # Every host takes the same number of steps, or one would wait for the others without end.
        steps = math.ceil(replicas.mean_over_hosts(image_count) / args.batch_size)
        test_steps = math.ceil(replicas.mean_over_hosts(testing.image_count) / args.batch_size)
        # --batch-size is that of a host. Where a host has several replicas, they share its batch.
        replica_batch_size = max(1, args.batch_size * len(hosts.HOSTS) // strategy.num_replicas_in_sync)
        test_set = make_dataset(testing, replica_batch_size).repeat()
        while progress.epoch <= args.epochs:
            progress.begin_epoch()
            seed = args.seed + progress.epoch
            training_set = make_dataset(training, replica_batch_size, num_shards, shard, seed).repeat()
            batches_done = progress.step * args.batch_size // replica_batch_size
            batches = distribute(strategy, training_set.skip(batches_done))
            stop_requested = train_epoch(replicas, batches, steps, progress, checkpoints)
            test_loss, test_accuracy = test(replicas, distribute(strategy, test_set), test_steps)
            progress.end_epoch(test_loss, test_accuracy)
            checkpoints.end_epoch(stop_requested)
        single_model = tf.keras.models.clone_model(model)
        single_model.set_weights(model.get_weights())
    return single_model


def train_epoch(replicas, batches, steps, progress, checkpoints):
    """Train up to the end of an epoch, and return whether any host has been asked to stop."""
    stop_requested = False
    while progress.step < steps:
        # All hosts must stop or save after the same step. So each passes on its flags, 0 or 1, and gets those of all
        # hosts, added up: above 0 if any host has set one.
        flags = tf.constant([checkpoints.stop_requested, checkpoints.save_is_due()], tf.float32)
        *sums, stop_requested, save_due = replicas.train_step(batches, flags).numpy().tolist()
        progress.end_step(np.add(progress.sums_so_far(), sums).tolist())
        is_last_step = progress.step == steps
        checkpoints.end_step(is_last_step, stop_requested, save_due)
    return stop_requested


def test(replicas, batches, test_steps):
    """Test the model -> the mean loss of the test images, and the accuracy."""
    sums = np.zeros(3, np.float32)
    for _ in range(test_steps):
        sums += replicas.test_step(batches).numpy()
    loss_sum, right_answers, images = sums.tolist()
    return loss_sum / images, right_answers / images


def shard_of_this_host():
    """How many hosts share the training images, and which share is this host's, from 0.

    With ShardedByS3Key, SageMaker has shared out the files already, so each host takes all images that it has. Test
    images are never shared: each host tests with all that it has.
    """
    channels = json.loads(os.environ.get("SM_INPUT_DATA_CONFIG", "{}"))
    distribution = channels.get("training", {}).get("S3DistributionType")
    if distribution == "ShardedByS3Key":
        return 1, 0
    return len(hosts.HOSTS), hosts.HOST_NUMBER


def distribute(strategy, dataset):
    """A dataset of this host's -> an iterator that gives a batch to each of the host's replicas at every step."""
    if strategy.num_replicas_in_sync == len(hosts.HOSTS):
        return iter(dataset)  # The host has one replica, which takes the batches as they are.
    return iter(compat.distribute_dataset(strategy, dataset))
