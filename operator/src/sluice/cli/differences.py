"""Differences: what one revision says otherwise than another, as a unified diff of what was pinned."""

from __future__ import annotations

import difflib
from typing import Any

import yaml
from rich.console import Group, RenderableType
from rich.text import Text

from sluice.cli.release import Release
from sluice.cli.trouble import Exit, Trouble
from sluice.core.world import Revision

SECTIONS = ("model", "serving", "rollout", "monitors", "governance", "policies")


def pair(release: Release, first: str | None, second: str | None) -> tuple[Revision, Revision]:
    """Which two are meant: both as said; one against what is stable; none, what is being released or came last.

    Raises:
        Trouble: there are not two.
    """
    if first and second:
        return release.revision(first), release.revision(second)
    if len(release.revisions) < 2:
        raise Trouble(Exit.FAILED, f"{release.name} has fewer than two revisions, so there is nothing to compare")
    stable = release.status.stable_revision
    if first:
        one = release.revision(first)
        other = release.revision(stable) if stable and stable != one.name else _before(release, one)
        return (other, one) if other.number < one.number else (one, other)
    latest = max(release.revisions, key=lambda r: r.targeted_at)
    base = release.revision(stable) if stable and stable != latest.name else _before(release, latest)
    return base, latest


def _before(release: Release, revision: Revision) -> Revision:
    others = [r for r in release.revisions if r.name != revision.name]
    older = [r for r in others if r.number < revision.number]
    return (older or others)[-1]


def sections(one: Revision, other: Revision) -> dict[str, list[str]]:
    """The unified diff of each section that differs."""
    before, after = one.spec.dump(), other.spec.dump()
    found = {}
    for section in SECTIONS:
        lines = list(
            difflib.unified_diff(
                _lines(before.get(section)), _lines(after.get(section)), one.name, other.name, lineterm="", n=2
            )
        )
        if lines:
            found[section] = lines[2:]
    return found


def render(one: Revision, other: Revision) -> RenderableType:
    """The diff in colours."""
    found = sections(one, other)
    if not found:
        return Text(f"{one.name} and {other.name} say the same")
    parts: list[RenderableType] = [Text(f"--- {one.name}", style="red"), Text(f"+++ {other.name}", style="green")]
    for section, lines in found.items():
        parts.append(Text(f"\n{section}", style="bold"))
        parts += [Text(line, style=_STYLES.get(line[:1], "")) for line in lines]
    return Group(*parts)


_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def _lines(value: Any) -> list[str]:
    if not value:
        return []
    return yaml.safe_dump(value, sort_keys=True, allow_unicode=True, width=10_000).splitlines()
