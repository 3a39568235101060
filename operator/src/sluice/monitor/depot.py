"""Depot: where files of rows are kept, a directory or an S3-compatible store, by URL.

Both keep whole files by name and replace them whole. Everything here blocks, and runs in worker threads;
whatever goes wrong is an ``OSError``.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

CACHE_BYTES = 256 << 20
"""Most space that files fetched from a store take on the local disk."""
ABANDONED_SECONDS = 3600.0
"""Age at which a draft is nobody's any more."""


class DepotURLError(ValueError):
    """The URL names no place for rows; the message says what is wrong with it."""


class StoreError(OSError):
    """An S3-compatible store refuses, or cannot be reached."""


class Stored(NamedTuple):
    """A file in a depot."""

    name: str
    """Path from the depot's root, with slashes."""
    size: int
    """Bytes."""
    tag: str = ""
    """Changes with the content, where the depot has such a thing."""


class Depot(Protocol):
    """A place for files. Every method may raise an ``OSError``."""

    tidy_seconds: float
    """How often it is worth looking through for what is too old."""

    def put(self, name: str, content: bytes) -> None:
        """Keeps a file, in place of what had its name. It is there whole or not at all."""

    def list(self, folder: str = "", since: str = "") -> Iterator[Stored]:
        """The files below a folder, which ends with a slash, in order of name, from the name ``since`` on."""

    def fetch(self, stored: Stored) -> Path:
        """A local file with the content.

        Raises:
            FileNotFoundError: it is gone.
        """

    def delete(self, names: Iterable[str]) -> None:
        """Removes files; one that is gone already is fine."""


