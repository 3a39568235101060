"""Assessment: what governance said of a release when it was decided, and what it says since.

The status of a deployment tells how things stand now. What counts for a release is how they stood at its promotion, or
at whatever ended it: that is worked out again, from the document with everything that this decision looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sluice.api.governance import ApprovalState, ControlResult, ControlSummary, ControlVerdict, PinnedPolicy
from sluice.api.governancepolicy import GovernancePolicySpec
from sluice.api.record import Record, RecordKind
from sluice.cli.report.library import UNREADABLE
from sluice.cli.report.story import Story
from sluice.core import lanes
from sluice.core.governance import review
from sluice.core.world import Revision, World


@dataclass(frozen=True)
class Assessment:
    """All controls and approvals, at one time."""

    at: datetime
    record: Record | None
    """The record whose decision it is worked out from; None where it is the deployment's status."""
    controls: tuple[ControlResult, ...] = ()
    approvals: tuple[ApprovalState, ...] = ()
    policies: tuple[PinnedPolicy, ...] = ()
    policy_digest: str | None = None
    titles: Mapping[str, str] = field(default_factory=dict)
    """What custom rules check, by the id of their result."""

    def count(self, verdict: ControlVerdict) -> int:
        """How many controls say so."""
        return sum(control.verdict is verdict for control in self.controls)


@dataclass(frozen=True)
class Change:
    """A control that says something else now than it said then."""

    before: ControlResult
    after: ControlResult


@dataclass(frozen=True)
class Governance:
    """What there is to say of governance."""

    governed: bool
    """Whether any policy, or an approval in the plan, asked something of this release."""
    then: Assessment | None
    """As it was decided; None if nothing governs it, or nothing of it can be known."""
    problem: str = ""
    """Why it is not what it should be, in a sentence."""
    changes: tuple[Change, ...] = ()
    """What is otherwise by now, where the deployment's status still speaks of this revision."""
    now: datetime | None = None
    """When that was."""


def of(story: Story) -> Governance:
    """What governance said of a release at its end; at its last recorded decision, while it has none."""
    decided, problem = _decided(story)
    latest = _latest(story)
    governed = bool(story.revision.spec.policies or (decided and decided.policies) or (latest and latest.controls))
    if story.revision.in_progress and latest is not None:
        return Governance(governed, latest)
    if decided is None:
        if latest is not None:
            said = f"{problem}; shown is how it stood when this was taken, not when it was decided"
            return Governance(governed, latest, said)
        return Governance(governed, None, problem if governed else "")
    changes = _changes(decided, latest) if latest is not None else ()
    return Governance(governed or bool(decided.approvals), decided, problem, changes, story.dossier.taken_at)


def _decided(story: Story) -> tuple[Assessment | None, str]:
    """What the decision looked at that ended it; failing that, the last one before that can be read."""
    candidates = [r for r in story.records if story.end is None or r.sequence <= story.end.sequence]
    problem = "there is no record of it" if not candidates else ""
    for record in reversed(candidates):
        world = story.library.world(record)
        if isinstance(world, World):
            try:
                found = _worked_out(story.revision.name, world, record)
            except UNREADABLE as error:
                problem = problem or f"record {record.sequence}: it cannot be worked out again ({error})"
                continue
            if found is None and story.revision.spec.policies:
                return None, f"no policy applied to it any more at record {record.sequence}"
            if found is not None and problem:
                problem += f"; shown is how it stood at record {record.sequence}"
            return found, problem
        problem = problem or f"record {record.sequence}: {world}"
    return None, problem


def _worked_out(name: str, world: World, record: Record) -> Assessment | None:
    revision = next((r for r in world.revisions if r.name == name), None)
    if revision is None:
        raise ValueError(f"it does not speak of {name}")
    found = review.of(world, revision, _stable(world), record.time)
    if found is None:
        return None
    return Assessment(
        at=record.time,
        record=record,
        controls=found.results,
        approvals=found.approvals,
        policies=found.facts.policies,
        policy_digest=found.facts.policy_digest,
        titles=_titles(policy.spec for policy in world.oversight.policies),
    )


def _stable(world: World) -> Revision | None:
    return lanes.stable_of(world.revisions)


def _latest(story: Story) -> Assessment | None:
    said = story.status.governance
    if said is None or said.revision != story.revision.name:
        return None
    return Assessment(
        at=story.dossier.taken_at,
        record=None,
        controls=tuple(said.controls),
        approvals=tuple(said.approvals),
        policies=tuple(said.policies),
        policy_digest=said.policy_digest,
        titles=_titles(_policies(story)),
    )


def _policies(story: Story) -> Iterator[GovernancePolicySpec]:
    for item in story.dossier.of("GovernancePolicy"):
        try:
            yield GovernancePolicySpec.model_validate(item["spec"])
        except UNREADABLE:
            continue  # it is only asked for the titles of its rules


def _titles(policies: Iterable[GovernancePolicySpec]) -> dict[str, str]:
    return {f"CUSTOM-{rule.name}": rule.title for policy in policies for rule in policy.custom_rules}


def _changes(then: Assessment, now: Assessment) -> tuple[Change, ...]:
    """Controls that are asked at both times and say something else. Some are only asked before a release."""
    after = {control.id: control for control in now.controls}
    both = [(before, after[before.id]) for before in then.controls if before.id in after]
    return tuple(Change(before, later) for before, later in both if before.verdict is not later.verdict)


def ending(kind: RecordKind) -> str:
    """What the controls are as at, in words."""
    return {
        RecordKind.PROMOTED: "at promotion",
        RecordKind.ROLLED_BACK: "when it was rolled back",
        RecordKind.SUPERSEDED: "when it was superseded",
    }.get(kind, "at the last recorded decision")


def summary(found: Assessment) -> ControlSummary:
    """How many controls said what."""
    return ControlSummary(
        passed=found.count(ControlVerdict.PASS),
        failed=found.count(ControlVerdict.FAIL),
        errors=found.count(ControlVerdict.ERROR),
        skipped=found.count(ControlVerdict.SKIPPED),
        waived=found.count(ControlVerdict.WAIVED),
    )
