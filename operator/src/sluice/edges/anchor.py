"""Anchor: stores that hold statements so that not even a cluster's administrator can change or remove them.

A name is written once. What is there is never replaced: other content under the same name is a Conflict, which is
reported. ``docs/records.md`` says what each kind of store proves.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

import urllib3
from minio import Minio
from minio.commonconfig import COMPLIANCE, GOVERNANCE
from minio.error import MinioException, S3Error
from minio.retention import Retention

from sluice.bucket import Bucket, BucketURLError

T = TypeVar("T")

_LARGEST = 1_000_000
"""Bytes of an object that is read: a statement has about a thousand."""


class AnchorError(Exception):
    """The store cannot be used, or not now; the message says why and what to do."""


class AnchorConflict(AnchorError):  # noqa: N818 - as in edges.kube
    """Something else is there under this name."""


class AnchorURLError(ValueError):
    """The URL names no store that can be used; the message says what is wrong with it."""


@dataclass(frozen=True)
class Entry:
    """An object in a store. A name with several versions, where a store keeps them, is several entries."""

    name: str
    version: str | None = None


class Anchor(Protocol):
    """A write-once store. Every method may raise an AnchorError."""

    async def check(self) -> None:
        """See whether it is one: whether what it holds can be neither replaced nor removed."""

    async def put(self, name: str, content: bytes) -> str:
        """Keep something for good, and return its address. Again with the same content, it does nothing.

        Raises:
            AnchorConflict: something else is there; it was left as it is.
        """

    async def entries(self, prefix: str) -> list[Entry]:
        """What is there whose name begins so; of one name the oldest version first."""

    async def read(self, entry: Entry) -> bytes:
        """What was kept."""

    def address(self, name: str) -> str:
        """Where something of this name is, as a URL."""


def connect(url: str, environ: Mapping[str, str] = os.environ) -> Anchor:
    """The store at ``s3://bucket/prefix?endpoint=…&retention=2190d&mode=COMPLIANCE`` or ``file:///directory``.

    Nothing is asked of it yet.

    Raises:
        AnchorURLError: there is no such kind of store, or an option that it does not know.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return _S3.of(url, environ)
    if parts.scheme == "file" and not parts.netloc and parts.path.strip("/") and not parts.query:
        return Directory(Path(unquote(parts.path)))
    raise AnchorURLError(f"{url!r} names no store; write s3://bucket/prefix?endpoint=https://… or file:///directory")


class Directory:
    """Files that are made once and left read-only. Whoever administers the machine can still change them."""

    def __init__(self, root: Path) -> None:
        self._root = root

    async def check(self) -> None:
        """It must be there: to make it would hide that a disk is not mounted."""
        if not self._root.is_dir() or not os.access(self._root, os.R_OK | os.X_OK):
            raise AnchorError(f"{self._root} is no directory that can be read; make it, or mount what it should be")

    async def put(self, name: str, content: bytes) -> str:
        """Write a file beside, and give it its name only if nothing has it."""
        await self.check()
        await _off_loop(lambda: self._write(self._path(name), content))
        return self.address(name)

    async def entries(self, prefix: str) -> list[Entry]:
        """The files below, by name."""
        await self.check()
        return await _off_loop(lambda: sorted(self._names(prefix), key=lambda entry: entry.name))

    async def read(self, entry: Entry) -> bytes:
        """A file's content."""
        path = self._path(entry.name)
        return await _off_loop(path.read_bytes)

    def address(self, name: str) -> str:
        """The file's URL."""
        return f"file://{self._root}/{name}"

    def _path(self, name: str) -> Path:
        if not name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise AnchorError(f"{name!r} is no name for a file below {self._root}")
        return self._root / name

    def _names(self, prefix: str) -> Iterator[Entry]:
        for path in self._root.rglob("*.json"):
            name = path.relative_to(self._root).as_posix()
            if name.startswith(prefix) and path.is_file():
                yield Entry(name)

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
        descriptor = os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o444)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            try:
                path.hardlink_to(scratch)  # unlike a rename, it fails where the name is taken
            except FileExistsError:
                if path.read_bytes() != content:
                    raise AnchorConflict(f"{path} is there already and says something else") from None
                return
            directory = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        finally:
            scratch.unlink(missing_ok=True)


