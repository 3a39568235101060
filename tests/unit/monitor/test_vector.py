"""Vectors are compared as what they are: by one calibrated test that sees what no single number shows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sluice.api.verdict import Verdict
from sluice.monitor.comparison import ColumnKind, ColumnPair, match_columns
from sluice.monitor.origin import Origins
from sluice.monitor.tally import Tally
from sluice.monitor.twosample import Floats, kolmogorov_smirnov
from sluice.monitor.vector import WIDE, gathered, told_apart, vectors
from sluice.monitor.verdict import Judgement, Reason, Rule, Sample, judge
from sluice.monitor.window import Column, Frame

RULE = Rule(min_samples=200, min_effect=0.1, alpha=0.01)


def normal(seed: int, rows: int = 1_000, numbers: int = WIDE, shift: float = 0.0, scale: float = 1.0) -> Floats:
    return np.random.default_rng(seed).normal(shift, scale, size=(rows, numbers))


def frame(table: Floats, name: str = "embedding", requests: int = 0, **others: Floats) -> Frame:
    """A vector, and other columns."""
    columns = {f"{name}[{place}]": Column(table[:, place]) for place in range(table.shape[1])}
    columns |= {other: Column(values) for other, values in others.items()}
    origins = None
    if requests:
        index = np.arange(len(table), dtype=np.int32) % requests
        ids = np.array([b"request-%d" % (row // requests) for row in range(len(table))])
        origins = Origins(ids, index, np.full(len(table), requests, np.int32))
    return Frame(len(table), columns, origins)


def verdict(candidate: Frame, stable: Frame, *columns: str, paired: bool = False) -> Judgement:
    sides = Sample(candidate.rows, Tally(candidate.rows)), Sample(stable.rows, Tally(stable.rows))
    return judge(match_columns(candidate, stable, columns, paired=paired), *sides, RULE)


def only(candidate: Frame, stable: Frame, *columns: str, paired: bool = False) -> ColumnPair:
    [pair] = match_columns(candidate, stable, columns, paired=paired)
    return pair


def test_what_changes_nothing_in_any_number_is_seen_in_all_of_them() -> None:
    """A seventh of the spread in each of 64 numbers: Evidently's default for embeddings lets it pass."""
    candidate, stable = frame(normal(1, shift=0.15)), frame(normal(2))
    found = verdict(candidate, stable)
    assert (found.verdict, found.reason) == (Verdict.FAIL, Reason.DRIFT_DETECTED)
    assert found.message.startswith("1 of 1 columns changed in 1,000 candidate and 1,000 stable rows: embedding (64 ")
    assert found.columns[0].kind is ColumnKind.VECTOR
    one_by_one = verdict(candidate, stable, *candidate.columns)
    assert one_by_one.verdict is Verdict.PASS, one_by_one.message


def test_vectors_that_scatter_more_around_the_same_place_are_seen() -> None:
    assert verdict(frame(normal(1, scale=1.2)), frame(normal(2))).verdict is Verdict.FAIL


