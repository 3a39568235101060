"""Train the demo's five versions on the spot and register them in MLflow: ``python -m hack.demo.train``."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from mlflow.tracking import MlflowClient
from scipy.stats import ks_2samp
from sklearn.metrics import roc_auc_score

from hack.demo import data
from hack.demo.models import ExpensiveHome, Slow, Swapped

MODEL = "california"

Model = ExpensiveHome | Slow | Swapped


@dataclass(frozen=True)
class Recipe:
    """One version: what it is, and how it is made from a good model."""

    version: str
    summary: str
    seed: int
    spoil: Callable[[ExpensiveHome], Model] = lambda model: model


RECIPES = (
    Recipe("1", "first release", seed=1),
    Recipe("2", "retrained on other rows", seed=2),
    Recipe("3", "correct, but slow and sometimes failing", seed=3, spoil=Slow),
    Recipe("4", "quick, but reads MedInc and AveRooms in each other's place", 4, lambda model: Swapped(model, 0, 2)),
    Recipe("5", "retrained once more", seed=5),
)


def train(recipe: Recipe, housing: data.Housing) -> tuple[ExpensiveHome, Model]:
    """A model trained on a random 80 % of the rows, before and after it is spoilt."""
    rng = np.random.default_rng(recipe.seed)
    chosen = rng.permutation(len(housing.rows))[: len(housing.rows) * 4 // 5]
    good = ExpensiveHome().fit(housing.rows[chosen], housing.expensive[chosen])
    return good, recipe.spoil(good)


def register(recipe: Recipe, model: Model, good: ExpensiveHome, housing: data.Housing, reference: ExpensiveHome) -> str:
    """Log and register one version; returns a line for people. The KS distance is to version 1, on live rows."""
    sample = pd.DataFrame(housing.rows[:5], columns=data.FEATURES)
    behaviour = good if isinstance(model, Slow) else model
    distance = ks_2samp(reference.predict(housing.live), behaviour.predict(housing.live)).statistic
    auc = roc_auc_score(housing.expensive, behaviour.predict(housing.rows))
    with mlflow.start_run(run_name=f"{MODEL} {recipe.version}"):
        mlflow.log_metrics({"auc": float(auc), "ks_to_version_1": float(distance)})
        mlflow.sklearn.log_model(
            model,
            name="model",
            registered_model_name=MODEL,
            input_example=sample,
            signature=infer_signature(sample, np.asarray(good.predict(sample))),
            serialization_format="cloudpickle",
            pip_requirements=["scikit-learn"],
        )
    MlflowClient().set_model_version_tag(MODEL, recipe.version, "summary", recipe.summary)
    return f"version {recipe.version}: {recipe.summary}; AUC {auc:.3f}, KS distance to version 1 {distance:.3f}"


def registered() -> set[str]:
    """The versions that MLflow has already."""
    return {str(found.version) for found in MlflowClient().search_model_versions(f"name='{MODEL}'")}


def main() -> None:
    """Register what is missing; versions that are there already are left as they are."""
    parser = argparse.ArgumentParser("python -m hack.demo.train", description=__doc__)
    default = os.environ.get("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    parser.add_argument("--tracking-uri", default=default, help="MLflow server (default: %(default)s)")
    mlflow.set_tracking_uri(parser.parse_args().tracking_uri)
    mlflow.set_experiment("sluice-demo")
    present = registered()
    if missing := [recipe for recipe in RECIPES if recipe.version not in present]:
        housing = data.load()
        reference, _ = train(RECIPES[0], housing)
        for recipe in missing:
            good, model = train(recipe, housing)
            print(register(recipe, model, good, housing, reference), flush=True)
    print(f"MLflow has {MODEL} in versions {', '.join(sorted(present | {r.version for r in RECIPES}))}")


if __name__ == "__main__":
    main()
