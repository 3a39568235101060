"""Soundness: whether a policy can be evaluated at all, told when it is written and not when a release is held by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sluice.api.base import ConditionStatus
from sluice.api.governancepolicy import GovernancePolicySpec, PolicyControl
from sluice.core import reasons
from sluice.core.governance.catalogue import CATALOGUE

Says = tuple[ConditionStatus, str, str]
"""Status, reason and message of a policy's condition Ready."""


def ready(spec: GovernancePolicySpec, complaints: Mapping[str, str], untold: str = "") -> Says:
    """What a policy's condition says.

    Args:
        spec: the policy.
        complaints: by the custom rule's name, why it does not compile; missing where it does.
        untold: why it could not be told of some rule; empty if it could.
    """
    wrong = [*_controls(spec), *(f"custom rule {name}: {why}" for name, why in complaints.items())]
    if wrong:
        held = "; until that is mended, releases that this policy is about are held"
        return ConditionStatus.FALSE, reasons.POLICY_INVALID, "; ".join(wrong)[:3500] + held
    if untold:
        return ConditionStatus.UNKNOWN, reasons.RULES_UNCHECKED, untold
    parts = [f"{len(spec.controls)} controls", f"{len(spec.approvals)} approvals"]
    parts += [f"{len(spec.custom_rules)} custom rules"] if spec.custom_rules else []
    return ConditionStatus.TRUE, reasons.POLICY_READY, f"{', '.join(parts)} can be evaluated"


def _controls(spec: GovernancePolicySpec) -> Iterator[str]:
    for asked in spec.controls:
        control = CATALOGUE.get(asked.id)
        if control is None:
            yield f"{asked.id} is not in the catalogue of this version (docs/reference/controls.md)"
        else:
            yield from _parameters(asked, control.parameters)


def _parameters(asked: PolicyControl, known: Mapping[str, object]) -> Iterator[str]:
    for name in sorted(asked.parameters.keys() - known.keys()):
        yield f"{asked.id} has no parameter {name} (it has {', '.join(sorted(known)) or 'none'})"
