"""The two promises of the drift gate: the same model is not taken back, and a broken one is.

    uv run python -m bench.gates [--rollouts 500] [--populations california employment]

Real rows, in the order in which they were collected, walk by while a release takes its steps: a shadow, and nine
weights from 10 to 90 %. At each step the candidate answers at least a thousand requests, and the monitor's own code
looks once. The error budget is the shipped monitor's, 0.01 for a whole release. Evidently's defaults and Kayenta's rule
look at the same rows, so that the difference can be seen.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray
from scipy import stats

from bench import populations
from bench.populations import Population, Scores
from hack.cluster.cache import REPOSITORY
from sluice.api.verdict import Verdict
from sluice.core.looks import GUARD_SHARE
from sluice.monitor.comparison import match_columns
from sluice.monitor.tally import Tally
from sluice.monitor.verdict import Rule, Sample, judge
from sluice.monitor.window import Column, Frame

WEIGHTS = (10, 20, 30, 40, 50, 60, 70, 80, 90)
LOOKS = 1 + len(WEIGHTS)
ROWS = 1_000
"""The least number of requests that each side of a weight answers, in the mean."""
SHADOWED = 3_000
"""Requests that are mirrored."""
MOST = 20_000
"""Rows of a side that the monitor looks at, at most."""
POINTS = 60
"""Means of a side that Kayenta is given for a step, as it would get one a minute."""
POPULATIONS: Mapping[str, Callable[[], Population]] = {
    "california": populations.california,
    "employment": populations.employment,
    "both": populations.both,
}


class Look(NamedTuple):
    """What one look sees: rows of the stream, by their places, that each side answered."""

    candidate: NDArray[np.intp]
    stable: NDArray[np.intp]
    paired: bool


@dataclass(frozen=True)
class Outcome:
    """How a release ended under one rule: at which look it failed, if at all, and after how many candidate rows."""

    failed_at: int | None
    rows: int


Judge = Callable[[Population, Scores, Look], bool | None]
"""Whether a look fails; None if it is not looked at all."""


def looks(population: Population, chance: np.random.Generator) -> Iterator[Look]:
    """A release, step by step: each step's traffic is drawn from the next stretch of the stream."""
    size = len(population.live)
    start = int(chance.integers(size))
    for number in range(LOOKS):
        stretch = (start + np.arange(number * size // LOOKS, (number + 1) * size // LOOKS)) % size
        if number == 0:
            asked = chance.choice(stretch, SHADOWED)
            yield Look(asked, asked, paired=True)
            continue
        share = WEIGHTS[number - 1] / 100
        asked = chance.choice(stretch, int(ROWS / min(share, 1 - share)))
        to_candidate = chance.random(len(asked)) < share
        yield Look(asked[to_candidate][:MOST], asked[~to_candidate][:MOST], paired=False)


@cache
def shipped() -> Rule:
    """The rule of ``monitors/prediction-drift.yaml`` for one planned look of such a release. No guard looks."""
    drift = yaml.safe_load((REPOSITORY / "monitors" / "prediction-drift.yaml").read_text())["spec"]["drift"]
    budget = float(drift["alpha"]) * (1 - GUARD_SHARE)
    return Rule(min_samples=drift["minSamples"], min_effect=float(drift["minEffect"]), alpha=budget / LOOKS)


def sluice(population: Population, answers: Scores, look: Look, *, inputs: bool = False) -> bool:
    """The monitor's own verdict; with ``inputs``, over all the columns of the requests too."""
    sides = []
    for places, scores in ((look.candidate, answers), (look.stable, population.stable)):
        columns = {"score": Column(scores[places])}
        if inputs:
            columns |= {name: Column(population.live[places, n]) for n, name in enumerate(population.columns)}
        sides.append(Frame(len(places), columns))
    candidate, stable = (Sample(side.rows, Tally(paired=side.rows)) for side in sides)
    pairs = match_columns(sides[0], sides[1], (), paired=look.paired and not inputs)
    return judge(pairs, candidate, stable, shipped()).verdict is Verdict.FAIL


def evidently(population: Population, answers: Scores, look: Look) -> bool:
    """Evidently's own choice of test and threshold for the score column."""
    from evidently.legacy.calculations.stattests import get_stattest
    from evidently.legacy.core import ColumnType

    reference, current = pd.Series(population.stable[look.stable]), pd.Series(answers[look.candidate])
    test = get_stattest(reference, current, ColumnType.Numerical, None)
    return bool(test(reference, current, ColumnType.Numerical, None).drifted)


def kayenta(population: Population, answers: Scores, look: Look) -> bool:
    """Kayenta's NetflixACAJudge on the mean score a minute: Mann-Whitney, 98 %, beyond a quarter of the estimate."""
    ours, theirs = (
        np.array([part.mean() for part in np.array_split(scores[places], POINTS)])
        for scores, places in ((answers, look.candidate), (population.stable, look.stable))
    )
    shifts = np.sort((ours[:, None] - theirs[None, :]).ravel())
    spread = math.sqrt(POINTS * POINTS * (2 * POINTS + 1) / 12)
    rank = int(POINTS * POINTS / 2 - float(stats.norm.ppf(0.99)) * spread)
    tolerance = 0.25 * abs(float(np.median(shifts)))
    return bool(shifts[rank] > tolerance or shifts[-rank - 1] < -tolerance)


def without_shadow(population: Population, answers: Scores, look: Look) -> bool | None:
    """The monitor's own verdict where a release has no shadow."""
    return None if look.paired else sluice(population, answers, look)


RULES: Mapping[str, Judge] = {
    "Sluice": sluice,
    "without its shadow": without_shadow,
    "Evidently": evidently,
    "Kayenta": kayenta,
}


def release(population: Population, answers: Scores, judges: Mapping[str, Judge], seed: int) -> dict[str, Outcome]:
    """One release under each rule, on the same traffic."""
    ended: dict[str, Outcome] = {}
    rows = dict.fromkeys(judges, 0)
    for number, look in enumerate(looks(population, np.random.default_rng(seed))):
        for name in judges.keys() - ended.keys():
            failed = judges[name](population, answers, look)
            rows[name] += 0 if failed is None else len(look.candidate)
            if failed:
                ended[name] = Outcome(number, rows[name])
        if len(ended) == len(judges):
            break
    return {name: ended.get(name, Outcome(None, rows[name])) for name in judges}


_here: dict[str, Population] = {}
"""In a worker process, what it has been told of: sent once, not with every release."""


def _some(name: str, answers: Scores, judges: Mapping[str, Judge], seeds: Sequence[int]) -> list[dict[str, Outcome]]:
    return [release(_here[name], answers, judges, seed) for seed in seeds]


class Bench:
    """Runs releases on all cores, and prints a row for each change."""

    def __init__(self, population: Population, rollouts: int) -> None:
        _here[population.name] = population  # before the workers are forked, which then have it too
        self._population = population
        self._rollouts = rollouts
        self._workers = os.cpu_count() or 1
        self._pool = ProcessPoolExecutor(self._workers)

    def run(self) -> None:
        """A/A, harmless retrainings, and everything harmful."""
        population = self._population
        with self._pool:
            print(f"\n{population.name}: {len(population.live):,} rows, {len(population.columns) + 1} columns")
            print(f"{'':34}{'':>8}" + "".join(f"{name:>24}" for name in RULES))
            if population.harmful:
                self._row("A/A", "the same model", population.stable, RULES)
            every: dict[str, Judge] = {"Sluice": partial(sluice, inputs=True)}
            self._row("A/A", "the same, every column a gate", population.stable, every)
            for number, answers in enumerate(population.retrained, 1):
                self._row("harmless", f"retrained on other rows ({number})", answers, RULES)
            for what, answers in population.harmful.items():
                self._row("harmful", what, answers, RULES)

    def _row(self, kind: str, what: str, answers: Scores, judges: Mapping[str, Judge]) -> None:
        seeds = [range(number, self._rollouts, 4 * self._workers) for number in range(4 * self._workers)]
        parts = self._pool.map(partial(_some, self._population.name, answers, judges), seeds)
        outcomes = [outcome for part in parts for outcome in part]
        cells = []
        for name in judges:
            failed = [outcome[name] for outcome in outcomes if outcome[name].failed_at is not None]
            share = f"{len(failed) / len(outcomes):.1%}"
            rows = f" at {statistics.median(one.rows for one in failed):,.0f} rows" if failed else ""
            cells.append(f"{share + rows:>24}")
        print(f"{what:34}{kind:>8}" + "".join(cells), flush=True)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser("python -m bench.gates", description=__doc__)
    parser.add_argument("--rollouts", type=int, default=500, help="releases for each row (default: %(default)s)")
    parser.add_argument("--populations", nargs="+", choices=POPULATIONS, default=list(POPULATIONS))
    options = parser.parse_args()
    rule = shipped()
    print(
        f"{options.rollouts} releases a row, {LOOKS} looks each; minEffect {rule.min_effect:g}, "
        f"{rule.alpha:g} of the budget a look. Shown: the share that is taken back, and after how many rows of the "
        "candidate in the median."
    )
    for name in options.populations:
        started = time.monotonic()
        Bench(POPULATIONS[name](), options.rollouts).run()
        print(f"({time.monotonic() - started:.0f} s)")


if __name__ == "__main__":
    main()
