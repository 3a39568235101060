"""Statements in a real S3 store with object lock: written once, and there for good."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from minio import Minio
from minio.error import S3Error

from hack.cluster import binaries, recordstore
from hack.cluster.controlplane import free_port
from hack.cluster.processes import Processes, wait
from sluice.edges.anchor import Anchor, AnchorConflict, AnchorError, connect

NAME = "risk/fraud/fraud-r7/000012-3f2a.json"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with an empty bucket that locks, and its address."""
    binaries.build("versitygw")
    directory = tmp_path_factory.mktemp("records-store")
    address = f"127.0.0.1:{free_port()}"
    processes = Processes(directory)
    processes.start("records-store", recordstore.command(directory, address), recordstore.environment())

    def answers() -> bool:
        try:
            recordstore.make_bucket(address, days=None)
        except Exception:  # noqa: BLE001 - not yet
            return False
        return True

    try:
        assert wait(answers, 30), processes.tail("records-store")
        yield address
    finally:
        processes.stop("records-store")


@pytest.fixture
def admin(store: str, monkeypatch: pytest.MonkeyPatch) -> Minio:
    """Somebody with every right in the store, and their credentials where a connection finds them."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", recordstore.ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", recordstore.SECRET_KEY)
    return recordstore.client(store)


def at(store: str, prefix: str, options: str = "retention=1d", bucket: str = "records") -> Anchor:
    return connect(f"s3://{bucket}/{prefix}?endpoint=http://{store}&region=us-east-1&{options}")


def refused(error: pytest.ExceptionInfo[S3Error]) -> bool:
    return error.value.code in ("AccessDenied", "InvalidRequest", "ObjectLocked")


async def test_a_statement_is_kept_once_and_read_back(store: str, admin: Minio) -> None:
    anchor = at(store, "once")
    assert await anchor.entries("") == []
    assert await anchor.put(NAME, b"said") == f"s3://records/once/{NAME}"
    assert await anchor.put(NAME, b"said") == f"s3://records/once/{NAME}"
    (entry,) = await anchor.entries("risk/fraud/")
    assert entry.name == NAME
    assert await anchor.read(entry) == b"said"
    assert await anchor.entries("risk/other/") == []


async def test_something_else_under_the_same_name_is_reported_and_not_written(store: str, admin: Minio) -> None:
    anchor = at(store, "twice")
    await anchor.put(NAME, b"said")
    with pytest.raises(AnchorConflict, match="says something else"):
        await anchor.put(NAME, b"said otherwise")
    assert len(await anchor.entries("")) == 1


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
async def test_not_even_who_has_every_right_deletes_a_locked_object(store: str, admin: Minio, mode: str) -> None:
    anchor = at(store, f"locked-{mode}", f"retention=1d&mode={mode}")
    await anchor.put(NAME, b"said")
    (entry,) = await anchor.entries("")
    with pytest.raises(S3Error) as error:
        admin.remove_object("records", f"locked-{mode}/{NAME}", version_id=entry.version)
    assert refused(error), error.value
    assert await anchor.entries("") == [entry]
    assert await anchor.read(entry) == b"said"


async def test_an_object_that_is_hidden_or_written_over_is_still_read_as_it_was(store: str, admin: Minio) -> None:
    anchor = at(store, "hidden")
    await anchor.put(NAME, b"said")
    admin.put_object("records", f"hidden/{NAME}", io.BytesIO(b"said otherwise"), 14)
    admin.remove_object("records", f"hidden/{NAME}")  # leaves a marker that says there is nothing
    with pytest.raises(S3Error):
        admin.stat_object("records", f"hidden/{NAME}")
    first, second = await anchor.entries("")
    assert (await anchor.read(first), await anchor.read(second)) == (b"said", b"said otherwise")
    with pytest.raises(AnchorConflict):
        await anchor.put(NAME, b"said otherwise")
    assert await anchor.put(NAME, b"said")


async def test_a_bucket_that_does_not_lock_is_refused(store: str, admin: Minio) -> None:
    if not admin.bucket_exists("loose"):
        admin.make_bucket("loose")
    with pytest.raises(AnchorError, match="has no object lock, so what is in it can be removed"):
        await at(store, "x", bucket="loose").put(NAME, b"said")
    assert list(admin.list_objects("loose", recursive=True)) == []


async def test_somebody_must_say_for_how_long(store: str, admin: Minio) -> None:
    with pytest.raises(AnchorError, match="says how long to keep"):
        await at(store, "x", "").put(NAME, b"said")
    if not admin.bucket_exists("default"):
        recordstore.make_bucket(store, "default", days=1)
    anchor = at(store, "x", "", bucket="default")
    await anchor.put(NAME, b"said")
    (entry,) = await anchor.entries("")
    with pytest.raises(S3Error) as error:
        admin.remove_object("default", f"x/{NAME}", version_id=entry.version)
    assert refused(error), error.value


async def test_more_than_a_page_is_listed(store: str, admin: Minio) -> None:
    for number in range(1005):
        admin.put_object("records", f"many/{number:06}.json", io.BytesIO(b"x"), 1)
    entries = await at(store, "many").entries("")
    assert [entry.name for entry in entries] == [f"{number:06}.json" for number in range(1005)]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("s3://records/x?endpoint=http://127.0.0.1:9&retention=1d", "cannot be reached", id="nobody-there"),
        pytest.param("s3://nothing/x?endpoint=http://{store}&retention=1d", "NoSuchBucket", id="no-such-bucket"),
    ],
)
async def test_trouble_is_told_soon_and_in_a_sentence(store: str, admin: Minio, url: str, said: str) -> None:
    started = time.monotonic()
    with pytest.raises(AnchorError, match=said):
        await connect(url.format(store=store)).put(NAME, b"said")
    assert time.monotonic() - started < 20


async def test_wrong_credentials_are_refused(store: str, admin: Minio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(AnchorError, match=r"SignatureDoesNotMatch|AccessDenied"):
        await at(store, "x").put(NAME, b"said")


async def test_a_directory_is_a_store_too(tmp_path: Path) -> None:
    anchor = connect(f"file://{tmp_path}")
    assert await anchor.put(NAME, b"said") == f"file://{tmp_path}/{NAME}"
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o444
