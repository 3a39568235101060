"""Buckets put together: every row of the window has the same chance to be in the sample."""

from __future__ import annotations

import numpy as np

from sluice.monitor.payload import Cell
from sluice.monitor.reservoir import Chunk, Layout, Side
from sluice.monitor.window import Frame, assemble


def chunk(*cells: Cell, seen: int | None = None, start: float = 0, name: str = "y") -> Chunk:
    layout = Layout()
    rows = []
    for cell in cells:
        values: list[float] = []
        layout.encode(Side.OUTPUTS, (name,), [cell], values)
        rows.append(values)
    width = len(layout.planes)
    matrix = np.array([values + [np.nan] * (width - len(values)) for values in rows]).reshape(len(rows), width)
    return Chunk(start, len(cells) if seen is None else seen, matrix, layout)


def window(*chunks: Chunk, max_rows: int = 10_000, seed: int = 0) -> Frame:
    return assemble(chunks, Side.OUTPUTS, max_rows, np.random.default_rng(seed))


def texts(frame: Frame, name: str = "y") -> list[str | None]:
    column = frame.columns[name]
    return [column.labels[code] if code >= 0 else None for code in column.codes]


def test_complete_buckets_are_put_together_whole_and_in_order() -> None:
    frame = window(chunk(1.0, 2.0), chunk(3.0))
    assert frame.rows == 3
    np.testing.assert_array_equal(frame.columns["y"].numbers, [1, 2, 3])


def test_texts_of_buckets_with_different_vocabularies_get_common_labels() -> None:
    frame = window(chunk("a", "b"), chunk("b", None, "c"))
    assert texts(frame) == ["a", "b", "b", None, "c"]


def test_texts_have_their_lengths_and_keep_them_when_some_are_taken() -> None:
    frame = window(chunk("a", 2.0), chunk(None, "four"))
    np.testing.assert_array_equal(frame.columns["y"].lengths, [1, np.nan, np.nan, 4])
    np.testing.assert_array_equal(frame.take(np.array([3, 0])).columns["y"].lengths, [4, 1])


def test_a_column_that_a_bucket_lacks_is_missing_there() -> None:
    frame = window(chunk(1.0), chunk("x", name="z"))
    np.testing.assert_array_equal(frame.columns["y"].numbers, [1, np.nan])
    assert texts(frame, "z") == [None, "x"]


def test_infinity_is_no_number() -> None:
    frame = window(chunk(float("inf"), 1.0))
    np.testing.assert_array_equal(frame.columns["y"].numbers, [np.nan, 1])


def test_the_other_side_s_columns_stay_out() -> None:
    layout = Layout()
    values: list[float] = []
    layout.encode(Side.INPUTS, ("x0",), [1.0], values)
    layout.encode(Side.OUTPUTS, ("y",), [2.0], values)
    both = Chunk(0, 1, np.array([values]), layout)
    assert list(window(both).columns) == ["y"]


def test_no_rows_make_an_empty_frame() -> None:
    assert window() == Frame(0, {})
    assert window(chunk(seen=5)).rows == 0


def test_a_quiet_bucket_is_thinned_to_the_rate_of_a_busy_one() -> None:
    busy = chunk(*[0.0] * 200, seen=2_000)  # one row in ten was kept
    quiet = chunk(*[1.0] * 500, seen=500)
    frame = window(busy, quiet)
    assert frame.rows == 250
    assert frame.columns["y"].numbers.sum() == 50


def test_the_share_of_a_quiet_time_is_right_on_average_even_when_it_is_less_than_a_row() -> None:
    busy = chunk(*[0.0] * 100, seen=1_000)
    quiet = chunk(*[1.0] * 4, seen=4)  # 0.4 of a row
    kept = [window(busy, quiet, seed=seed).columns["y"].numbers.sum() for seed in range(1_000)]
    assert 0.35 < np.mean(kept) < 0.45


def test_a_window_that_has_more_rows_than_allowed_is_thinned_to_just_as_many() -> None:
    for seed in range(20):
        assert window(*(chunk(*range(100)) for _ in range(7)), max_rows=50, seed=seed).rows == 50


def test_the_same_seed_thins_to_the_same_rows() -> None:
    chunks = [chunk(*range(100)), chunk(*range(100), seen=900)]
    first, second = window(*chunks, seed=3), window(*chunks, seed=3)
    np.testing.assert_array_equal(first.columns["y"].numbers, second.columns["y"].numbers)
