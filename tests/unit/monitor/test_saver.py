"""What a crash would cost: rounds of writing, and what happens when they fail or take long."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from sluice.monitor.cloudevents import Key
from sluice.monitor.depot import Directory
from sluice.monitor.payload import Table
from sluice.monitor.saver import Saver
from sluice.monitor.spool import Spool
from sluice.monitor.store import Store
from sluice.monitor.telemetry import Metrics

KEY = Key("models", "fraud-r7")
TABLES = Table(("x0",), [[1.0]]), Table(("p",), [[1.0]])


class Bench:
    """A saver with all that it needs, and a clock that is set by hand."""

    def __init__(self, root: Path) -> None:
        self.now = 1_000.0
        self.root = root
        self.metrics = Metrics()
        self.store = Store(bucket_seconds=10, bucket_rows=100, max_series=10, max_bytes=1 << 20, seed=0)
        self.spool = Spool(Directory(root), self.metrics)
        self.saver = Saver(self.store, self.spool, self.metrics, seconds=0.02, clock=lambda: self.now)

    def add(self) -> None:
        self.store.add(KEY, 100, *TABLES)

    @property
    def stored(self) -> int:
        """Rows that a new process would find."""
        return sum(len(chunk.rows) for chunk, _ in Spool(Directory(self.root), Metrics()).window(KEY, 0, 1_000))

    def metric(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"sluice_monitor_{name}") or 0.0


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_an_open_bucket_is_stored_and_stored_again_when_it_changes(bench: Bench) -> None:
    for rows in (1, 2):
        bench.add()
        await bench.saver.save()
        assert bench.stored == rows
    assert len(list(bench.root.rglob("*.parquet"))) == 1


async def test_nothing_is_written_when_nothing_changed(bench: Bench) -> None:
    bench.add()
    await bench.saver.save()
    [path] = bench.root.rglob("*.parquet")
    path.unlink()
    await bench.saver.save()
    assert not path.exists()


async def test_what_cannot_be_written_is_counted_and_written_in_the_next_round(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.add()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", _no_space)
        bench.now += 7
        await bench.saver.save()
        assert bench.metric("volume_errors_total") == 1
        assert bench.saver.unstored_seconds == 7
    bench.now += 1
    await bench.saver.save()
    assert bench.stored == 1
    assert bench.saver.unstored_seconds == 0


async def test_a_row_that_comes_while_a_round_writes_is_in_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, go_on = threading.Event(), threading.Event()
    write = Spool.write

    def slow(self: Spool, *arguments: object) -> str:
        writing.set()
        assert go_on.wait(30)
        return write(self, *arguments)  # type: ignore[arg-type]

    bench.add()
    monkeypatch.setattr(Spool, "write", slow)
    round_one = asyncio.create_task(bench.saver.save())
    await asyncio.to_thread(writing.wait, 30)
    bench.add()
    go_on.set()
    await round_one
    assert bench.stored == 1
    await bench.saver.save()
    assert bench.stored == 2


async def test_the_last_round_waits_for_the_one_under_way(bench: Bench) -> None:
    task = asyncio.create_task(bench.saver.run())
    for _ in range(20):
        bench.add()
        await asyncio.sleep(0.003)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    bench.add()
    await bench.saver.finish()
    assert bench.stored == 21


def _no_space(self: Path, target: Path) -> Path:
    raise OSError(28, "No space left on device")
