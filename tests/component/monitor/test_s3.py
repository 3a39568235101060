"""Rows in an S3-compatible store: a real one, spoken to over HTTP, that may also be down."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from minio import Minio

from hack.cluster import binaries
from sluice.monitor.depot import DepotURLError, S3Depot, Stored, StoreError, open_depot

Start = Callable[..., Any]
"""See conftest: starts a monitor."""
BUCKET = "rows"
USER, SECRET = "sluice", "sluice-secret"
ACCOUNT = {"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": SECRET}
READY_SECONDS = 60.0


class S3:
    """versitygw over a directory."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._folder = folder
        (folder / "store").mkdir(parents=True)
        binaries.build("versitygw")
        self.start()
        self.client = Minio(f"127.0.0.1:{self.port}", USER, SECRET, secure=False, region="us-east-1")
        self.client.make_bucket(BUCKET)

    def start(self) -> None:
        with (self._folder / "s3.log").open("ab") as log:
            self._process = subprocess.Popen(
                [binaries.path("versitygw"), "--port", f"127.0.0.1:{self.port}", "posix", str(self._folder / "store")],
                env=os.environ | {"ROOT_ACCESS_KEY": USER, "ROOT_SECRET_KEY": SECRET},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_up():
            assert self._process.poll() is None, (self._folder / "s3.log").read_text()
            assert time.monotonic() < deadline, "the store does not start"
            time.sleep(0.05)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def url(self, prefix: str = "sluice") -> str:
        return f"s3://{BUCKET}/{prefix}?endpoint=http://127.0.0.1:{self.port}&region=us-east-1"

    def names(self, prefix: str = "") -> list[str]:
        return [str(item.object_name) for item in self.client.list_objects(BUCKET, prefix=prefix, recursive=True)]

    def rows(self, tmp_path: Path) -> list[tuple[Any, ...]]:
        """Every row, read without the monitor's help."""
        files = []
        for index, name in enumerate(self.names()):
            files.append(str(tmp_path / f"{index}.parquet"))
            self.client.fget_object(BUCKET, name, files[-1])
        return duckdb.execute('SELECT "request.id" FROM read_parquet(?, union_by_name = true)', [files]).fetchall()

    def _is_up(self) -> bool:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5).close()
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3]:
    store = S3(tmp_path_factory.mktemp("s3"))
    yield store
    store.stop()


@pytest.fixture
def empty(s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3:
    """The store without anything of other tests, and with its credentials in our environment."""
    for name in s3.names():
        s3.client.remove_object(BUCKET, name)
    for name, value in ACCOUNT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "cache"))
    return s3


def send(monitor: Any, revision: str, shift: float = 0.0, count: int = 150) -> None:
    for index, score in enumerate(np.random.default_rng(int(revision[-1])).normal(shift, size=count)):
        monitor.infer(revision, f"{revision}-{index}", {"instances": [[1.0]]}, {"predictions": [float(score)]})


def test_rows_and_verdicts_outlive_a_monitor_without_a_volume(empty: S3, start: Start, tmp_path: Path) -> None:
    first = start(rows_url=empty.url(), checkpoint_seconds=1)
    send(first, "m-r1")
    send(first, "m-r2", shift=2)
    first.settle(300)
    before = first.ask("m-r2", "m-r1").json
    assert before["verdict"] == "Fail"
    assert first.stop() == 0
    assert len(empty.rows(tmp_path)) == 300
    assert {name.rpartition("/")[0] for name in empty.names()} == {
        f"sluice/namespace=models/revision={revision}" for revision in ("m-r1", "m-r2")
    }
    second = start(rows_url=empty.url())
    second.since = first.since
    for _ in range(2):  # from the store, then from its cache
        after = second.ask("m-r2", "m-r1").json
        assert after["columns"] == before["columns"]
        assert (after["samples"], after["inferences"]) == (before["samples"], before["inferences"])


def test_a_kill_loses_nothing_that_a_round_of_storing_has_covered(empty: S3, start: Start, tmp_path: Path) -> None:
    monitor = start(rows_url=empty.url(), checkpoint_seconds=1)
    send(monitor, "m-r1")
    monitor.settle(150)
    sent = time.monotonic()

    def is_covered() -> bool:
        asked = time.monotonic()
        return bool(asked - monitor.metric("sluice_monitor_unstored_seconds") > sent)

    monitor.eventually(is_covered)
    monitor.kill()
    assert len(empty.rows(tmp_path)) == 150


