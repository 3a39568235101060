"""What is timed is a whole verdict, and finds in every column what SciPy's own test finds there."""

from __future__ import annotations

import pytest

from bench import verdicts
from sluice.api.verdict import Verdict


def test_the_verdict_that_is_timed_agrees_with_the_tests_that_it_is_held_against() -> None:
    ours, theirs = verdicts.compare(rows=2_000, rounds=1)
    assert ours > 0 < theirs


def test_two_samples_of_the_same_pass_and_all_columns_are_judged() -> None:
    candidate, stable = verdicts.columns(2_000, 1), verdicts.columns(2_000, 2)
    answer = verdicts.verdict(verdicts.chunks(candidate), verdicts.chunks(stable), 2_000)
    assert answer.verdict is Verdict.PASS
    assert sorted(column.kind for column in answer.columns) == ["Categorical"] * verdicts.TEXTS + ["Numeric"] * (
        verdicts.NUMBERS
    )


def test_a_changed_column_fails() -> None:
    candidate, stable = verdicts.columns(2_000, 1), verdicts.columns(2_000, 2)
    candidate.numbers[3] += 20
    answer = verdicts.verdict(verdicts.chunks(candidate), verdicts.chunks(stable), 2_000)
    failed = [column for column in answer.columns if column.verdict is Verdict.FAIL]
    assert [(column.name, column.test) for column in failed] == [("number-3", "ks")]
    assert failed[0].effect == pytest.approx(failed[0].statistic, abs=0.05)
