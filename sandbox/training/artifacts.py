"""What a job leaves in S3: model.tar.gz, output.tar.gz, and folders that are copied there while it runs.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html; checkpoints, which also come
back before the next job: https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html; TensorBoard's files:
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TensorBoardOutputConfig.html
"""

import contextlib
import os
import tarfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from sandbox.api import s3_data
from sandbox.aws.role import Denied, Role
from sandbox.aws.store import split

INTERVAL = 3  # seconds between two looks at a folder


class UploadError(Exception):
    """Becomes the job's FailureReason."""


def entries(folders: Sequence[str]) -> list[tuple[str, str]]:
    """Everything below folders -> names and paths. Of one name in several folders, the first counts. No link is
    followed."""
    found: dict[str, str] = {}
    for folder in folders:
        for parent, folders_there, names in os.walk(folder) if not os.path.islink(folder) else ():
            for name in (*folders_there, *names):
                path = os.path.join(parent, name)
                found.setdefault(os.path.relpath(path, folder), path)
    return sorted(found.items())


def files(folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The files below folders, and links to such files -> names and paths."""
    for inside, path in entries(folders):
        root = os.path.realpath(path[: len(path) - len(inside)])
        if os.path.isfile(path) and os.path.realpath(path).startswith(os.path.join(root, "")):
            yield inside, path


def as_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """In a container the files are root's."""
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    return member


def upload(role: Role, folders: Sequence[str], uri: str, name: str, compression: str, scratch: Path) -> None:
    """Upload what all hosts have in a folder: to URI/NAME.tar.gz, or as it is to URI/NAME/. Nothing for no files."""
    found, (bucket, prefix) = list(files(folders)), split(uri)
    if found and compression == "GZIP":
        with tarfile.open(scratch / name, "w:gz", compresslevel=6) as archive:
            for inside, path in entries(folders):
                archive.add(path, inside, recursive=False, filter=as_root)
        found = [("", str(scratch / name))]
        prefix = f"{prefix}/{name}.tar.gz"
    elif found:
        prefix = f"{prefix}/{name}/"
    for inside, path in found:
        with open(path, "rb") as file:
            role.put(bucket, prefix + inside, file.read())


class Sync(threading.Thread):
    """A folder of every host, copied to a prefix in S3 while the job runs."""

    def __init__(self, role: Role, uri: str, folders: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.role, self.folders, self.uri = role, folders, uri
        self.bucket, self.prefix = split(uri.rstrip("/") + "/")
        self.seen: dict[str, tuple[int, int]] = {}
        self.over = threading.Event()
        self.problem: Exception | None = None

    def restore(self) -> None:
        """Bring what an earlier job left."""
        try:
            for key in self.role.list(self.bucket, self.prefix):
                if not key.endswith("/"):
                    content = self.role.get(self.bucket, key)
                    for folder in self.folders:
                        s3_data.save(f"s3://{self.bucket}/{key}", content, folder, key[len(self.prefix) :])
        except Denied as error:
            raise s3_data.DownloadError(f"{self.uri} ({error})") from None
        for _, path in files(self.folders):
            self.seen[path] = self.version(path)

    def version(self, path: str) -> tuple[int, int]:
        status = os.stat(path)
        return status.st_mtime_ns, status.st_size

    def save(self) -> None:
        """Upload what is new or has changed."""
        for inside, path in files(self.folders):
            with contextlib.suppress(FileNotFoundError):  # replaced by a newer one just now
                version = self.version(path)
                if self.seen.get(path) != version:
                    with open(path, "rb") as file:
                        self.role.put(self.bucket, self.prefix + inside, file.read())
                    self.seen[path] = version

    def run(self) -> None:
        while self.problem is None and not self.over.wait(INTERVAL):
            self.try_to_save()

    def try_to_save(self) -> None:
        try:
            self.save()
        except (Denied, OSError) as error:
            self.problem = error

    def end(self) -> None:
        """Save for the last time; raise UploadError where anything could not be saved."""
        self.over.set()
        self.join()
        if self.problem is None:
            self.try_to_save()
        if self.problem is not None:
            raise UploadError(f"{self.uri} ({self.problem})")

    def abandon(self) -> None:
        """The host is lost: what was not saved is, too."""
        self.over.set()
        if self.ident:
            self.join()
