"""Where the data is read: MNIST's files in the folder of a channel, checked, and then read as a stream.

Their format is in ../data/README.md. Any number of them, gzipped or not. What is wrong with them ends the script.
"""

import collections
import gzip
import math
import os
import re
import shutil
import struct
import tempfile
import zlib

import tensorflow as tf
from saving import fail

Files = collections.namedtuple("Files", "pairs images checksum")  # pairs: (images file, labels file), each unpacked
UNPACKED = tempfile.TemporaryDirectory()  # ends with this program


def find_files(channel, folder, prefix):
    """Every pair PREFIX-images-idx3-ubyte*, PREFIX-labels-idx1-ubyte* in the folder of a channel -> Files."""
    if folder is None:
        channels = os.environ.get("SM_CHANNELS", "[]")
        fail(f"no channel {channel!r} among {channels}: name it in fit() or pass --{channel} FOLDER")
    kinds = [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]
    names = sorted(os.listdir(folder))
    images, labels = ({re.sub(r"\.gz$", "", n[len(kind) :]): n for n in names if n.startswith(kind)} for kind in kinds)
    where, found = f"channel {channel!r}: {folder} holds", f"{len(images)} files {kinds[0]}*, {len(labels)} {kinds[1]}*"
    for name in names:
        if name.startswith(tuple(kinds)) and name + ".gz" in names:
            fail(f"{where} {name} twice, also as .gz: remove one of them")
    if not images or images.keys() != labels.keys():
        fail(f"{where} {found}, but needs one or more of both, in pairs of the same ending")
    pairs, total, checksum = [], 0, 0
    for ending in images:
        image_path, label_path = (os.path.join(folder, names[ending]) for names in (images, labels))
        image_file, count, checksum = check_idx(image_path, 3, checksum)
        label_file, label_count, checksum = check_idx(label_path, 1, checksum)
        if count != label_count:
            fail(f"{image_path} holds {count} images, {label_path} {label_count} labels")
        pairs, total = [*pairs, (image_file, label_file)], total + count
    if total == 0:
        fail(f"{where} no images in its files")
    return Files(pairs, total, checksum)


def check_idx(path, dimensions, checksum):
    """Read an IDX file of unsigned bytes once, a piece at a time -> where it is unpacked, its number of records, and
    the checksum so far. Damage is found here, not in the middle of the training; for MNIST this takes 0.3 s."""
    start, size, largest, unpacked = 4 + 4 * dimensions, 0, 0, path
    try:
        if path.endswith(".gz"):  # early versions of TensorFlow would read its first part only
            with gzip.open(path) as packed, tempfile.NamedTemporaryFile(dir=UNPACKED.name, delete=False) as file:
                shutil.copyfileobj(packed, file)
            unpacked = file.name
        with open(unpacked, "rb") as file:
            header = file.read(start)
            for piece in iter(lambda: file.read(1 << 20), b""):
                size, checksum = size + len(piece), zlib.crc32(piece, checksum)
                largest = max(largest, max(piece)) if dimensions == 1 else 0
    except (OSError, EOFError, zlib.error) as error:
        fail(f"{path} cannot be read, it is corrupt or truncated: {error}")
    if len(header) < start or header[:4] != bytes([0, 0, 8, dimensions]):
        fail(f"{path} is not an IDX file of unsigned bytes in {dimensions} dimensions")
    count, *shape = struct.unpack(f">{dimensions}I", header[4:])
    if shape not in ([], [28, 28]):
        fail(f"{path} holds images of {shape} pixels instead of [28, 28]")
    if size != count * 28 ** len(shape):
        fail(f"{path} is corrupt or truncated: {size} bytes of data instead of {count * 28 ** len(shape)}")
    if largest > 9:
        fail(f"{path} holds labels above 9")
    return unpacked, count, checksum


def stream(files, batch_size, share=(1, 0), seed=None):
    """All images once, in batches: float32 [N, 28, 28, 1], and their labels. `share`: how many hosts share them, and
    which this is. `seed` decides their order; without one it is that of the files. Memory holds 20,000 images for the
    shuffle, however many there are."""
    data = tf.data.Dataset.from_tensor_slices(files.pairs)
    if seed is not None:
        data = data.shuffle(len(files.pairs), seed, reshuffle_each_iteration=False)
    data = data.interleave(read, cycle_length=8, block_length=32).shard(*share)
    if seed is not None:
        data = data.shuffle(20000, seed, reshuffle_each_iteration=False)
    batches = math.ceil(len(range(share[1], files.images, share[0])) / batch_size)
    data = data.batch(batch_size).apply(tf.data.experimental.assert_cardinality(batches))
    options = tf.data.Options()
    if hasattr(options, "autotune"):  # in later versions it would let the end of an epoch wait for up to ten seconds
        options.autotune.enabled = False
    return data.map(decode).prefetch(4).with_options(options)


def read(pair):
    """The names of two files -> a dataset of pairs of byte strings: an image, its label."""
    images = tf.data.FixedLengthRecordDataset(pair[0], 28 * 28, header_bytes=16)
    return tf.data.Dataset.zip((images, tf.data.FixedLengthRecordDataset(pair[1], 1, header_bytes=8)))


def decode(images, labels):
    images = tf.reshape(tf.io.decode_raw(images, tf.uint8), [-1, 28, 28])
    return scale(images), tf.reshape(tf.io.decode_raw(labels, tf.uint8), [-1])


def scale(images):
    """uint8 [N, 28, 28] -> float32 [N, 28, 28, 1] in [0, 1]."""
    return tf.cast(images, tf.float32)[..., tf.newaxis] / 255.0