class _S3:
    """A bucket with object lock. Every version of an object stays until its retention is over."""

    def __init__(self, client: Minio, bucket: str, prefix: str, retention: timedelta | None, mode: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._retention = retention
        self._mode = mode
        self._locked = False

    @classmethod
    def of(cls, url: str, environ: Mapping[str, str]) -> _S3:
        try:
            bucket = Bucket.open(url, environ, ("retention", "mode"))
        except BucketURLError as error:
            raise AnchorURLError(str(error)) from error
        mode = bucket.options.get("mode", COMPLIANCE).upper()
        if mode not in (COMPLIANCE, GOVERNANCE):
            raise AnchorURLError(f"mode must be {COMPLIANCE} or {GOVERNANCE}, not {bucket.options['mode']!r}")
        return cls(bucket.client, bucket.name, bucket.prefix, _days(bucket.options.get("retention")), mode)

    async def check(self) -> None:
        """The bucket must have object lock, and it or the URL must say for how long."""
        if not self._locked:
            await _off_loop(self._check)
            self._locked = True

    async def put(self, name: str, content: bytes) -> str:
        """Put an object under a retention, unless there is one."""
        await self.check()
        await _off_loop(lambda: self._put(name, content))
        return self.address(name)

    async def entries(self, prefix: str) -> list[Entry]:
        """Every version. One that a delete marker or a later version hides is still there, and is on the list."""
        return await _off_loop(lambda: self._entries(prefix))

    async def read(self, entry: Entry) -> bytes:
        """One version's content."""
        return await _off_loop(lambda: self._read(entry))

    def address(self, name: str) -> str:
        """The object's URL."""
        return f"s3://{self._bucket}/{self._prefix}{name}"

    def _check(self) -> None:
        try:
            mode = self._client.get_object_lock_config(self._bucket).mode
        except ValueError:
            mode = None  # an empty rule, as some stores answer where there is no default, is more than the client reads
        except S3Error as error:
            if error.code != "ObjectLockConfigurationNotFoundError":
                raise
            raise AnchorError(
                f"the bucket {self._bucket} has no object lock, so what is in it can be removed; make one that has: "
                "object lock is chosen when a bucket is made"
            ) from error
        if mode is None and self._retention is None:
            raise AnchorError(
                f"neither the URL nor the bucket {self._bucket} says how long to keep an object; "
                "add ?retention=2190d to the URL, or a default retention to the bucket"
            )

    def _put(self, name: str, content: bytes) -> None:
        there = [entry for entry in self._entries(name) if entry.name == name]
        if there:
            if self._read(there[0]) != content:
                raise AnchorConflict(f"{self.address(name)} is there already and says something else")
            return
        retention = None
        if self._retention is not None:
            retention = Retention(self._mode, datetime.now(UTC) + self._retention)
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        self._client.put_object(
            self._bucket,
            self._prefix + name,
            io.BytesIO(content),
            len(content),
            content_type="application/json",
            metadata={"x-amz-checksum-sha256": digest},  # S3 asks for one where a retention is given
            retention=retention,
        )

    def _entries(self, prefix: str) -> list[Entry]:
        # versitygw begins a page with the last version of the page before.
        found = list(dict.fromkeys(self._versions(prefix)))
        found.reverse()  # of one name the newest version came first
        return sorted(found, key=lambda entry: entry.name)

    def _versions(self, prefix: str) -> Iterator[Entry]:
        # Not the client's list_objects: it cannot read times with nanoseconds, as versitygw writes them.
        query: dict[str, str | list[str] | tuple[str]] = {
            "versions": "",
            "max-keys": "1000",
            "prefix": self._prefix + prefix,
        }
        while True:
            answer = self._client._execute("GET", self._bucket, query_params=query)  # noqa: SLF001
            page = ET.fromstring(answer.data)  # noqa: S314 - expat refuses to expand entities without bounds
            for item in page.iterfind("{*}Version"):
                name = item.findtext("{*}Key", "").removeprefix(self._prefix)
                yield Entry(name, item.findtext("{*}VersionId"))
            if page.findtext("{*}IsTruncated") != "true":
                return
            marker = (page.findtext("{*}NextKeyMarker", ""), page.findtext("{*}NextVersionIdMarker", ""))
            if marker == (query.get("key-marker"), query.get("version-id-marker")):
                raise AnchorError(f"the store gives the same page of {self.address(prefix)} again and again")
            query["key-marker"], query["version-id-marker"] = marker

    def _read(self, entry: Entry) -> bytes:
        answer = self._client.get_object(self._bucket, self._prefix + entry.name, version_id=entry.version)
        try:
            return answer.read(_LARGEST)
        finally:
            answer.close()
            answer.release_conn()


async def _off_loop(do: Callable[[], T]) -> T:
    """Do something that waits for a disk or a server in a thread, with what goes wrong as an AnchorError."""
    try:
        return await asyncio.to_thread(do)
    except S3Error as error:
        raise AnchorError(f"the store refuses: {error.code}: {error.message} ({error.resource})") from error
    except (MinioException, urllib3.exceptions.HTTPError, ET.ParseError, OSError, ValueError) as error:
        raise AnchorError(f"the store cannot be reached: {error}") from error


def _days(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})d", text)
    if match is None:
        raise AnchorURLError(f"retention must be a number of days such as 2190d, not {text!r}")
    return timedelta(days=int(match[1]))
