"""docs/troubleshooting.md and the reasons in the code belong together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sluice.core import reasons
from sluice.monitor.verdict import Reason
from sluice.storage.registry import RegistryError

PAGE = Path(__file__).parents[3] / "docs" / "troubleshooting.md"
SECTIONS = re.findall(r"^### (\w+)$", PAGE.read_text(), re.MULTILINE)
REASONS = {value for name, value in vars(reasons).items() if name.isupper()}
NOTHING_TO_DO = {
    reasons.ALL_PASSING,
    reasons.HOLDING,
    reasons.MODEL_RESOLVED,
    reasons.MODEL_RESOLVING,
    reasons.NOT_EVALUATED,
    reasons.NO_MONITORS,
    reasons.PROMOTED,
    reasons.RECOVERED,
    reasons.RETIRED,
    reasons.REPLACED,
    reasons.STARTED,
    reasons.DECISION_ACCEPTED,
    reasons.GOVERNANCE_SATISFIED,
    reasons.NOT_GOVERNED,
    reasons.POLICY_READY,
    reasons.RESUMED_BY_PERSON,
    reasons.RETRIED,
    reasons.REVISION_CREATED,
    reasons.REVISION_REUSED,
    reasons.SERVING,
    reasons.SPEC_CHANGED,
    reasons.STEP_STARTED,
    reasons.SUPERSEDED,
    reasons.HOOK_TOLD,
    reasons.WEBHOOK_PASSED,
    reasons.WITHIN_LIMITS,
    reasons.WORKLOAD_READY,
}
"""News that asks nothing of anybody."""


def _of_storage() -> set[str]:
    """The reasons why a download or a resolution can be refused, which are passed on as they are."""
    found, waiting = set(), [RegistryError]
    while waiting:
        error = waiting.pop()
        found.add(error.reason)
        waiting += error.__subclasses__()
    return found


_OF_DRIFT = set(map(str, Reason)) - {Reason.NOT_SIGNIFICANT, Reason.EFFECT_TOO_SMALL, Reason.CONSTANT}
"""What a drift verdict can say for itself, or pass on from the one column that decided."""
ALL = (REASONS | _of_storage() | _OF_DRIFT) - NOTHING_TO_DO


@pytest.mark.parametrize("reason", sorted(ALL))
def test_a_reason_that_a_person_must_act_on_has_a_section(reason: str) -> None:
    assert reason in SECTIONS


def test_every_section_is_about_a_reason_that_exists() -> None:
    assert set(SECTIONS) <= ALL
    assert len(set(SECTIONS)) == len(SECTIONS)
