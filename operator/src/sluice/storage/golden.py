"""Golden: one file of rows whose truth is known, fetched from wherever MLflow or a bucket has it, and proved.

Whoever may write a monitor chooses the URI. So it names a place in MLflow or in a bucket, and no file of this
container, and no server that MLflow's or the store's credentials are not for: a bucket's endpoint is the
configured one.
"""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path

import urllib3
from minio.error import MinioException, S3Error
from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.tracking import MlflowClient
from requests.exceptions import RequestException

from sluice.bucket import Bucket, BucketURLError

LARGEST = 1 << 30
"""Bytes of a file that is fetched."""
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}
_SHOWN = 10
"""Files that a message lists."""
_FORMS = (
    "runs:/<run id>/<path>, models:/<name>/<version>/<path>, models:/<name>@<alias>/<path>, mlflow-artifacts:/<path> "
    "or s3://<bucket>/<path>"
)
_RUN = re.compile(r"runs:/(?P<run>[^/?#]+)/(?P<path>[^?#]+)")
_MODEL = re.compile(r"models:/(?P<name>[^/@?#]+)(/(?P<version>[0-9]+)|@(?P<alias>[^/?#]+))/(?P<path>[^?#]+)")
_OBJECT = re.compile(r"s3://[^/?#]+/[^?#]+")
_ARTIFACT = re.compile(r"mlflow-artifacts:/(?P<path>[^/?#][^?#]*)")


