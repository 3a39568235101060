"""Registry: registered model versions in MLflow, through MLflow's own client."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from mlflow.artifacts import download_artifacts
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException, RestException
from mlflow.tracking import MlflowClient
from requests.exceptions import RequestException

from sluice.storage import digest as digests
from sluice.storage import mlmodel

SCRATCH = ".sluice-"
"""Begins the name of a directory with a download under way, next to where it will go."""


class RegistryError(Exception):
    """Why a model version cannot be had; ``reason`` is one CamelCase word, the message says what to do."""

    reason = "ModelRegistryUnavailable"
    exit_code = 5


class NotFoundError(RegistryError):
    """No such registered model, version or alias."""

    reason = "ModelNotFound"
    exit_code = 3


class ArtifactMissingError(RegistryError):
    """The version is registered, but its files are gone."""

    reason = "ModelArtifactMissing"
    exit_code = 4


class ArtifactUnsafeError(RegistryError):
    """The artifact holds what cannot be proved to be the same elsewhere, such as a symbolic link."""

    reason = "ModelArtifactUnsafe"
    exit_code = 4


class DigestMismatchError(RegistryError):
    """The files are not the ones that were released."""

    reason = "DigestMismatch"
    exit_code = 1


class UnavailableError(RegistryError):
    """The registry could not be asked."""


@dataclass(frozen=True)
class Version:
    """A registered version.

    ``signature`` and ``outputs`` hold columns in order, as ``{"name", "type"}``. They, ``flavors`` and
    ``digest`` are known only of a version that was :meth:`~Registry.inspected`.
    """

    name: str
    version: str
    source: str
    status: str
    run_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    digest: str | None = None
    flavors: tuple[str, ...] = ()
    signature: tuple[Mapping[str, str], ...] = ()
    outputs: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True)
class Registration:
    """What MLflow holds about a version besides its files, in MLflow's own words."""

    version: ModelVersion
    model: RegisteredModel
    run: Run | None
    """None if it names no run, or one that was deleted for good."""


LARGEST_ARTIFACT = 16 << 20
"""Bytes of a document beside a model that are fetched; a larger one is none of those that are looked for."""

_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        if isinstance(error, RestException) and error.error_code in _ABSENT:
            message = f"{what} is not in MLflow ({error.message}); register it or correct the name"
            raise NotFoundError(message) from error
        raise UnavailableError(
            f"MLflow could not be asked for {what}: {error.message}; check its address and that it runs"
        ) from error


