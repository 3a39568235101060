"""Records store: a small S3 server whose objects can be locked, for the heads of records.

versitygw keeps buckets as directories and versions beside them. That makes it a real store for tests and the demo;
on the machine that it runs on, root can delete its files.
"""

from __future__ import annotations

from pathlib import Path

from minio import Minio
from minio.commonconfig import GOVERNANCE
from minio.objectlockconfig import DAYS, ObjectLockConfig

from hack.cluster import binaries

BUCKET = "records"
ACCESS_KEY, SECRET_KEY = "sluice", "not-a-secret-on-this-machine"


def command(directory: Path, *addresses: str) -> tuple[str | Path, ...]:
    """The server, with its state in a directory that is made, listening on ``host:port`` addresses."""
    data, versions = directory / "data", directory / "versions"
    for path in (data, versions):
        path.mkdir(parents=True, exist_ok=True)
    listening = [f"--port={address}" for address in addresses]
    return (binaries.path("versitygw"), *listening, "posix", f"--versioning-dir={versions}", data)


def environment() -> dict[str, str]:
    """What the server is told that others must not read from its command line."""
    return {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}


def client(address: str) -> Minio:
    """A client with all rights."""
    return Minio(address, ACCESS_KEY, SECRET_KEY, secure=False, region="us-east-1")


def make_bucket(address: str, name: str = BUCKET, *, days: int | None = 1) -> None:
    """A bucket with object lock, unless it is there. ``days`` is its default retention, in which those who have the
    right may still delete: what the local cluster keeps is worth no more."""
    store = client(address)
    if not store.bucket_exists(name):
        store.make_bucket(name, object_lock=True)
    if days is not None:
        store.set_object_lock_config(name, ObjectLockConfig(GOVERNANCE, days, DAYS))


def url(address: str, prefix: str = "sluice") -> str:
    """Where the operator anchors, as its option takes it."""
    return f"s3://{BUCKET}/{prefix}?endpoint=http://{address}&region=us-east-1"