class GoldenError(Exception):
    """Why the file cannot be had. ``reason`` is one CamelCase word; the message says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def fetch(uri: str, destination: Path, digest: str | None, tracking_uri: str) -> str:
    """Put the file at a URI into ``destination``, and return its ``sha256:<hex>``.

    Args:
        uri: a place in MLflow or in an S3-compatible store.
        destination: the file to write; its directory is there. Nothing is there afterwards if this fails.
        digest: what the file must have, if anything.
        tracking_uri: MLflow's address. For a bucket, nothing is asked of it.

    Raises:
        GoldenError: InvalidDataUri, DataNotFound, DataIsDirectory, DataTooLarge, DigestMismatch, DataUnavailable.
    """
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=destination.parent) as scratch:
        if uri.startswith("s3://"):
            found = _from_bucket(uri, Path(scratch))
        else:
            found = _from_mlflow(uri, Path(scratch), tracking_uri)
        if found.is_symlink() or not found.is_file():
            raise GoldenError("DataIsDirectory", f"{uri} is not one file; name a file in it")
        _check_size(uri, found.stat().st_size)
        with found.open("rb") as file:
            actual = f"sha256:{file_digest(file, 'sha256').hexdigest()}"
        if digest is not None and actual != digest:
            raise GoldenError(
                "DigestMismatch",
                f"{uri} is {actual}, but the monitor wants {digest}: the file was changed; if that is right, "
                "write its digest into the monitor",
            )
        found.replace(destination)
    return actual


def _check_size(uri: str, size: int) -> None:
    if size > LARGEST:
        message = f"{uri} has {size:,} bytes, and {LARGEST:,} at most are fetched; give a sample of it"
        raise GoldenError("DataTooLarge", message)


def _from_mlflow(uri: str, scratch: Path, tracking_uri: str) -> Path:
    if not (match := _RUN.fullmatch(uri) or _MODEL.fullmatch(uri) or _ARTIFACT.fullmatch(uri)):
        raise GoldenError("InvalidDataUri", f"{uri!r} is no place of golden data; write {_FORMS}")
    path = match["path"]
    if any(part in ("", ".", "..") for part in path.split("/")):
        raise GoldenError("InvalidDataUri", f"{uri!r} has an empty part, or . or .., in its path")
    if not tracking_uri:
        raise GoldenError("DataUnavailable", "no MLflow server is configured; set MLFLOW_TRACKING_URI to its address")
    # For models that MLflow logs apart from a run, it asks the server of the environment, whatever it is told.
    os.environ["MLFLOW_TRACKING_URI"] = tracking_uri
    with _asking(uri):
        repository, path = _repository(match, path, tracking_uri)
        folder = posixpath.dirname(path)
        listed = {info.path: info for info in repository.list_artifacts(folder or None)}
    info = listed.get(path)
    if info is None:
        raise GoldenError("DataNotFound", f"{uri} is not there; {_there(folder, list(listed.values()))}")
    if info.is_dir:
        message = f"{uri} is a directory; name a file in it, such as {uri.rstrip('/')}/golden.parquet"
        raise GoldenError("DataIsDirectory", message)
    _check_size(uri, info.file_size or 0)
    with _asking(uri):
        return Path(repository.download_artifacts(path, dst_path=str(scratch)))  # type: ignore[no-untyped-call]


def _repository(match: re.Match[str], path: str, tracking_uri: str) -> tuple[ArtifactRepository, str]:
    """Where the file is, and its path there."""
    named, client = match.groupdict(), MlflowClient(tracking_uri, tracking_uri)
    if "run" in named:
        root = client.get_run(named["run"]).info.artifact_uri
    elif "name" in named:
        name, version = named["name"], named["version"]
        if version is None:
            version = client.get_model_version_by_alias(name, named["alias"]).version
        root = client.get_model_version_download_uri(name, version)
    else:
        folder, _, path = path.rpartition("/")
        root = f"mlflow-artifacts:/{folder}"
    return get_artifact_repository(root, tracking_uri=tracking_uri, registry_uri=tracking_uri), path


def _there(folder: str, infos: Sequence[FileInfo]) -> str:
    names = sorted(posixpath.basename(info.path) + ("/" if info.is_dir else "") for info in infos)
    more = ", …" if len(names) > _SHOWN else ""
    where = f"in {folder}" if folder else "beside it"
    return f"{where} there are: {', '.join(names[:_SHOWN])}{more}" if names else f"{where} there is nothing"


@contextmanager
def _asking(uri: str) -> Iterator[None]:
    try:
        yield
    except (MlflowException, RequestException, OSError, ImportError) as error:
        absent = isinstance(error, MlflowException) and error.error_code in _ABSENT
        answered = getattr(error, "response", None)
        said = " ".join(str(error).split())
        if absent or (answered is not None and answered.status_code == 404):
            message = f"{uri} is not in MLflow ({said}); correct the address, or log the file"
            raise GoldenError("DataNotFound", message) from error
        message = f"{uri} could not be downloaded: {said}; check MLflow's address and that it runs"
        raise GoldenError("DataUnavailable", message) from error


def _from_bucket(uri: str, scratch: Path) -> Path:
    if not _OBJECT.fullmatch(uri):
        what = (
            "s3://<bucket>/<path>, without ? and #: the endpoint is MLFLOW_S3_ENDPOINT_URL's, the region AWS_REGION's"
        )
        raise GoldenError("InvalidDataUri", f"{uri!r} is no place of golden data; write {what}")
    endpoint = os.environ.get("MLFLOW_S3_ENDPOINT_URL")  # as MLflow itself would find it
    try:
        bucket = Bucket.open(f"{uri}?endpoint={endpoint}" if endpoint else uri, os.environ)
    except (BucketURLError, ValueError) as error:
        raise GoldenError("DataUnavailable", f"MLFLOW_S3_ENDPOINT_URL={endpoint} is no use: {error}") from error
    key, target = bucket.prefix.rstrip("/"), scratch / "data"
    if not key:
        raise GoldenError("InvalidDataUri", f"{uri} names no file; write s3://<bucket>/<path>")
    try:
        _check_size(uri, bucket.client.stat_object(bucket.name, key).size or 0)
        bucket.client.fget_object(bucket.name, key, str(target))
    except S3Error as error:
        if error.code in ("NoSuchKey", "NoSuchBucket"):
            message = f"{uri} is not there ({error.code}); correct the address: it names one file, and no directory"
            raise GoldenError("DataNotFound", message) from error
        raise GoldenError("DataUnavailable", f"{uri} could not be downloaded: {error.code}: {error.message}") from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        # ValueError: there are no credentials anywhere.
        raise GoldenError("DataUnavailable", f"{uri} could not be downloaded: {error}") from error
    return target
