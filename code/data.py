"""Where the data is read: MNIST's IDX files, found in a channel's folder, checked, and read as a stream.

Their format is in ../data/README.md. Any number of pairs of files, gzipped or not. What is wrong with them raises
ValueError, with one line that names the file.
"""

import gzip
import os
import struct
import zlib

import tensorflow as tf


def check_idx(path, dimensions):
    """Read an IDX file of unsigned bytes once, a piece at a time -> its shape and a checksum. Damage is found
    here, not in the middle of the training; for MNIST this takes 0.2 s."""
    start, size, largest, checksum = 4 + 4 * dimensions, 0, 0, 0
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            header = file.read(start)
            for piece in iter(lambda: file.read(1 << 20), b""):
                size, checksum = size + len(piece), zlib.crc32(piece, checksum)
                largest = max(largest, max(piece)) if dimensions == 1 else 0
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be read, it is corrupt or truncated: {error}") from error
    if len(header) < start or header[:4] != bytes([0, 0, 8, dimensions]):
        raise ValueError(f"{path} is not an IDX file of unsigned bytes in {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", header[4:])
    expected = shape[0] * (shape[1] * shape[2] if dimensions == 3 else 1)
    if size != expected:
        raise ValueError(f"{path} is corrupt or truncated: {size} bytes of data instead of {expected}")
    if dimensions == 3 and shape[1:] != (28, 28):
        raise ValueError(f"{path} holds images of {shape[1:]} pixels instead of (28, 28)")
    if largest > 9:
        raise ValueError(f"{path} holds labels above 9")
    seen = sum(len(batch) for batch in records(path, expected // (shape[0] or 1) or 1, start).batch(4096))
    if seen != shape[0]:  # early versions read the first part only of a gzip of several
        raise ValueError(f"{path}: TensorFlow {tf.__version__} reads {seen} of its {shape[0]} records: pack it anew")
    return shape, checksum


def names_in(channel, folder):
    """The names of the files in a channel's folder, in their order."""
    if folder is None:
        raise ValueError(
            f"no channel {channel!r}: SM_CHANNEL_{channel.upper()} is not set, the channels of this job "
            f"are {os.environ.get('SM_CHANNELS', '[]')}; name it in fit() or pass --{channel} FOLDER"
        )
    if folder.startswith("s3://"):
        raise ValueError(f"channel {channel!r}: {folder} is an address in S3, not a folder of this machine")
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise ValueError(f"channel {channel!r}: {folder} cannot be read as a folder: {error.strerror}") from error


def find_files(channel, folder, prefix):
    """Every pair PREFIX-images-idx3-ubyte*, PREFIX-labels-idx1-ubyte* in the folder of a channel
    -> [(images file, labels file), ...], the number of images in them, and a checksum."""
    names = names_in(channel, folder)
    kinds = [f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"]
    image_files, label_files = ([name for name in names if name.startswith(kind)] for kind in kinds)
    twins = [name for name in image_files + label_files if name + ".gz" in names]
    if twins:
        raise ValueError(f"channel {channel!r}: {folder} holds {twins[0]} twice, also as .gz: remove one of them")
    if not image_files or len(image_files) != len(label_files):
        raise ValueError(
            f"channel {channel!r}: {folder} holds {len(image_files)} files {kinds[0]}* and "
            f"{len(label_files)} files {kinds[1]}*, but needs one or more of both"
        )
    pairs, total, checksums = [], 0, []
    for pair in zip(image_files, label_files):
        pairs.append(tuple(os.path.join(folder, name) for name in pair))
        (images, labels) = (check_idx(path, dimensions) for path, dimensions in zip(pairs[-1], (3, 1)))
        if images[0][0] != labels[0][0]:
            raise ValueError(
                "{} holds {} images, {} {} labels".format(pairs[-1][0], images[0][0], pairs[-1][1], labels[0][0])
            )
        total += images[0][0]
        checksums += [images[1], labels[1]]
    if total == 0:
        raise ValueError(f"channel {channel!r}: the files in {folder} hold no images")
    return pairs, total, zlib.crc32(str(checksums).encode())


def records(path, size, header):
    """The records of a file, each of so many bytes, after its header: a dataset of byte strings."""
    kind = tf.where(tf.strings.regex_full_match(path, r".*\.gz"), "GZIP", "")
    return tf.data.FixedLengthRecordDataset(path, size, header_bytes=header, compression_type=kind)


def read(pair):
    """The names of two files -> a dataset of pairs of byte strings: an image, its label."""
    return tf.data.Dataset.zip((records(pair[0], 28 * 28, 16), records(pair[1], 1, 8)))


def scale(images):
    """uint8 [N, 28, 28] -> float32 [N, 28, 28, 1] in [0, 1]."""
    return tf.cast(images, tf.float32)[..., tf.newaxis] / 255.0


def decode(images, labels):
    """Byte strings -> images float32 [N, 28, 28, 1], labels uint8 [N]."""
    images = tf.reshape(tf.io.decode_raw(images, tf.uint8), [-1, 28, 28])
    return scale(images), tf.reshape(tf.io.decode_raw(labels, tf.uint8), [-1])


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
