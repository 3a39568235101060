"""Digest: one SHA-256 for a directory of files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

CHUNK = 1 << 20


class UnsafeArtifactError(ValueError):
    """The directory holds something that has no content of its own, such as a symbolic link."""


def directory(root: Path) -> str:
    """``sha256:<hex>`` over the names and contents of all files below ``root``.

    The manifest that is hashed has one JSON line per file, ``[path, size, sha256]``, in order of the UTF-8
    paths, so that renaming, moving, adding, removing or changing any file changes the digest, and nothing
    else does: not times, modes, owners, or the order in which a file system lists them. Memory is constant.

    Raises:
        UnsafeArtifactError: a symbolic link or a special file is among them.
    """
    manifest = hashlib.sha256()
    for path in sorted(_files(root), key=lambda file: _name(root, file).encode()):
        size, content = _content(path)
        manifest.update(json.dumps([_name(root, path), size, content], ensure_ascii=False).encode() + b"\n")
    return f"sha256:{manifest.hexdigest()}"


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def _files(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        if path.is_symlink():
            raise UnsafeArtifactError(f"{_name(root, path)} is a symbolic link; a model artifact must hold plain files")
        if path.is_file():
            yield path
        elif not path.is_dir():
            raise UnsafeArtifactError(f"{_name(root, path)} is not a plain file")


def _content(path: Path) -> tuple[int, str]:
    size, content = 0, hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            size += len(chunk)
            content.update(chunk)
    return size, content.hexdigest()
