"""Buckets in a depot: what comes back is what was kept, and a bad depot costs no more than rows."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sluice.monitor import spool as module
from sluice.monitor.cloudevents import Key
from sluice.monitor.depot import Directory, Stored
from sluice.monitor.payload import Cell, Table
from sluice.monitor.reservoir import Side
from sluice.monitor.spool import Spool
from sluice.monitor.store import Snapshot, Store
from sluice.monitor.tally import Tally
from sluice.monitor.telemetry import Metrics
from sluice.monitor.window import assemble

KEY = Key("models", "fraud-r7")
ROWS: list[list[Cell]] = [[1.5, "a"], [None, "b"], [-0.0, None], [1e300, "a"]]


def snapshot(start: float = 100, rows: list[list[Cell]] = ROWS, request: bytes = b"request-1") -> Snapshot:
    store = Store(bucket_seconds=10, bucket_rows=1_000, max_series=1, max_bytes=1 << 30, seed=0)
    tally = store.tally(KEY, start)
    tally.paired, tally.failed = 4, 2
    if rows:
        asked: list[list[Cell]] = [[float(index)] for index in range(len(rows))]
        store.add(KEY, start, Table(("x0",), asked), Table(("score", "label.of.it"), rows), request)
    [(_, taken)] = store.unstored()
    return taken


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(Directory(tmp_path), Metrics())


def starts(spool: Spool, since: float = 0, until: float = 1_000) -> list[float]:
    return [chunk.start for chunk, _ in spool.window(KEY, since, until)]


def size_of(root: Path, name: str) -> int:
    return (root / name).stat().st_size


def test_a_bucket_comes_back_as_it_was(spool: Spool) -> None:
    original = snapshot()
    spool.write(KEY, original)
    [(chunk, tally)] = spool.window(KEY, 0, 1_000)
    assert (chunk.start, chunk.seen, tally) == (100, 4, Tally(paired=4, failed=2))
    before = assemble([original.chunk], Side.OUTPUTS, 100, np.random.default_rng(0))
    after = assemble([chunk], Side.OUTPUTS, 100, np.random.default_rng(0))
    assert list(after.columns) == ["score", "label.of.it"]
    for name, column in before.columns.items():
        np.testing.assert_array_equal(after.columns[name].numbers, column.numbers)
        np.testing.assert_array_equal(after.columns[name].codes, column.codes)
        assert after.columns[name].labels == column.labels
    assert after.origins is not None
    assert after.origins.requests.tolist() == [b"request-1"] * 4
    assert (after.origins.index.tolist(), after.origins.size.tolist()) == ([0, 1, 2, 3], [4, 4, 4, 4])


def test_only_the_columns_of_the_side_that_is_asked_for_are_read(spool: Spool) -> None:
    spool.write(KEY, snapshot())
    for side in (Side.INPUTS, Side.OUTPUTS):
        [(chunk, _)] = spool.window(KEY, 0, 1_000, side=side)
        assert {plane.side for plane in chunk.layout.planes} == {side}
        assert chunk.origins is not None
        assert len(chunk.origins) == 4


def test_buckets_whose_columns_differ_are_read_together(spool: Spool) -> None:
    spool.write(KEY, snapshot(100))
    spool.write(KEY, snapshot(110, [[7.0, "c"]]))
    spool.write(KEY, snapshot(120, []))
    spool.write(KEY, snapshot(130, [["text", 3.0]]))
    found = [chunk for chunk, _ in spool.window(KEY, 0, 1_000)]
    assert [(chunk.start, len(chunk.rows)) for chunk in found] == [(100, 4), (110, 1), (120, 0), (130, 1)]
    frame = assemble(found, Side.OUTPUTS, 100, np.random.default_rng(0))
    np.testing.assert_array_equal(frame.columns["score"].numbers, [1.5, np.nan, -0.0, 1e300, 7, np.nan])
    labels = frame.columns["score"].labels
    assert [labels[code] if code >= 0 else None for code in frame.columns["score"].codes] == [None] * 5 + ["text"]


def test_a_bucket_that_is_stored_again_takes_its_own_place(spool: Spool) -> None:
    first = snapshot()
    again = replace(snapshot(rows=ROWS * 2), file=first.file)
    assert spool.write(KEY, first) == spool.write(KEY, again)
    assert [len(chunk.rows) for chunk, _ in spool.window(KEY, 0, 1_000)] == [8]


def test_a_long_window_is_thinned_evenly_and_stands_for_as_many_rows(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_READ_ROWS", 100)
    monkeypatch.setattr(module, "READ_FILES", 4)
    for start in range(0, 200, 10):
        spool.write(KEY, snapshot(start, [[float(start), "a"]] * 40))
    found = [chunk for chunk, _ in spool.window(KEY, 0, 1_000)]
    assert {chunk.seen for chunk in found} == {40}
    assert {len(chunk.rows) for chunk in found} == {5}
    assert {chunk.origins is not None and len(chunk.origins) for chunk in found} == {5}


def test_a_bucket_of_failures_alone_keeps_its_tally(spool: Spool) -> None:
    spool.write(KEY, snapshot(rows=[]))
    [(chunk, tally)] = spool.window(KEY, 0, 1_000)
    assert len(chunk.rows) == 0
    assert tally.failed == 2


def test_only_the_window_s_buckets_of_that_revision_are_read(spool: Spool) -> None:
    for start in (90, 100, 110, 120):
        spool.write(KEY, snapshot(start))
    spool.write(Key("models", "fraud-r8"), snapshot(100))
    spool.write(Key("other", "fraud-r7"), snapshot(100))
    assert starts(spool, 100, 120) == [100, 110]


def test_a_bucket_that_memory_still_has_is_not_read(spool: Spool) -> None:
    known = snapshot()
    spool.write(KEY, known)
    assert spool.window(KEY, 0, 1_000, known={known.file}) == []


@pytest.mark.parametrize("name", ["../../escaped", "..", ".", "a/b", "/etc", "x\x00y"])
def test_a_hostile_revision_name_stays_inside_the_volume(tmp_path: Path, name: str) -> None:
    root = tmp_path / "volume"
    written = Spool(Directory(root), Metrics()).write(Key(name, name), snapshot())
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert path.relative_to(root).as_posix() == written
    assert len(path.relative_to(root).parts) == 3


def test_a_damaged_file_is_passed_over_and_counted(tmp_path: Path) -> None:
    metrics = Metrics()
    spool = Spool(Directory(tmp_path), metrics)
    sound = tmp_path / spool.write(KEY, snapshot(100))
    spool.write(KEY, snapshot(120))
    (sound.parent / f"{110:017.3f}-damaged.parquet").write_bytes(b"PAR1 not really")
    (sound.parent / f"{115:017.3f}-cut.parquet").write_bytes(sound.read_bytes()[:-40])
    (sound.parent / "stray.parquet").write_bytes(b"")
    assert starts(spool) == [100, 120]
    assert metrics.registry.get_sample_value("sluice_monitor_volume_errors_total") == 3


def test_parquet_of_somebody_else_is_passed_over(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    spool = Spool(Directory(tmp_path), Metrics())
    sound = tmp_path / spool.write(KEY, snapshot(100))
    foreign = pa.Table.from_arrays([pa.array([1.0])], names=["outputs.number.score"])
    pq.write_table(foreign, sound.parent / f"{110:017.3f}-foreign.parquet")
    assert starts(spool) == [100]


def test_a_file_that_goes_while_the_window_is_read_is_passed_over(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    doomed = tmp_path / spool.write(KEY, snapshot(100))
    spool.write(KEY, snapshot(110))
    fetch = Directory.fetch

    def late(self: Directory, stored: Stored) -> Path:
        path = fetch(self, stored)
        doomed.unlink(missing_ok=True)
        return path

    monkeypatch.setattr(Directory, "fetch", late)
    assert starts(spool) == [110]


def test_a_write_that_fails_leaves_nothing_behind(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        spool.write(KEY, snapshot())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_old_buckets_leave_the_volume(spool: Spool) -> None:
    for start in (90, 100, 110):
        spool.write(KEY, snapshot(start))
    assert spool.expire(before=100, max_bytes=1 << 30) == 1
    assert starts(spool) == [100, 110]


def test_the_oldest_buckets_leave_a_volume_that_is_too_full(spool: Spool, tmp_path: Path) -> None:
    sizes = [size_of(tmp_path, spool.write(KEY, snapshot(start))) for start in (90, 100, 110)]
    assert spool.expire(before=0, max_bytes=sizes[1] + sizes[2]) == 1
    assert starts(spool) == [100, 110]


def horizon(spool: Spool, key: Key = KEY) -> float:
    return max(spool.horizons(key)).since


def test_it_is_known_of_each_revision_what_made_room_and_not_what_was_too_old(tmp_path: Path) -> None:
    other = Key(KEY.namespace, "another")
    Spool(Directory(tmp_path), Metrics()).write(KEY, snapshot(90))
    spool = Spool(Directory(tmp_path), Metrics(), clock=lambda: 2_000)
    size = max(size_of(tmp_path, spool.write(KEY, snapshot(start))) for start in (100, 110))
    spool.write(other, snapshot(120))
    assert horizon(spool) == -math.inf
    spool.expire(before=100, max_bytes=1 << 30)
    assert horizon(spool) == -math.inf
    spool.expire(before=0, max_bytes=2.5 * size)
    assert 100 < horizon(spool) < 100.001
    assert horizon(spool, other) == -math.inf
    spool.expire(before=105, max_bytes=2.5 * size)
    assert horizon(spool) == -math.inf, "it would be too old by now"


@pytest.mark.parametrize(
    ("files", "room", "since"),
    [
        pytest.param((), 1 << 30, 2_000, id="empty"),
        pytest.param((1_990, 2_000), 1 << 30, 1_990, id="of-this-process"),
        pytest.param((100, 110), 1 << 30, -math.inf, id="room-enough"),
        pytest.param((100, 110), 1, 100, id="full"),
    ],
)
def test_what_an_earlier_process_deleted_is_guessed(
    tmp_path: Path, files: tuple[float, ...], room: float, since: float
) -> None:
    for start in files:
        Spool(Directory(tmp_path), Metrics()).write(KEY, snapshot(start))
    spool = Spool(Directory(tmp_path), Metrics(), max_bytes=room, clock=lambda: 2_000)
    assert horizon(spool) == since
    spool.expire(before=1e6, max_bytes=1 << 30)
    assert horizon(spool) == since


def test_the_directory_of_a_revision_goes_with_its_last_bucket(spool: Spool, tmp_path: Path) -> None:
    folder = (tmp_path / spool.write(KEY, snapshot(90))).parent
    spool.expire(before=1_000, max_bytes=1 << 30)
    assert not folder.exists()
    assert tmp_path.exists()


def test_what_is_not_ours_is_left_alone(spool: Spool, tmp_path: Path) -> None:
    spool.write(KEY, snapshot(90))
    (tmp_path / "notes.parquet").write_bytes(b"not ours")
    assert spool.expire(before=1_000, max_bytes=1) == 1
    assert (tmp_path / "notes.parquet").exists()


def test_opening_loads_what_would_else_be_loaded_between_two_answers(tmp_path: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from sluice.monitor.depot import Directory
from sluice.monitor.service import Service
from sluice.monitor.spool import Spool
from sluice.monitor.telemetry import Metrics

heavy = {{"pyarrow.parquet", "duckdb"}}
assert not heavy & set(sys.modules), "no longer loaded late"
Spool(Directory(Path({str(tmp_path)!r}, "none")), Metrics()).open()
assert heavy <= set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
    assert list(tmp_path.iterdir()) == []
