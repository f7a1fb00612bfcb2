"""A model's data: from S3 to the folder that becomes /opt/ml/model.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ContainerDefinition.html. The messages are those that
people met on AWS and quoted. AWS unpacks no archive with links in it
(https://repost.aws/knowledge-center/sagemaker-endpoint-creation-fail).
"""

import gzip
import io
import os
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from sandbox.api import s3_data
from sandbox.api.s3_data import DownloadError
from sandbox.aws.call import Members
from sandbox.aws.role import Denied, Role
from sandbox.aws.store import split

SCRIPT = "code/inference.py"
BROKEN = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)  # what is no archive
NO_DATA = (
    'Failed to download model data for container "container_1" from URL: "{}". Please ensure that there is an object '
    "located at the URL and that the role passed to CreateModel has permissions to download the object."
)
NO_ARCHIVE = (
    'Failed to extract model data archive for container "container_1" from URL "{}". Please ensure that the object '
    "located at the URL is a valid tar.gz archive."
)


class ArchiveError(Exception):
    """Becomes the endpoint's FailureReason."""


def primary(model: Members) -> Members:
    """The one container of a model, as CreateModel had it."""
    return model.get("PrimaryContainer") or model["Containers"][0]


def source(container: Members) -> Members | None:
    """Where the data of a container is -> its S3DataSource, or None"""
    if uri := container.get("ModelDataUrl"):
        return {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "Gzip"}
    return container.get("ModelDataSource", {}).get("S3DataSource")


def members(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The files of an archive -> their names and contents, one after another"""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        for member in tar:
            if file := tar.extractfile(member) if member.isfile() else None:
                yield os.path.normpath(member.name), file.read()
            elif not member.isdir():
                raise tarfile.TarError(f"{member.name} is no file")


def has_script(role: Role, data: Members) -> bool:
    """Whether a model brings an inference.py; what cannot be read brings none."""
    bucket, key = split(data["S3Uri"])
    try:
        if data["S3DataType"] == "S3Prefix":
            return f"{key.rstrip('/')}/{SCRIPT}" in role.list(bucket, key)
        with tarfile.open(fileobj=io.BytesIO(role.get(bucket, key)), mode="r:gz") as tar:
            return SCRIPT in (os.path.normpath(name) for name in tar.getnames())
    except (Denied, *BROKEN):
        return False


def fetch(role: Role, container: Members, folder: Path) -> None:
    """Download and unpack a container's data into a folder, or raise ArchiveError."""
    data = source(container)
    if data is None:
        return
    uri = data["S3Uri"]
    bucket, key = split(uri)
    try:
        if data["S3DataType"] == "S3Prefix":
            found = s3_data.objects(role, data)
            for bucket, key, path in found:
                s3_data.save(uri, role.get(bucket, key), str(folder), path)
            if not found:
                raise ArchiveError(NO_DATA.format(uri))
            return
        content = role.get(bucket, key)
    except (Denied, DownloadError):
        raise ArchiveError(NO_DATA.format(uri)) from None
    try:
        for name, body in members(content):
            s3_data.save(uri, body, str(folder), name)
    except (DownloadError, *BROKEN):
        raise ArchiveError(NO_ARCHIVE.format(uri)) from None