def test_a_store_that_is_down_costs_no_event_and_no_row(empty: S3, start: Start, tmp_path: Path) -> None:
    monitor = start(rows_url=empty.url(), checkpoint_seconds=1)
    empty.stop()
    try:
        send(monitor, "m-r1")
        send(monitor, "m-r2")
        monitor.settle(300)
        monitor.eventually(lambda: monitor.metric("sluice_monitor_volume_errors_total") > 0)
        assert monitor.metric("sluice_monitor_unstored_seconds") > 0
        asked = monitor.ask("m-r2", "m-r1").json
        assert (asked["verdict"], asked["reason"]) == ("Error", "VolumeUnreadable")
    finally:
        empty.start()
    monitor.eventually(lambda: monitor.ask("m-r2", "m-r1").json["verdict"] == "Pass")
    assert monitor.stop() == 0
    assert len(empty.rows(tmp_path)) == 300


def test_credentials_that_are_wrong_are_an_error_and_not_a_crash(empty: S3, start: Start) -> None:
    wrong = ACCOUNT | {"AWS_SECRET_ACCESS_KEY": "not-the-secret"}
    monitor = start(rows_url=empty.url(), checkpoint_seconds=1, environment=wrong)
    send(monitor, "m-r1", count=5)
    monitor.eventually(lambda: monitor.metric("sluice_monitor_volume_errors_total") > 0)
    asked = monitor.ask("m-r2", "m-r1").json
    assert (asked["verdict"], asked["reason"]) == ("Error", "VolumeUnreadable")
    assert "SignatureDoesNotMatch" in asked["message"]
    assert monitor.get("/healthz").status == 200


def test_a_depot_in_the_store_does_what_a_directory_does(empty: S3) -> None:
    depot = open_depot(empty.url("a/b"))
    for index in range(5):
        depot.put(f"x/{index:03}.parquet", b"first")
    depot.put("x/002.parquet", b"second")
    empty.client.put_object(BUCKET, "a/b/x/notes.txt", io.BytesIO(b"not ours"), 8)
    found = list(depot.list("x/", since="002"))
    assert [stored.name for stored in found] == ["x/002.parquet", "x/003.parquet", "x/004.parquet"]
    assert [stored.size for stored in depot.list()] == [5, 5, 6, 5, 5]
    assert depot.fetch(found[0]).read_bytes() == b"second"
    depot.put("x/002.parquet", b"third time")
    [again] = [stored for stored in depot.list("x/") if stored.name == "x/002.parquet"]
    assert depot.fetch(again).read_bytes() == b"third time"
    depot.delete(["x/003.parquet", "x/never-was.parquet"])
    with pytest.raises(FileNotFoundError):
        depot.fetch(Stored("x/003.parquet", 5, "another tag"))
    assert len(list(depot.list())) == 4


def test_more_names_than_one_answer_holds_are_all_listed_and_deleted(empty: S3) -> None:
    depot = open_depot(empty.url("many"))
    for index in range(1_050):
        depot.put(f"x/{index:04}.parquet", b"x")
    names = [stored.name for stored in depot.list()]
    assert names == [f"x/{index:04}.parquet" for index in range(1_050)]
    depot.delete(names)
    assert list(depot.list()) == []


def test_the_cache_of_the_store_is_bounded(empty: S3, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sluice.monitor.depot.CACHE_BYTES", 3_000)
    depot = open_depot(empty.url("cached"))
    for index in range(6):
        depot.put(f"x/{index}.parquet", b"%d" % index * 1_000)
    paths = [depot.fetch(stored) for stored in depot.list()]
    assert sum(path.exists() for path in paths) == 3
    assert paths[-1].exists()


def test_a_bucket_that_is_not_there_is_said_to_be_missing(empty: S3) -> None:
    depot = open_depot(empty.url().replace(f"s3://{BUCKET}", "s3://elsewhere"))
    assert isinstance(depot, S3Depot)
    with pytest.raises(StoreError, match="NoSuchBucket"):
        depot.put("x.parquet", b"")
    with pytest.raises(StoreError, match="NoSuchBucket"):
        list(depot.list())
    with pytest.raises(DepotURLError):
        open_depot("s3://")
