"""The model server that KServe runs: ``python -m hack.demo.modelserver --model_name N --model_dir /mnt/models``.

KServe's own Python SDK speaks the V1 and V2 protocols; this adds an MLflow model behind it. (kserve parses
the command line when it is imported and knows these two arguments itself.)
"""

from __future__ import annotations

import argparse
import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import joblib
import kserve
import numpy as np
import yaml
from kserve.errors import InferenceError
from kserve.utils.utils import get_predict_response

THREADS = 8
"""Predictions at a time; a slow model waits in its thread and leaves the probes alone."""


class MlflowModel(kserve.Model):  # type: ignore[misc]
    """A model of MLflow's scikit-learn flavour, read from a directory."""

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(name)
        self._directory = directory
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="predict")

    def load(self) -> bool:
        """Load the model; a directory without one ends the server with the reason."""
        flavors = yaml.safe_load((self._directory / "MLmodel").read_text())["flavors"]
        if "sklearn" not in flavors:
            raise SystemExit(f"{self._directory} has the flavours {sorted(flavors)}; this server runs sklearn only")
        # What MLflow's own loader does for this flavour, without importing MLflow (150 MB) into every pod.
        self._model = joblib.load(self._directory / flavors["sklearn"]["pickled_model"])
        self.ready = True
        return True

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:
        """Answer one V1 or V2 request."""
        rows = _rows(payload)
        try:
            scores = await asyncio.get_running_loop().run_in_executor(self._threads, self._model.predict, rows)
        except Exception as error:
            # Any other exception closes the connection, which the agent before us answers with more failures.
            raise InferenceError(f"{type(error).__name__}: {error}") from error
        return get_predict_response(payload, np.asarray(scores), self.name)


def _rows(payload: Any) -> np.ndarray[Any, Any]:
    if isinstance(payload, dict):
        return np.asarray(payload["instances"], dtype=np.float64)
    columns = [np.asarray(column.as_numpy(), dtype=np.float64) for column in payload.inputs]
    return columns[0] if len(columns) == 1 else np.column_stack(columns)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("--model_dir", type=Path, default=Path("/mnt/models"), help="directory with an MLmodel file")
    options, _ = parser.parse_known_args()
    model = MlflowModel(options.model_name, options.model_dir)
    model.load()
    kserve.ModelServer(workers=1, enable_grpc=False).start([model])


if __name__ == "__main__":
    main()
