"""Rollout (GOV-ROL): a little at a time, with a way back, and nobody past the gates unseen."""

from __future__ import annotations

from datetime import timedelta

from sluice.api.base import format_duration
from sluice.api.governance import Assurance
from sluice.api.governancepolicy import Before, Severity
from sluice.api.modeldecision import Action
from sluice.api.modeldeployment import OnDeadline
from sluice.core.governance.approval import missing, states
from sluice.core.governance.checks import ADMITTED, listed, reference
from sluice.core.governance.control import Control, Finding, Parameter, Parameters, error, failed, passed, skipped
from sluice.core.governance.facts import Facts, Stage
from sluice.core.governance.parameters import duration, integer
from sluice.core.governance.people import is_person, unguarded
from sluice.core.governance.standing import is_about


def _progressive(facts: Facts, values: Parameters) -> Finding:
    first, bake, steps = integer(values, "maxFirstWeight"), duration(values, "minBake"), integer(values, "minSteps")
    weights = [step.weight for step in facts.rollout.steps if step.weight is not None]
    holds = [step.hold or (step.shadow.hold if step.shadow else None) for step in facts.rollout.steps]
    held = sum((hold for hold in holds if hold), start=timedelta(0))
    if not weights or weights[0] > first:
        return failed(
            f"the first step gives it {weights[0] if weights else 100} % of the traffic, {first} % are allowed; "
            "the team adds "
            "a smaller first weight to spec.rollout.steps"
        )
    if len(weights) < steps:
        return failed(f"the plan has {len(weights)} weights, and must have at least {steps}; the team adds steps")
    if held < bake:
        return failed(
            f"all holds together are {format_duration(held)}, and must be at least {format_duration(bake)}; the "
            "team lengthens "
            "them in spec.rollout.steps"
        )
    return passed(f"{len(weights)} weights from {weights[0]} % on, held for {format_duration(held)}")


def _way_back(facts: Facts, values: Parameters) -> Finding:
    window = duration(values, "minWindow")
    if facts.rollout.on_deadline is not OnDeadline.ROLLBACK:
        return failed(
            "at its deadline the release waits for a person; the team sets spec.rollout.onDeadline to Rollback"
        )
    if facts.rollout.rollback_window < window:
        return failed(
            f"what is replaced is kept for {format_duration(facts.rollout.rollback_window)}, and must be for "
            f"{format_duration(window)}; the team sets spec.rollout.rollbackWindow"
        )
    if facts.stage is Stage.ADMISSION:
        return passed("it rolls back by itself")
    if facts.stable is None:
        return skipped("nothing is in service yet that it could go back to")
    stable = facts.stable
    if stable.promoted_at is None:
        return failed(f"{stable.revision}, to which it would go back, was never promoted")
    if not stable.running:
        return failed(
            f"{stable.revision}, to which it would go back, does not run; wait for its pods (`kubectl get pods -l "
            f"serving.kserve.io/inferenceservice={stable.revision} -n {facts.namespace}`)"
        )
    return passed(f"it rolls back to {stable.revision} by itself", reference(stable.revision, stable.model.digest))


def _switch(facts: Facts, _: Parameters) -> Finding:
    fields = {"escalation": facts.stated.escalation, "runbook": facts.stated.runbook}
    if lacking := [f"spec.governance.{name}" for name, value in fields.items() if not (value or "").strip()]:
        return failed(f"{' and '.join(lacking)} is not stated: who switches the model off, and how; the team sets it")
    return passed(f"{facts.stated.escalation} switches it off, by {facts.stated.runbook}")


def _past_gates(facts: Facts, _: Parameters) -> Finding:
    acts = [act for act in facts.decisions if act.spec.action is Action.PROMOTE and is_about(act, facts)]
    if not acts:
        return skipped("nobody asked to go past the gates")
    for act in acts:
        if why := unguarded(facts, act.created_at):
            return error(f"nothing proves that {act.spec.actor.username} promoted it ({act.name}): {why}")
        if not is_person(act.spec.actor.username):
            return failed(f"{act.spec.actor.username} promoted it ({act.name}); only people do that")
        if not act.spec.reason.strip() or not (act.spec.ticket or "").strip():
            return failed(
                f"{act.name} promotes it past the gates without a reason or a ticket; it is given anew, with both"
            )
    given = states(facts)
    if not given:
        return failed("nobody had to approve it, so nobody may take it past its gates; a policy adds approvals")
    if short := missing(given, Before.PROMOTION):
        return failed(f"it goes past its gates without the approval of {listed([state.role for state in short])}")
    return passed(f"{listed([act.spec.actor.username for act in acts])} took it past its gates, with approvals")


CONTROLS = (
    Control(
        id="GOV-ROL-01",
        title="It is released a little at a time, and watched for long enough",
        stages=ADMITTED,
        severity=Severity.HIGH,
        assurance=Assurance.DERIVED,
        remedy="The team changes spec.rollout.steps.",
        check=_progressive,
        parameters={
            "maxFirstWeight": Parameter("10", "The largest first share of live traffic, in percent."),
            "minBake": Parameter("30m", "The least sum of all holds."),
            "minSteps": Parameter("2", "The least number of weights."),
        },
    ),
    Control(
        id="GOV-ROL-02",
        title="It rolls back by itself, to something that was promoted and runs",
        stages=ADMITTED,
        severity=Severity.CRITICAL,
        assurance=Assurance.DERIVED,
        remedy="The team sets spec.rollout.onDeadline to Rollback; the revision in service must run.",
        check=_way_back,
        parameters={"minWindow": Parameter("1h", "How long what is replaced must be kept running, at least.")},
    ),
    Control(
        id="GOV-ROL-03",
        title="It is said who switches the model off, and how",
        stages=ADMITTED,
        severity=Severity.MEDIUM,
        assurance=Assurance.DECLARED,
        remedy="The team sets escalation and runbook in spec.governance.",
        check=_switch,
        parameters={},
    ),
    Control(
        id="GOV-ROL-04",
        title="Whoever took it past its gates is a person, gave a reason and a ticket, and it was approved",
        stages=ADMITTED,
        severity=Severity.CRITICAL,
        assurance=Assurance.VERIFIED,
        remedy="Whoever promotes it gives reason and ticket; the approvers approve.",
        check=_past_gates,
        parameters={},
    ),
)
