"""Stores by their URLs, and the one that is a directory. What S3 does is in tests/component/governance."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.edges.anchor import AnchorConflict, AnchorError, AnchorURLError, Directory, Entry, connect

NAME = "risk/fraud/fraud-r7/000012-3f2a.json"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        pytest.param("", "names no store", id="nothing"),
        pytest.param("records", "names no store", id="a-word"),
        pytest.param("https://records.example", "names no store", id="another-scheme"),
        pytest.param("file://host/var/lib", "names no store", id="files-of-another-host"),
        pytest.param("file:///", "names no store", id="the-root"),
        pytest.param("file:///var/lib/sluice?mode=x", "names no store", id="options-of-a-directory"),
        pytest.param("s3:///prefix", "names no bucket", id="no-bucket"),
        pytest.param("s3://records?retenton=5d", "'retenton' is no option", id="a-misspelt-option"),
        pytest.param("s3://records?retention=5", "a number of days such as 2190d", id="no-unit"),
        pytest.param("s3://records?retention=0d", "a number of days such as 2190d", id="no-time-at-all"),
        pytest.param("s3://records?mode=Forever", "COMPLIANCE or GOVERNANCE", id="no-such-mode"),
        pytest.param("s3://records?endpoint=minio:9000", "an address such as", id="an-endpoint-without-scheme"),
        pytest.param("s3://records?endpoint=https://minio/x", "without a path", id="an-endpoint-with-a-path"),
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str, said: str) -> None:
    with pytest.raises(AnchorURLError, match=said):
        connect(url, {})


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("s3://records", f"s3://records/{NAME}"),
        ("s3://records/", f"s3://records/{NAME}"),
        (
            "s3://records/sluice/?endpoint=https://minio.example:9000&retention=2190d&mode=compliance",
            f"s3://records/sluice/{NAME}",
        ),
        ("file:///var/lib/sluice", f"file:///var/lib/sluice/{NAME}"),
        ("file:///var/lib/with%20space", f"file:///var/lib/with space/{NAME}"),
    ],
)
def test_what_is_kept_has_an_address(url: str, address: str) -> None:
    assert connect(url, {}).address(NAME) == address


async def test_a_file_is_made_once_and_can_only_be_read(tmp_path: Path) -> None:
    store = Directory(tmp_path)
    assert await store.put(NAME, b"said") == f"file://{tmp_path}/{NAME}"
    assert await store.put(NAME, b"said") == f"file://{tmp_path}/{NAME}"
    assert (tmp_path / NAME).read_bytes() == b"said"
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o444
    assert [path.name for path in (tmp_path / NAME).parent.iterdir()] == [Path(NAME).name]


async def test_a_file_that_says_something_else_is_reported_and_left(tmp_path: Path) -> None:
    store = Directory(tmp_path)
    await store.put(NAME, b"said")
    with pytest.raises(AnchorConflict, match="says something else"):
        await store.put(NAME, b"said otherwise")
    assert await store.read(Entry(NAME)) == b"said"


async def test_what_is_there_is_listed_by_name(tmp_path: Path) -> None:
    store = Directory(tmp_path)
    for name in ("risk/fraud/fraud-r2/000001-b.json", "risk/fraud/fraud-r1/000001-a.json", "risk/other/r/0-c.json"):
        await store.put(name, b"said")
    (tmp_path / "risk" / "fraud" / ".000002-d.json.7.partial").write_bytes(b"a crash while writing")
    found = await store.entries("risk/fraud/")
    assert [entry.name for entry in found] == ["risk/fraud/fraud-r1/000001-a.json", "risk/fraud/fraud-r2/000001-b.json"]


async def test_a_write_that_was_interrupted_is_done_again(tmp_path: Path) -> None:
    store = Directory(tmp_path)
    await store.put("a/1.json", b"said")
    (tmp_path / "a" / ".2.json.7.partial").write_bytes(b"hal")
    await store.put("a/2.json", b"half")
    assert await store.read(Entry("a/2.json")) == b"half"


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../outside.json", "a/../../outside.json"])
async def test_no_name_leads_outside(tmp_path: Path, name: str) -> None:
    with pytest.raises(AnchorError, match="is no name for a file"):
        await Directory(tmp_path).put(name, b"said")


async def test_a_directory_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    store = Directory(tmp_path / "not-mounted")
    with pytest.raises(AnchorError, match="mount what it should be"):
        await store.put(NAME, b"said")
    with pytest.raises(AnchorError, match="mount what it should be"):
        await store.entries("")
    assert not (tmp_path / "not-mounted").exists()
