"""Prose: sentences of ours around words of others, kept apart so that the page can set the latter off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Said:
    """A word or a sentence that somebody else wrote: a name, a reason. The page isolates its direction."""

    text: str


Prose = tuple[str | Said, ...]
"""One sentence, or a part of one."""


def joined(items: Sequence[Prose], last: str = " and ") -> Prose:
    """``a, b and c``."""
    found: Prose = ()
    for index, item in enumerate(items):
        between = "" if index == 0 else last if index == len(items) - 1 else ", "
        found += (between, *item) if between else item
    return found


def text(prose: Prose) -> str:
    """The whole as plain text."""
    return "".join(part.text if isinstance(part, Said) else part for part in prose)
