"""Models for what is measured under load: two that cost next to nothing to ask, one that is slow and sometimes fails,
and one that hangs.

    python -m bench.models --tracking-uri http://127.0.0.1:5000 register NAME
    python -m bench.models --tracking-uri http://127.0.0.1:5000 remove NAME

What is measured is the way of a request, not a model, so a linear regression answers. Its classes are those that the
demo's image has.
"""

from __future__ import annotations

import argparse
import logging
import os

import mlflow
import numpy as np
from mlflow.tracking import MlflowClient
from sklearn.linear_model import LinearRegression

from hack.demo import data
from hack.demo.models import Slow

EXPERIMENT = "sluice-bench"
SECONDS = 1.2
"""How long the bad model takes; more than its gate allows, less than the client waits."""
FAILING = 0.1
"""The share of requests that it fails."""
HANGING = 3600.0
"""Seconds until the model that hangs answers: longer than anybody waits."""
WORDS = b"feature store timed out"
"""What :class:`hack.demo.models.Slow` says when it fails."""


def fitted(seed: int, housing: data.Housing) -> LinearRegression:
    """A model from a random half of the rows."""
    chosen = np.random.default_rng(seed).permutation(len(housing.rows))[: len(housing.rows) // 2]
    return LinearRegression().fit(housing.rows[chosen], housing.expensive[chosen])


def register(name: str) -> None:
    """Register versions 1 and 2, which are good, 3, which is slow and fails at times, and 4, which hangs."""
    housing = data.load()
    mlflow.set_experiment(EXPERIMENT)
    third, fourth = Slow(fitted(3, housing), SECONDS, FAILING), Slow(fitted(4, housing), HANGING, 0.0)
    for model in (fitted(1, housing), fitted(2, housing), third, fourth):
        with mlflow.start_run(run_name=name):
            mlflow.sklearn.log_model(
                model,
                name="model",
                registered_model_name=name,
                serialization_format="cloudpickle",
                pip_requirements=["scikit-learn"],
            )


def remove(name: str) -> None:
    """Remove the registered model with all versions. Its runs stay, as MLflow keeps them."""
    MlflowClient().delete_registered_model(name)


def main() -> None:
    """Register or remove."""
    parser = argparse.ArgumentParser("python -m bench.models", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--tracking-uri", required=True, help="MLflow server")
    parser.add_argument("act", choices=["register", "remove"])
    parser.add_argument("name", help="of the registered model")
    options = parser.parse_args()
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    mlflow.set_tracking_uri(options.tracking_uri)
    (register if options.act == "register" else remove)(options.name)


if __name__ == "__main__":
    main()
