"""A real MLflow in this process: its store is a file, and no server is needed."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient


class Mlflow:
    """Its address, a client, and shorthand for what tests put there."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder}/mlflow.db"
        self.client = MlflowClient(self.uri, self.uri)
        self._artifacts = folder / "artifacts"
        self.experiment = self.client.create_experiment("fraud", str(self._artifacts))

    def run(self, **files: str) -> str:
        """A run with some files of text, ``__`` for a slash and ``_`` for a dot in their names."""
        run = str(self.client.create_run(self.experiment).info.run_id)
        for name, text in files.items():
            self.client.log_text(run, text, name.replace("__", "/").replace("_", "."))
        return run


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Mlflow:
    folder = tmp_path_factory.mktemp("mlflow")
    with contextlib.chdir(folder):  # where MLflow puts artifacts of experiments for which no place is given
        return Mlflow(folder)
