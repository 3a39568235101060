"""A monitor that is killed loses no more than the seconds it declares."""

from __future__ import annotations

import itertools
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

Start = Callable[..., Any]
"""See conftest: starts a monitor."""
DECLARED = 4.0
"""Seconds."""


def test_a_kill_loses_no_row_older_than_the_declared_seconds(start: Start, tmp_path: Path) -> None:
    monitor = start(rows_url=tmp_path / "rows", checkpoint_seconds=DECLARED, bucket_rows=10_000)
    answered: list[float] = []
    """When the second half of inference i was answered; what it says is i."""
    stop = threading.Event()

    def send() -> None:
        for index in itertools.count():
            if stop.is_set():
                return
            monitor.infer("m-r1", f"{index}", {"instances": [[float(index)]]}, {"predictions": [float(index)]})
            answered.append(time.monotonic())
            time.sleep(0.02)

    asked = 0.0

    def keeps_its_word() -> bool:
        """On a busy machine a round takes as long as it takes, and the metric says so."""
        nonlocal asked
        asked = time.monotonic()
        with urllib.request.urlopen(f"http://127.0.0.1:{monitor.port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        [unstored] = [float(line.split()[1]) for line in lines if line.startswith("sluice_monitor_unstored_seconds ")]
        return bool(answered) and asked - answered[0] > 2 * DECLARED and unstored < 0.75 * DECLARED

    sender = threading.Thread(target=send)
    sender.start()
    try:
        monitor.eventually(keeps_its_word)
    finally:
        stop.set()
        sender.join()
    monitor.kill()
    owed = sum(moment < asked - DECLARED for moment in answered)
    assert owed > 0
    stored = duckdb.execute(
        'SELECT "outputs.number.prediction" FROM read_parquet(?) ORDER BY 1', [f"{tmp_path}/rows/**/*.parquet"]
    ).fetchall()
    kept = [int(number) for (number,) in stored]
    assert kept[:owed] == list(range(owed)), f"{owed} of {len(answered)} were owed"
    assert len(kept) == len(set(kept))

    again = start(rows_url=tmp_path / "rows")
    again.since = monitor.since
    for index in range(20):
        again.infer("m-r1", f"after-{index}", {"instances": [[1.0]]}, {"predictions": [1.0]})
    again.settle(20)
    # Windows begin with a whole bucket: rows of the very first one, five at most, may be left out.
    assert again.ask("m-r2", "m-r1").json["samples"]["stable"] >= owed + 20 - 10


def test_a_kill_in_the_middle_of_writing_leaves_files_that_can_be_read(start: Start, tmp_path: Path) -> None:
    for round_number in range(3):
        monitor = start(rows_url=tmp_path / "rows", checkpoint_seconds=1)
        for index in range(150):
            monitor.infer("m-r1", f"{round_number}-{index}", {"instances": [[1.0]]}, {"predictions": [1.0]})
        monitor.eventually(lambda: list((tmp_path / "rows").rglob("*.parquet")))
        time.sleep(0.2 * round_number)
        monitor.kill()
    files = list((tmp_path / "rows").rglob("*.parquet"))
    assert duckdb.execute("SELECT count(*) FROM read_parquet(?)", [[str(path) for path in files]]).fetchall()
    last = start(rows_url=tmp_path / "rows")
    last.since = monitor.since
    assert last.ask("m-r2", "m-r1").status == 200
    assert last.metric("sluice_monitor_volume_errors_total") == 0
