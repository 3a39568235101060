"""Keys tell inputs apart, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hack.cluster import binaries, cache


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "REPOSITORY", tmp_path)
    return tmp_path


def test_parts_are_told_apart() -> None:
    assert cache.key("ab", "c") != cache.key("a", "bc")
    assert cache.key("a") == cache.key(b"a")


def test_content_path_and_name_of_a_file_count(repository: Path) -> None:
    file = repository / "a.py"
    file.write_text("1")
    before = cache.key_of_files([repository])

    file.write_text("2")
    changed = cache.key_of_files([repository])
    file.rename(repository / "b.py")

    assert len({before, changed, cache.key_of_files([repository])}) == 3


def test_bytecode_does_not_count(repository: Path) -> None:
    (repository / "a.py").write_text("1")
    before = cache.key_of_files([repository])

    (repository / "__pycache__").mkdir()
    (repository / "__pycache__" / "a.pyc").write_bytes(b"x")

    assert cache.key_of_files([repository]) == before


def test_what_a_build_is_told_makes_another_folder() -> None:
    (part,) = (part for part in binaries.PARTS if part.name == "prometheus")
    bare, named = replace(part, tags=()), replace(part, variables={"main.version": "1"})

    assert len({binaries.folder(each) for each in (part, bare, named)}) == 3
    assert binaries.folder(part).name.startswith("prometheus-")


def test_a_program_that_is_not_built_says_how(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cache, "ROOT", tmp_path)

    with pytest.raises(FileNotFoundError, match=r"hack\.cluster build kubernetes"):
        binaries.path("kubelet")
