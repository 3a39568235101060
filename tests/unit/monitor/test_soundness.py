"""The gate on real data: the same model on both sides passes, a broken one fails within 500 rows.

scikit-learn bundles two real sets: diabetes (442 patients, regression) and digits (1,797 scanned digits,
classification). Rows are drawn with replacement, candidate and stable from disjoint halves of the set.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes, load_digits
from sklearn.linear_model import LinearRegression, LogisticRegression

from sluice.api.verdict import Verdict
from sluice.monitor.comparison import match_columns
from sluice.monitor.tally import Tally
from sluice.monitor.verdict import Judgement, Rule, Sample, judge
from sluice.monitor.window import Column, Frame

Matrix = NDArray[np.float64]
Predict = Callable[[Matrix], Matrix]

RULE = Rule(min_samples=200, min_effect=0.1, alpha=0.01)
ROWS = 500
REPETITIONS = 200


def numeric(**columns: Matrix) -> Frame:
    rows = len(next(iter(columns.values())))
    return Frame(rows, {name: Column(values.astype(float)) for name, values in columns.items()})


def compare(candidate: Frame, stable: Frame) -> Judgement:
    sides = Sample(candidate.rows, Tally(candidate.rows)), Sample(stable.rows, Tally(stable.rows))
    return judge(match_columns(candidate, stable, ()), *sides, RULE)


def fails(inputs: Matrix, candidate: Predict, stable: Predict, seed: int) -> float:
    """The share of repetitions that fail: every row goes to one side only, as traffic does."""
    rng = np.random.default_rng(seed)
    failed = 0
    for _ in range(REPETITIONS):
        to_candidate = rng.random(5 * ROWS) < 0.2
        traffic = inputs[rng.integers(len(inputs), size=5 * ROWS)]
        sides = (
            numeric(y=candidate(traffic[to_candidate])),
            numeric(y=stable(traffic[~to_candidate])),
        )
        failed += compare(*sides).verdict is Verdict.FAIL
    return failed / REPETITIONS


@pytest.fixture(scope="module")
def diabetes() -> tuple[Matrix, Predict]:
    inputs, target = load_diabetes(return_X_y=True, scaled=False)
    return inputs, LinearRegression().fit(inputs, target).predict


@pytest.fixture(scope="module")
def digits() -> tuple[Matrix, Predict]:
    inputs, target = load_digits(return_X_y=True)
    return inputs, LogisticRegression(max_iter=200).fit(inputs / 16, target).predict


def swapped(predict: Predict, first: int, second: int) -> Predict:
    def broken(inputs: Matrix) -> Matrix:
        inputs = inputs.copy()
        inputs[:, [first, second]] = inputs[:, [second, first]]
        return predict(inputs)

    return broken


def scaled(predict: Predict, column: int, factor: float) -> Predict:
    def broken(inputs: Matrix) -> Matrix:
        inputs = inputs.copy()
        inputs[:, column] *= factor
        return predict(inputs)

    return broken


def test_the_same_regression_on_both_sides_is_not_blocked(diabetes: tuple[Matrix, Predict]) -> None:
    inputs, predict = diabetes
    assert fails(inputs, predict, predict, seed=1) <= RULE.alpha + 0.005


def test_the_same_classifier_on_both_sides_is_not_blocked(digits: tuple[Matrix, Predict]) -> None:
    inputs, _ = digits
    predict = digits[1]
    assert fails(inputs, lambda rows: predict(rows / 16), lambda rows: predict(rows / 16), seed=2) <= RULE.alpha + 0.005


def test_a_retrained_regression_is_not_blocked(diabetes: tuple[Matrix, Predict]) -> None:
    inputs, predict = diabetes
    target = load_diabetes().target
    half = np.random.default_rng(3).random(len(inputs)) < 0.5
    retrained: Predict = LinearRegression().fit(inputs[half], target[half]).predict
    assert fails(inputs, retrained, predict, seed=3) <= 0.05


def test_two_swapped_inputs_are_caught_at_500_rows(diabetes: tuple[Matrix, Predict]) -> None:
    inputs, predict = diabetes
    assert fails(inputs, swapped(predict, 2, 3), predict, seed=4) >= 0.99


def test_a_unit_error_is_caught_at_500_rows(diabetes: tuple[Matrix, Predict]) -> None:
    inputs, predict = diabetes
    # Blood pressure in kPa instead of mmHg.
    assert fails(inputs, scaled(predict, 3, 0.133), predict, seed=5) >= 0.99


def test_a_classifier_fed_with_a_wrong_scale_is_caught_at_500_rows(digits: tuple[Matrix, Predict]) -> None:
    inputs, predict = digits
    assert fails(inputs, lambda rows: predict(rows / 255), lambda rows: predict(rows / 16), seed=6) >= 0.99


def test_a_fair_split_of_real_inputs_is_not_blocked_over_ten_columns(diabetes: tuple[Matrix, Predict]) -> None:
    inputs, _ = diabetes
    rng = np.random.default_rng(7)
    names = load_diabetes().feature_names
    failed = 0
    for _ in range(REPETITIONS):
        ours, theirs = (inputs[rng.integers(len(inputs), size=size)] for size in (ROWS, 4 * ROWS))
        sides = (numeric(**dict(zip(names, side.T, strict=True))) for side in (ours, theirs))
        failed += compare(*sides).verdict is Verdict.FAIL
    assert failed / REPETITIONS <= RULE.alpha + 0.005
