"""The images: MNIST's files in the folder of a channel are found, checked, and read as a tf.data.Dataset.

The files have the IDX format, which ../data/README.md describes. A channel may have any number of them, gzipped or not.
They are read in pieces, so that they need not fit into memory. A mistake in them ends the script before the training.
https://www.tensorflow.org/guide/data is TensorFlow's guide to datasets.
"""

import gzip
import math
import os
import shutil
import struct
import tempfile
import zlib
from typing import NamedTuple

import tensorflow as tf

import compat
from errors import fail

UNPACKED_FILES = tempfile.TemporaryDirectory()  # Python removes this folder when the script ends.
PIECE_SIZE = 1024 * 1024  # in bytes: how much of a file is checked at a time
SHUFFLE_BUFFER = 20000  # how many images are in memory to be shuffled, however many there are in all


class Format(NamedTuple):
    """The format of one kind of IDX file. A record is one image or one label."""

    dimensions: int  # of the whole file: first the number of records, then those of a record
    record_shape: list
    record_size: int  # in bytes
    header_size: int  # in bytes: four for the type, and four for the length of each dimension


IMAGES = Format(dimensions=3, record_shape=[28, 28], record_size=28 * 28, header_size=16)
LABELS = Format(dimensions=1, record_shape=[], record_size=1, header_size=8)


class ImageFiles(NamedTuple):
    """The files of a channel, after they were checked."""

    pairs: list  # Each is two paths: that of a file with images, and that of the file with their labels.
    image_count: int  # in all files together
    checksum: int  # of all images and labels


def find_files(channel, folder, prefix):
    """Find and check the files of a channel, and return them as ImageFiles.

    `folder` is that of the channel, or None if there is no such channel. `prefix` is what the names of the files begin
    with: PREFIX-images-idx3-ubyte*, PREFIX-labels-idx1-ubyte*. If a file is missing or damaged, the script ends.
    """
    if folder is None:
        channels = os.environ.get("SM_CHANNELS", "[]")
        fail(f"no channel {channel!r} among {channels}: name it in fit() or pass --{channel} FOLDER")
    pairs = []
    image_count = 0
    checksum = 0
    for image_path, label_path in find_pairs(channel, folder, prefix):
        unpacked_images, images_in_file, checksum = check_file(image_path, IMAGES, checksum)
        unpacked_labels, labels_in_file, checksum = check_file(label_path, LABELS, checksum)
        if images_in_file != labels_in_file:
            fail(f"{image_path} holds {images_in_file} images, {label_path} {labels_in_file} labels")
        pairs.append((unpacked_images, unpacked_labels))
        image_count += images_in_file
    if image_count == 0:
        fail(f"channel {channel!r}: {folder} holds no images in its files")
    return ImageFiles(pairs, image_count, checksum)


def find_pairs(channel, folder, prefix):
    """Find which file of labels belongs to which file of images, and return the paths of each pair.

    The names of a pair have the same ending, such as "-2" in train-images-idx3-ubyte-2.gz. If a file has no partner,
    or is there twice, the script ends.
    """
    image_start = f"{prefix}-images-idx3-ubyte"
    label_start = f"{prefix}-labels-idx1-ubyte"
    images_by_ending = find_by_ending(channel, folder, image_start)
    labels_by_ending = find_by_ending(channel, folder, label_start)
    if not images_by_ending or images_by_ending.keys() != labels_by_ending.keys():
        found = f"{len(images_by_ending)} files {image_start}*, {len(labels_by_ending)} {label_start}*"
        needed = "one or more of both, in pairs of the same ending"
        fail(f"channel {channel!r}: {folder} holds {found}, but needs {needed}")
    pairs = []
    for ending, image_name in images_by_ending.items():
        image_path = os.path.join(folder, image_name)
        label_path = os.path.join(folder, labels_by_ending[ending])
        pairs.append((image_path, label_path))
    return pairs


def find_by_ending(channel, folder, start):
    """Find the files of a folder whose names begin with `start`, and return a dict of their names by their endings.

    If a file is there twice, unpacked and gzipped, the script ends, because its images would count twice.
    """
    names_by_ending = {}
    all_names = sorted(os.listdir(folder))
    for name in all_names:
        if not name.startswith(start):
            continue
        if name + ".gz" in all_names:
            fail(f"channel {channel!r}: {folder} holds {name} twice, also as .gz: remove one of them")
        names_by_ending[ending_of(name, start)] = name
    return names_by_ending


def ending_of(name, start):
    """What comes after the start of a file's name, without ".gz"."""
    ending = name[len(start) :]
    if ending.endswith(".gz"):
        ending = ending[: -len(".gz")]
    return ending


