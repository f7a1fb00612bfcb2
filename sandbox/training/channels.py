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
from collections.abc import Iterator, Sequence
from typing import TypeVar

from sandbox.api import s3_data
from sandbox.api.s3_data import DownloadError
from sandbox.aws.call import Members
from sandbox.aws.role import Denied, Role
from sandbox.aws.store import split

Item = TypeVar("Item")


def mode(channel: Members, job_mode: str) -> str:
    return channel.get("InputMode") or job_mode


def is_for(channel: Members, group: str) -> bool:
    """Whether the hosts of an instance group get a channel."""
    return group in channel["DataSource"]["S3DataSource"].get("InstanceGroupNames", [group])


def config(channels: Sequence[Members], job_mode: str) -> Members:
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


def download(role: Role, channel: Members, host: int, hosts: int, folder: str) -> None:
    """Copy the share of host number `host` of `hosts` to a folder."""
    os.makedirs(folder)
    try:
        found = s3_data.objects(role, channel["DataSource"]["S3DataSource"])
    except Denied as error:
        raise DownloadError(
            f"Unable to list objects at {channel['DataSource']['S3DataSource']['S3Uri']} ({error})"
        ) from error
    for bucket, key, path in share(channel, found, host, hosts):
        if "//" in key:
            raise DownloadError(
                f"Failed to download data. S3 key: s3://{bucket}/{key} has an illegal char sub-sequence '//' in it"
            )
        s3_data.save(f"s3://{bucket}/{key}", s3_data.read(role, bucket, key), folder, path)


def share(channel: Members, found: Sequence[Item], host: int, hosts: int) -> Sequence[Item]:
    distribution = channel["DataSource"]["S3DataSource"].get("S3DataDistributionType", "FullyReplicated")
    return found[host::hosts] if distribution == "ShardedByS3Key" else found


class Pipe(threading.Thread):
    """Feed the FIFOs of a channel in Pipe mode, one an epoch, until it is closed."""

    def __init__(self, role: Role, channel: Members, host: int, hosts: int, folder: str) -> None:
        super().__init__(daemon=True)
        self.role, self.channel, self.host, self.hosts = role, channel, host, hosts
        self.path = os.path.join(folder, channel["ChannelName"])
        self.closed = threading.Event()
        self.epoch(0)

    def epoch(self, number: int) -> None:
        os.mkfifo(f"{self.path}_{number}")

    def run(self) -> None:
        number = 0
        with contextlib.suppress(OSError, EOFError, DownloadError, Denied):
            while (pipe := self.open(f"{self.path}_{number}")) is not None:
                self.epoch(number + 1)
                with contextlib.suppress(BrokenPipeError), os.fdopen(pipe, "wb") as file:
                    for record in self.records():
                        file.write(record)
                number += 1

    def open(self, path: str) -> int | None:
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
        return None

    def records(self) -> Iterator[bytes]:
        def wrap(content: bytes) -> bytes:
            return record_io(content) if self.channel.get("RecordWrapperType") == "RecordIO" else content

        source = self.channel["DataSource"]["S3DataSource"]
        if source["S3DataType"] != "AugmentedManifestFile":
            for bucket, key, _ in share(self.channel, s3_data.objects(self.role, source), self.host, self.hosts):
                content = s3_data.read(self.role, bucket, key)
                yield wrap(gzip.decompress(content) if self.channel.get("CompressionType") == "Gzip" else content)
            return
        lines = s3_data.read(self.role, *split(source["S3Uri"])).decode().splitlines()
        for line in share(self.channel, [line for line in lines if line.strip()], self.host, self.hosts):
            values = json.loads(line)
            for name in source["AttributeNames"]:
                value = values[name]
                if name.endswith("-ref"):
                    yield wrap(s3_data.read(self.role, *split(value)))
                else:
                    yield wrap((value if isinstance(value, str) else json.dumps(value)).encode())


def record_io(content: bytes) -> bytes:
    """Magic number, length, padding to 4 (https://mxnet.apache.org/versions/1.9.1/api/architecture/note_data_loading)."""
    return struct.pack("<II", 0xCED7230A, len(content)) + content + bytes(-len(content) % 4)
