"""What a release does, told as scenarios against the simulated cluster."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from sluice.api.modeldeployment import ModelReference, MonitorKind, OnDeadline
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.verdict import Verdict
from sluice.core import reasons
from sluice.core.plan import Evaluation
from sluice.core.world import Environment, Resolving, Unresolved, Workload, WorkloadState
from tests.unit.core.simulation import Cluster, Oracle, guarding, passing, released, resolved, spec, steps


def says(verdict: Verdict, monitor: str, *, revision: str = "scorer-r2") -> Oracle:
    """One monitor says something else of one revision; all others pass."""

    def oracle(wanted: Evaluation, _now: datetime) -> Verdict:
        return verdict if (wanted.use.name, wanted.revision) == (monitor, revision) else Verdict.PASS

    return oracle


def test_a_first_release_gets_all_traffic_once_ready_and_is_promoted_after_its_hold() -> None:
    cluster = Cluster(spec("1"))
    cluster.settle()
    assert cluster.route is None
    cluster.run(10)
    assert cluster.share("scorer-r1") == 100
    assert cluster.phase("scorer-r1") != "Promoted"
    cluster.run(75)
    assert cluster.phase("scorer-r1") == "Promoted"
    assert cluster.status.phase == "Healthy"
    assert cluster.condition("Ready") == ("True", reasons.SERVING)
    assert cluster.condition("Promoted") == ("True", reasons.PROMOTED)


def test_a_first_release_without_requests_is_promoted_and_says_what_could_not_be_told() -> None:
    cluster = Cluster(spec("1"), oracle=lambda _e, _n: Verdict.INCONCLUSIVE)
    cluster.settle()
    cluster.run(120)
    assert cluster.phase("scorer-r1") == "Promoted"
    assert "error-rate could not tell" in (cluster.revisions["scorer-r1"].status.message or "")


def test_a_first_release_that_fails_leaves_nothing_in_the_route() -> None:
    cluster = Cluster(spec("1"), oracle=says(Verdict.FAIL, "error-rate", revision="scorer-r1"))
    cluster.settle()
    cluster.run(120)
    assert cluster.phase("scorer-r1") == "RolledBack"
    assert cluster.route is None
    assert cluster.created == {}
    assert cluster.status.phase == "Degraded"
    assert cluster.condition("Ready")[0] == "False"


def test_a_good_candidate_takes_every_step_in_order_and_is_promoted() -> None:
    cluster = released()
    seen: list[float] = []
    cluster.ask(spec("2"))
    for _ in range(80):
        cluster.tick()
        if not seen or cluster.share("scorer-r2") != seen[-1]:
            seen.append(cluster.share("scorer-r2"))
    assert [round(share) for share in seen] == [0, 0, 10, 50, 100]
    assert cluster.phase("scorer-r2") == "Promoted"
    assert cluster.status.stable_revision == "scorer-r2"
    assert [record.weight for record in cluster.revisions["scorer-r2"].status.steps] == [0, 10, 50, 100]


def test_a_shadow_step_mirrors_and_moves_no_live_traffic() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(30)
    assert cluster.route is not None
    assert cluster.route.mirror is not None
    assert (cluster.route.mirror.revision, cluster.route.mirror.percent) == ("scorer-r2", 100)
    assert cluster.share("scorer-r2") == pytest.approx(0, abs=0.001)
    cluster.run(60)
    assert cluster.route.mirror is None


def test_a_breached_level_takes_the_traffic_back_at_once() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(90)
    assert cluster.share("scorer-r2") == pytest.approx(10)
    cluster.oracle = says(Verdict.FAIL, "error-rate")
    cluster.tick()
    assert cluster.share("scorer-r2") == pytest.approx(0, abs=0.001)
    assert cluster.share("scorer-r1") == pytest.approx(100, abs=0.001)
    assert cluster.phase("scorer-r2") == "RolledBack"
    assert cluster.status.phase == "Degraded"
    assert cluster.condition("Promoted") == ("False", reasons.SLO_BREACHED)
    assert cluster.condition("Ready") == ("True", reasons.SERVING)


def test_a_failed_workload_is_kept_for_a_while_and_then_removed() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(90)
    cluster.oracle = says(Verdict.FAIL, "error-rate")
    cluster.run(15)
    assert "scorer-r2" in cluster.created
    cluster.run(60)
    assert "scorer-r2" not in cluster.created
    assert cluster.route is not None
    assert {lane.revision for lane in cluster.route.lanes} == {"scorer-r1"}


def test_drift_is_judged_once_when_the_hold_ends_and_rolls_back() -> None:
    cluster = released()
    cluster.ask(spec("2", steps=steps("10 60s", "100")))
    failing = says(Verdict.FAIL, "prediction-drift")
    cluster.oracle = lambda wanted, now: Verdict.PASS if guarding(wanted) else failing(wanted, now)
    cluster.run(60)
    assert cluster.phase("scorer-r2") == "Progressing"
    cluster.run(30)
    assert cluster.phase("scorer-r2") == "RolledBack"
    assert cluster.condition("Promoted") == ("False", reasons.DRIFT_DETECTED)


def test_a_drift_verdict_on_record_is_not_asked_for_again() -> None:
    cluster = released()
    cluster.ask(spec("2", steps=steps("10 60s", "100")))
    asked: list[datetime] = []

    def oracle(wanted: Evaluation, now: datetime) -> Verdict:
        if wanted.look is not None and not guarding(wanted):
            asked.append(now)
            return Verdict.PASS
        return Verdict.INCONCLUSIVE

    cluster.oracle = oracle
    cluster.run(200)
    assert len(asked) == 1


@pytest.mark.parametrize("verdict", [Verdict.INCONCLUSIVE, Verdict.ERROR])
@pytest.mark.parametrize("monitor", ["error-rate", "prediction-drift"])
def test_what_cannot_be_told_holds_the_weight_and_goes_on_when_it_can(verdict: Verdict, monitor: str) -> None:
    cluster = released()
    cluster.ask(spec("2", steps=steps("10 60s", "100")))
    cluster.oracle = says(verdict, monitor)
    cluster.run(600)
    assert cluster.share("scorer-r2") == pytest.approx(10)
    assert monitor in (cluster.status.message or "")
    cluster.oracle = passing
    cluster.run(30)
    assert cluster.phase("scorer-r2") == "Promoted"


def test_a_pass_measured_partly_before_the_step_does_not_count() -> None:
    cluster = released()
    cluster.ask(spec("2", steps=steps("10 5s", "50 5s", "100")))
    for _ in range(60):
        cluster.tick(1)
        records = cluster.revisions["scorer-r2"].status.steps if "scorer-r2" in cluster.revisions else []
        for record in records:
            if record.started_at and record.finished_at and record.weight < 100:
                # The level's window is 10 s, so no step can be left before it lies wholly within the step.
                assert record.finished_at - record.started_at >= timedelta(seconds=10)
    assert cluster.phase("scorer-r2") == "Promoted"


@pytest.mark.parametrize(
    ("policy", "phase", "share"),
    [
        pytest.param(OnDeadline.ROLLBACK, "RolledBack", 0, id="rolls back"),
        pytest.param(OnDeadline.PAUSE, "Paused", 10, id="pauses at its weight"),
    ],
)
def test_a_hold_that_lasts_ends_at_the_deadline(policy: OnDeadline, phase: str, share: float) -> None:
    cluster = released()
    cluster.oracle = says(Verdict.INCONCLUSIVE, "error-rate")
    plan = {"steps": steps("10 60s", "100"), "progress_deadline": timedelta(minutes=10), "on_deadline": policy}
    cluster.ask(spec("2", **plan))
    cluster.run(800)
    assert cluster.phase("scorer-r2") == phase
    assert cluster.share("scorer-r2") == pytest.approx(share, abs=0.001)


def test_a_paused_release_still_falls_when_a_gate_fails() -> None:
    cluster = released()
    cluster.oracle = says(Verdict.INCONCLUSIVE, "error-rate")
    cluster.ask(spec("2", progress_deadline=timedelta(minutes=10), on_deadline=OnDeadline.PAUSE))
    cluster.run(800)
    assert cluster.status.phase == "Paused"
    cluster.oracle = says(Verdict.FAIL, "error-rate")
    cluster.tick()
    assert cluster.phase("scorer-r2") == "RolledBack"


@pytest.mark.parametrize(
    ("spoken", "reason"),
    [
        ({"webhook": {"url": "https://checks.risk.svc/fraud"}}, reasons.WEBHOOK_FAILED),
        ({"performance": {"metric": "MAE", "limits": {"max": "0.5"}}}, reasons.PERFORMANCE_DEGRADED),
        ({"performance": {"metric": "MAE", "compare": {"maxDegradation": "0.1"}}}, reasons.PERFORMANCE_DEGRADED),
    ],
)
def test_a_gauge_that_says_fail_takes_the_traffic_back(spoken: dict[str, Any], reason: str) -> None:
    cluster = released()
    asked = ModelMonitorSpec.model_validate(spoken)
    cluster.monitors[MonitorKind.CLUSTER_MODEL_MONITOR, "error-rate"] = asked
    cluster.ask(spec("2"))
    cluster.run(90)
    cluster.oracle = lambda wanted, _now: Verdict.FAIL if wanted.use.name == "error-rate" else Verdict.PASS
    cluster.tick()
    assert cluster.phase("scorer-r2") == "RolledBack"
    assert cluster.condition("Promoted") == ("False", reason)


def test_a_crashing_workload_never_gets_traffic() -> None:
    cluster = released()
    cluster.broken["scorer-r2"] = Workload(WorkloadState.FAILED, "CrashLoopBackOff", "exit code 1")
    cluster.ask(spec("2"))
    cluster.run(20)
    assert cluster.phase("scorer-r2") == "RolledBack"
    assert cluster.condition("Promoted") == ("False", reasons.WORKLOAD_UNHEALTHY)
    assert cluster.share("scorer-r1") == pytest.approx(100, abs=0.001)


def test_a_workload_that_crashes_in_mid_canary_is_taken_out() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(90)
    cluster.broken["scorer-r2"] = Workload(WorkloadState.FAILED, "CrashLoopBackOff", "exit code 137")
    cluster.tick()
    assert cluster.phase("scorer-r2") == "RolledBack"
    assert cluster.share("scorer-r2") == pytest.approx(0, abs=0.001)


def test_a_candidate_without_a_ready_pod_is_taken_out_of_live_traffic_but_not_a_first_release() -> None:
    gone = Workload(WorkloadState.STARTING, "WorkloadStarting", "0 of 1 pods are ready")
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(90)
    cluster.broken["scorer-r2"] = gone
    cluster.tick()
    assert cluster.phase("scorer-r2") == "RolledBack"
    first = Cluster(spec("1"))
    first.settle()
    first.run(20)
    first.broken["scorer-r1"] = gone
    first.run(30)
    assert first.phase("scorer-r1") == "Progressing"


def test_a_candidate_that_lost_one_of_its_pods_is_held() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(90)
    cluster.broken["scorer-r2"] = Workload(
        WorkloadState.STARTING, "WorkloadStarting", "1 of 2 pods are ready", available=1
    )
    cluster.run(300)
    assert cluster.share("scorer-r2") == pytest.approx(10)


def test_copies_stop_while_the_shadowed_workload_is_not_ready() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(30)
    assert cluster.route is not None
    assert cluster.route.mirror is not None
    cluster.broken["scorer-r2"] = Workload(WorkloadState.ABSENT, "BeingDeleted", "someone deletes it")
    cluster.tick()
    assert cluster.route.mirror is None
    assert cluster.phase("scorer-r2") == "Progressing"
    del cluster.broken["scorer-r2"]
    cluster.run(400)
    assert cluster.phase("scorer-r2") == "Promoted"


def test_a_workload_that_never_starts_fails_after_its_start_timeout() -> None:
    cluster = released()
    cluster.broken["scorer-r2"] = Workload(WorkloadState.STARTING, "Unschedulable", "0 of 1 nodes have 64 cpu")
    cluster.ask(spec("2"))
    cluster.run(590)
    assert cluster.phase("scorer-r2") == "Pending"
    cluster.run(30)
    assert cluster.phase("scorer-r2") == "RolledBack"
    assert "64 cpu" in (cluster.status.message or "")


def test_a_spec_changed_in_mid_canary_supersedes_the_candidate_and_starts_at_step_zero() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(90)
    cluster.ask(spec("3"))
    cluster.tick()
    assert cluster.phase("scorer-r2") == "Superseded"
    assert cluster.share("scorer-r2") == pytest.approx(0, abs=0.001)
    assert cluster.status.candidate_revision == "scorer-r3"
    cluster.run(400)
    assert cluster.phase("scorer-r3") == "Promoted"
    assert "scorer-r2" not in cluster.created


def test_a_plan_edited_in_mid_canary_is_a_new_release() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(90)
    cluster.ask(spec("2", steps=steps("20 60s", "100")))
    cluster.tick()
    assert cluster.phase("scorer-r2") == "Superseded"
    assert cluster.status.candidate_revision == "scorer-r3"


def test_a_plan_edited_at_rest_changes_nothing_until_the_next_release() -> None:
    cluster = released()
    cluster.ask(spec("1", steps=steps("20 60s", "100")))
    cluster.run(60)
    assert list(cluster.revisions) == ["scorer-r1"]
    assert cluster.status.phase == "Healthy"


def test_a_superseded_first_release_serves_until_its_successor_is_ready() -> None:
    cluster = Cluster(spec("1"))
    cluster.settle()
    cluster.run(20)
    cluster.ask(spec("2"))
    cluster.tick(1)
    assert cluster.phase("scorer-r1") == "Superseded"
    assert cluster.share("scorer-r1") == 100
    cluster.run(120)
    assert cluster.share("scorer-r2") == 100
    assert cluster.phase("scorer-r2") == "Promoted"
    assert list(cluster.created) == ["scorer-r2"]


def test_returning_to_the_stable_spec_ends_the_canary() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(90)
    cluster.ask(spec("1"))
    cluster.run(10)
    assert cluster.phase("scorer-r2") == "Superseded"
    assert cluster.status.phase == "Healthy"
    assert cluster.status.stable_revision == "scorer-r1"
    assert list(cluster.revisions) == ["scorer-r1", "scorer-r2"]


def test_returning_to_an_earlier_spec_within_the_window_is_one_write_of_the_route() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(400)
    assert cluster.status.stable_revision == "scorer-r2"
    cluster.ask(spec("1"))
    assert cluster.share("scorer-r1") == pytest.approx(100, abs=0.001)
    assert list(cluster.revisions) == ["scorer-r1", "scorer-r2"]
    assert cluster.reasons()[-2:] == [reasons.REVISION_REUSED, reasons.PROMOTED]


def test_after_the_window_the_old_revision_is_removed_and_returning_is_a_new_release() -> None:
    cluster = released(rollback_window=timedelta(minutes=30))
    cluster.ask(spec("2", rollback_window=timedelta(minutes=30)))
    cluster.run(400)
    assert "scorer-r1" in cluster.created
    cluster.run(2000)
    assert list(cluster.created) == ["scorer-r2"]
    cluster.ask(spec("1"))
    cluster.tick()
    assert cluster.status.candidate_revision == "scorer-r3"


def test_a_failed_spec_asked_for_again_after_another_is_released_afresh() -> None:
    cluster = released()
    cluster.oracle = says(Verdict.FAIL, "error-rate")
    cluster.ask(spec("2"))
    cluster.run(120)
    assert cluster.phase("scorer-r2") == "RolledBack"
    cluster.ask(spec("1"))
    cluster.ask(spec("2"))
    cluster.run(400)
    assert cluster.phase("scorer-r3") == "Promoted"


def test_a_rolled_back_spec_is_not_tried_again_by_itself() -> None:
    cluster = released()
    cluster.oracle = says(Verdict.FAIL, "error-rate")
    cluster.ask(spec("2"))
    cluster.run(120)
    cluster.oracle = passing
    cluster.run(3600, every=60)
    assert list(cluster.revisions) == ["scorer-r1", "scorer-r2"]
    assert cluster.status.phase == "Degraded"


def test_finished_revisions_beyond_the_history_limit_are_forgotten() -> None:
    cluster = released(rollback_window=timedelta(seconds=30), revision_history_limit=2)
    for version in "23456":
        cluster.ask(spec(version, rollback_window=timedelta(seconds=30), revision_history_limit=2))
        cluster.run(500)
    assert list(cluster.revisions) == ["scorer-r4", "scorer-r5", "scorer-r6"]


def test_a_moved_alias_changes_nothing_and_is_said() -> None:
    cluster = Cluster(spec("1").model_copy(update={"model": ModelReference(name="scorer", alias="champion")}))
    pinned = resolved("1")
    cluster.resolution = type(pinned)(pinned.model.model_copy(update={"alias": "champion"}))
    cluster.settle()
    cluster.run(120)
    cluster.resolution = resolved("2")
    cluster.alias_version = "2"
    cluster.run(60)
    assert list(cluster.revisions) == ["scorer-r1"]
    assert cluster.condition("ModelResolved") == ("True", reasons.ALIAS_MOVED)


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        pytest.param(Environment(kserve=False), reasons.KSERVE_NOT_INSTALLED, id="no KServe"),
        pytest.param(Environment(gateway_api=False), reasons.GATEWAY_API_NOT_INSTALLED, id="no Gateway API"),
        pytest.param(Environment(gateway_exists=False), reasons.GATEWAY_NOT_FOUND, id="no Gateway"),
        pytest.param(Environment(gateway_programmed=False), reasons.GATEWAY_NOT_PROGRAMMED, id="Gateway not ready"),
        pytest.param(
            Environment(hostname_conflicts=(("scorer.example", "bank/other"),)),
            reasons.HOSTNAME_CONFLICT,
            id="hostname taken",
        ),
    ],
)
def test_what_the_cluster_lacks_is_said_and_nothing_is_created(environment: Environment, reason: str) -> None:
    cluster = Cluster(spec("1"), environment=environment)
    cluster.settle()
    assert cluster.condition("Ready") == ("False", reason)
    assert cluster.condition("Progressing")[1] == reason
    assert cluster.revisions == {}
    cluster.environment = Environment()
    cluster.tick()
    assert list(cluster.revisions) == ["scorer-r1"]


@pytest.mark.parametrize(
    "unresolved",
    [
        Unresolved(reasons.MODEL_NOT_FOUND, "there is no model scorer version 9"),
        Unresolved(reasons.MODEL_ARTIFACT_MISSING, "the artifact of version 9 is gone"),
        Unresolved(reasons.MODEL_REGISTRY_UNAVAILABLE, "MLflow does not answer"),
        Resolving(),
    ],
    ids=lambda value: getattr(value, "reason", "Resolving"),
)
def test_a_model_that_cannot_be_resolved_leaves_the_stable_revision_alone(unresolved: Unresolved | Resolving) -> None:
    cluster = released()
    cluster.resolution = unresolved
    before = cluster.route
    cluster.ask(spec("9"))
    cluster.run(300)
    assert cluster.route == before
    assert list(cluster.revisions) == ["scorer-r1"]
    assert cluster.condition("Ready") == ("True", reasons.SERVING)
    assert cluster.status.phase in ("Degraded", "Pending", "Evaluating")
    if isinstance(unresolved, Unresolved):
        assert cluster.condition("ModelResolved") == ("False", unresolved.reason)
        assert unresolved.message in (cluster.status.message or "")


def test_a_canary_whose_spec_was_changed_to_something_unresolvable_may_fall_but_not_rise() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(90)
    cluster.resolution = Unresolved(reasons.MODEL_NOT_FOUND, "there is no version 9")
    cluster.ask(spec("9"))
    cluster.run(600)
    assert cluster.share("scorer-r2") == pytest.approx(10)
    cluster.oracle = says(Verdict.FAIL, "error-rate")
    cluster.tick()
    assert cluster.phase("scorer-r2") == "RolledBack"


def test_an_unknown_monitor_blocks_the_release_with_its_name() -> None:
    cluster = Cluster(spec("1"), monitors={})
    cluster.settle()
    assert cluster.condition("Promoted") == ("False", reasons.MONITOR_NOT_FOUND)
    assert "ClusterModelMonitor/error-rate" in (cluster.status.message or "")


def test_a_monitor_deleted_in_mid_canary_holds() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(90)
    cluster.monitors = {}
    cluster.run(600)
    assert cluster.share("scorer-r2") == pytest.approx(10)
    assert cluster.condition("MonitorsPassing") == ("Unknown", reasons.GATES_UNANSWERED)


def test_a_name_too_long_for_what_kserve_derives_from_it_is_said() -> None:
    cluster = Cluster(spec("1"), namespace="n" * 44)
    cluster.settle()
    assert cluster.condition("Progressing") == ("False", reasons.NAME_TOO_LONG)
    assert "1 characters longer" in (cluster.status.message or "")
    cluster.namespace = "n" * 43
    cluster.settle()
    assert list(cluster.revisions) == ["scorer-r1"]


def test_a_first_release_that_is_no_longer_ready_is_not_promoted_before_it_is_again() -> None:
    cluster = Cluster(spec("1"))
    cluster.settle()
    cluster.run(20)
    cluster.broken["scorer-r1"] = Workload(WorkloadState.STARTING, "WorkloadStarting", "0 of 1 pods are ready")
    cluster.run(300)
    assert cluster.phase("scorer-r1") == "Progressing"
    del cluster.broken["scorer-r1"]
    cluster.run(10)
    assert cluster.phase("scorer-r1") == "Promoted"


def test_the_failing_verdict_is_shown_after_a_rollback() -> None:
    cluster = released()
    cluster.ask(spec("2"))
    cluster.run(90)
    cluster.oracle = says(Verdict.FAIL, "error-rate")
    cluster.run(30)
    shown = {result.name: str(result.verdict) for result in cluster.status.monitors or []}
    assert shown["error-rate"] == "Fail"


def test_holds_longer_than_the_deadline_are_refused() -> None:
    cluster = Cluster(spec("1", steps=steps("10 40m", "50 30m", "100")))
    cluster.settle()
    assert cluster.condition("Progressing") == ("False", reasons.INVALID_SPEC)
    assert "1h10m" in (cluster.status.message or "")


def test_a_step_counts_only_once_the_gateway_was_seen_to_apply_it() -> None:
    cluster = released()
    cluster.ask(spec("2", steps=steps("10 60s", "100")))
    cluster.run(10)
    cluster.program_after = timedelta(days=1)
    cluster.run(345)
    assert cluster.revisions["scorer-r2"].status.step_started_at() is None
    assert cluster.phase("scorer-r2") != "Promoted"
    cluster.program_after = timedelta(seconds=1)
    cluster.run(90)
    assert cluster.phase("scorer-r2") == "Promoted"


def test_nothing_is_written_while_nothing_changes() -> None:
    cluster = released()
    cluster.ask(spec("2", steps=steps("10 30m", "100")))
    cluster.run(60)
    before = cluster.writes
    cluster.run(600)
    assert cluster.writes == before
