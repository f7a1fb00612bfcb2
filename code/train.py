"""Train a small convolutional network on MNIST: the one entry point of this series.

SageMaker calls it inside the training container as `python train.py --batch-size 512 --epochs 1 ...`:
hyperparameters arrive as options, folders and hosts as SM_* variables. Both can be given by hand, so
that the same file runs anywhere:

    python train.py --training ../data --testing ../data

It reads IDX files, gzipped or not (their format: http://yann.lecun.com/exdb/mnist), and writes
    MODEL_DIR/1/                  a SavedModel: images uint8 [N, 28, 28] -> probabilities float32 [N, 10]
    OUTPUT_DATA_DIR/metrics.json  the metrics of every epoch
    OUTPUT_DATA_DIR/job.json      what this job saw: options, files, SM_* variables. These include the
                                  hyperparameters, which SageMaker shows to whoever may describe the
                                  job: never put a secret there.
    CHECKPOINT_DIR/               if that option is given: what a stopped job needs to go on

With several hosts in SM_HOSTS all of them train one model. The batch size is that of each host, every
host reads its share of the images, and the first one writes. A mistake in the input ends the script with
status 1 and one line that names the file or the option. TensorFlow 2.3 or later, Keras 2 or Keras 3.
"""

import argparse
import atexit
import glob
import gzip
import json
import math
import os
import platform
import random
import shutil
import signal
import socket
import struct
import sys
import tempfile
import time
import zlib

import numpy as np
import tensorflow as tf

HOSTS = json.loads(os.environ.get("SM_HOSTS", '["localhost"]'))
HOST = HOSTS.index(os.environ.get("SM_CURRENT_HOST", HOSTS[0]))  # 0 is the first
WORKERS = [f"{host}:{2222 + number}" for number, host in enumerate(HOSTS)]

# --- arguments ------------------------------------------------------------------------------------


def fail(message):
    """Print one line and exit with status 1. What is in SM_OUTPUT_DIR/failure, SageMaker shows as the
    job's FailureReason (docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html)."""
    line = "train.py: error: " + " ".join(str(message).split())
    print(line, file=sys.stderr, flush=True)
    if "SM_OUTPUT_DIR" in os.environ:
        with open(os.path.join(os.environ["SM_OUTPUT_DIR"], "failure"), "w") as file:
            file.write(line)
    sys.exit(1)


class Parser(argparse.ArgumentParser):
    """argparse prints its usage before an error; a training log wants the one line alone."""

    def error(self, message):
        fail(message)


