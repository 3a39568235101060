"""Policies: which apply to a deployment, what they are pinned by, and what several of them come to together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sluice.api.governance import PinnedPolicy
from sluice.api.governancepolicy import (
    AppliesTo,
    Before,
    Distinct,
    GovernancePolicySpec,
    Mode,
    RequiredApproval,
)
from sluice.api.modeldeployment import Governance
from sluice.core.governance.facts import Policy
from sluice.core.identity import digest

_STRICTEST_FIRST = (Mode.ENFORCE, Mode.WARN, Mode.AUDIT)
_EARLIEST_FIRST = (Before.START, Before.PROMOTION)


@dataclass(frozen=True)
class MergedControl:
    """A control that at least one policy names."""

    id: str
    mode: Mode
    """The strictest of them."""
    variants: tuple[Mapping[str, str], ...]
    """The different parameters it is asked with, at least one; the worst answer counts."""


def applies(to: AppliesTo, namespace: str, stated: Governance | None) -> bool:
    """Whether a policy is about a deployment. What the deployment leaves unsaid keeps it in no policy's way."""
    tier = stated.risk_tier if stated else None
    use_case = _plain((stated.use_case if stated else None) or "")
    return (
        (not to.namespaces or namespace in to.namespaces)
        and (not to.risk_tiers or tier is None or tier in to.risk_tiers)
        and (not to.use_cases or not use_case or use_case in map(_plain, to.use_cases))
    )


def _plain(use_case: str) -> str:
    """A use case without regard to case and space, so that another spelling is no way around a policy."""
    return " ".join(use_case.casefold().split())


def applicable(policies: Iterable[Policy], namespace: str, stated: Governance | None) -> tuple[Policy, ...]:
    """The policies that are about a deployment, by name."""
    found = (policy for policy in policies if applies(policy.spec.applies_to, namespace, stated))
    return tuple(sorted(found, key=lambda policy: policy.name))


def digest_of(spec: GovernancePolicySpec) -> str:
    """What a policy is pinned by. Defaults are left out, so that a new field does not void approvals."""
    return digest(spec.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True))


def pinned(policies: Iterable[Policy]) -> tuple[PinnedPolicy, ...]:
    """Each policy by its content, in order of their names."""
    named = sorted(policies, key=lambda policy: policy.name)
    return tuple(PinnedPolicy(name=policy.name, digest=digest_of(policy.spec)) for policy in named)


def digest_of_all(policies: Iterable[PinnedPolicy]) -> str:
    """What an approval names: all the policies together, whatever their order."""
    return digest(sorted([policy.name, policy.digest] for policy in policies))


def merged_controls(policies: Iterable[Policy]) -> tuple[MergedControl, ...]:
    """Every control that a policy names, by id: the strictest mode, and all the parameters it is asked with."""
    modes: dict[str, Mode] = {}
    variants: dict[str, list[Mapping[str, str]]] = {}
    for policy in sorted(policies, key=lambda policy: policy.name):
        for control in policy.spec.controls:
            modes[control.id] = stricter(modes.get(control.id, control.mode), control.mode)
            asked = variants.setdefault(control.id, [])
            if control.parameters not in asked:
                asked.append(control.parameters)
    return tuple(MergedControl(name, modes[name], tuple(variants[name])) for name in sorted(modes))


def stricter(one: Mode, other: Mode) -> Mode:
    """Of two modes, the one that does more: Enforce, Warn, Audit."""
    return min(one, other, key=_STRICTEST_FIRST.index)


def merged_approvals(required: Iterable[RequiredApproval]) -> tuple[RequiredApproval, ...]:
    """One for each role, what all ask for together: most people, earliest, distinct from all, valid shortest."""
    merged: dict[str, RequiredApproval] = {}
    for approval in required:
        other = merged.get(approval.role, approval)
        merged[approval.role] = RequiredApproval(
            role=approval.role,
            count=max(approval.count, other.count),
            before=min(approval.before, other.before, key=_EARLIEST_FIRST.index),
            distinct_from=[
                distinct for distinct in Distinct if distinct in {*approval.distinct_from, *other.distinct_from}
            ],
            valid_for=min(approval.valid_for, other.valid_for),
        )
    return tuple(merged.values())


def required(policies: Sequence[Policy], steps: Iterable[RequiredApproval] = ()) -> tuple[RequiredApproval, ...]:
    """The approvals that the policies ask for, and those of a plan's approval steps."""
    asked = [approval for policy in policies for approval in policy.spec.approvals]
    return merged_approvals([*asked, *steps])


def unknown(policies: Iterable[Policy], known: Iterable[str]) -> tuple[str, ...]:
    """Ids of controls that the policies name and the catalogue does not have."""
    return tuple(sorted({control.id for policy in policies for control in policy.spec.controls} - set(known)))
