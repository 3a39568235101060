"""Populations: real rows in the order in which they were collected, and models that answer them well, or badly.

Two data sets from a wheel on the package index. California housing (US census of 1990, 14,064 districts) is listed by
place, so a stretch of it is a region, and traffic that walks through it really shifts. Employment (US census surveys of
Massachusetts, 277,677 people, 2015 to 2018) is in the order of the years and hardly shifts at all.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special
from sklearn.ensemble import HistGradientBoostingClassifier

from hack.demo import data
from hack.demo.models import ExpensiveHome

Rows = NDArray[np.float64]
Labels = NDArray[np.int64]
Scores = NDArray[np.float64]

STALE_SHARE = 0.1
"""The stretch of the stream, from its beginning, that the stale model has seen."""
SLICE = 0.05
"""The share of the requests that the model with a degraded slice answers badly, namely with the mean score."""
BLOCK = 200
"""Rows among which that share is chosen."""
_FOLDER = "nannyml/datasets/data/"


class Model(Protocol):
    """Scores for rows."""

    def __call__(self, rows: Rows) -> Scores: ...


@dataclass(frozen=True)
class Population:
    """What a service is asked, in order, and what different models answer."""

    name: str
    columns: tuple[str, ...]
    live: Rows
    """Shape (requests, columns): in the order of their collection."""
    stable: Scores
    """Shape (requests,): what the model in production answers."""
    retrained: list[Scores]
    """Answers of models trained alike on other rows: harmless."""
    harmful: dict[str, Scores]
    """By what is broken, answers of candidates that should be caught."""


@dataclass(frozen=True)
class _Breakage:
    """How a population's model is broken."""

    swapped: tuple[int, int]
    """Columns that are read in each other's place."""
    unit: tuple[int, float]
    """A column that comes in another unit, and the factor."""
    dead: int
    """A column that always has its mean."""
    sliced: int
    """The requests with the largest values of this column are a slice."""
    miscoded: int | None = None
    """A column of codes that are numbered in the order of their texts: 1, 10, 11, 2."""
    has_stale: bool = False
    """Whether the population shifts, so that a model from its beginning is no use at its end."""


def california() -> Population:
    """Eight numbers a district, and the probability that its homes are expensive."""
    with zipfile.ZipFile(data.wheel()) as archive:
        reference, analysis, truth = (
            pd.read_csv(archive.open(f"{_FOLDER}california_housing_{part}.csv"))
            for part in ("reference", "analysis", "analysis_gt")
        )
    every = pd.concat([reference, analysis.merge(truth, on="id")])

    def train(rows: Rows, labels: Labels) -> Model:
        return ExpensiveHome().fit(rows, labels).predict

    breakage = _Breakage(swapped=(0, 5), unit=(0, 10.0), dead=0, sliced=2, has_stale=True)
    return _population("california", data.FEATURES, every, "clf_target", train, breakage)


def employment() -> Population:
    """Sixteen answers a person, most of them codes, and the probability that she or he is employed."""
    with zipfile.ZipFile(data.wheel()) as archive:
        reference, analysis, truth = (
            pd.read_parquet(archive.open(f"{_FOLDER}employment_MA_{part}.pq"))
            for part in ("reference", "analysis", "analysis_target")
        )
    every = pd.concat([reference, analysis.merge(truth, on="id")])
    columns = [
        str(name) for name in every.columns if name not in ("id", "employed", "year") and "predict" not in str(name)
    ]
    age, schooling = columns.index("AGEP"), columns.index("SCHL")

    def train(rows: Rows, labels: Labels) -> Model:
        made = HistGradientBoostingClassifier(max_iter=60, random_state=0).fit(rows, labels)
        return lambda asked: np.asarray(made.predict_proba(asked)[:, 1], dtype=np.float64)

    breakage = _Breakage(swapped=(age, schooling), unit=(age, 12.0), dead=age, sliced=schooling, miscoded=schooling)
    return _population("employment", columns, every, "employed", train, breakage)


def both() -> Population:
    """Employment, and as many more columns of each request as California has: 25 with the score."""
    people, places = employment(), california()
    beside = places.live[np.arange(len(people.live)) % len(places.live)]
    columns = people.columns + places.columns
    return Population("both", columns, np.hstack([people.live, beside]), people.stable, [], {})


def _population(
    name: str,
    columns: list[str],
    every: pd.DataFrame,
    target: str,
    train: Callable[[Rows, Labels], Model],
    breakage: _Breakage,
) -> Population:
    """Half of the rows, by chance, train the model in production; the other half, in order, is what it is asked."""
    rows, labels = every[columns].to_numpy(dtype=np.float64), every[target].to_numpy(dtype=np.int64)
    chance = np.random.default_rng(0)
    seen = chance.random(len(rows)) < 0.5
    live = rows[~seen]
    model = train(rows[seen], labels[seen])
    retrained = []
    for _ in range(2):
        part = np.flatnonzero(seen)[chance.random(int(seen.sum())) < 0.7]
        retrained.append(train(rows[part], labels[part])(live))
    stable = model(live)
    harmful = {
        "swapped columns": model(_swap(live, *breakage.swapped)),
        "unit error": model(_replace(live, breakage.unit[0], live[:, breakage.unit[0]] * breakage.unit[1])),
        "miscalibrated": special.expit(special.logit(np.clip(stable, 1e-6, 1 - 1e-6)) + 1.0),
        "dead feature": model(_replace(live, breakage.dead, np.full(len(live), rows[seen, breakage.dead].mean()))),
        "degraded slice": np.where(largest(live[:, breakage.sliced]), stable.mean(), stable),
    }
    if breakage.has_stale:
        early = np.flatnonzero(seen)[: int(STALE_SHARE * len(rows))]
        harmful["stale model"] = train(rows[early], labels[early])(live)
    if breakage.miscoded is not None:
        codes = np.unique(rows[:, breakage.miscoded])
        wrong = codes[np.argsort([f"{code:g}" for code in codes])]
        places = np.searchsorted(wrong, live[:, breakage.miscoded], sorter=np.argsort(wrong))
        harmful["broken encoder"] = model(_replace(live, breakage.miscoded, codes[np.argsort(wrong)[places]]))
    return Population(name, tuple(columns), live, stable, retrained, harmful)


def _swap(rows: Rows, first: int, second: int) -> Rows:
    swapped = rows.copy()
    swapped[:, [first, second]] = rows[:, [second, first]]
    return swapped


def _replace(rows: Rows, column: int, values: Rows) -> Rows:
    replaced = rows.copy()
    replaced[:, column] = values
    return replaced


def largest(values: Rows) -> NDArray[np.bool_]:
    """Of every :data:`BLOCK` rows the share of :data:`SLICE` with the largest values, so that some come at any time."""
    chosen = np.zeros(len(values), dtype=bool)
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        chosen[start + np.argsort(-block, kind="stable")[: round(SLICE * len(block))]] = True
    return chosen
