"""The cache: everything that is expensive to make, outside the checkout, keyed by what it was made from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(os.environ.get("SLUICE_CACHE") or Path.home() / ".cache" / "sluice")
REPOSITORY = Path(__file__).resolve().parents[2]


def key(*parts: str | bytes) -> str:
    """A short name for a combination of inputs; the parts are told apart, so ("ab", "c") is not ("a", "bc")."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "big") + data)
    return found.hexdigest()[:16]


def key_of_files(paths: Iterable[Path], *parts: str) -> str:
    """A key over the contents of files, and of all files below directories, by their paths in the repository."""
    files: set[Path] = set()
    for path in paths:
        files |= {p for p in path.rglob("*") if p.is_file()} if path.is_dir() else {path}
    relevant = sorted(path for path in files if "__pycache__" not in path.parts)
    pieces: list[str | bytes] = list(parts)
    for path in relevant:
        pieces += [str(path.relative_to(REPOSITORY)), path.read_bytes()]
    return key(*pieces)
