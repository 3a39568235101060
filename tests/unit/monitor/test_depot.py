"""Places for files: which URLs name one, and what a directory does. The other kind meets a real server elsewhere."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from sluice.monitor.depot import ABANDONED_SECONDS, DepotURLError, Directory, S3Depot, Stored, open_depot


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        pytest.param("file:///data/rows", Directory, id="file URL"),
        pytest.param("/data/rows", Directory, id="path"),
        pytest.param("rows", Directory, id="relative path"),
        pytest.param("s3://bucket", S3Depot, id="bucket"),
        pytest.param("s3://bucket/a/b?endpoint=http://127.0.0.1:7070&region=eu-west-1", S3Depot, id="with an endpoint"),
    ],
)
def test_a_url_names_a_depot_and_nothing_is_asked_of_it_yet(url: str, kind: type) -> None:
    assert isinstance(open_depot(url, {}), kind)


@pytest.mark.parametrize(
    ("url", "part"),
    [
        pytest.param("", "file:///directory", id="empty"),
        pytest.param("file://host/data", "file:///directory", id="file on a host"),
        pytest.param("file:///", "file:///directory", id="the root"),
        pytest.param("gs://bucket", "file:///directory", id="another kind"),
        pytest.param("s3:///prefix", "s3://bucket/prefix", id="no bucket"),
        pytest.param("s3://bucket?retention=1d", "'retention'", id="unknown option"),
        pytest.param("s3://bucket?endpoint=minio:9000", "https://minio", id="an endpoint without scheme"),
        pytest.param("s3://bucket?endpoint=http://minio/path", "without a path", id="an endpoint with a path"),
    ],
)
def test_a_url_that_names_none_is_refused_with_one_that_would(url: str, part: str) -> None:
    with pytest.raises(DepotURLError, match=part):
        open_depot(url, {})


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    depot = Directory(tmp_path)
    depot.put("a/b/1.parquet", b"first")
    depot.put("a/b/1.parquet", b"second")
    [stored] = depot.list("a/")
    assert stored == Stored("a/b/1.parquet", 6)
    assert depot.fetch(stored).read_bytes() == b"second"
    assert len(list(tmp_path.rglob("*.*"))) == 1


def test_files_come_in_order_of_their_names_from_some_name_on(tmp_path: Path) -> None:
    depot = Directory(tmp_path)
    for name in ("a/3.parquet", "a/1.parquet", "a/2.parquet", "b/9.parquet"):
        depot.put(name, b"")
    assert [stored.name for stored in depot.list("a/", since="2")] == ["a/2.parquet", "a/3.parquet"]
    assert len(list(depot.list())) == 4
    assert list(depot.list("nowhere/")) == []


def test_deleting_takes_empty_folders_with_it_and_minds_nothing_that_is_gone(tmp_path: Path) -> None:
    depot = Directory(tmp_path)
    depot.put("a/b/1.parquet", b"")
    depot.put("a/c/1.parquet", b"")
    depot.delete(["a/b/1.parquet", "a/b/2.parquet"])
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["1.parquet", "a", "c"]


def test_drafts_of_a_process_that_was_killed_go_once_they_are_old(tmp_path: Path) -> None:
    old, young = tmp_path / "old.draft", tmp_path / "young.draft"
    for draft in (old, young):
        draft.write_bytes(b"half")
    past = time.time() - ABANDONED_SECONDS - 1
    os.utime(old, (past, past))
    Directory(tmp_path).put("1.parquet", b"")
    assert (old.exists(), young.exists()) == (False, True)


def test_a_file_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Directory(tmp_path).fetch(Stored("a.parquet", 1))
