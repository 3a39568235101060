"""What happens seldom: restated specs, returns to a revision that lost its lane, workloads slower than the deadline."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sluice.api.modeldeployment import ModelReference, MonitorKind, MonitorUse, Step
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.modelmonitor import Workload as WorkloadLimits
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


def test_a_workload_monitor_can_always_speak() -> None:
    monitor = ModelMonitorSpec(workload=WorkloadLimits())
    assert steps.applicable(monitor, steps.PlannedStep(steps.StepKind.APPROVAL), None)
    assert not steps.applicable(LEVEL, steps.PlannedStep(steps.StepKind.APPROVAL), None)


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
