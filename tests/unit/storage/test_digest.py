"""The digest changes with every name and every byte, and with nothing else."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.storage import digest

names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8
)
trees = st.dictionaries(names.filter(lambda n: n not in (".", "..")), st.binary(max_size=64), min_size=1, max_size=5)


def of(files: dict[str, bytes], order: int = 1) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in sorted(files.items())[::order]:
            (Path(scratch) / name).write_bytes(content)
        return digest.directory(Path(scratch))


@given(trees)
def test_the_same_files_give_the_same_digest_in_whatever_order_they_were_written(files: dict[str, bytes]) -> None:
    assert of(files) == of(files, order=-1)


@given(trees, st.data())
def test_any_changed_byte_changes_the_digest(files: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    content = bytearray(files[name] or b"\0")
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    assert of(files | {name: bytes(content)}) != of(files)


@given(trees, st.data())
def test_a_byte_more_or_less_changes_the_digest(files: dict[str, bytes], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(files)))
    assert of(files | {name: files[name] + b"\0"}) != of(files)


def test_contents_that_are_swapped_between_two_files_change_the_digest() -> None:
    assert of({"a": b"1", "b": b"2"}) != of({"a": b"2", "b": b"1"})


@given(trees)
def test_a_renamed_or_removed_file_changes_the_digest(files: dict[str, bytes]) -> None:
    first, *_ = sorted(files)
    rest = {name: content for name, content in files.items() if name != first}
    assert of(rest | {first + "x": files[first]}) != of(files) or first + "x" in files
    if rest:
        assert of(rest) != of(files)


def test_a_file_is_told_from_the_same_file_in_a_directory(tmp_path: Path) -> None:
    flat, deep = tmp_path / "flat", tmp_path / "deep"
    flat.mkdir()
    (deep / "a").mkdir(parents=True)
    (flat / "b").write_text("x")
    (deep / "a" / "b").write_text("x")
    assert digest.directory(flat) != digest.directory(deep)


def test_times_and_modes_do_not_count(tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_text("weights")
    before = digest.directory(tmp_path)
    file.chmod(0o400)
    os.utime(file, (0, 0))
    assert digest.directory(tmp_path) == before


def test_a_relative_root_gives_the_same_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("x")
    absolute = digest.directory(tmp_path)
    monkeypatch.chdir(tmp_path.parent)
    assert digest.directory(Path(tmp_path.name)) == absolute


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(digest.UnsafeArtifactError, match="link is a symbolic link"):
        digest.directory(tmp_path)


def test_two_spellings_of_one_letter_are_two_names() -> None:
    assert of({"caf\u00e9": b"x"}) != of({"cafe\u0301": b"x"})


def test_a_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_bytes(b"x")
    with pytest.raises(digest.UnsafeArtifactError, match="is not a UTF-8 name"):
        digest.directory(tmp_path)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(digest.UnsafeArtifactError, match="not a plain file"):
        digest.directory(tmp_path)


def test_a_file_larger_than_a_chunk_is_read_to_its_end(tmp_path: Path) -> None:
    content = bytes(digest.CHUNK + 1)
    (tmp_path / "weights").write_bytes(content)
    before = digest.directory(tmp_path)
    (tmp_path / "weights").write_bytes(content[:-1] + b"\1")
    assert digest.directory(tmp_path) != before


def test_the_digest_of_a_known_directory_never_changes(tmp_path: Path) -> None:
    """Revisions pin digests for years: another way to compute them would refuse every model."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model.pkl").write_bytes(b"weights")
    (tmp_path / "MLmodel").write_bytes(b"flavors: {}\n")
    line = '["{}", {}, "{}"]\n'
    manifest = line.format("MLmodel", 12, hashlib.sha256(b"flavors: {}\n").hexdigest())
    manifest += line.format("b/model.pkl", 7, hashlib.sha256(b"weights").hexdigest())
    assert digest.directory(tmp_path) == f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
