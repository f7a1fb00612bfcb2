"""An S3DataSource of a request: the objects that it names, and their way into a folder of a host.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html
"""

import errno
import json
import os

from sandbox.aws.call import Members
from sandbox.aws.role import Denied, Role
from sandbox.aws.store import split

# What a user's names and objects can make go wrong in a file system; every other error is the machine's.
USERS_ERRORS = {errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL}


class DownloadError(Exception):
    """Becomes the FailureReason."""


def objects(role: Role, source: Members) -> list[tuple[str, str, str]]:
    """The objects of a data source: their bucket, keys, and paths below the folder that they go to."""
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


def manifest(uri: str, content: bytes) -> list[tuple[str, str, str]]:
    """What a manifest names."""
    try:
        first, *names = json.loads(content)
        bucket, prefix = split(first["prefix"])
        return [(bucket, prefix + name, name) for name in names]
    except (ValueError, TypeError, LookupError, AttributeError):
        raise DownloadError(f"Failed to parse the manifest file {uri}: it is no list of a prefix and names") from None


def read(role: Role, bucket: str, key: str) -> bytes:
    try:
        return role.get(bucket, key)
    except Denied as error:
        raise DownloadError(f"Unable to download object s3://{bucket}/{key} ({error})") from error


def save(uri: str, content: bytes, folder: str, path: str) -> None:
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
