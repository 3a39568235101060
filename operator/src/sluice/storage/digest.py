"""Digest: one SHA-256 for a directory of files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

CHUNK = 1 << 20


class UnsafeArtifactError(Exception):
    """The directory holds what a digest cannot stand for: a symbolic link, a device, a name that is no text."""


def directory(root: Path) -> str:
    """``sha256:<hex>`` over the names and contents of all files below ``root``.

    The manifest that is hashed has one JSON line per file, ``[path, size, sha256]``, in order of the UTF-8
    paths, so that renaming, moving, adding, removing or changing any file changes the digest, and nothing
    else does: not times, modes, owners, or the order in which a file system lists them. Paths are taken as
    they are, without Unicode normalization: two spellings are two names. Contents are read in chunks, so
    memory grows with the number of files, not with their size.

    Raises:
        UnsafeArtifactError: one of them is a symbolic link or a special file, or its name is not UTF-8.
    """
    manifest = hashlib.sha256()
    for name, path in sorted((_name(root, file).encode(), file) for file in _files(root)):
        size, content = _content(path)
        manifest.update(json.dumps([name.decode(), size, content], ensure_ascii=False).encode() + b"\n")
    return f"sha256:{manifest.hexdigest()}"


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _files(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        if not _is_text(_name(root, path)):
            raise UnsafeArtifactError(f"{_name(root, path)!r} is not a UTF-8 name")
        if path.is_symlink():
            raise UnsafeArtifactError(f"{_name(root, path)} is a symbolic link; a model artifact must hold plain files")
        if path.is_file():
            yield path
        elif not path.is_dir():
            raise UnsafeArtifactError(f"{_name(root, path)} is not a plain file")


def _is_text(name: str) -> bool:
    # The file system API smuggles bytes that are no UTF-8 as lone surrogates.
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _content(path: Path) -> tuple[int, str]:
    size, content = 0, hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            content.update(chunk)
    return size, content.hexdigest()
