"""Stand-in."""

from __future__ import annotations

from collections.abc import Iterable

from sluice.api.governance import ControlResult
from sluice.core.governance.facts import Facts, Policy


def evaluate(
    facts: Facts, policies: Iterable[Policy], custom: Iterable[ControlResult] = ()
) -> tuple[ControlResult, ...]:
    return tuple(custom)


def blocking(results: Iterable[ControlResult]) -> tuple[ControlResult, ...]:
    return tuple(r for r in results if r.mode == "Enforce" and r.verdict in ("Fail", "Error"))
