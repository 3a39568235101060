"""The sample is uniform, bounded and reproducible, and keeps what a cell was."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

from sluice.monitor import reservoir as module
from sluice.monitor.origin import MAX_ID
from sluice.monitor.payload import Cell, Table
from sluice.monitor.reservoir import OTHER, Kind, Layout, LayoutFullError, Plane, Reservoir, Side


def sample(seed: int, rows: int, capacity: int) -> list[float]:
    kept = Reservoir(capacity, random.Random(seed))
    for row in range(rows):
        slot = kept.choose()
        if slot is not None:
            kept.put(slot, [float(row)])
    return [float(value) for value in kept.rows[:, 0]]


def encode(layout: Layout, row: dict[str, Cell]) -> list[float]:
    values: list[float] = []
    layout.encode(Side.INPUTS, tuple(row), list(row.values()), values)
    return values


def test_up_to_its_capacity_every_row_is_kept_in_order() -> None:
    assert sample(0, rows=40, capacity=40) == list(range(40))


def test_every_row_has_the_same_chance_to_be_kept() -> None:
    counts = np.zeros(50)
    repetitions = 2_000
    for seed in range(repetitions):
        counts[np.array(sample(seed, rows=50, capacity=10), dtype=int)] += 1
    # 2,000 x 10/50 = 400 expected, standard deviation 18; the seeds are fixed, so this cannot flicker.
    assert counts.sum() == repetitions * 10
    assert np.abs(counts - 400).max() < 4.5 * 18


def test_the_same_seed_keeps_the_same_rows() -> None:
    assert sample(7, rows=500, capacity=20) == sample(7, rows=500, capacity=20)
    assert sample(7, rows=500, capacity=20) != sample(8, rows=500, capacity=20)


def test_memory_stays_within_the_capacity_whatever_is_offered() -> None:
    kept = Reservoir(100, random.Random(0))
    for _ in range(10_000):
        slot = kept.choose()
        if slot is not None:
            kept.put(slot, [1.0] * 5, b"x" * MAX_ID)
    assert (kept.seen, kept.kept, kept.nbytes) == (10_000, 100, 100 * (5 * 8 + MAX_ID + 2 * 4))


def test_a_row_that_is_wider_than_those_before_leaves_them_missing_there() -> None:
    kept = Reservoir(10, random.Random(0))
    for values in ([1.0], [2.0, 3.0], [4.0]):
        slot = kept.choose()
        assert slot is not None
        kept.put(slot, values)
    np.testing.assert_array_equal(kept.rows, [[1, math.nan], [2, 3], [4, math.nan]])


def test_a_row_knows_its_request_whichever_row_it_replaced() -> None:
    kept = Reservoir(20, random.Random(3))
    for row in range(500):
        slot = kept.choose()
        if slot is not None:
            request = f"{row // 5}" if row < 250 else f"{row // 5:050}"
            kept.put(slot, [float(row)], request.encode(), index=row % 5, size=5)
    values, origins = kept.rows[:, 0].astype(int).tolist(), kept.origins
    assert [int(request) for request in origins.requests] == [value // 5 for value in values]
    assert origins.index.tolist() == [value % 5 for value in values]
    assert set(origins.size) == {5}


def test_a_row_that_was_chosen_and_not_put_was_never_offered() -> None:
    kept = Reservoir(2, random.Random(0))
    assert kept.choose() == 0
    assert (kept.seen, kept.kept) == (0, 0)


def test_numbers_take_the_short_way_and_end_where_the_long_one_would_put_them() -> None:
    numbers = Table(("a", "b"), [[1.0, 2.0]], numeric=True)
    answer = Table(("p",), [[3.0]], numeric=True)
    for before in ((), ("b",), ("a", "b"), ("c", "a")):
        short, long = Layout(), Layout()
        values: list[list[float]] = []
        for layout, tables in ((short, (numbers, answer)), (long, (Table(*numbers[:2]), Table(*answer[:2])))):
            layout.learn(Side.INPUTS, before)
            values.append([*layout.encoder(*tables)([1.0, 2.0], [3.0])])
        np.testing.assert_array_equal(values[0], values[1])


def test_numbers_and_texts_of_one_column_are_kept_apart() -> None:
    layout = Layout()
    assert encode(layout, {"a": 1.5}) == [1.5]
    text = encode(layout, {"a": "one"})
    assert math.isnan(text[0])
    assert text[1:] == [0.0, 3.0]
    assert layout.planes == [Plane(Side.INPUTS, "a", kind) for kind in (Kind.NUMBER, Kind.TEXT, Kind.LENGTH)]


def test_a_text_that_is_cut_has_its_whole_length() -> None:
    layout = Layout()
    codes = [encode(layout, {"a": "x" * length})[1:] for length in (module.MAX_TEXT, 5_000)]
    assert codes == [[0.0, module.MAX_TEXT], [0.0, 5_000.0]]


def test_a_column_that_is_always_null_is_still_known() -> None:
    layout = Layout()
    encode(layout, {"a": None})
    assert layout.planes == [Plane(Side.INPUTS, "a", Kind.NUMBER)]


def test_inputs_and_outputs_of_one_name_are_two_columns() -> None:
    layout = Layout()
    values: list[float] = []
    layout.encode(Side.INPUTS, ("score",), [1.0], values)
    layout.encode(Side.OUTPUTS, ("score",), [2.0], values)
    assert values == [1.0, 2.0]


def test_a_number_too_large_for_a_float_is_missing() -> None:
    assert math.isnan(encode(Layout(), {"a": 10**400})[0])


def test_texts_beyond_the_vocabulary_are_told_apart_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_VOCABULARY", 2)
    layout = Layout()
    codes = [encode(layout, {"a": text})[1] for text in ("x", "y", "z", "w", "x")]
    assert codes == [0, 1, 2, 2, 0]
    assert list(layout.vocabularies[1]) == ["x", "y", OTHER]


def test_rows_that_keep_changing_shape_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PLANES", 3)
    layout = Layout()
    encode(layout, {"a": 1, "b": 2, "c": 3})
    with pytest.raises(LayoutFullError):
        encode(layout, {"d": 4})