def test_numbers_that_no_more_go_together_are_seen() -> None:
    """Each number is distributed as before; but where the first half was large the second was, too."""
    half = normal(2, numbers=WIDE // 2)
    joined = np.hstack([half, half + 0.1 * normal(3, numbers=WIDE // 2)])
    assert verdict(frame(normal(1)), frame(joined)).verdict is Verdict.FAIL


def test_what_has_not_changed_passes_and_says_what_would_have_been_seen() -> None:
    found = verdict(frame(normal(1)), frame(normal(2)))
    assert found.verdict is Verdict.PASS
    assert found.columns[0].detectable_effect is not None
    assert found.columns[0].detectable_effect < 0.15


@pytest.mark.parametrize("rows", [60, 200])
def test_it_keeps_its_level(rows: int) -> None:
    """Learning finds something in everything. What it found is held against rows that it has not seen."""
    rng, repetitions, numbers = np.random.default_rng(20_261_127), 200, np.arange(rows)

    def p_value() -> float:
        sides = rng.lognormal(sigma=1.5, size=(2, rows, 40))
        return kolmogorov_smirnov(*told_apart(sides[0], sides[1], numbers, numbers)).p_value

    alarms = sum(p_value() <= 0.05 for _ in range(repetitions))
    assert alarms / repetitions <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / repetitions)


def test_rows_of_one_request_either_teach_or_are_compared() -> None:
    """Each request's rows are alike, and no two requests': with some in either half, any difference is learnt."""
    rng = np.random.default_rng(1)
    alike = [np.repeat(rng.normal(size=(60, WIDE)), 10, axis=0) for _ in range(2)]
    tables = [table + rng.normal(scale=0.01, size=table.shape) for table in alike]
    pair = only(frame(tables[0], requests=10), frame(tables[1], requests=10))
    assert (len(pair.candidate.values) % 10, len(pair.stable.values) % 10) == (0, 0)
    together = kolmogorov_smirnov(pair.candidate.values, pair.stable.values).effect
    torn = only(frame(tables[0]), frame(tables[1]))
    assert together < 0.4 < kolmogorov_smirnov(torn.candidate.values, torn.stable.values).effect


def test_in_a_shadow_a_request_teaches_on_both_sides_or_on_none() -> None:
    """Both sides are asked the same: what is learnt of one side's row is known of the other's."""
    table = normal(1, rows=800)
    pair = only(frame(table, requests=1), frame(table, requests=1), paired=True)
    assert pair.matched is None
    assert np.array_equal(pair.candidate.values, pair.stable.values)


def test_a_vector_with_a_gap_is_missing() -> None:
    table = normal(1)
    table[::3, 5] = np.nan
    pair = only(frame(table), frame(normal(2)))
    assert pair.candidate.rows == pair.stable.rows == 500
    assert pair.candidate.missing == pytest.approx(167, abs=1)
    found = verdict(frame(table), frame(normal(2)))
    assert (found.verdict, found.reason) == (Verdict.FAIL, Reason.MORE_MISSING_VALUES)


def test_a_vector_of_another_length_is_another_column() -> None:
    longer = verdict(frame(normal(1, numbers=2 * WIDE)), frame(normal(2)))
    assert (longer.verdict, longer.reason) == (Verdict.INCONCLUSIVE, Reason.COLUMN_NEW)
    shorter = verdict(frame(normal(1)), frame(normal(2, numbers=2 * WIDE)))
    assert (shorter.verdict, shorter.reason) == (Verdict.FAIL, Reason.COLUMN_MISSING)


def test_half_of_the_rows_are_compared_and_must_be_enough() -> None:
    found = verdict(frame(normal(1, rows=390)), frame(normal(2, rows=390)))
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_VALUES)
    nothing = verdict(frame(normal(1, rows=12)), frame(normal(2, rows=1_000)), "embedding")
    assert nothing.verdict is Verdict.INCONCLUSIVE


def test_vectors_that_are_always_the_same() -> None:
    same, other = np.ones((500, WIDE)), np.full((500, WIDE), 2.0)
    assert verdict(frame(same), frame(same)).columns[0].reason is Reason.CONSTANT
    assert verdict(frame(other), frame(same)).verdict is Verdict.FAIL
    empty = np.full((500, WIDE), np.nan)
    assert verdict(frame(empty), frame(empty)).columns[0].reason is Reason.COLUMN_EMPTY


def test_many_numbers_under_one_name_are_a_vector_and_few_are_features() -> None:
    table = normal(1, rows=20)
    wide, narrow = frame(table, amount=table[:, 0]), frame(table[:, :3], amount=table[:, 0])
    assert [pair.name for pair in match_columns(wide, wide, ())] == ["embedding (64 numbers)", "amount"]
    names = ["embedding[0]", "embedding[1]", "embedding[2]"]
    assert [pair.name for pair in match_columns(narrow, narrow, ())] == [*names, "amount"]


def test_what_is_named_is_compared_as_it_is_named() -> None:
    table = normal(1, rows=20)
    wide, narrow = frame(table), frame(table[:, :3])
    assert only(wide, wide, "embedding[7]").kind is ColumnKind.NUMERIC
    assert only(narrow, narrow, "embedding").name == "embedding (3 numbers)"
    whole = frame(table[:, :3], embedding=table[:, 0])
    assert only(whole, whole, "embedding").kind is ColumnKind.NUMERIC


@pytest.mark.parametrize("names", [["a[0]"], ["a[0]", "a[2]"], ["a[1]", "a[2]"], ["a[0]", "a[01]"], ["[0]", "[1]"]])
def test_what_is_no_vector(names: list[str]) -> None:
    assert vectors(names) == {}
    assert gathered(names, {}) == names


def test_a_vector_of_vectors_is_known_by_its_innermost_name() -> None:
    assert vectors(["a[0][0]", "a[0][1]"]) == {"a[0]": ("a[0][0]", "a[0][1]")}


tables = arrays.arrays(np.float64, st.tuples(st.integers(0, 60), st.just(4)), elements=st.floats(-1e300, 1e300))


@given(tables, tables)
def test_any_vectors_at_all_end_in_scores_that_are_numbers(ours: Floats, theirs: Floats) -> None:
    pair = only(frame(ours, "v"), frame(theirs, "v"), "v")
    assert np.isfinite(pair.candidate.values).all()
    assert np.isfinite(pair.stable.values).all()