def open_depot(url: str, environ: Mapping[str, str] = os.environ) -> Depot:
    """The depot at ``file:///directory``, ``s3://bucket/prefix?endpoint=…&region=…``, or a bare path.

    Nothing is asked of it yet.

    Raises:
        DepotURLError: there is no such kind of depot, or an option that it does not know.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3":
        return S3Depot.of(url, environ)
    if parts.scheme == "file" and not parts.netloc and parts.path.strip("/") and not parts.query:
        return Directory(Path(unquote(parts.path)))
    if not parts.scheme and url:
        return Directory(Path(url))
    raise DepotURLError(
        f"{url!r} is no place for rows; write file:///directory or s3://bucket/prefix?endpoint=https://…"
    )


class Directory:
    """A directory, usually of a mounted volume. It is made when the first file comes."""

    tidy_seconds = 60.0

    def __init__(self, root: Path) -> None:
        self._root = root
        self._is_swept = False

    def put(self, name: str, content: bytes) -> None:
        """Writes a draft beside and renames it."""
        self._sweep()
        path = self._root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        try:
            draft.write_bytes(content)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise

    def list(self, folder: str = "", since: str = "") -> Iterator[Stored]:
        """Files only, at whatever depth. Drafts are not files yet."""
        top = self._root / folder
        for path in sorted(top.rglob("*.parquet")):
            name = path.relative_to(top).as_posix()
            if name >= since:
                with contextlib.suppress(FileNotFoundError):  # another replica may delete on the same volume
                    yield Stored(folder + name, path.stat().st_size)

    def fetch(self, stored: Stored) -> Path:
        """The file itself."""
        path = self._root / stored.name
        if not path.is_file():
            raise FileNotFoundError(path)
        return path

    def delete(self, names: Iterable[str]) -> None:
        """Files, and the folders that are empty without them."""
        for name in names:
            path = self._root / name
            path.unlink(missing_ok=True)
            for folder in path.relative_to(self._root).parents[:-1]:
                try:
                    (self._root / folder).rmdir()
                except OSError:  # not empty, which is the usual case
                    break

    def _sweep(self) -> None:
        """Once: removes the drafts that processes left behind when they were killed."""
        if self._is_swept:
            return
        self._is_swept = True
        for draft in self._root.rglob("*.draft"):
            with contextlib.suppress(FileNotFoundError):  # another replica's
                if time.time() - draft.stat().st_mtime > ABANDONED_SECONDS:
                    draft.unlink()


class S3Depot:
    """A bucket of an S3-compatible store, with a bounded cache of what was read from it on the local disk."""

    tidy_seconds = 900.0

    def __init__(self, client: object, bucket: str, prefix: str, cache: Path) -> None:
        self._client: Any = client
        self._bucket = bucket
        self._prefix = prefix
        self._cache = cache

    @classmethod
    def of(cls, url: str, environ: Mapping[str, str]) -> S3Depot:
        """See :func:`open_depot`."""
        # Imported late: a monitor with a volume needs none of it.
        from sluice.bucket import Bucket, BucketURLError

        try:
            bucket = Bucket.open(url, environ)
        except BucketURLError as error:
            raise DepotURLError(str(error)) from error
        cache = Path(tempfile.gettempdir(), "sluice-rows", hashlib.sha256(url.encode()).hexdigest()[:16])
        return cls(bucket.client, bucket.name, bucket.prefix, cache)

    def put(self, name: str, content: bytes) -> None:
        """One PUT: a store shows an object whole or not at all."""
        with _asked():
            self._client.put_object(
                self._bucket,
                self._prefix + name,
                io.BytesIO(content),
                len(content),
                content_type="application/vnd.apache.parquet",
            )

    def list(self, folder: str = "", since: str = "") -> Iterator[Stored]:
        """Asks from ``since`` on: a store answers a thousand names at a time."""
        top = self._prefix + folder
        with _asked():
            # The name before the first one wanted: a listing starts after it.
            found = self._client.list_objects(
                self._bucket, prefix=top, recursive=True, start_after=top + since[:-1] if since else None
            )
            for item in found:
                name = str(item.object_name)
                if name.endswith(".parquet") and name.removeprefix(top) >= since:
                    yield Stored(name.removeprefix(self._prefix), item.size or 0, (item.etag or "").strip('"'))

    def fetch(self, stored: Stored) -> Path:
        """From the cache, or else from the store, whose copy the cache then has."""
        name = hashlib.sha256(f"{stored.name}\n{stored.tag}".encode()).hexdigest()
        path = self._cache / f"{name}.parquet"
        if path.is_file():
            os.utime(path)  # the least recently used makes room
            return path
        with _asked(stored.name):
            answer = self._client.get_object(self._bucket, self._prefix + stored.name)
            try:
                content = answer.read()
            finally:
                answer.close()
                answer.release_conn()
        self._cache.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=self._cache)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(draft).replace(path)
        self._make_room(spare=path)
        return path

    def delete(self, names: Iterable[str]) -> None:
        """A thousand names a request."""
        from minio.deleteobjects import DeleteObject

        with _asked():
            doomed = (DeleteObject(self._prefix + name) for name in names)
            for error in self._client.remove_objects(self._bucket, doomed):
                raise StoreError(f"{error.name} cannot be deleted: {error.message}")

    def _make_room(self, spare: Path) -> None:
        held = []
        for path in self._cache.glob("*.parquet"):
            with contextlib.suppress(FileNotFoundError):
                status = path.stat()
                held.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in held)
        for _, size, path in sorted(held):
            if total <= CACHE_BYTES:
                return
            if path != spare:
                path.unlink(missing_ok=True)
                total -= size


@contextlib.contextmanager
def _asked(name: str = "") -> Iterator[None]:
    """Turns whatever a store's client raises into an ``OSError``."""
    import urllib3
    from minio.error import MinioException, S3Error

    try:
        yield
    except S3Error as error:
        if error.code == "NoSuchKey":
            raise FileNotFoundError(name) from None
        raise StoreError(f"the store refuses: {error.code}: {error.message} ({error.resource})") from error
    except (MinioException, urllib3.exceptions.HTTPError, ValueError) as error:
        raise StoreError(f"the store cannot be reached: {error}") from error
