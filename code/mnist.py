"""MNIST's IDX files: found in a channel's folder, checked, and read as a stream.

Their format: http://yann.lecun.com/exdb/mnist. Any number of them, gzipped or not. What is wrong with them raises
ValueError, with one line that names the file.
"""

import functools
import glob
import gzip
import operator
import os
import struct
import zlib

import tensorflow as tf


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
        raise ValueError(f"{path} cannot be read, it is corrupt or truncated: {error}") from error
    if len(header) < start or header[:4] != bytes([0, 0, 8, dimensions]):
        raise ValueError(f"{path} is not an IDX file of unsigned bytes in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    expected = functools.reduce(operator.mul, shape, 1)
    if size != expected:
        raise ValueError(f"{path} is corrupt or truncated: {size} bytes of data instead of {expected}")
    if dimensions == 3 and shape[1:] != (28, 28):
        raise ValueError(f"{path} holds images of {shape[1:]} pixels instead of (28, 28)")
    if largest > 9:
        raise ValueError(f"{path} holds labels above 9")
    return shape


def find_files(channel, folder, prefix):
    """Every pair PREFIX-images-idx3-ubyte*, PREFIX-labels-idx1-ubyte* in the folder of a channel
    -> [(images file, labels file), ...] and the number of images in them."""
    if folder is None:
        raise ValueError(
            f"no channel {channel!r}: SM_CHANNEL_{channel.upper()} is not set, the channels of this job "
            f"are {os.environ.get('SM_CHANNELS', '[]')}; name it in fit() or pass --{channel} FOLDER"
        )
    image_files = sorted(glob.glob(os.path.join(folder, f"{prefix}-images-idx3-ubyte*")))
    label_files = sorted(glob.glob(os.path.join(folder, f"{prefix}-labels-idx1-ubyte*")))
    if not image_files or len(image_files) != len(label_files):
        raise ValueError(
            f"channel {channel!r}: {folder} holds {len(image_files)} files {prefix}-images-idx3-ubyte* and "
            f"{len(label_files)} files {prefix}-labels-idx1-ubyte*, but needs one or more of both"
        )
    pairs, total = list(zip(image_files, label_files)), 0
    for image_file, label_file in pairs:
        images, labels = check_idx(image_file, 3)[0], check_idx(label_file, 1)[0]
        if images != labels:
            raise ValueError(f"{image_file} holds {images} images, {label_file} {labels} labels")
        total += images
    if total == 0:
        raise ValueError(f"channel {channel!r}: the files in {folder} hold no images")
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
