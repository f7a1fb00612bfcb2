"""S3, where it is used without the wire: buckets, objects and their addresses; and whether an image is in ECR."""

from typing import Any

from sandbox.aws import backends


def buckets() -> dict[str, Any]:
    return backends.s3().buckets


def put_object(bucket: str, key: str, content: bytes) -> None:
    backends.s3().put_object(bucket, key, content)


def split(uri: str) -> tuple[str, str]:
    """s3://BUCKET/KEY -> BUCKET, KEY"""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


def image_exists(repository: str, tag: str) -> bool:
    """Whether the registry of this account has an image."""
    found = backends.registry().repositories.get(repository)
    return bool(found) and any(tag in image.image_tags for image in found.images)
