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

from sandbox.account.permissions import Denied
from sandbox.training import channels

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


def primary(model):
    """The one container of a model, as CreateModel had it."""
    return model.get("PrimaryContainer") or model["Containers"][0]


def source(container):
    """Where the data of a container is -> its S3DataSource, or None"""
    if uri := container.get("ModelDataUrl"):
        return {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "Gzip"}
    return container.get("ModelDataSource", {}).get("S3DataSource")


def members(content):
    """The files of an archive -> their names and contents, one after another"""
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        for member in tar:
            if member.isfile():
                yield os.path.normpath(member.name), tar.extractfile(member).read()
            elif not member.isdir():
                raise tarfile.TarError(f"{member.name} is no file")


def has_script(role, data):
    """Whether a model brings an inference.py; what cannot be read brings none."""
    bucket, key = channels.split(data["S3Uri"])
    try:
        if data["S3DataType"] == "S3Prefix":
            return f"{key.rstrip('/')}/{SCRIPT}" in role.list(bucket, key)
        with tarfile.open(fileobj=io.BytesIO(role.get(bucket, key)), mode="r:gz") as tar:
            return SCRIPT in (os.path.normpath(name) for name in tar.getnames())
    except (Denied, *BROKEN):
        return False


def fetch(role, container, folder):
    """Download and unpack a container's data into a folder, or raise ArchiveError."""
    data = source(container)
    if data is None:
        return
    uri = data["S3Uri"]
    bucket, key = channels.split(uri)
    try:
        if data["S3DataType"] == "S3Prefix":
            found = channels.objects(role, data)
            for bucket, key, path in found:
                channels.save(uri, role.get(bucket, key), str(folder), path)
            if not found:
                raise ArchiveError(NO_DATA.format(uri))
            return
        content = role.get(bucket, key)
    except (Denied, channels.DownloadError):
        raise ArchiveError(NO_DATA.format(uri)) from None
    try:
        for name, body in members(content):
            channels.save(uri, body, str(folder), name)
    except (channels.DownloadError, *BROKEN):
        raise ArchiveError(NO_ARCHIVE.format(uri)) from None