def check_file(path, expected, checksum):
    """Read a file from its start to its end, so that damage is found now and not in the middle of the training.

    `expected` is the Format that the file must have. Returns where the file is unpacked, how many records it has, and
    `checksum` continued over these records. If the file is damaged, the script ends. For MNIST this takes 0.3 seconds.
    """
    try:
        unpacked_path = unpack(path)
        header, data_size, largest_label, checksum = scan(unpacked_path, expected, checksum)
    except (OSError, EOFError, zlib.error) as error:
        fail(f"{path} cannot be read, it is corrupt or truncated: {error}")
    unsigned_bytes = bytes([0, 0, 8, expected.dimensions])  # 8 is the type; the last byte is the number of dimensions.
    if len(header) < expected.header_size or header[:4] != unsigned_bytes:
        fail(f"{path} is not an IDX file of unsigned bytes in {expected.dimensions} dimensions")
    record_count, *record_shape = struct.unpack(f">{expected.dimensions}I", header[4:])
    if record_shape != expected.record_shape:
        fail(f"{path} holds images of {record_shape} pixels instead of [28, 28]")
    expected_size = record_count * expected.record_size
    if data_size != expected_size:
        fail(f"{path} is corrupt or truncated: {data_size} bytes of data instead of {expected_size}")
    if largest_label > 9:
        fail(f"{path} holds labels above 9")
    return unpacked_path, record_count, checksum


def unpack(path):
    """Unpack a gzipped file into the folder UNPACKED_FILES, and return where it is. Any other file stays where it is.

    TensorFlow could read gzipped files by itself, but early versions stop where a file made of several parts has the
    end of its first part.
    """
    if not path.endswith(".gz"):
        return path
    with gzip.open(path) as packed, tempfile.NamedTemporaryFile(dir=UNPACKED_FILES.name, delete=False) as unpacked:
        shutil.copyfileobj(packed, unpacked)
    return unpacked.name


def scan(path, expected, checksum):
    """Read an unpacked file in pieces, and return its header, the size of the data that follows, the largest label (0
    in a file of images), and `checksum` continued over the data."""
    data_size = 0
    largest_label = 0
    with open(path, "rb") as file:
        header = file.read(expected.header_size)
        piece = file.read(PIECE_SIZE)
        while piece:
            data_size += len(piece)
            checksum = zlib.crc32(piece, checksum)
            if expected == LABELS:
                largest_label = max(largest_label, max(piece))
            piece = file.read(PIECE_SIZE)
    return header, data_size, largest_label, checksum


def make_dataset(files, batch_size, num_shards=1, shard=0, seed=None):
    """Make a dataset that gives each image once, in batches.

    A batch is a pair: images float32 [N, 28, 28, 1] with values from 0 to 1, and labels uint8 [N]. `seed` decides the
    order of the images; without one it is that of the files. If several hosts share the images, `num_shards` is their
    number and `shard`, from 0, the number of this host.
    """
    dataset = tf.data.Dataset.from_tensor_slices(files.pairs)
    if seed is not None:
        dataset = dataset.shuffle(len(files.pairs), seed, reshuffle_each_iteration=False)
    dataset = dataset.interleave(read_pair, cycle_length=8, block_length=32)  # 32 images of each of 8 files in turn
    dataset = dataset.shard(num_shards, shard)
    if seed is not None:
        dataset = dataset.shuffle(SHUFFLE_BUFFER, seed, reshuffle_each_iteration=False)
    dataset = dataset.batch(batch_size)
    batch_count = math.ceil(shard_size(files.image_count, num_shards, shard) / batch_size)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(batch_count))  # TensorFlow cannot know it.
    dataset = dataset.map(decode)  # a batch at a time, which is faster than an image at a time
    dataset = dataset.prefetch(4)  # Four batches are ready while the model trains on another one.
    return compat.without_autotuning(dataset)


def shard_size(image_count, num_shards, shard):
    """How many images a host has if it takes every `num_shards`-th image, beginning with number `shard`."""
    return len(range(shard, image_count, num_shards))


def read_pair(pair):
    """The paths of a pair of files -> a dataset of pairs of byte strings: an image and its label."""
    images = tf.data.FixedLengthRecordDataset(pair[0], IMAGES.record_size, header_bytes=IMAGES.header_size)
    labels = tf.data.FixedLengthRecordDataset(pair[1], LABELS.record_size, header_bytes=LABELS.header_size)
    return tf.data.Dataset.zip((images, labels))


def decode(images, labels):
    """A batch of byte strings -> images float32 [N, 28, 28, 1] with values from 0 to 1, and labels uint8 [N]."""
    pixels = tf.io.decode_raw(images, tf.uint8)
    pixels = tf.reshape(pixels, [-1, 28, 28])
    digits = tf.io.decode_raw(labels, tf.uint8)
    digits = tf.reshape(digits, [-1])
    return scale(pixels), digits


def scale(pixels):
    """Pixels uint8 [N, 28, 28] -> float32 [N, 28, 28, 1] with values from 0 to 1."""
    pixels = tf.cast(pixels, tf.float32)
    return pixels[..., tf.newaxis] / 255.0
