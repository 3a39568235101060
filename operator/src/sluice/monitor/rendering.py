"""Rendering: what a verdict is of as an Evidently report.

With :mod:`sluice.monitor.presets` the only module that imports Evidently, which costs four seconds and 280 MB
and so gets a process of its own (:mod:`sluice.monitor.renderer`). The report shows the numbers of the decision:
the tests that decided on drift are registered with Evidently and run by it on the same values. What Evidently
computes of performance itself, it computes of the same answers, and tests hold it against the verdict's figures.
"""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

os.environ["DO_NOT_TRACK"] = "1"  # Evidently's telemetry asks for it at import

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.legacy.calculations.stattests import StatTest, register_stattest
from evidently.legacy.core import ColumnType
from evidently.metrics import ValueDrift

from sluice.monitor.comparison import ColumnKind, ColumnPair, ColumnSide
from sluice.monitor.exhibit import Exhibit, Grades, Rendered, RenderJob
from sluice.monitor.presets import performance

STATTEST = "sluice"
DATA_LINE = re.compile(r"^\s*var (additional_graphs_)?\w+ = .*;$")
"""A line of the page's data block. JSON has no line breaks, so a value cannot start or end one."""


def render(job: RenderJob) -> Rendered:
    """Writes the report as one HTML file, whole or not at all, and returns its digest.

    Raises:
        OSError: the directory cannot be written.
        ValueError: Evidently could not make sense of the values.
    """
    shown = job.shown
    with warnings.catch_warnings():
        # Of what is undefined for so few rows; they would go between the lines of the log.
        warnings.simplefilter("ignore")
        if isinstance(shown, Grades):
            snapshot = performance(shown, job.title)
        else:
            snapshot = report(shown.exhibits, shown.min_effect, job.title)
        page = escape_data(snapshot.get_html_str(as_iframe=False)).encode()
    draft = job.destination.with_suffix(".draft")
    draft.write_bytes(page)
    draft.replace(job.destination)
    return Rendered(digest=f"sha256:{hashlib.sha256(page).hexdigest()}")


def report(exhibits: Sequence[Exhibit], min_effect: float, title: str) -> Any:
    """The Evidently snapshot of the columns: ``ValueDrift`` of each, by the test that judged it."""
    _register(exhibits, min_effect)
    categorical = [_shown(e.pair) for e in exhibits if e.pair.kind is ColumnKind.CATEGORICAL]
    numeric = [_shown(e.pair) for e in exhibits if e.pair.kind is not ColumnKind.CATEGORICAL]
    # Given in full: left to itself, Evidently takes an integer column of few rows for a category.
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
    metrics = [ValueDrift(column=_shown(e.pair), method=STATTEST, threshold=e.verdict.alpha) for e in exhibits]
    current = pd.DataFrame({_shown(e.pair): _series(e.pair, e.pair.candidate) for e in exhibits})
    reference = pd.DataFrame({_shown(e.pair): _series(e.pair, e.pair.stable) for e in exhibits})
    return Report(metrics).run(
        Dataset.from_pandas(current, data_definition=definition),
        Dataset.from_pandas(reference, data_definition=definition),
        name=title,
    )


def escape_data(page: str) -> str:
    """The page with every ``<`` in its data escaped, so that no value can end the script it is part of.

    Evidently writes its data as JSON into a script element and leaves ``</script>`` in values as it is:
    whoever sends a category chooses what the reader's browser runs. Inside JSON ``<`` only occurs in
    strings, where ``\\u003c`` means the same.
    """
    head, end, rest = page.partition("</head>\n    <body>")
    if not end:
        raise ValueError("the page has another shape than Evidently 0.7 gives it")
    lines = (line.replace("<", "\\u003c") if DATA_LINE.match(line) else line for line in head.split("\n"))
    return "\n".join(lines) + end + rest


def _register(exhibits: Sequence[Exhibit], min_effect: float) -> None:
    """Makes the columns' own comparison known to Evidently, under one name for all kinds."""
    pairs = {_shown(exhibit.pair): exhibit.pair for exhibit in exhibits}

    def compare(
        reference: pd.Series[Any], current: pd.Series[Any], _kind: ColumnType, threshold: float
    ) -> tuple[float, bool]:
        pair = pairs[str(current.name)]
        if pair.matched is None:
            pair = replace(pair, candidate=_side(pair, current), stable=_side(pair, reference))
        found = pair.compare_values(min_effect)
        if found is None:  # every category too rare to compare: nothing was found
            return 1.0, False
        return found.p_value, found.p_value <= threshold and found.effect >= min_effect

    register_stattest(
        StatTest(
            name=STATTEST,
            display_name=f"Sluice test, p-value (drift also needs an effect of {min_effect:g})",
            allowed_feature_types=[ColumnType.Numerical, ColumnType.Categorical],
        ),
        compare,
    )


def _shown(pair: ColumnPair) -> str:
    """What the report calls the column."""
    unit = {ColumnKind.TEXT: " (characters)", ColumnKind.VECTOR: ": a classifier's score"}
    return pair.name + unit.get(pair.kind, "")


def _series(pair: ColumnPair, side: ColumnSide) -> pd.Series[Any]:
    """A side's values as Evidently wants them: numbers, or the categories' names."""
    if pair.kind is ColumnKind.CATEGORICAL:
        return pd.Series(np.array(pair.labels, dtype=object)[side.values.astype(np.int64)])
    return pd.Series(side.values.astype(np.float64))


def _side(pair: ColumnPair, series: pd.Series[Any]) -> ColumnSide:
    """The way back from :func:`_series`."""
    if pair.kind is ColumnKind.CATEGORICAL:
        positions = {label: float(index) for index, label in enumerate(pair.labels)}
        values = np.array([positions[label] for label in series])
    else:
        values = series.to_numpy(dtype=np.float64)
    return ColumnSide(len(values), values, 0)
