"""The model server that KServe runs: ``python -m hack.demo.modelserver --model_name N --model_dir /mnt/models``.

KServe's own Python SDK speaks the V1 and V2 protocols; this adds an MLflow model behind it. A bad request is
answered 400, a failing model 500, and a directory without a usable model ends the process with the reason.
(kserve parses the command line when it is imported and knows these two arguments itself.)
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import kserve
import numpy as np
import yaml
from kserve.errors import InferenceError, InvalidInput
from kserve.utils.utils import get_predict_response
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

THREADS = 32
"""Predictions at a time; a slow model waits in its thread and leaves the probes alone."""


class MlflowModel(kserve.Model):  # type: ignore[misc]
    """A model of MLflow's scikit-learn flavour, read from a directory."""

    def __init__(self, name: str, directory: Path) -> None:
        super().__init__(name)
        self._directory = directory
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="predict")

    def load(self) -> bool:
        """Load the model. A directory without one ends the server, with the reason."""
        try:
            flavors = yaml.safe_load((self._directory / "MLmodel").read_text())["flavors"]
            # What MLflow's own loader does for this flavour, without importing MLflow (150 MB) into every pod.
            self._model = pickle.loads((self._directory / flavors["sklearn"]["pickled_model"]).read_bytes())
        except KeyError as error:
            raise SystemExit(
                f"{self._directory}/MLmodel has no {error}; this server runs the sklearn flavour"
            ) from error
        except (OSError, AttributeError, ImportError, pickle.UnpicklingError) as error:
            raise SystemExit(f"the model in {self._directory} cannot be loaded: {error!r}") from error
        self._answer_example()
        self.ready = True
        return True

    def _answer_example(self) -> None:
        """Answer the input example that was logged with the model, so that no user's request is the first."""
        example = self._directory / "input_example.json"
        if example.exists():
            self._model.predict(np.asarray(json.loads(example.read_text())["data"], dtype=np.float64))

    async def predict(self, payload: Any, headers: Any = None, response_headers: Any = None) -> Any:  # noqa: ARG002
        """Answer one V1 or V2 request.

        Raises:
            InvalidInput: the body holds no table of numbers.
            InferenceError: the model failed.
        """
        rows = _rows(payload)
        try:
            scores = await asyncio.get_running_loop().run_in_executor(self._threads, self._model.predict, rows)
        except Exception as error:
            # Any other exception closes the connection, which the agent before us answers with more failures.
            raise InferenceError(f"{type(error).__name__}: {error}") from error
        return get_predict_response(payload, np.asarray(scores), self.name)


def _rows(payload: Any) -> Matrix:
    """The rows of a request, shape (n, features): a list of rows, one tensor, or one tensor per column."""
    try:
        if isinstance(payload, dict):
            rows = np.asarray(payload["instances"], dtype=np.float64)
        else:
            tensors = [np.asarray(tensor.as_numpy(), dtype=np.float64) for tensor in payload.inputs]
            rows = tensors[0] if len(tensors) == 1 else np.column_stack([column.reshape(-1) for column in tensors])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"the request holds no table of numbers: {error!r}") from error
    if rows.ndim != 2:
        raise InvalidInput(f"the request has {rows.ndim} dimensions; expected rows of features, so 2")
    return rows


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(parents=[kserve.model_server.parser])
    parser.add_argument("--model_dir", type=Path, default=Path("/mnt/models"), help="directory with an MLmodel file")
    options, _ = parser.parse_known_args()
    model = MlflowModel(options.model_name, options.model_dir)
    model.load()
    server = kserve.ModelServer(http_port=options.http_port, workers=1, enable_grpc=False, enable_latency_logging=False)
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)  # a line per request costs more than the model
    server.start([model])


if __name__ == "__main__":
    main()
