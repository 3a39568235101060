"""Locks: one process at a time at what all checkouts share."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from hack.cluster import cache
from hack.cluster.progress import say


@contextmanager
def locked(what: str) -> Iterator[None]:
    """Hold a lock by name, among threads and processes; whoever comes second waits, and says so."""
    cache.ROOT.mkdir(parents=True, exist_ok=True)
    with (cache.ROOT / f"{what}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"Another process is at work on the {what}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
