"""Buckets on a volume: what comes back is what was kept, and a bad volume costs no more than rows."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from sluice.monitor.cloudevents import Key
from sluice.monitor.payload import Cell
from sluice.monitor.reservoir import Layout, Reservoir, Side
from sluice.monitor.spool import Spool
from sluice.monitor.store import Bucket
from sluice.monitor.tally import Tally
from sluice.monitor.telemetry import Metrics
from sluice.monitor.window import assemble

KEY = Key("models", "fraud-r7")
ROWS: list[list[Cell]] = [[1.5, "a"], [None, "b"], [-0.0, None], [1e300, "a"]]


def bucket(start: float = 100, rows: list[list[Cell]] = ROWS) -> Bucket:
    layout, reservoir = Layout(), Reservoir(100, random.Random(0))
    for row in rows:
        values: list[float] = []
        layout.encode(Side.OUTPUTS, ("score", "label.of.it"), row, values)
        slot = reservoir.admit()
        assert slot is not None
        reservoir.write(slot, values)
    return Bucket(start, reservoir, layout, Tally(paired=4, failed=2), closed=True)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path, Metrics())


def test_a_bucket_comes_back_as_it_was(spool: Spool) -> None:
    original = bucket()
    spool.write(KEY, original)
    [(chunk, tally)] = spool.window(KEY, 0, 1_000)
    assert (chunk.start, chunk.seen, tally) == (100, 4, Tally(paired=4, failed=2))
    before = assemble([original.chunk()], Side.OUTPUTS, 100, np.random.default_rng(0))
    after = assemble([chunk], Side.OUTPUTS, 100, np.random.default_rng(0))
    assert list(after.columns) == ["score", "label.of.it"]
    for name, column in before.columns.items():
        np.testing.assert_array_equal(after.columns[name].numbers, column.numbers)
        np.testing.assert_array_equal(after.columns[name].codes, column.codes)
        assert after.columns[name].labels == column.labels


def test_a_bucket_of_failures_alone_keeps_its_tally(spool: Spool) -> None:
    spool.write(KEY, bucket(rows=[]))
    [(chunk, tally)] = spool.window(KEY, 0, 1_000)
    assert len(chunk.rows) == 0
    assert tally.failed == 2


def test_only_the_window_s_buckets_of_that_revision_are_read(spool: Spool) -> None:
    for start in (90, 100, 110, 120):
        spool.write(KEY, bucket(start))
    spool.write(Key("models", "fraud-r8"), bucket(100))
    spool.write(Key("other", "fraud-r7"), bucket(100))
    assert [chunk.start for chunk, _ in spool.window(KEY, 100, 120)] == [100, 110]


def test_a_bucket_that_memory_still_has_is_not_read(spool: Spool) -> None:
    known = spool.write(KEY, bucket())
    assert list(spool.window(KEY, 0, 1_000, known={known})) == []


@pytest.mark.parametrize("name", ["../../escaped", "..", ".", "a/b", "/etc", "x\x00y"])
def test_a_hostile_revision_name_stays_inside_the_volume(tmp_path: Path, name: str) -> None:
    root = tmp_path / "volume"
    path = Spool(root, Metrics()).write(Key(name, name), bucket())
    assert path.resolve().relative_to(root.resolve()).parts[:-1] == path.parent.relative_to(root).parts
    assert len(path.relative_to(root).parts) == 3


def test_a_damaged_file_is_passed_over_and_counted(tmp_path: Path) -> None:
    metrics = Metrics()
    spool = Spool(tmp_path, metrics)
    sound = spool.write(KEY, bucket(100))
    (sound.parent / f"{110:017.3f}-damaged.parquet").write_bytes(b"PAR1 not really")
    (sound.parent / "stray.parquet").write_bytes(b"")
    assert [chunk.start for chunk, _ in spool.window(KEY, 0, 1_000)] == [100]
    assert metrics.registry.get_sample_value("sluice_monitor_volume_errors_total") == 2


def test_a_write_that_fails_leaves_nothing_behind(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        spool.write(KEY, bucket())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_old_buckets_leave_the_volume(spool: Spool) -> None:
    for start in (90, 100, 110):
        spool.write(KEY, bucket(start))
    assert spool.expire(before=100, max_bytes=1 << 30) == 1
    assert [chunk.start for chunk, _ in spool.window(KEY, 0, 1_000)] == [100, 110]


def test_the_oldest_buckets_leave_a_volume_that_is_too_full(spool: Spool) -> None:
    sizes = [spool.write(KEY, bucket(start)).stat().st_size for start in (90, 100, 110)]
    assert spool.expire(before=0, max_bytes=sizes[1] + sizes[2]) == 1
    assert [chunk.start for chunk, _ in spool.window(KEY, 0, 1_000)] == [100, 110]


def test_the_directory_of_a_revision_goes_with_its_last_bucket(spool: Spool, tmp_path: Path) -> None:
    folder = spool.write(KEY, bucket(90)).parent
    spool.expire(before=1_000, max_bytes=1 << 30)
    assert not folder.exists()
