"""The budget of a day holds: where nothing changes, looks fail no more often than they may."""

from __future__ import annotations

import numpy as np

from sluice.api.verdict import Verdict
from sluice.monitor.comparison import match_columns
from sluice.monitor.tally import Tally
from sluice.monitor.verdict import AT_REST, Rule, Sample, judge
from sluice.monitor.window import Column, Frame

BUDGET = 0.05
"""Of a day, as ``drift.watch.alpha``. Ten times the usual, so that a cheap simulation sees whether it holds."""
LOOKS, DAYS, COLUMNS = 24, 60, 5
REFERENCE, ROWS = 1_000, 300


def rows(rng: np.random.Generator, count: int, shift: float = 0.0) -> Frame:
    """Requests whose columns hang together, some of them with ties."""
    common = rng.normal(size=count)
    columns = {f"x{number}": Column(common + rng.normal(shift, size=count)) for number in range(COLUMNS - 2)}
    columns["count"] = Column(rng.poisson(2.0, size=count).astype(float))
    columns["cents"] = Column(np.round(rng.exponential(20.0, size=count)))
    return Frame(count, columns)


def look(new: Frame, reference: Frame, effect: float = 0.0) -> Verdict:
    sides = Sample(new.rows, Tally(new.rows)), Sample(reference.rows, Tally(reference.rows))
    rule = Rule(min_samples=200, min_effect=effect, alpha=BUDGET / LOOKS)
    return judge(match_columns(new, reference, ()), *sides, rule, AT_REST).verdict


def test_days_on_which_nothing_changed_have_no_more_false_alarms_than_the_budget_allows() -> None:
    """All looks of a day are at one reference, as they are in service; and no effect is too small to fail."""
    rng = np.random.default_rng(2026)
    bad_days = 0
    for _ in range(DAYS):
        reference = rows(rng, REFERENCE)
        bad_days += any(look(rows(rng, ROWS), reference) is Verdict.FAIL for _ in range(LOOKS))
    # Three standard deviations above the budget.
    assert bad_days <= DAYS * BUDGET + 3 * np.sqrt(DAYS * BUDGET * (1 - BUDGET))


def test_a_population_that_moved_is_seen_by_the_first_look() -> None:
    rng = np.random.default_rng(2027)
    seen = [look(rows(rng, ROWS, shift=1.0), rows(rng, REFERENCE), effect=0.2) for _ in range(50)]
    assert seen == [Verdict.FAIL] * 50
