"""Vectors are compared as what they are: by one calibrated test that sees what no single number shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sluice.api.verdict import Verdict
from sluice.monitor.comparison import ColumnKind, ColumnPair, match_columns
from sluice.monitor.origin import Origins
from sluice.monitor.reservoir import Chunk, Layout, Side
from sluice.monitor.tally import Tally
from sluice.monitor.twosample import Floats, kolmogorov_smirnov
from sluice.monitor.vector import MOST_NUMBERS, WIDE, Vectors, chances, gathered, told_apart, vectors
from sluice.monitor.verdict import Judgement, Reason, Rule, Sample, judge
from sluice.monitor.window import Column, Frame, condense

RULE = Rule(min_samples=200, min_effect=0.1, alpha=0.01)


def normal(seed: int, rows: int = 1_000, numbers: int = WIDE, shift: float = 0.0, scale: float = 1.0) -> Floats:
    return np.random.default_rng(seed).normal(shift, scale, size=(rows, numbers))


def frame(table: Floats, name: str = "embedding", requests: int = 0, **others: Floats) -> Frame:
    """A vector, and other columns."""
    columns = {f"{name}[{place}]": Column(table[:, place]) for place in range(table.shape[1])}
    columns |= {other: Column(values) for other, values in others.items()}
    ids = [b"request-%d" % (row // requests) for row in range(len(table))] if requests else []
    return Frame(len(table), columns, origins(ids, requests) if requests else None)


def origins(ids: Sequence[bytes], size: int = 1) -> Origins:
    index = np.arange(len(ids), dtype=np.int32) % size
    return Origins(np.array(ids), index, np.full(len(ids), size, np.int32))


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
    rng, repetitions, places = np.random.default_rng(20_261_127), 200, np.arange(rows)

    def side() -> Vectors:
        return Vectors(rng.lognormal(sigma=1.5, size=(rows, 40)), places, places % 2 == 0)

    def p_value() -> float:
        return kolmogorov_smirnov(*told_apart(side(), side())).p_value

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


def test_halves_do_not_go_by_what_an_id_says() -> None:
    """By their order, all documents would be in one half and all queries in the other."""
    ids = [b"%04d-%s" % (number, kind) for number in range(1_000) for kind in (b"doc", b"query")]
    luck = chances(replace(frame(normal(1, rows=2_000)), origins=origins(ids)))
    assert abs(int((luck[::2] & 1).sum()) - 500) < 80
    assert abs(int((luck[1::2] & 1).sum()) - 500) < 80


def test_a_reference_remembers_what_came_in_one_request() -> None:
    ids = [b"request-%d" % (row // 10) for row in range(600)]
    layout, cells = Layout(), []
    for row in normal(1, rows=600).tolist():
        values: list[float] = []
        layout.encode(Side.OUTPUTS, tuple(f"e[{place}]" for place in range(WIDE)), row, values)
        cells.append(values)
    kept = condense([Chunk(0.0, 600, np.array(cells), layout, origins(ids, 10))], 300, np.random.default_rng(1), 0.0)
    assert kept.origins is not None
    assert len(kept.rows) == len(kept.origins) == 300
    assert len(set(kept.origins.requests.tolist())) <= 60


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_in_a_shadow_vectors_are_compared_answer_by_answer(share: float) -> None:
    """Some customers are given others' answers: as a whole, the answers are distributed as before."""
    table, rng = normal(1, rows=2_000), np.random.default_rng(5)
    mixed, some = table.copy(), rng.random(2_000) < share
    mixed[some] = rng.permutation(table[some])
    assert verdict(frame(mixed, requests=1), frame(table, requests=1)).verdict is Verdict.PASS
    found = verdict(frame(mixed, requests=1), frame(table, requests=1), paired=True)
    assert (found.verdict, found.columns[0].test) == (Verdict.FAIL, "concordance")
    assert found.columns[0].effect == pytest.approx(math.sqrt(share), abs=0.03)
    assert found.message.startswith("1 of 1 columns changed in 2,000 rows that both revisions answered: ")