def number(kind, accepted, description):
    """The type of an option: int or float, and which of its values are accepted."""

    def parse(text):
        value = kind(text)
        if not accepted(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {description}")
        return value

    parse.__name__ = kind.__name__  # argparse names it where the text is no number
    return parse


whole_number = number(int, lambda value: value >= 1, "a whole number of at least 1")
learning_rate = number(float, lambda value: 0 < value < math.inf, "a number above 0")
decay_rate = number(float, lambda value: 0 <= value < 1, "a number from 0 to below 1")


def parse_args():
    parser = Parser(allow_abbrev=False)  # so that a misspelt hyperparameter is an error, not a guess
    parser.add_argument("--batch-size", type=whole_number, default=512)
    parser.add_argument("--epochs", type=whole_number, default=1)
    parser.add_argument("--learning-rate", type=learning_rate, default=1e-3)
    parser.add_argument("--beta_1", type=decay_rate, default=0.9)
    parser.add_argument("--beta_2", type=decay_rate, default=0.999)
    parser.add_argument("--seed", type=whole_number, default=1)
    parser.add_argument("--precision", choices=["float32", "mixed_bfloat16"], default="float32")
    parser.add_argument("--training", default=os.environ.get("SM_CHANNEL_TRAINING"))
    parser.add_argument("--testing", default=os.environ.get("SM_CHANNEL_TESTING"))
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR", "model"))
    parser.add_argument("--output-data-dir", default=os.environ.get("SM_OUTPUT_DATA_DIR", "output"))
    parser.add_argument("--checkpoint-dir")
    return parser.parse_args()


# --- data -----------------------------------------------------------------------------------------


def check_idx(path, dimensions):
    """Read an IDX file of unsigned bytes once, a piece at a time -> its shape. Damage is found here, not
    in the middle of the training; for MNIST this takes 0.1 s."""
    start, size, largest = 4 + 4 * dimensions, 0, 0
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            header = file.read(start)
            for piece in iter(lambda: file.read(1 << 20), b""):
                size += len(piece)
                largest = max(largest, max(piece)) if dimensions == 1 else 0
    except (OSError, EOFError, zlib.error) as error:
        fail(f"{path} cannot be read, it is corrupt or truncated: {error}")
    if len(header) < start or header[:4] != bytes([0, 0, 8, dimensions]):
        fail(f"{path} is not an IDX file of unsigned bytes in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    expected = np.prod(shape, dtype=object)  # Python's integers: a corrupt header must not overflow
    if size != expected:
        fail(f"{path} is corrupt or truncated: {size} bytes of data instead of {expected}")
    if dimensions == 3 and shape[1:] != (28, 28):
        fail(f"{path} holds images of {shape[1:]} pixels instead of (28, 28)")
    if largest > 9:
        fail(f"{path} holds labels above 9")
    return shape


def find_files(channel, folder, prefix):
    """Every pair PREFIX-images-idx3-ubyte*, PREFIX-labels-idx1-ubyte* in the folder of a channel
    -> [(images file, labels file), ...] and the number of images in them."""
    if folder is None:
        fail(
            f"no channel {channel!r}: SM_CHANNEL_{channel.upper()} is not set, the channels of this job "
            f"are {os.environ.get('SM_CHANNELS', '[]')}; name it in fit() or pass --{channel} FOLDER"
        )
    image_files = sorted(glob.glob(os.path.join(folder, f"{prefix}-images-idx3-ubyte*")))
    label_files = sorted(glob.glob(os.path.join(folder, f"{prefix}-labels-idx1-ubyte*")))
    if not image_files or len(image_files) != len(label_files):
        fail(
            f"channel {channel!r}: {folder} holds {len(image_files)} files {prefix}-images-idx3-ubyte* and "
            f"{len(label_files)} files {prefix}-labels-idx1-ubyte*, but needs one or more of both"
        )
    pairs, total = list(zip(image_files, label_files)), 0
    for image_file, label_file in pairs:
        images, labels = check_idx(image_file, 3)[0], check_idx(label_file, 1)[0]
        if images != labels:
            fail(f"{image_file} holds {images} images, {label_file} {labels} labels")
        total += images
    if total == 0:
        fail(f"channel {channel!r}: the files in {folder} hold no images")
    return pairs, total


def read(pair):
    """The names of two files -> a dataset of pairs of byte strings: an image, its label."""

    def records(path, size, header):
        kind = tf.where(tf.strings.regex_full_match(path, r".*\.gz"), "GZIP", "")
        return tf.data.FixedLengthRecordDataset(path, size, header_bytes=header, compression_type=kind)

    return tf.data.Dataset.zip((records(pair[0], 28 * 28, 16), records(pair[1], 1, 8)))


def decode(images, labels):
    """Byte strings -> images uint8 [N, 28, 28], labels uint8 [N]."""
    images = tf.reshape(tf.io.decode_raw(images, tf.uint8), [-1, 28, 28])
    return images, tf.reshape(tf.io.decode_raw(labels, tf.uint8), [-1])


def stream(pairs, batch_size, share=(1, 0), seed=None, skip=0):
    """Batches of the files' images, again and again, from batch number `skip` on. `share`: how many hosts
    share the images, and which this is. `seed` decides their order; without one it is that of the files.
    Memory holds 20,000 images for the shuffle, however many there are."""
    files = tf.data.Dataset.from_tensor_slices(pairs)
    if seed is not None:
        files = files.shuffle(len(pairs), seed, reshuffle_each_iteration=False)
    data = files.interleave(read, cycle_length=8, block_length=32).shard(*share)
    if seed is not None:
        data = data.shuffle(20000, seed, reshuffle_each_iteration=False)
    options = tf.data.Options()  # its autotuner would let the end of an epoch wait for up to ten seconds
    if hasattr(options, "autotune"):
        options.autotune.enabled = False
    else:  # early versions
        options.experimental_optimization.autotune = False
    return data.batch(batch_size).map(decode).repeat().skip(skip).prefetch(4).with_options(options)


# --- model ----------------------------------------------------------------------------------------


def build_model():
    """Images float32 [N, 28, 28, 1] in [0, 1] -> logits float32 [N, 10]."""
    layers = tf.keras.layers
    return tf.keras.Sequential(
        [
            tf.keras.Input(shape=(28, 28, 1)),
            layers.Conv2D(16, 5, strides=2, activation="relu"),
            layers.Conv2D(64, 3, strides=2, activation="relu"),
            layers.BatchNormalization(momentum=0.9),  # 0.99 would remember too much of the first steps
            layers.Flatten(),
            layers.Dense(256, activation="relu"),
            layers.Dense(10, dtype="float32"),  # whatever the precision of the rest
        ]
    )


def scale(images):
    """uint8 [N, 28, 28] -> float32 [N, 28, 28, 1] in [0, 1]."""
    return tf.cast(images, tf.float32)[..., tf.newaxis] / 255.0


# --- hosts ----------------------------------------------------------------------------------------


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


def silent_hosts():
    """The names of the hosts that no longer answer."""
    silent = []
    for host, worker in zip(HOSTS, WORKERS):
        try:
            socket.create_connection(worker.split(":"), timeout=5).close()
        except OSError:
            silent.append(host)
    return silent


def first_host_s(folder):
    """All hosts have to save, because they exchange values for it; only the first host's files are kept."""
    if HOST == 0:
        return folder
    aside = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, aside, ignore_errors=True)
    return aside


# --- training loop --------------------------------------------------------------------------------


def train(args, training, testing):
    """Train on what find_files found in both channels -> the model, and a dict of metrics of each epoch.
    With a folder for checkpoints, SIGTERM saves one and exits with status 143."""
    strategy = make_strategy()
    replicas = strategy.num_replicas_in_sync  # the processors of all hosts that train
    with strategy.scope():
        model = build_model()
        optimizer = tf.keras.optimizers.Adam(args.learning_rate, beta_1=args.beta_1, beta_2=args.beta_2)
        if hasattr(optimizer, "build"):  # early versions do it at the first step
            optimizer.build(model.trainable_variables)

    def measure(images, labels, training):
        """One batch -> its mean loss, and what is added up over an epoch: [loss, hits, images]."""
        logits, labels = model(scale(images), training=training), tf.cast(labels, tf.int64)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        hits = tf.cast(tf.argmax(logits, 1) == labels, tf.float32)
        sums = [tf.reduce_sum(losses), tf.reduce_sum(hits), tf.reduce_sum(tf.ones_like(hits))]
        return tf.reduce_mean(losses), tf.stack(sums)

    def train_batch(images, labels, stop):
        with tf.GradientTape() as tape:
            loss, sums = measure(images, labels, training=True)
            loss /= replicas  # because the optimizer adds up the gradients of all replicas
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
        return tf.concat([sums, [stop]], 0)

    def test_batch(images, labels):
        return measure(images, labels, training=False)[1]

    @tf.function
    def train_step(iterator, stop):
        return strategy.reduce("SUM", strategy.run(train_batch, args=(*next(iterator), stop)), axis=None)

    @tf.function
    def test_step(iterator):
        return strategy.reduce("SUM", strategy.run(test_batch, args=next(iterator)), axis=None)

    def batches(files, **options):
        """This host's stream. Of each of its batches every GPU gets a part."""
        size = max(1, args.batch_size * len(HOSTS) // replicas)
        early = not hasattr(strategy, "distribute_datasets_from_function")
        distribute = getattr(strategy, ("experimental_" if early else "") + "distribute_datasets_from_function")
        return iter(distribute(lambda _: stream(files, size, **options)))

    @tf.function
    def all_hosts(value):
        """The mean of a number over all hosts."""
        return strategy.reduce("MEAN", strategy.run(lambda: tf.identity(value)), axis=None)

    def steps(images):
        """How many batches make an epoch, from the images of this host: the same number on all hosts."""
        return math.ceil(float(all_hosts(tf.constant(float(images)))) / args.batch_size)

    hosts, index = share = share_of("training")
    images = len(range(index, training[1], hosts))
    if len(HOSTS) > 1:
        print(f"host {HOSTS[HOST]} of {', '.join(HOSTS)} trains on {images} images", flush=True)
    train_steps = steps(images)
    test_steps = steps(testing[1])  # every host tests with all images that it has
    now = dict(epoch=1, step=0, sums=[0.0, 0.0, 0.0], history=[])  # a checkpoint holds this, too
    state = tf.Variable(json.dumps(now))
    checkpoint = tf.train.Checkpoint(model=model, optimizer=optimizer, state=state)
    latest = args.checkpoint_dir and tf.train.latest_checkpoint(args.checkpoint_dir)
    manager = tf.train.CheckpointManager(checkpoint, first_host_s(args.checkpoint_dir or "unused"), max_to_keep=2)
    if latest:
        try:
            checkpoint.restore(latest).assert_existing_objects_matched()
        except (AssertionError, ValueError, tf.errors.OpError) as error:
            fail(f"--checkpoint-dir {args.checkpoint_dir} holds no checkpoint of this training: {error}")
        now = json.loads(state.numpy())
        print(f"resumes in epoch {now['epoch']} after {now['step']} steps", flush=True)
    stop = []
    if args.checkpoint_dir:
        signal.signal(signal.SIGTERM, lambda *_: stop.append(True))

    def save_checkpoint():
        if args.checkpoint_dir:
            state.assign(json.dumps(now))
            manager.save()

    try:
        while now["epoch"] <= args.epochs:
            began = time.time()
            iterator = batches(training[0], share=share, seed=args.seed + now["epoch"], skip=now["step"])
            while now["step"] < train_steps:
                *sums, stopping = train_step(iterator, tf.constant(float(len(stop)))).numpy().tolist()
                now["sums"] = np.add(now["sums"], sums).tolist()
                now["step"] += 1
                if stopping:  # one host was told to, and all hosts know it at the same step
                    save_checkpoint()
                    print(f"stopped in epoch {now['epoch']} after {now['step']} steps", flush=True)
                    sys.exit(143)
            iterator, test_sums = batches(testing[0]), np.zeros(3)
            for _ in range(test_steps):
                test_sums += test_step(iterator).numpy()
            (loss, hits, count), (test_loss, test_hits, test_count) = now["sums"], test_sums.tolist()
            metrics = dict(loss=loss / count, accuracy=hits / count)
            metrics.update(test_loss=test_loss / test_count, test_accuracy=test_hits / test_count)
            if HOST == 0:
                print(f"epoch={now['epoch']}", *(f"{k}={v:.4f}" for k, v in metrics.items()), flush=True)
            now["history"].append(dict(epoch=now["epoch"], seconds=time.time() - began, **metrics))
            now.update(epoch=now["epoch"] + 1, step=0, sums=[0.0, 0.0, 0.0])
            save_checkpoint()
    except tf.errors.OpError:
        silent = silent_hosts() if len(HOSTS) > 1 else []
        if silent:
            fail(f"host {', '.join(silent)} no longer answers, and the others cannot go on without it")
        raise
    return model, now["history"]


# --- artifacts ------------------------------------------------------------------------------------


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


def check_writable(option, folder):
    """Before the training, not after it."""
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        fail(f"{option} {folder} cannot be made: {error}")
    if not os.access(folder, os.W_OK):
        fail(f"{option} {folder} is not writable")


def main():
    args = parse_args()
    for option in ("model-dir", "output-data-dir", "checkpoint-dir"):
        folder = getattr(args, option.replace("-", "_"))
        if folder is not None:
            check_writable("--" + option, folder)
    random.seed(args.seed)
    np.random.seed(args.seed)
    tf.random.set_seed(args.seed)
    if args.precision != "float32":
        tf.keras.mixed_precision.set_global_policy(args.precision)
    training = find_files("training", args.training, "train")
    testing = find_files("testing", args.testing, "t10k")
    print(f"{training[1]} images to train on, {testing[1]} to test with", flush=True)
    model, history = train(args, training, testing)
    save_model(model, first_host_s(args.model_dir))
    if HOST == 0:
        save_json(args.output_data_dir, "metrics.json", history)
        save_json(args.output_data_dir, "job.json", describe_job(args))


if __name__ == "__main__":
    main()
