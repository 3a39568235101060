"""Progress: lines that say what is happening, how long it usually takes, and how long it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(text: str) -> None:
    """One line, at once, to the terminal or the log of a CI run."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def task(what: str, usually: str = "") -> Iterator[None]:
    """Say that a task begins, with what it usually takes, and how long it took. Failures are said too."""
    say(f"  … {what}" + (f" (usually {usually})" if usually else ""))
    started = time.monotonic()
    try:
        yield
    except BaseException:
        say(f"  ✗ {what}: failed after {time.monotonic() - started:.1f} s")
        raise
    say(f"  ✓ {what}: {time.monotonic() - started:.1f} s")
