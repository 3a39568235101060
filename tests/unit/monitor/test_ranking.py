"""Of what stable ranks first in a request, how much does the candidate rank first: from samples of single rows."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.api.verdict import Verdict
from sluice.monitor.cloudevents import Key
from sluice.monitor.comparison import match_rankings
from sluice.monitor.joining import Joined, join
from sluice.monitor.parquet import read_files, to_bytes
from sluice.monitor.payload import Cell, Table
from sluice.monitor.reservoir import MAX_RANKED, Side, _ranks
from sluice.monitor.store import Store
from sluice.monitor.tally import Tally
from sluice.monitor.twosample import Floats
from sluice.monitor.verdict import Judgement, Reason, Rule, Sample, judge

STABLE, CANDIDATE = Key("shop", "m-r1"), Key("shop", "m-r2")
ROWS, TOP, LIMIT = 30, 5, 0.2
RULE = Rule(min_samples=50, min_effect=LIMIT, alpha=0.01)


def store(bucket_rows: int = 100_000) -> Store:
    return Store(bucket_seconds=60, bucket_rows=bucket_rows, max_series=10, max_bytes=1 << 28, seed=3)


def answer(into: Store, key: Key, request: bytes, scores: Floats | list[Cell]) -> bool:
    rows: list[list[Cell]] = [[score if score is None else float(score)] for score in scores]
    asked: list[list[Cell]] = [[float(index)] for index in range(len(rows))]
    return into.add(key, 100.0, Table(("x",), asked), Table(("score",), rows), request)


def joined(kept: Store) -> Joined:
    ours, theirs = (kept.window(key, 0).chunks for key in (CANDIDATE, STABLE))
    return join(ours, theirs, Side.RANKS, 20_000, np.random.default_rng(0))


def judged(kept: Store, rule: Rule = RULE) -> Judgement:
    both = joined(kept)
    sample = Sample(both.candidate.rows, Tally(both.candidate.rows))
    return judge(match_rankings(both.candidate, both.stable, (), TOP), sample, sample, rule)


def shadowed(noise: float, requests: int = 400, bucket_rows: int = 100_000, seed: int = 0) -> tuple[Store, float]:
    """Both answer the same requests, the candidate with noise in its scores; and the overlap of all their lists."""
    kept, rng, overlaps = store(bucket_rows), np.random.default_rng(seed), []
    for number in range(requests):
        stable = rng.normal(size=ROWS)
        candidate = stable + noise * rng.normal(size=ROWS)
        answer(kept, STABLE, b"request-%d" % number, stable)
        answer(kept, CANDIDATE, b"request-%d" % number, candidate)
        first = (set(np.argsort(-scores)[:TOP]) for scores in (stable, candidate))
        overlaps.append(len(set.intersection(*first)) / TOP)
    return kept, float(np.mean(overlaps))


@given(st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.9]), min_size=1, max_size=20))
def test_a_rank_is_one_more_than_there_are_better_ones(scores: list[float]) -> None:
    assert _ranks(scores) == [1 + sum(other > score for other in scores) for score in scores]


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5, 2.0])
def test_of_whole_requests_the_effect_is_one_minus_the_overlap(noise: float) -> None:
    kept, overlap = shadowed(noise)
    both = joined(kept)
    (pair,) = match_rankings(both.candidate, both.stable, (), TOP)
    found = pair.compare_values(LIMIT)
    assert found is not None
    assert found.effect == pytest.approx(1 - overlap, abs=1e-9)
    assert pair.compared == 400 * TOP


def test_of_a_sample_of_rows_it_is_so_on_average() -> None:
    effects = []
    for seed in range(20):
        kept, overlap = shadowed(0.5, bucket_rows=3_000, seed=seed)
        both = joined(kept)
        (pair,) = match_rankings(both.candidate, both.stable, (), TOP)
        assert pair.compared < 300
        found = pair.compare_values(LIMIT)
        assert found is not None
        effects.append(found.effect - (1 - overlap))
    assert abs(np.mean(effects)) <= 3 * np.std(effects) / math.sqrt(len(effects))


@pytest.mark.parametrize(
    ("noise", "verdict"), [(0.0, Verdict.PASS), (0.1, Verdict.PASS), (2.0, Verdict.FAIL)], ids=["same", "near", "far"]
)
def test_a_candidate_that_ranks_others_first_fails(noise: float, verdict: Verdict) -> None:
    found = judged(shadowed(noise)[0])
    assert found.verdict is verdict, found.message
    assert "score (first 5)" in found.message


def test_scores_of_another_scale_rank_alike() -> None:
    kept, rng = store(), np.random.default_rng(1)
    for number in range(100):
        scores = rng.normal(size=ROWS)
        answer(kept, STABLE, b"request-%d" % number, scores)
        answer(kept, CANDIDATE, b"request-%d" % number, 1000 * scores - 7)
    assert judged(kept).verdict is Verdict.PASS


def test_an_overlap_just_as_small_as_is_allowed_is_seldom_called_smaller() -> None:
    """Whole requests go one way or the other: their rows are not so many independent observations."""
    rng, alarms, repetitions = np.random.default_rng(2), 0, 80
    for _ in range(repetitions):
        kept = store()
        for number in range(60):
            stable = np.arange(ROWS, 0, -1.0)
            other = np.roll(stable, TOP) if rng.random() < LIMIT else stable
            answer(kept, STABLE, b"request-%d" % number, stable)
            answer(kept, CANDIDATE, b"request-%d" % number, other)
        alarms += judged(kept).verdict is Verdict.FAIL
    assert alarms <= repetitions * (0.01 + 3 * math.sqrt(0.01 * 0.99 / repetitions))


def test_requests_that_are_no_longer_than_the_list_say_nothing() -> None:
    kept, rng = store(), np.random.default_rng(1)
    for number in range(200):
        for key in (STABLE, CANDIDATE):
            answer(kept, key, b"request-%d" % number, rng.normal(size=TOP))
    found = judged(kept)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.NO_DATA)


def test_too_few_of_the_first_are_inconclusive() -> None:
    kept, _ = shadowed(2.0, requests=9)
    found = judged(kept)
    assert (found.verdict, found.reason) == (Verdict.INCONCLUSIVE, Reason.TOO_FEW_VALUES)


def test_a_candidate_that_gives_some_no_score_fails() -> None:
    kept, rng = store(), np.random.default_rng(1)
    for number in range(300):
        scores = list(rng.normal(size=ROWS))
        answer(kept, STABLE, b"request-%d" % number, scores)
        answer(kept, CANDIDATE, b"request-%d" % number, [None, *scores[1:]] if number % 3 == 0 else scores)
    found = judged(kept)
    assert (found.verdict, found.reason) == (Verdict.FAIL, Reason.MORE_MISSING_VALUES)


def test_ranks_outlive_the_volume_and_are_no_change_of_schema(tmp_path: Path) -> None:
    kept = store()
    assert not answer(kept, STABLE, b"alone", [0.3])
    assert not answer(kept, STABLE, b"together", [0.1, 0.9, 0.4])
    (chunk,) = kept.window(STABLE, 0).chunks
    file = tmp_path / "bucket.parquet"
    file.write_bytes(to_bytes(chunk, Tally(2)))
    ((again, _),) = read_files([file], Side.RANKS)
    assert [plane.name for plane in again.layout.planes] == ["score"]
    assert again.rows[:, 0].tolist()[1:] == [3, 1, 2]
    assert math.isnan(again.rows[0, 0])


def test_vectors_and_texts_are_not_ranked() -> None:
    kept = store()
    names = tuple(f"e{index}" for index in range(MAX_RANKED + 1))
    rows: list[list[Cell]] = [[1.0] * len(names), [2.0] * len(names)]
    kept.add(STABLE, 100.0, Table(("x",), [[1.0], [2.0]]), Table(names, rows), b"vectors")
    kept.add(CANDIDATE, 100.0, Table(("x",), [[1.0], [2.0]]), Table(("word",), [["a"], ["b"]]), b"texts")
    for key in (STABLE, CANDIDATE):
        (chunk,) = kept.window(key, 0).chunks
        assert not [plane for plane in chunk.layout.planes if plane.side is Side.RANKS]
