"""The demo's estimators, importable wherever a model is logged or served. Only scikit-learn and NumPy.

A fault is part of the model, not a switch of the server: version 3 *is* slow, version 4 *is* wrong, and
nothing else tells them from a good one.
"""

from __future__ import annotations

import time
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

Matrix = NDArray[np.float64]


class ExpensiveHome(BaseEstimator):  # type: ignore[misc]
    """The probability that a district's homes are expensive: a score in [0, 1] per row of 8 features."""

    def __init__(self, regularization: float = 1.0) -> None:
        self.regularization = regularization

    def fit(self, rows: Matrix, expensive: NDArray[np.int64]) -> Self:
        """Fit on ``rows`` of shape (n, 8) and labels 0 or 1 of shape (n,)."""
        self.pipeline_: Pipeline = make_pipeline(
            StandardScaler(),
            PolynomialFeatures(2, include_bias=False),
            StandardScaler(),
            LogisticRegression(C=self.regularization, max_iter=2000),
        )
        self.pipeline_.fit(rows, expensive)
        return self

    def predict(self, rows: Any) -> Matrix:
        """Scores of shape (n,)."""
        scores: Matrix = self.pipeline_.predict_proba(np.asarray(rows, dtype=np.float64))[:, 1]
        return scores


class Slow(BaseEstimator):  # type: ignore[misc]
    """A correct model that answers late, and now and then not at all."""

    def __init__(self, model: ExpensiveHome, seconds: float = 1.3, failing: float = 0.1) -> None:
        self.model = model
        self.seconds = seconds
        self.failing = failing

    def predict(self, rows: Any) -> Matrix:
        """Scores of shape (n,), ``seconds`` later. Raises for about ``failing`` of the requests, by their content."""
        values = np.asarray(rows, dtype=np.float64)
        time.sleep(self.seconds)
        # Which requests fail depends on the row alone, so that a replay fails on the same ones.
        if (abs(float(values.sum())) * 997) % 1 < self.failing:
            raise ValueError("feature store timed out")
        return self.model.predict(values)


class Swapped(BaseEstimator):  # type: ignore[misc]
    """A quick model that reads two of its inputs in each other's place, as after a careless refactoring."""

    def __init__(self, model: ExpensiveHome, first: int, second: int) -> None:
        self.model = model
        self.first = first
        self.second = second

    def predict(self, rows: Any) -> Matrix:
        """Scores of shape (n,) for the swapped columns."""
        values = np.array(rows, dtype=np.float64)
        values[:, [self.first, self.second]] = values[:, [self.second, self.first]]
        return self.model.predict(values)
