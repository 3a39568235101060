"""Registry: registered model versions in MLflow, through MLflow's own client."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlflow.artifacts import download_artifacts
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException, RestException
from mlflow.models import Model
from mlflow.tracking import MlflowClient

from sluice.storage import digest as digests


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


class UnavailableError(RegistryError):
    """The registry could not be asked."""


@dataclass(frozen=True)
class Version:
    """A registered version. ``signature`` holds the input columns in order, as ``{"name", "type"}``."""

    name: str
    version: str
    source: str
    run_id: str | None = None
    digest: str | None = None
    signature: list[dict[str, str]] = field(default_factory=list)


_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}


@contextmanager
def _asking(what: str) -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        absent = isinstance(error, RestException) and error.error_code in _ABSENT
        if absent:
            message = f"{what} is not in MLflow ({error.message}); register it or correct the name"
            raise NotFoundError(message) from error
        raise UnavailableError(f"MLflow could not be asked for {what}: {error.message}") from error


class Registry:
    """The MLflow registry behind a tracking URI."""

    def __init__(self, tracking_uri: str) -> None:
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

    @contextmanager
    def downloaded(self, version: Version) -> Iterator[tuple[Path, str]]:
        """The version's files in a temporary directory, and their digest.

        Raises:
            ArtifactMissingError: MLflow has the version but not its files.
            UnavailableError: MLflow does not answer.
        """
        with tempfile.TemporaryDirectory(prefix="sluice-") as scratch:
            path = self._fetch(version, scratch)
            yield path, digests.directory(path)

    def fetch(self, version: Version, destination: Path, pinned: str) -> None:
        """Put the version's files into ``destination``, but only if they are the pinned ones.

        Raises:
            ValueError: their digest differs from ``pinned``; nothing is left behind.
        """
        with self.downloaded(version) as (path, found):
            if found != pinned:
                raise ValueError(
                    f"model {version.name}/{version.version} is {found} in MLflow, but the revision pins {pinned}: "
                    "its files were changed after the release began; register them as a new version instead"
                )
            shutil.copytree(path, destination, dirs_exist_ok=True)

    def inspected(self, version: Version) -> Version:
        """The version with the digest of its files and its signature. Raises like :meth:`downloaded`."""
        with self.downloaded(version) as (path, found):
            return Version(
                version.name, version.version, version.source, version.run_id, found, _signature(path / "MLmodel")
            )

    def _fetch(self, version: Version, scratch: str) -> Path:
        what = f"the files of model {version.name} version {version.version}"
        try:
            uri = f"models:/{version.name}/{version.version}"
            found = Path(download_artifacts(uri, dst_path=scratch, tracking_uri=self._uri))
        except MlflowException as error:
            if _gone(error):
                raise ArtifactMissingError(f"{what} are gone from MLflow's artifact store ({error.message})") from error
            raise UnavailableError(f"{what} could not be downloaded: {error.message}") from error
        except OSError as error:
            raise ArtifactMissingError(f"{what} are gone from MLflow's artifact store ({error})") from error
        if not found.is_dir() or not any(found.iterdir()):
            raise ArtifactMissingError(f"{what} are gone from MLflow's artifact store; register the model again")
        return found


def _gone(error: MlflowException) -> bool:
    return error.error_code in _ABSENT or "404" in str(error) or "No such" in str(error)


def _described(found: ModelVersion) -> Version:
    return Version(found.name, str(found.version), found.source or "", found.run_id or None)


def _signature(mlmodel: Path) -> list[dict[str, str]]:
    if not mlmodel.is_file():
        return []
    signature = Model.load(str(mlmodel)).signature
    columns: list[dict[str, Any]] = signature.inputs.to_dict() if signature and signature.inputs else []
    return [{"name": str(c.get("name", f"column{i}")), "type": str(c.get("type"))} for i, c in enumerate(columns)]
