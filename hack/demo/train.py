"""Train the demo's six versions on the spot and register them in MLflow: ``python -m hack.demo.train``.

The task is a binary classification (are the homes of this district expensive?) whose answer is the
probability, so that one number per row tells how a model behaves.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import RestException
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from hack.demo import data, keys, models, papers
from hack.demo.models import ExpensiveHome, Slow, Swapped

MODEL = "california"
EXPERIMENT = "sluice-demo"
FINGERPRINT = "sluice.dev/demo-recipe"
"""Tag of a registered version: a digest of everything that it was made from."""

Model = ExpensiveHome | Slow | Swapped


@dataclass(frozen=True)
class Recipe:
    """One version: what it is, and how it is made from a good model."""

    version: str
    summary: str
    seed: int
    spoil: Callable[[ExpensiveHome], Model] = lambda model: model
    papers: bool = False
    """Whether a bank could release it: documented, validated and signed."""


RECIPES = (
    Recipe("1", "first release", seed=1),
    Recipe("2", "retrained on other rows", seed=2),
    Recipe("3", "correct, but slow and sometimes failing", seed=3, spoil=Slow),
    Recipe("4", "quick, but reads MedInc and AveBedrms in each other's place", 4, lambda good: Swapped(good, 0, 3)),
    Recipe("5", "retrained once more", seed=5),
    Recipe("6", "retrained, documented, validated and signed", seed=6, papers=True),
)


@dataclass(frozen=True)
class Trained:
    """A version before it is registered, and what it is worth."""

    recipe: Recipe
    model: Model
    auc: float
    """Area under the ROC curve, on the training rows."""
    distance: float
    """Kolmogorov-Smirnov distance of its answers to those of version 1, on the live rows."""

    def __str__(self) -> str:
        figures = f"AUC {self.auc:.3f}, KS distance to version 1 {self.distance:.3f}"
        return f"version {self.recipe.version}: {self.recipe.summary}; {figures}"


def train(housing: data.Housing) -> list[Trained]:
    """All versions, each from a random 80 % of the training rows; about a second."""
    good = {recipe.version: _fit(recipe, housing) for recipe in RECIPES}
    reference = good["1"].predict(housing.live)
    return [_measured(recipe, good[recipe.version], reference, housing) for recipe in RECIPES]


def _fit(recipe: Recipe, housing: data.Housing) -> ExpensiveHome:
    rng = np.random.default_rng(recipe.seed)
    chosen = rng.permutation(len(housing.rows))[: len(housing.rows) * 4 // 5]
    return ExpensiveHome().fit(housing.rows[chosen], housing.expensive[chosen])


def _measured(recipe: Recipe, good: ExpensiveHome, reference: models.Matrix, housing: data.Housing) -> Trained:
    model = recipe.spoil(good)
    answering = good if isinstance(model, Slow) else model  # it answers the same, only later
    return Trained(
        recipe,
        model,
        auc=float(roc_auc_score(housing.expensive, answering.predict(housing.rows))),
        distance=float(ks_2samp(reference, answering.predict(housing.live)).statistic),
    )


def fingerprint() -> str:
    """A digest of the code and the data that the versions are made from."""
    parts = [inspect.getsource(models), *(f"{r.version} {r.summary} {r.seed}" for r in RECIPES), data.WHEEL]
    parts += [inspect.getsource(papers), keys.public(keys.MODELS).read_text()]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def registered(client: MlflowClient) -> bool:
    """Whether MLflow has exactly these versions, made from the same code and data."""
    found = {str(v.version): v.tags.get(FINGERPRINT) for v in client.search_model_versions(f"name='{MODEL}'")}
    return found == {recipe.version: fingerprint() for recipe in RECIPES}


def register(client: MlflowClient, versions: Sequence[Trained], housing: data.Housing) -> None:
    """Log and register the versions in order. What was registered under the name before is removed.

    Version numbers are MLflow's to give: only a new registered model begins at 1.
    """
    try:
        client.delete_registered_model(MODEL)
    except RestException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    example = pd.DataFrame(housing.rows[:5], columns=data.FEATURES)
    signature = infer_signature(example, pd.DataFrame({"probability": np.zeros(1)}))
    for trained in versions:
        with mlflow.start_run(run_name=f"{MODEL} {trained.recipe.version}") as run:
            mlflow.log_params({"seed": trained.recipe.seed, "rows": len(housing.rows) * 4 // 5})
            mlflow.log_metrics({"auc": trained.auc, "ks_to_version_1": trained.distance})
            logged = mlflow.sklearn.log_model(
                trained.model,
                name="model",
                registered_model_name=MODEL,
                input_example=example if not isinstance(trained.model, Slow) else None,
                signature=signature,
                serialization_format="cloudpickle",
                pip_requirements=["scikit-learn"],
            )
            if trained.recipe.papers:
                papers.file(run.info.run_id, logged.model_uri, housing)
        for key, value in {"summary": trained.recipe.summary, FINGERPRINT: fingerprint()}.items():
            client.set_model_version_tag(MODEL, trained.recipe.version, key, value)


def ensure(tracking_uri: str) -> list[str]:
    """Have MLflow hold the six versions; returns lines for people.

    A run that finds them leaves them as they are: their digests stay what revisions have pinned.
    """
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # not 7, which take minutes when nobody listens
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    logging.getLogger("mlflow").setLevel(logging.ERROR)  # it warns of pickles and pip, and says each thing twice
    mlflow.set_tracking_uri(tracking_uri)
    mlflow.set_experiment(EXPERIMENT)
    client, started = MlflowClient(), time.monotonic()
    if registered(client):
        return [f"MLflow has {MODEL} in versions 1 to {len(RECIPES)} already"]
    housing = data.load()
    versions = train(housing)
    register(client, versions, housing)
    return [*map(str, versions), f"trained and registered in {time.monotonic() - started:.1f} s"]


def main() -> None:
    """Register the six versions unless they are there."""
    parser = argparse.ArgumentParser("python -m hack.demo.train", description=__doc__)
    default = os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    parser.add_argument("--tracking-uri", default=default, help="MLflow server (default: %(default)s)")
    for line in ensure(parser.parse_args().tracking_uri):
        print(line)


if __name__ == "__main__":
    main()
