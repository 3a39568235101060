"""Buckets of time per revision, and what happens when memory is short."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluice.monitor import reservoir
from sluice.monitor.cloudevents import Key
from sluice.monitor.origin import USUAL_ID
from sluice.monitor.payload import Cell, Table
from sluice.monitor.reservoir import LayoutFullError
from sluice.monitor.store import SeriesLimitError, Store

ROW_BYTES = 3 * 8 + USUAL_ID + 2 * 4
"""Memory of a row of two numbers, one of them ranked, with its origin."""
R1, R2 = Key("models", "m-r1"), Key("models", "m-r2")


def store(*, bucket_rows: int = 1_000, max_series: int = 10, max_bytes: int = 1 << 20, seed: int = 0) -> Store:
    return Store(bucket_seconds=10, bucket_rows=bucket_rows, max_series=max_series, max_bytes=max_bytes, seed=seed)


def add(into: Store, key: Key, moment: float, *values: float) -> None:
    rows: list[list[Cell]] = [[value] for value in values]
    into.add(key, moment, Table(("x0",), list(rows)), Table(("prediction",), list(rows)))


def starts(kept: Store, key: Key, since: float = 0) -> list[float]:
    return [chunk.start for chunk in kept.window(key, since).chunks]


def test_rows_fall_into_the_bucket_of_their_time() -> None:
    kept = store()
    for moment in (100.0, 109.9, 110.0, 135.0):
        add(kept, R1, moment, 1.0)
    assert starts(kept, R1) == [100, 110, 130]
    assert [chunk.seen for chunk in kept.window(R1, 0).chunks] == [2, 1, 1]


def test_a_window_begins_with_the_first_whole_bucket() -> None:
    kept = store()
    for moment in (100, 110, 120):
        add(kept, R1, moment, 1.0)
    since = kept.first_bucket(100.1)
    assert since == 110
    assert starts(kept, R1, since) == [110, 120]
    assert kept.first_bucket(110) == 110


def test_revisions_do_not_mix_and_an_unknown_one_has_nothing() -> None:
    kept = store()
    add(kept, R1, 100, 1.0)
    assert starts(kept, R2) == []
    assert kept.window(R2, 0).tally.inferences == 0


def test_a_snapshot_does_not_change_when_rows_are_added() -> None:
    kept = store(bucket_rows=10)
    add(kept, R1, 100, *range(10))
    before = kept.window(R1, 0).chunks[0]
    rows = before.rows.copy()
    add(kept, R1, 100, *range(100, 200))
    np.testing.assert_array_equal(before.rows, rows)


def test_a_row_that_comes_after_its_bucket_closed_starts_a_second_one() -> None:
    kept = store()
    add(kept, R1, 100, 1.0)
    [(key, bucket)] = kept.close(before=110)
    assert (key, bucket.start, bucket.closed) == (R1, 100, True)
    add(kept, R1, 100, 2.0)
    assert starts(kept, R1) == [100, 100]


def test_only_buckets_that_have_ended_are_closed() -> None:
    kept = store()
    add(kept, R1, 100, 1.0)
    add(kept, R1, 110, 1.0)
    assert [bucket.start for _, bucket in kept.close(before=119.9)] == [100]
    assert kept.close(before=119.9) == []


def test_tallies_of_a_window_are_added_up() -> None:
    kept = store()
    kept.tally(R1, 100).failed += 1
    kept.tally(R1, 115).failed += 2
    kept.tally(R1, 115).paired += 5
    tally = kept.window(R1, 100).tally
    assert (tally.failed, tally.paired) == (3, 5)
    assert kept.window(R1, 110).tally.failed == 2


def test_the_oldest_bucket_makes_room_and_the_window_knows_what_it_lost() -> None:
    kept = store(max_bytes=3 * 16 * ROW_BYTES)
    for moment in (100, 110, 120, 130):  # 16 rows each: the fourth bucket is too many
        add(kept, R1, moment, *range(16))
    assert starts(kept, R1) == [120, 130]
    assert kept.window(R1, 0).complete_since == 120
    assert kept.evicted_rows == 32


def save(kept: Store) -> list[float]:
    """Marks everything as stored, and returns the starts of what was not."""
    changed = kept.unstored()
    for _, snapshot in changed:
        snapshot.bucket.stored = snapshot.version
    return [snapshot.chunk.start for _, snapshot in changed]


def test_what_changed_since_it_was_stored_is_stored_again_and_nothing_else() -> None:
    kept = store()
    add(kept, R1, 110, 1.0)
    add(kept, R1, 100, 1.0)
    add(kept, R2, 100, 1.0)
    assert save(kept) == [100, 100, 110]
    assert save(kept) == []
    add(kept, R1, 100, 2.0)
    assert save(kept) == [100]
    kept.tally(R2, 100).failed += 1
    kept.close(before=1_000)
    assert save(kept) == [100]


def test_a_change_while_a_bucket_is_being_stored_is_not_taken_for_stored() -> None:
    kept = store()
    add(kept, R1, 100, 1.0)
    [(_, snapshot)] = kept.unstored()
    add(kept, R1, 100, 2.0)
    snapshot.bucket.stored = snapshot.version
    assert len(snapshot.chunk.rows) == 1
    assert save(kept) == [100]


def test_a_bucket_that_is_stored_makes_room_without_loss() -> None:
    kept = store(max_bytes=40 * ROW_BYTES)
    add(kept, R1, 100, *range(16))
    save(kept)
    for moment in (110, 120):
        add(kept, R1, moment, *range(16))
    assert starts(kept, R1) == [110, 120]
    assert kept.window(R1, 0).complete_since == -math.inf
    assert kept.evicted_rows == 0


def test_a_bucket_of_which_only_an_earlier_state_is_stored_does_not_make_room_without_loss() -> None:
    kept = store(max_bytes=40 * ROW_BYTES)
    add(kept, R1, 100, *range(8))
    save(kept)
    add(kept, R1, 100, *range(8))
    for moment in (110, 120):
        add(kept, R1, moment, *range(16))
    assert kept.window(R1, 0).complete_since == 110
    assert kept.evicted_rows == 16


def test_a_window_names_the_files_of_its_buckets_before_there_are_any() -> None:
    kept = store()
    add(kept, R1, 100, 1.0)
    [(_, snapshot)] = kept.unstored()
    assert kept.window(R1, 0).paths == {snapshot.file}


def test_columns_that_are_new_to_a_revision_are_noticed() -> None:
    kept = store()
    numbers, text = Table(("x0",), [[1.0]]), Table(("x0",), [["a"]])
    more = Table(("x0", "x1"), [[1.0, 2.0]])
    changes = [kept.add(R1, 100, table, numbers) for table in (numbers, numbers, text, text, more, numbers)]
    assert changes == [False, False, True, False, True, False]


def test_rows_of_one_request_carry_it() -> None:
    kept = store()
    rows = [[1.0], [2.0], [3.0]]
    kept.add(R1, 100, Table(("x0",), rows), Table(("prediction",), rows), b"request-1")
    kept.add(R1, 100, Table(("x0",), rows[:1]), Table(("prediction",), rows[:1]), b"request-2")
    origins = kept.window(R1, 0).chunks[0].origins
    assert origins is not None
    assert origins.requests.tolist() == [b"request-1"] * 3 + [b"request-2"]
    assert (origins.index.tolist(), origins.size.tolist()) == ([0, 1, 2, 0], [3, 3, 3, 1])


def test_a_row_that_does_not_fit_is_not_counted_as_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reservoir, "MAX_PLANES", 2)
    kept = store()
    add(kept, R1, 100, 1.0)
    with pytest.raises(LayoutFullError):
        kept.add(R1, 100, Table(("x0",), [["text"]]), Table(("prediction",), [[1.0]]))
    [chunk] = kept.window(R1, 0).chunks
    assert (chunk.seen, len(chunk.rows)) == (1, 1)


def test_the_bucket_being_written_to_stays_even_when_it_alone_is_too_large() -> None:
    kept = store(max_bytes=64)
    add(kept, R1, 100, *range(100))
    assert starts(kept, R1) == [100]


def test_there_is_an_end_to_the_revisions_followed() -> None:
    kept = store(max_series=1)
    add(kept, R1, 100, 1.0)
    with pytest.raises(SeriesLimitError):
        kept.tally(R2, 100)


def test_what_is_old_is_forgotten_once_closed_and_so_are_revisions_without_rows() -> None:
    kept = store()
    add(kept, R1, 100, 1.0)
    kept.forget(before=1_000)
    assert starts(kept, R1) == [100]
    kept.close(before=1_000)
    kept.forget(before=1_000)
    assert (len(kept), kept.bytes, kept.rows) == (0, 0, 0)


def test_what_was_lost_is_known_for_as_long_as_it_would_have_been_kept() -> None:
    kept = store(max_bytes=100 * ROW_BYTES)
    assert kept.complete_since(R1) == -math.inf
    add(kept, R1, 100, 1.0)
    kept.close(before=1_000)
    add(kept, R2, 110, *range(100))
    assert kept.complete_since(R1) == 110
    kept.forget(before=109)
    assert kept.complete_since(R1) == 110
    kept.forget(before=110)
    assert kept.complete_since(R1) == -math.inf


@settings(deadline=None)  # a busy machine
@given(st.lists(st.tuples(st.sampled_from([R1, R2]), st.integers(0, 60), st.integers(1, 40)), max_size=40))
def test_memory_is_accounted_for_exactly_and_stays_in_bounds(arrivals: list[tuple[Key, int, int]]) -> None:
    budget = 16_384
    kept = store(bucket_rows=20, max_bytes=budget)
    for key, moment, rows in arrivals:
        add(kept, key, moment, *range(rows))
        if moment % 7 == 0:
            kept.close(before=moment)
        chunks = [chunk for revision in (R1, R2) for chunk in kept.window(revision, -1).chunks]
        assert kept.rows == sum(len(chunk.rows) for chunk in chunks)
        assert kept.bytes <= budget
