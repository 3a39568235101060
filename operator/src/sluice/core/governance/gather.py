"""Gather: the facts of one release, from everything that was seen."""

from __future__ import annotations

from datetime import datetime

from sluice.api.governancepolicy import Before, RequiredApproval
from sluice.api.modeldeployment import Governance
from sluice.core import steps
from sluice.core.governance import policy
from sluice.core.governance.facts import Approved, Facts, Gauge, Stage
from sluice.core.world import Revision, World


def facts(world: World, revision: Revision, stable: Revision | None, now: datetime, *, weight: int) -> Facts:
    """What a control may look at: of a release in progress, or of what serves.

    Args:
        world: everything that was seen.
        revision: whom it is about.
        stable: the revision promoted last, if there is one.
        now: the time of the decision.
        weight: the share of live traffic that the next step would give the revision, in percent.
    """
    over = world.oversight
    stage = Stage.ROLLOUT if revision.in_progress else Stage.CONTINUOUS
    workload = world.workload(revision)
    changes = [one.changed_at for one in over.policies if one.changed_at is not None]
    return Facts(
        now=now,
        stage=stage,
        namespace=world.namespace,
        deployment=world.name,
        uid=world.uid,
        revision=revision.name,
        stated=revision.spec.governance or Governance(),
        requester=revision.spec.requester,
        model=revision.spec.model,
        serving=revision.spec.serving,
        rollout=revision.spec.rollout,
        gauges=tuple(
            Gauge(use, world.monitor(use), world.results.get((revision.name, use.name)))
            for use in revision.spec.monitors
        ),
        evidence=over.evidence.get(revision.name),
        evidence_problem=over.evidence_problems.get(revision.name, ""),
        stable=_approved(stable),
        stable_evidence=over.evidence.get(stable.name) if stable else None,
        identities=over.identities,
        policies=policy.pinned(over.policies),
        policy_digest=policy_digest(world, revision),
        policies_since=max(changes, default=None),
        required=required(world, revision),
        decisions=over.decisions,
        waivers=over.waivers,
        predates=_predates(revision),
        started=revision.status.started_at is not None,
        stepped=any(step.started_at is not None for step in revision.status.steps),
        weight=weight,
        records=tuple(revision.status.records[-1:]),
        chain_problem=over.chain_problems.get(revision.name, ""),
        seal=revision.status.seal,
        anchoring=over.anchoring,
        guards=over.guards,
        unmanaged=over.unmanaged,
        hand_edits=tuple(edit.text for edit in over.hand_edits if edit.revision in (None, revision.name)),
        image=workload.image,
        loaded_digest=workload.loaded_digest,
        inventory_elsewhere=over.inventory_elsewhere,
        logging=over.logging,
    )


def policy_digest(world: World, revision: Revision) -> str:
    """The policies that approvals must name: today's while it is released, afterwards those it was released under."""
    if not revision.in_progress and revision.status.policy_digest is not None:
        return revision.status.policy_digest
    return policy.digest_of_all(policy.pinned(world.oversight.policies))


def required(world: World, revision: Revision) -> tuple[RequiredApproval, ...]:
    """The approvals that the policies ask for, and those that the plan's own approval steps ask for."""
    if _predates(revision):
        return ()
    steps_asking = [step.approval for step in revision.spec.rollout.steps if step.approval is not None]
    return policy.required(
        world.oversight.policies,
        [RequiredApproval(role=step.role, before=Before.PROMOTION) for step in steps_asking],
    )


def _predates(revision: Revision) -> bool:
    """Whether it was released before any policy applied to it."""
    return not revision.in_progress and revision.status.policy_digest is None


def next_weight(revision: Revision, stable: Revision | None) -> int:
    """The share of live traffic after the step that the revision is at, in percent."""
    plan = steps.release_plan(revision, stable)
    index = revision.status.step
    following = 0 if index is None else min(index + 1, len(plan) - 1)
    return plan[following].weight


def _approved(stable: Revision | None) -> Approved | None:
    if stable is None:
        return None
    return Approved(stable.name, stable.spec.model, stable.status.promoted_at, stable.running)
