"""Review: what governance says of one release at one time, and what holds it back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sluice.api.governance import (
    ApprovalState,
    ControlResult,
    ControlSummary,
    ControlVerdict,
    GovernanceStatus,
)
from sluice.api.governancepolicy import Before
from sluice.core import reasons
from sluice.core.governance import approval, custom, evaluate, gather
from sluice.core.governance.custom import Asked
from sluice.core.governance.facts import Decision, Facts, Stage
from sluice.core.governance.standing import Standing
from sluice.core.identity import digest
from sluice.core.world import Revision, World

COUNTS = Standing.COUNTS
_GATED_AS_APPROVALS = ("GOV-APP-01", "GOV-APP-02", "GOV-APP-03", "GOV-APP-04")
"""What these say is held against a release as its approvals, each at the point that its policy names."""
FREEZING = ("GOV-APP-03",)
"""Controls on what serves that hold back what would replace it."""


@dataclass(frozen=True)
class Obstacle:
    """One thing that holds a release back."""

    name: str
    """A control's id, or ``approval:<role>``."""
    reason: str
    message: str


@dataclass(frozen=True)
class Review:
    """Every control's and every approval's state."""

    facts: Facts
    results: tuple[ControlResult, ...]
    approvals: tuple[ApprovalState, ...]
    rejections: tuple[Decision, ...]
    custom: Asked = Asked()
    """What the policies' own rules say. Their results are among the results."""

    def obstacles(self, before: Before) -> tuple[Obstacle, ...]:
        """What stands against the release's start, or against its promotion (which includes the former)."""
        serves = self.facts.stage is Stage.CONTINUOUS
        gated = [name for name in _GATED_AS_APPROVALS if not (serves and name in FREEZING)]
        blocking = [r for r in evaluate.blocking(self.results) if r.id not in gated]
        controls = [Obstacle(r.id, reasons.GOVERNANCE_BLOCKED, f"{r.id}: {r.message}") for r in blocking]
        missing = [_missing(state, self.facts) for state in approval.missing(self.approvals, before)]
        return (*controls, *missing)

    def awaited(self, role: str) -> tuple[Obstacle, ...]:
        """What is missing of one role's approval."""
        return tuple(
            _missing(state, self.facts)
            for state in self.approvals
            if state.role == role and state.given < state.required
        )

    @property
    def undecided(self) -> bool:
        """Whether something is only being read: no reason to write anything yet."""
        return (self.unread and bool(self.results)) or self.custom.pending

    @property
    def unread(self) -> bool:
        """Whether the registry is being read, so that nobody can say yet who developed the model."""
        return self.facts.evidence is None and not self.facts.evidence_problem

    @property
    def digest(self) -> str:
        """What it comes to, so that a change is put on record."""
        said = [(r.id, r.verdict, r.mode, r.waiver) for r in self.results if r.mode == "Enforce" or r.waiver]
        given = [(a.decision, a.standing) for state in self.approvals for a in state.approvals]
        return digest({"policies": self.facts.policy_digest, "controls": said, "approvals": given})

    def summary(self) -> ControlSummary:
        """How many controls said what."""
        count = dict.fromkeys(ControlVerdict, 0)
        for result in self.results:
            count[result.verdict] += 1
        return ControlSummary(
            passed=count[ControlVerdict.PASS],
            failed=count[ControlVerdict.FAIL],
            errors=count[ControlVerdict.ERROR],
            skipped=count[ControlVerdict.SKIPPED],
            waived=count[ControlVerdict.WAIVED],
        )

    def told(self) -> str:
        """All of it in a sentence, for the record."""
        total = self.summary()
        counts = {
            "pass": total.passed,
            "fail": total.failed,
            "could not be told": total.errors,
            "are waived": total.waived,
            "do not apply": total.skipped,
        }
        said = ", ".join(f"{number} {word}" for word, number in counts.items() if number)
        blocking = [r.id for r in evaluate.blocking(self.results)]
        waived = [f"{r.id} by {r.waiver}" for r in self.results if r.waiver]
        parts = [f"of {len(self.results)} controls {said}" if self.results else "no controls apply"]
        parts += [f"blocking: {', '.join(blocking)}"] if blocking else []
        parts += [f"waived: {', '.join(waived)}"] if waived else []
        parts += [f"approvals {state.role}: {state.given} of {state.required}" for state in self.approvals]
        return "; ".join(parts)

    def status(self, obstacles: tuple[Obstacle, ...]) -> GovernanceStatus:
        """What the deployment's status shows."""
        names = ", ".join(obstacle.name for obstacle in obstacles)
        return GovernanceStatus(
            revision=self.facts.revision,
            policies=list(self.facts.policies),
            policy_digest=self.facts.policy_digest,
            blocked_by=names[:256] or None,
            message=obstacles[0].message[:1024] if obstacles else None,
            summary=self.summary(),
            controls=list(self.results)[:128],
            approvals=list(self.approvals)[:16],
            requester=self.facts.requester,
        )


def of(world: World, revision: Revision, stable: Revision | None, now: datetime) -> Review | None:
    """What governance says of a revision; None where nothing governs it: no policy, and no approval in its plan."""
    required = gather.required(world, revision)
    if not world.oversight.policies and not required:
        return None
    weight = gather.next_weight(revision, stable)
    facts = gather.facts(world, revision, stable, now, weight=weight)
    own = custom.ask(facts, world.oversight.policies, world.oversight.rules)
    return Review(
        facts=facts,
        results=evaluate.evaluate(facts, world.oversight.policies, own.results),
        approvals=approval.states(facts),
        rejections=approval.rejections(facts),
        custom=own,
    )


def _missing(state: ApprovalState, facts: Facts) -> Obstacle:
    more = state.required - state.given
    people = "1 person" if more == 1 else f"{more} people"
    refused = [f"{a.username}'s does not count: {a.message}" for a in state.approvals if a.standing != COUNTS]
    message = (
        f"waiting for the approval of {people} as {state.role} "
        f"(`kubectl sluice approve {facts.deployment} --role {state.role} -n {facts.namespace}`)"
    )
    return Obstacle(f"approval:{state.role}", reasons.AWAITING_APPROVAL, "; ".join([message, *refused])[:1024])
