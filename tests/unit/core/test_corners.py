"""What happens seldom: restated specs, returns to a revision that lost its lane, workloads slower than the deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from sluice.api.modeldeployment import ModelReference, MonitorKind, MonitorUse, Step
from sluice.api.modelmonitor import Drift, ModelMonitorSpec
from sluice.api.modelmonitor import Workload as WorkloadLimits
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import reasons, steps
from sluice.core.world import Workload, WorkloadState
from tests.unit.core.simulation import LEVEL, released, resolved, spec
from tests.unit.core.simulation import steps as planned

DRIFT = MonitorUse(name="prediction-drift")


def test_a_spec_that_says_the_same_in_other_words_changes_nothing_in_mid_release() -> None:
    cluster = released()
    by_alias = spec("2").model_copy(update={"model": ModelReference(name="scorer", alias="champion")})
    cluster.resolution = resolved("2")
    cluster.ask(by_alias)
    cluster.run(90)
    cluster.resolution = None
    cluster.ask(spec("2"))
    cluster.run(600)
    assert list(cluster.revisions) == ["scorer-r1", "scorer-r2"]
    assert cluster.phase("scorer-r2") == "Promoted"


def test_returning_to_a_revision_whose_lane_went_to_a_candidate_takes_the_lane_back() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(400)
    cluster.ask(spec("3"))
    cluster.run(90)
    assert cluster.revisions["scorer-r1"].status.lane is None
    cluster.broken["scorer-r1"] = Workload(WorkloadState.STARTING, "WorkloadStarting", "0 of 1 pods are ready")
    cluster.ask(spec("1"))
    cluster.run(30)
    assert cluster.status.stable_revision == "scorer-r2"
    del cluster.broken["scorer-r1"]
    cluster.run(30)
    assert cluster.share("scorer-r1") == pytest.approx(100, abs=0.001)
    assert cluster.status.stable_revision == "scorer-r1"
    assert cluster.phase("scorer-r3") == "Superseded"


def test_a_return_waits_until_the_gateway_has_settled() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(400)
    cluster.ask(spec("3"))
    cluster.run(90)
    cluster.program_after = timedelta(seconds=20)
    cluster.ask(spec("1"))
    cluster.tick(5)
    assert cluster.status.stable_revision == "scorer-r2"
    cluster.run(120)
    assert cluster.status.stable_revision == "scorer-r1"


def test_a_workload_slower_than_the_deadline_ends_at_the_deadline() -> None:
    cluster = released()
    cluster.broken["scorer-r2"] = Workload(WorkloadState.STARTING, "Unschedulable", "no node has a GPU")
    cluster.ask(spec("2", steps=planned("10 60s", "100"), progress_deadline=timedelta(minutes=5)))
    cluster.run(330)
    assert cluster.condition("Promoted") == ("False", reasons.PROGRESS_DEADLINE_EXCEEDED)


def test_a_listed_workload_monitor_sets_the_limits() -> None:
    strict = ModelMonitorSpec(workload=WorkloadLimits(max_restarts=0))
    cluster = released()
    cluster.monitors[MonitorKind.CLUSTER_MODEL_MONITOR, "steady"] = strict
    wanted = spec("2")
    cluster.ask(wanted.model_copy(update={"monitors": [*wanted.monitors, MonitorUse(name="steady")]}))
    cluster.run(90)
    cluster.broken["scorer-r2"] = Workload(WorkloadState.READY, restarts=1, available=1)
    cluster.tick()
    assert cluster.phase("scorer-r2") == "RolledBack"
    assert "restarted 1 times" in (cluster.status.message or "")


def test_a_step_that_waits_for_a_person_is_never_passed_by_itself() -> None:
    # No release begins with such a plan today; a revision made by a later version may have one.
    cluster = released()
    cluster.ask(spec("2", steps=planned("10 60s", "100")))
    cluster.run(30)
    revision = cluster.revisions["scorer-r2"]
    approval = Step.model_validate({"approval": {"role": "model-validator"}})
    plan = revision.spec.rollout.model_copy(update={"steps": [approval, *revision.spec.rollout.steps]})
    changed = revision.spec.model_copy(update={"rollout": plan})
    cluster.revisions["scorer-r2"] = replace(revision, spec=changed)
    cluster.run(600)
    assert cluster.phase("scorer-r2") == "Progressing"
    assert cluster.share("scorer-r2") == pytest.approx(0, abs=0.001)


def test_a_status_that_lost_its_step_begins_again_at_the_first() -> None:
    cluster = released()
    cluster.ask(spec("2", steps=planned("10 60s", "100")))
    cluster.run(30)
    revision = cluster.revisions["scorer-r2"]
    cluster.revisions["scorer-r2"] = replace(revision, status=revision.status.model_copy(update={"step": None}))
    cluster.run(200)
    assert cluster.phase("scorer-r2") == "Promoted"


def test_only_drift_monitors_have_a_budget() -> None:
    cluster = released()
    revision = cluster.revisions["scorer-r1"]
    with pytest.raises(ValueError, match="only drift monitors"):
        steps.alpha(cluster.world(), revision, None, MonitorUse(name="error-rate"))


def test_the_budget_is_spent_over_looks_and_gates() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(30)
    stable, revision = cluster.revisions["scorer-r1"], cluster.revisions["scorer-r2"]
    # A shadow step, 10 % and 50 %: at 100 % there is nothing left to compare with.
    (fixed,) = revision.spec.looks
    assert (fixed.monitor, fixed.looks, fixed.alpha) == ("prediction-drift", 3, "0.00333333")
    assert steps.alpha(cluster.world(), revision, stable, DRIFT) == pytest.approx(0.01 / 3, rel=1e-5)


def test_every_drift_monitor_has_its_own_looks() -> None:
    cluster = released()
    input_drift = MonitorUse(name="input-drift")
    cluster.monitors[MonitorKind.CLUSTER_MODEL_MONITOR, "input-drift"] = ModelMonitorSpec(drift=Drift(alpha="0.02"))
    asked = spec("2")
    cluster.ask(asked.model_copy(update={"monitors": [*(asked.monitors or []), input_drift]}))
    cluster.run(30)
    stable, revision = cluster.revisions["scorer-r1"], cluster.revisions["scorer-r2"]
    assert [fixed.monitor for fixed in revision.spec.looks] == ["prediction-drift", "input-drift"]
    # Two gates share the budget: each spends its own half over its three looks.
    assert steps.alpha(cluster.world(), revision, stable, DRIFT) == pytest.approx(0.01 / 2 / 3, rel=1e-5)
    assert steps.alpha(cluster.world(), revision, stable, input_drift) == pytest.approx(0.02 / 2 / 3, rel=1e-5)


def test_nobody_raises_the_budget_of_a_release_under_way() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(30)
    key = MonitorKind.CLUSTER_MODEL_MONITOR, DRIFT.name
    generous = cluster.monitors[key].model_copy(update={"drift": Drift(alpha="0.5")})
    cluster.monitors[key] = generous
    stable, revision = cluster.revisions["scorer-r1"], cluster.revisions["scorer-r2"]
    assert steps.alpha(cluster.world(), revision, stable, DRIFT) == pytest.approx(0.01 / 3, rel=1e-5)
    cluster.ask(spec("3"))
    cluster.run(30)
    (fixed,) = cluster.revisions["scorer-r3"].spec.looks
    assert float(fixed.alpha) == pytest.approx(0.5 / 3, rel=1e-5)


def test_a_revision_that_fixed_nothing_has_the_budget_that_it_would_have_fixed() -> None:
    # It was made by an earlier version, or the monitor was of another kind then.
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(30)
    stable, revision = cluster.revisions["scorer-r1"], cluster.revisions["scorer-r2"]
    bare = replace(revision, spec=revision.spec.model_copy(update={"looks": []}))
    assert steps.alpha(cluster.world(), bare, stable, DRIFT) == pytest.approx(0.01 / 3, rel=1e-5)


def test_a_look_knows_the_candidate_s_share_and_copies_have_none() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    shares: dict[datetime, int | None] = {}
    while cluster.phase("scorer-r2") != "Promoted":
        cluster.tick()
        shares |= {wanted.since: wanted.weight for wanted in cluster.evaluations}
    assert list(shares.values()) == [None, 10, 50], "and nothing is compared at 100 %"


def test_a_first_release_has_nothing_to_look_at() -> None:
    assert released().revisions["scorer-r1"].spec.looks == []


def test_a_workload_monitor_can_always_speak() -> None:
    monitor = ModelMonitorSpec(workload=WorkloadLimits())
    assert steps.applicable(monitor, steps.PlannedStep(steps.StepKind.APPROVAL), None)
    assert not steps.applicable(LEVEL, steps.PlannedStep(steps.StepKind.APPROVAL), None)


def test_a_late_drift_verdict_from_before_the_end_of_the_hold_is_not_a_look() -> None:
    cluster = released()
    cluster.ask(spec("2", steps=planned("10 60s", "100")))
    while round(cluster.share("scorer-r2")) != 10:
        cluster.tick()
    cluster.tick()
    early = MonitorResult(
        name="prediction-drift", verdict=Verdict.FAIL, reason="DriftDetected", observed_at=cluster.now
    )
    cluster.results["scorer-r2", "prediction-drift"] = early
    cluster.settle()
    assert cluster.phase("scorer-r2") == "Progressing"
    said = next(m for m in cluster.status.monitors or [] if m.name == "prediction-drift")
    assert (said.verdict, said.message) == (Verdict.INCONCLUSIVE, "a verdict is due when the hold ends")


def test_a_gateway_that_never_carries_out_a_step_ends_the_release_at_the_deadline() -> None:
    cluster = released()
    cluster.ask(spec("2", steps=planned("10 60s", "100"), progress_deadline=timedelta(minutes=5)))
    while round(cluster.share("scorer-r2")) != 10:
        cluster.tick()
        if cluster.phase("scorer-r2") == "Progressing":
            cluster.program_after = timedelta(hours=1)
    cluster.run(400)
    assert cluster.condition("Promoted") == ("False", reasons.PROGRESS_DEADLINE_EXCEEDED)
    assert "the gateway did not carry out the step" in (cluster.status.message or "")


def test_a_ready_workload_waits_for_the_gateway_before_it_gets_a_lane() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(400)
    cluster.program_after = timedelta(seconds=60)
    cluster.ask(spec("3"))
    cluster.run(30)
    assert cluster.phase("scorer-r3") == "Pending"
    message = "the workload is ready; the gateway has not carried out its route yet"
    assert cluster.revisions["scorer-r3"].status.message == message
    cluster.run(120)
    assert cluster.phase("scorer-r3") == "Progressing"


def test_the_first_step_waits_until_the_gateway_knows_the_lane() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    while cluster.revisions.get("scorer-r2") is None or cluster.revisions["scorer-r2"].status.lane is None:
        cluster.program_after = timedelta(seconds=60)
        cluster.tick()
    cluster.run(30)
    assert (cluster.phase("scorer-r2"), round(cluster.share("scorer-r2"))) == ("Pending", 0)
    cluster.run(120)
    assert cluster.phase("scorer-r2") == "Progressing"


def test_a_ready_workload_that_the_gateway_never_learns_of_is_not_called_unready_at_the_deadline() -> None:
    cluster = released()
    cluster.ask(spec("2", progress_deadline=timedelta(minutes=5)))
    cluster.program_after = timedelta(hours=1)
    cluster.run(400)
    assert cluster.condition("Promoted") == ("False", reasons.PROGRESS_DEADLINE_EXCEEDED)
    assert "not done in time: the gateway has not carried out its route yet" in (cluster.status.message or "")