def test_in_a_shadow_a_model_that_was_trained_again_passes_and_so_does_itself() -> None:
    table = normal(1, rows=2_000)
    for noise in (0.0, 0.05):
        again = table + normal(2, rows=2_000, scale=noise) if noise else table
        assert verdict(frame(again, requests=1), frame(table, requests=1), paired=True).verdict is Verdict.PASS


def test_in_a_shadow_what_one_side_lacks_is_missing() -> None:
    table = normal(1, rows=1_000)
    gaps = table.copy()
    gaps[::10, 3] = np.nan
    pair = only(frame(gaps, requests=1), frame(table, requests=1), paired=True)
    assert (pair.compared, pair.candidate.missing, pair.stable.missing) == (900, 100, 0)


def test_of_long_vectors_as_many_are_compared_as_there_is_room_for() -> None:
    rows = 2 * MOST_NUMBERS // 500
    pair = only(frame(np.zeros((rows, 500))), frame(np.zeros((rows, 500))))
    assert rows * 0.2 < len(pair.candidate.values) < rows * 0.3


def test_a_vector_with_a_gap_is_missing() -> None:
    table = normal(1)
    table[::3, 5] = np.nan
    pair = only(frame(table), frame(normal(2)))
    assert pair.candidate.rows == pytest.approx(500, abs=60)
    assert pair.candidate.missing_share == pytest.approx(1 / 3, abs=0.06)
    assert pair.stable.missing == 0
    found = verdict(frame(table), frame(normal(2)))
    assert (found.verdict, found.reason) == (Verdict.FAIL, Reason.MORE_MISSING_VALUES)


@pytest.mark.parametrize("numbers", [WIDE // 2, 2 * WIDE])
def test_answers_of_another_length_are_none(numbers: int) -> None:
    found = verdict(frame(normal(1, numbers=numbers)), frame(normal(2)), "embedding")
    assert (found.verdict, found.reason) == (Verdict.FAIL, Reason.COLUMN_MISSING)


def test_one_row_that_is_longer_changes_nothing_about_the_others() -> None:
    longer = np.hstack([normal(1, shift=2.0), np.full((1_000, 1), np.nan)])
    longer[7, WIDE] = 1.0
    assert verdict(frame(longer), frame(normal(2))).verdict is Verdict.FAIL
    pair = only(frame(longer), frame(normal(2)))
    assert pair.name == "embedding (64 numbers)"
    assert pair.candidate.missing <= 1


def test_a_number_of_the_same_name_hides_no_vector() -> None:
    ours, theirs = (frame(normal(seed, shift=seed % 2), embedding=np.ones(1_000)) for seed in (1, 2))
    found = verdict(ours, theirs)
    assert {column.name: column.verdict for column in found.columns} == {
        "embedding (64 numbers)": Verdict.FAIL,
        "embedding": Verdict.PASS,
    }
    assert only(ours, theirs, "embedding[]").kind is ColumnKind.VECTOR


def test_half_of_the_rows_are_compared_and_must_be_enough() -> None:
    found = verdict(frame(normal(1, rows=300)), frame(normal(2, rows=300)))
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_VALUES)
    assert "A vector needs twice as many rows" in found.message


@pytest.mark.parametrize("stable", [12, 1_000])
def test_what_nothing_could_be_learnt_from_never_passes_however_few_rows_are_asked_for(stable: int) -> None:
    ours, theirs = frame(normal(1, rows=12, shift=1.0)), frame(normal(2, rows=stable))
    samples = Sample(12, Tally(12)), Sample(stable, Tally(stable))
    found = judge(match_columns(ours, theirs, ()), *samples, replace(RULE, min_samples=2))
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_VALUES)


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


@pytest.mark.parametrize(
    "names",
    [["a[0]"], ["a[0]", "a[2]"], ["a[1]", "a[2]"], ["a[0]", "a[01]"], ["[0]", "[1]"], ["a[0]", f"a[{'1' * 5_000}]"]],
)
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