class Registry:
    """The MLflow registry behind a tracking URI."""

    def __init__(self, tracking_uri: str) -> None:
        if not tracking_uri:
            # MLflow would make an empty registry of its own in the working directory, and find nothing in it.
            raise UnavailableError("no MLflow server is configured; set MLFLOW_TRACKING_URI to its address")
        self._uri = tracking_uri
        self._client = MlflowClient(tracking_uri, tracking_uri)

    def by_version(self, name: str, version: str) -> Version:
        """The version of that number.

        Raises:
            NotFoundError: there is no such model or version.
            UnavailableError: MLflow does not answer.
        """
        with _asking(f"version {version} of model {name}"):
            return _described(self._client.get_model_version(name, version))

    def by_alias(self, name: str, alias: str) -> Version:
        """The version that an alias points at now. Raises like :meth:`by_version`."""
        with _asking(f"alias {alias} of model {name}"):
            return _described(self._client.get_model_version_by_alias(name, alias))

    def inspected(self, version: Version) -> Version:
        """The version with what only its files tell: digest, flavours, signature.

        Raises:
            ArtifactMissingError: MLflow has the version but not its files.
            ArtifactUnsafeError: they are not all plain files.
            UnavailableError: MLflow does not answer.
        """
        with self.files(version) as path:
            found = mlmodel.read(path / mlmodel.NAME)
            return replace(
                version,
                digest=files_digest(path),
                flavors=found.flavors,
                signature=found.inputs,
                outputs=found.outputs,
            )

    @contextmanager
    def files(self, version: Version) -> Iterator[Path]:
        """The version's files in a directory that is the caller's until it leaves. Raises like :meth:`inspected`."""
        with tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch:
            yield self._download(version, scratch)

    def registration(self, version: Version) -> Registration:
        """What MLflow holds about a version besides its files. Raises like :meth:`by_version`."""
        with _asking(f"version {version.version} of model {version.name}"):
            found = self._client.get_model_version(version.name, version.version)
            return Registration(found, self._client.get_registered_model(version.name), self._run(found.run_id))

    def _run(self, run_id: str | None) -> Run | None:
        try:
            return self._client.get_run(run_id) if run_id else None
        except RestException as error:
            if error.error_code in _ABSENT:
                return None
            raise

    def documents(self, run_id: str, names: Collection[str], into: Path) -> dict[str, Path]:
        """Those of the named files that lie at the top of a run's artifacts, fetched.

        Raises:
            UnavailableError: MLflow or its artifact store does not answer.
        """
        what = f"the artifacts of run {run_id}"
        with _asking(what):
            listed = {info.path: info for info in self._client.list_artifacts(run_id)}
        found = {}
        for name in names:
            info = listed.get(name)
            if info is None or info.is_dir or (info.file_size or 0) > LARGEST_ARTIFACT:
                continue
            try:
                path = download_artifacts(run_id=run_id, artifact_path=name, dst_path=str(into), tracking_uri=self._uri)
            except (MlflowException, RequestException, OSError) as error:
                raise UnavailableError(f"{name} of {what} could not be downloaded: {error}") from error
            found[name] = Path(path)
        return found

    def fetch(self, version: Version, destination: Path, pinned: str) -> None:
        """Put the version's files into ``destination``, but only if they are the pinned ones.

        The download lies beside its final place and moves there once it is proved, so no half of a model is
        ever visible, and no byte is written twice.

        Raises:
            DigestMismatchError: the files differ from ``pinned``; none of them is left behind.
            RegistryError: as for :meth:`inspected`.
        """
        for stale in destination.glob(f"{SCRATCH}*"):  # of a container that was killed at work
            shutil.rmtree(stale, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=destination) as scratch:
            path = self._download(version, scratch)
            found = files_digest(path)
            if found != pinned:
                raise DigestMismatchError(
                    f"model {version.name}/{version.version} is {found} in MLflow, but the revision pins {pinned}: "
                    "its files were changed after the release began; register them as a new version instead"
                )
            for entry in path.iterdir():
                _move(entry, destination / entry.name)

    def _download(self, version: Version, scratch: str) -> Path:
        what = f"the files of model {version.name} version {version.version}"
        gone = f"{what} are gone from MLflow's artifact store; register the model again"
        with _asking(what):
            # Not models:/name/version, for which MLflow adds a file of its own to what was registered.
            uri = self._client.get_model_version_download_uri(version.name, version.version)
        try:
            found = Path(download_artifacts(uri, dst_path=scratch, tracking_uri=self._uri))
        except (MlflowException, RequestException) as error:
            if _gone(error):
                raise ArtifactMissingError(f"{gone} ({error})") from error
            raise UnavailableError(f"{what} could not be downloaded: {error}") from error
        except FileNotFoundError as error:
            raise ArtifactMissingError(f"{gone} ({error})") from error
        if not found.is_dir() or not any(found.iterdir()):
            raise ArtifactMissingError(gone)
        return found


def _gone(error: Exception) -> bool:
    response = getattr(error, "response", None)
    if response is not None:
        return bool(response.status_code == 404)
    # Object stores report a missing key in their own words, which MLflow wraps.
    return getattr(error, "error_code", None) in _ABSENT or "404" in str(error) or "No such" in str(error)


def files_digest(path: Path) -> str:
    """The digest of downloaded files.

    Raises:
        ArtifactUnsafeError: they are not all plain files.
    """
    try:
        return digests.directory(path)
    except digests.UnsafeArtifactError as error:
        raise ArtifactUnsafeError(f"{error}; register the model again without it") from error


def _move(entry: Path, target: Path) -> None:
    # A restarted container finds the files of its first run: they give way.
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    entry.replace(target)


def _described(found: ModelVersion) -> Version:
    return Version(
        found.name,
        str(found.version),
        found.source or "",
        str(found.status),
        found.run_id or None,
        dict(found.tags or {}),
    )
