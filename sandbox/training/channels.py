"""Input data: from S3 to /opt/ml/input/data/CHANNEL of every host.

What each data type, distribution and input mode means: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
and https://docs.aws.amazon.com/sagemaker/latest/dg/model-access-training-data.html. FastFile shows the same files, but
read only; here they are copied like File's. Pipe is a FIFO CHANNEL_EPOCH that streams the objects one after another, as
often as it is opened; an augmented manifest needs it
(https://docs.aws.amazon.com/sagemaker/latest/dg/augmented-manifest-stream.html).
"""

import contextlib
import errno
import gzip
import json
import os
import struct
import threading
import time

from sandbox.account.permissions import Denied

# What a user's names and objects can make go wrong in a file system; every other error is the machine's.
USERS_ERRORS = {errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}


class DownloadError(Exception):
    """Becomes the job's FailureReason."""


def split(uri):
    """s3://BUCKET/KEY -> BUCKET, KEY"""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def mode(channel, job_mode):
    return channel.get("InputMode") or job_mode


def is_for(channel, group):
    """Whether the hosts of an instance group get a channel."""
    return group in channel["DataSource"]["S3DataSource"].get("InstanceGroupNames", [group])


def config(channels, job_mode):
    """The content of /opt/ml/input/config/inputdataconfig.json."""
    described = {}
    for channel in channels:
        source = channel["DataSource"].get("S3DataSource", {})
        described[channel["ChannelName"]] = {
            "TrainingInputMode": mode(channel, job_mode),
            "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            **{key: channel[key] for key in ("ContentType",) if key in channel},
        }
    return described


def objects(role, source):
    """The objects of a data source: their bucket, keys, and paths below the channel's folder."""
    bucket, key = split(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        return manifest(source["S3Uri"], read(role, bucket, key))
    folder = key.rstrip("/") + "/"
    found = []
    for name in role.list(bucket, key):
        if not name.endswith("/"):  # S3's console marks an empty folder with such an object
            start = len(folder) if name.startswith(folder) else name.rfind("/", 0, len(key)) + 1
            found.append((bucket, name, name[start if key else 0 :]))
    return found


def manifest(uri, content):
    """What a manifest names (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html)."""
    try:
        first, *names = json.loads(content)
        bucket, prefix = split(first["prefix"])
        return [(bucket, prefix + name, name) for name in names]
    except (ValueError, TypeError, LookupError, AttributeError):
        raise DownloadError(f"Failed to parse the manifest file {uri}: it is no list of a prefix and names") from None


def download(role, channel, host, hosts, folder):
    """Copy the share of host number `host` of `hosts` to a folder."""
    os.makedirs(folder)
    try:
        found = objects(role, channel["DataSource"]["S3DataSource"])
    except Denied as error:
        raise DownloadError(
            f"Unable to list objects at {channel['DataSource']['S3DataSource']['S3Uri']} ({error})"
        ) from error
    for bucket, key, path in share(channel, found, host, hosts):
        if "//" in key:
            raise DownloadError(
                f"Failed to download data. S3 key: s3://{bucket}/{key} has an illegal char sub-sequence '//' in it"
            )
        save(f"s3://{bucket}/{key}", read(role, bucket, key), folder, path)


def save(uri, content, folder, path):
    """Write an object to its place below a folder."""
    target = os.path.normpath(os.path.join(folder, path))
    if not target.startswith(os.path.join(folder, "")):
        raise DownloadError(f"Failed to download data. S3 key: {uri} leads out of its folder")
    try:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content)
    except ValueError as error:  # a name with a null byte
        raise DownloadError(f"Failed to download data. Cannot write {uri}: {error}") from None
    except OSError as error:
        if error.errno not in USERS_ERRORS:
            raise
        raise DownloadError(f"Failed to download data. Cannot write {uri}: {error.strerror}") from None


def read(role, bucket, key):
    try:
        return role.get(bucket, key)
    except Denied as error:
        raise DownloadError(f"Unable to download object s3://{bucket}/{key} ({error})") from error


def share(channel, found, host, hosts):
    distribution = channel["DataSource"]["S3DataSource"].get("S3DataDistributionType", "FullyReplicated")
    return found[host::hosts] if distribution == "ShardedByS3Key" else found


class Pipe(threading.Thread):
    """Feed the FIFOs of a channel in Pipe mode, one an epoch, until it is closed."""

    def __init__(self, role, channel, host, hosts, folder):
        super().__init__(daemon=True)
        self.role, self.channel, self.host, self.hosts = role, channel, host, hosts
        self.path = os.path.join(folder, channel["ChannelName"])
        self.closed = threading.Event()
        self.epoch(0)

    def epoch(self, number):
        os.mkfifo(f"{self.path}_{number}")

    def run(self):
        number = 0
        with contextlib.suppress(OSError, EOFError, DownloadError, Denied):
            while (pipe := self.open(f"{self.path}_{number}")) is not None:
                self.epoch(number + 1)
                with contextlib.suppress(BrokenPipeError), os.fdopen(pipe, "wb") as file:
                    for record in self.records():
                        file.write(record)
                number += 1

    def open(self, path):
        """Wait for a reader -> a descriptor to write to, or None once the channel is closed."""
        while not self.closed.is_set():
            try:
                pipe = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
                os.set_blocking(pipe, True)
                return pipe
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                time.sleep(0.02)

    def records(self):
        wrap = record_io if self.channel.get("RecordWrapperType") == "RecordIO" else lambda content: content
        source = self.channel["DataSource"]["S3DataSource"]
        if source["S3DataType"] != "AugmentedManifestFile":
            for bucket, key, _ in share(self.channel, objects(self.role, source), self.host, self.hosts):
                content = read(self.role, bucket, key)
                yield wrap(gzip.decompress(content) if self.channel.get("CompressionType") == "Gzip" else content)
            return
        lines = read(self.role, *split(source["S3Uri"])).decode().splitlines()
        for line in share(self.channel, [line for line in lines if line.strip()], self.host, self.hosts):
            values = json.loads(line)
            for name in source["AttributeNames"]:
                value = values[name]
                if name.endswith("-ref"):
                    yield wrap(read(self.role, *split(value)))
                else:
                    yield wrap((value if isinstance(value, str) else json.dumps(value)).encode())


def record_io(content):
    """Magic number, length, padding to 4 (https://mxnet.apache.org/versions/1.9.1/api/architecture/note_data_loading)."""
    return struct.pack("<II", 0xCED7230A, len(content)) + content + bytes(-len(content) % 4)
