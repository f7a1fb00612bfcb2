"""What a job leaves in S3: model.tar.gz, output.tar.gz and its checkpoints.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html and, for checkpoints, which
are copied to S3 while the job runs and back before the next one,
https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
"""

import contextlib
import os
import tarfile

from sandbox import channels


def files(folders):
    """All files below folders -> their paths and names. Of one name in several folders, the first counts."""
    found = {}
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(parent, name)
                found.setdefault(os.path.relpath(path, folder), path)
    return sorted(found.items())


def upload(role, folders, uri, name, compression, scratch):
    """Upload the files of all hosts to URI/NAME.tar.gz, or as they are to URI/NAME/. Nothing for no files."""
    found, (bucket, prefix) = files(folders), channels.split(uri)
    if found and compression == "GZIP":
        with tarfile.open(scratch / name, "w:gz", compresslevel=6) as archive:
            for inside, path in found:
                archive.add(path, inside)
        found = [("", scratch / name)]
        prefix = f"{prefix}/{name}.tar.gz"
    elif found:
        prefix = f"{prefix}/{name}/"
    for inside, path in found:
        with open(path, "rb") as file:
            role.put(bucket, prefix + inside, file.read())


class Checkpoints:
    """A folder of every host, kept in step with a prefix in S3."""

    def __init__(self, role, uri, folders):
        self.role, self.folders, self.seen = role, folders, {}
        self.bucket, self.prefix = channels.split(uri.rstrip("/") + "/")

    def restore(self):
        """Bring what an earlier job left."""
        for key in self.role.list(self.bucket, self.prefix):
            content = self.role.get(self.bucket, key)
            for folder in self.folders:
                path = os.path.normpath(os.path.join(folder, key[len(self.prefix) :]))
                if not key.endswith("/") and path.startswith(f"{folder}{os.sep}"):
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(path, "wb") as file:
                        file.write(content)
        for _, path in files(self.folders):
            self.seen[path] = self.version(path)

    def version(self, path):
        status = os.stat(path)
        return status.st_mtime_ns, status.st_size

    def save(self):
        """Upload what is new or has changed."""
        for inside, path in files(self.folders):
            with contextlib.suppress(FileNotFoundError):  # replaced by a newer one just now
                version = self.version(path)
                if self.seen.get(path) != version:
                    with open(path, "rb") as file:
                        self.role.put(self.bucket, self.prefix + inside, file.read())
                    self.seen[path] = version
