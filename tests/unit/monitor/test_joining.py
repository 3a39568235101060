"""The same request answered twice: which rows are put side by side, and which are not."""

from __future__ import annotations

import random

import numpy as np

from sluice.monitor.cloudevents import Key
from sluice.monitor.joining import Joined, join
from sluice.monitor.origin import UNKNOWN
from sluice.monitor.payload import Cell, Table
from sluice.monitor.reservoir import Chunk, Side
from sluice.monitor.store import Store

STABLE, CANDIDATE = Key("m", "r1"), Key("m", "r2")


def store(bucket_rows: int = 1_000) -> Store:
    return Store(bucket_seconds=10, bucket_rows=bucket_rows, max_series=2, max_bytes=1 << 30, seed=0)


def answer(into: Store, key: Key, moment: float, request: bytes, *answers: Cell) -> None:
    rows = [[cell] for cell in answers]
    into.add(key, moment, Table(("x0",), rows), Table(("p",), rows), request)


def joined(kept: Store, max_rows: int = 10_000) -> Joined:
    ours, theirs = (kept.window(key, 0).chunks for key in (CANDIDATE, STABLE))
    return join(ours, theirs, Side.OUTPUTS, max_rows, np.random.default_rng(0))


def numbers(found: Joined) -> list[tuple[float, float]]:
    sides = (frame.columns["p"].numbers.tolist() if frame.rows else [] for frame in found)
    return list(zip(*sides, strict=True))


def test_answers_to_one_request_stand_side_by_side_in_whatever_order_they_came() -> None:
    kept = store()
    for index in range(30):
        answer(kept, STABLE, 100 + index, b"%d" % index, float(index))
    for index in sorted(range(30), key=lambda index: index * 7 % 30):
        answer(kept, CANDIDATE, 105 + index, b"%d" % index, index + 0.5)
    found = joined(kept)
    assert found.candidate.rows == found.stable.rows == 30
    assert all(ours == theirs + 0.5 for ours, theirs in numbers(found))
    assert found.candidate.origins is not None
    assert found.stable.origins is not None
    assert found.candidate.origins.requests.tolist() == found.stable.origins.requests.tolist()


def test_only_requests_that_both_answered_are_there() -> None:
    kept = store()
    for request in (b"a", b"b"):
        answer(kept, STABLE, 100, request, 1.0)
    for request in (b"b", b"c"):
        answer(kept, CANDIDATE, 100, request, 2.0)
    assert numbers(joined(kept)) == [(2.0, 1.0)]


def test_rows_of_a_batch_join_by_their_place_in_it() -> None:
    kept = store()
    answer(kept, STABLE, 100, b"a", 1.0, 2.0, 3.0)
    answer(kept, CANDIDATE, 100, b"a", 1.5, 2.5, 3.5)
    assert numbers(joined(kept)) == [(1.5, 1.0), (2.5, 2.0), (3.5, 3.0)]


def test_an_id_under_which_the_two_sides_were_asked_different_things_does_not_join() -> None:
    kept = store()
    answer(kept, STABLE, 100, b"a", 1.0, 2.0)
    answer(kept, CANDIDATE, 100, b"a", 1.5)
    assert joined(kept).stable.rows == 0


def test_a_request_that_came_twice_to_one_side_joins_once() -> None:
    kept = store()
    answer(kept, STABLE, 100, b"a", 1.0)
    answer(kept, STABLE, 101, b"a", 9.0)
    answer(kept, CANDIDATE, 100, b"a", 1.5)
    assert numbers(joined(kept)) == [(1.5, 1.0)]


def test_rows_of_unknown_requests_join_with_nothing() -> None:
    kept = store()
    answer(kept, STABLE, 100, UNKNOWN, 1.0)
    answer(kept, CANDIDATE, 100, UNKNOWN, 1.5)
    assert numbers(joined(kept)) == []
    chunk = kept.window(STABLE, 0).chunks[0]
    unwritten = Chunk(chunk.start, chunk.seen, chunk.rows, chunk.layout)
    assert join([unwritten], [unwritten], Side.OUTPUTS, 10, np.random.default_rng(0)).stable.rows == 0


def test_texts_are_joined_as_numbers_are() -> None:
    kept = store()
    rng = random.Random(0)
    words = {b"%d" % index: rng.choice("abc") for index in range(60)}
    for index, (request, word) in enumerate(words.items()):
        answer(kept, STABLE, 100 + index, request, word)
    for index, (request, word) in enumerate(reversed(words.items())):
        answer(kept, CANDIDATE, 100 + index, request, word)
    columns = [frame.columns["p"] for frame in joined(kept)]
    ours, theirs = ([column.labels[code] for code in column.codes] for column in columns)
    assert ours == theirs
    assert len(ours) == 60


def test_no_more_rows_are_joined_than_asked_for() -> None:
    kept = store()
    for index in range(100):
        answer(kept, STABLE, 100, b"%d" % index, float(index))
        answer(kept, CANDIDATE, 100, b"%d" % index, float(index))
    found = joined(kept, max_rows=20)
    assert found.stable.rows == 20
    assert all(ours == theirs for ours, theirs in numbers(found))
    assert max(ours for ours, _ in numbers(found)) > 50


def test_of_two_samples_what_both_kept_is_joined() -> None:
    kept = store(bucket_rows=200)
    for index in range(1_000):
        answer(kept, STABLE, 100, b"%d" % index, float(index))
        answer(kept, CANDIDATE, 100, b"%d" % index, float(index))
    found = joined(kept)
    assert all(ours == theirs for ours, theirs in numbers(found))
    # One in five of one in five: 40 expected of 1,000, standard deviation 6; the seed is fixed.
    assert 22 < found.stable.rows < 58
