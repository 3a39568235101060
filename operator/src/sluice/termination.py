"""Termination: how a container says why it ended, for Kubernetes to put into the pod's status."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

LOG = Path("/dev/termination-log")
"""Kubernetes shows what a container writes here as the reason why it ended."""
BYTES = 4096
"""Of a longer one, Kubernetes keeps no more."""


def conclude(text: str) -> None:
    """Leave what became of it, cut to :data:`BYTES`; nothing, where there is no such file."""
    if LOG.exists():
        with suppress(OSError):
            LOG.write_bytes(text.encode()[:BYTES])


def refuse(reason: str, message: str) -> NoReturn:
    """End with exit code 1 and ``<Reason>: <message>``, in the pod's status and on standard error."""
    text = f"{reason}: {message}"
    conclude(text)
    print(text, file=sys.stderr)
    raise SystemExit(1)
