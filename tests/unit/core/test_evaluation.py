"""Golden data: what a release waits for before it has any traffic, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sluice.api.modeldecision import Action
from sluice.api.modeldeployment import MonitorKind, MonitorMode, MonitorUse, OnDeadline
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.modelrevision import RevisionPhase
from sluice.api.record import RecordKind
from sluice.api.verdict import Evidence, MonitorResult, Verdict
from sluice.core import gates, reasons, steps
from sluice.core.decide import decide as decided
from sluice.core.plan import Evaluation
from sluice.core.world import Workload, WorkloadState
from tests.unit.core.people import answer, decide
from tests.unit.core.simulation import GOLDEN, STARTING, Cluster, Oracle, examined, released, spec
from tests.unit.core.simulation import steps as planned
from tests.unit.core.test_records import kinds, sound

K = RecordKind
DIGEST = f"sha256:{'e' * 64}"
KEY = (MonitorKind.CLUSTER_MODEL_MONITOR, "golden")
PLAN = planned("10 20s", "100")
COMPARED = GOLDEN.model_copy(
    update={"evaluation": GOLDEN.evaluation.model_copy(update={"limits": None}) if GOLDEN.evaluation else None}
)
LIMITED = GOLDEN.model_copy(
    update={"evaluation": GOLDEN.evaluation.model_copy(update={"compare": None}) if GOLDEN.evaluation else None}
)


class Bench(Cluster):
    """A cluster in which Inconclusive of golden data means that its Job runs, and verdicts have a document."""

    def found(self, wanted: Evaluation, verdict: Verdict) -> MonitorResult:
        result = super().found(wanted, verdict)
        if wanted.monitor.evaluation is None:
            return result
        running = {"reason": reasons.EVALUATING} if verdict is Verdict.INCONCLUSIVE else {}
        return result.model_copy(update={"evidence": Evidence(digest=DIGEST), **running})


def golden(verdict: Verdict) -> Oracle:
    """Golden data says this, and all other gauges pass."""
    return lambda wanted, _now: verdict if wanted.monitor.evaluation else Verdict.PASS


def waiting(
    verdict: Verdict = Verdict.INCONCLUSIVE, mode: MonitorMode = MonitorMode.GATE, **rollout: object
) -> Cluster:
    """Version 2 is ready, and golden data of it says this."""
    given = {"steps": PLAN} | rollout
    cluster = Bench(examined(spec("1", **given), mode))
    cluster.settle()
    cluster.run(120)
    assert cluster.status.phase == "Healthy", cluster.status.message
    cluster.oracle = golden(verdict)
    cluster.ask(examined(spec("2", **given), mode))
    cluster.run(60)
    return cluster


def verdicts(cluster: Cluster, name: str = "scorer-r2") -> list[str]:
    """What is on record of golden data."""
    told = [r for r in cluster.revisions[name].status.records if r.kind is K.VERDICT_GIVEN]
    return [r.message.split(":")[0] for r in told if r.message.startswith("golden")]


def asked(cluster: Cluster) -> set[str]:
    """Who is to be measured."""
    return {evaluation.use.name for evaluation in cluster.evaluations}


def test_a_candidate_has_no_place_in_the_route_before_golden_data_passes() -> None:
    cluster = waiting()
    revision = cluster.revisions["scorer-r2"]
    assert (revision.phase, revision.status.reason, revision.status.lane) == ("Pending", reasons.EVALUATING, None)
    assert (revision.status.message or "").startswith("waiting for golden (Inconclusive: ")
    assert cluster.condition("Progressing") == ("True", reasons.EVALUATING)
    assert cluster.condition("MonitorsPassing") == ("Unknown", reasons.GATES_INCONCLUSIVE)
    assert [m.name for m in cluster.status.monitors or ()] == ["golden"]
    assert cluster.share("scorer-r2") == 0
    writes = cluster.writes
    cluster.run(60)
    assert cluster.writes == writes, "nothing is written while nothing changes"
    cluster.oracle = golden(Verdict.PASS)
    cluster.run(120)
    assert cluster.phase("scorer-r2") == "Promoted"
    assert verdicts(cluster) == ["golden Pass"]
    record = next(r for r in cluster.revisions["scorer-r2"].status.records if r.kind is K.VERDICT_GIVEN)
    assert ("evaluation/golden", DIGEST) in [(e.name, e.digest) for e in record.evidence]
    assert kinds(cluster, "scorer-r2")[:4] == [K.CREATED, K.STARTED, K.VERDICT_GIVEN, K.STEP_STARTED]
    sound(cluster)


def test_a_candidate_that_fails_on_golden_data_ends_without_any_traffic() -> None:
    cluster = waiting(Verdict.FAIL)
    assert cluster.phase("scorer-r2") == "RolledBack"
    assert cluster.condition("Promoted") == ("False", reasons.EVALUATION_FAILED)
    assert cluster.condition("MonitorsPassing") == ("False", reasons.EVALUATION_FAILED)
    assert [(m.name, m.verdict) for m in cluster.status.monitors or ()] == [("golden", Verdict.FAIL)]
    assert cluster.revisions["scorer-r2"].status.steps == []
    assert cluster.share("scorer-r1") == 100
    assert kinds(cluster, "scorer-r2")[:4] == [K.CREATED, K.STARTED, K.VERDICT_GIVEN, K.ROLLED_BACK]
    assert cluster.reasons().count(reasons.EVALUATION_FAILED) == 1
    sound(cluster)


def test_golden_data_that_fails_does_not_wait_for_other_that_is_being_asked() -> None:
    other = MonitorUse(name="slow-golden")
    cluster = Bench(examined(spec("1", steps=PLAN)), oracle=golden(Verdict.PASS))
    cluster.settle()
    cluster.run(120)
    cluster.monitors[other.kind, other.name] = GOLDEN
    cluster.oracle = lambda wanted, _now: Verdict.INCONCLUSIVE if wanted.use == other else Verdict.FAIL
    both = examined(spec("2", steps=PLAN))
    cluster.ask(both.model_copy(update={"monitors": [*both.monitors, other]}))
    cluster.run(60)
    assert cluster.phase("scorer-r2") == "RolledBack"
    assert verdicts(cluster) == ["golden Fail"]
    assert not [r for r in cluster.revisions["scorer-r2"].status.records if r.message.startswith("slow-golden")]
    sound(cluster)


def test_a_first_release_serves_nobody_before_golden_data_passes() -> None:
    cluster = Bench(examined(spec("1", steps=PLAN)), oracle=golden(Verdict.ERROR))
    cluster.settle()
    cluster.run(60)
    assert cluster.route is None
    assert cluster.condition("MonitorsPassing") == ("Unknown", reasons.GATES_UNANSWERED)
    cluster.oracle = golden(Verdict.PASS)
    cluster.run(60)
    assert cluster.share("scorer-r1") == 100


def test_what_only_compares_says_nothing_of_a_first_release_and_speaks_in_the_next() -> None:
    cluster = Cluster(examined(spec("1", steps=PLAN)), oracle=golden(Verdict.FAIL))
    cluster.monitors[KEY] = COMPARED
    cluster.settle()
    cluster.run(120)
    assert cluster.status.phase == "Healthy"
    cluster.ask(examined(spec("2", steps=PLAN)))
    cluster.run(60)
    assert cluster.phase("scorer-r2") == "RolledBack"


@pytest.mark.parametrize("verdict", [Verdict.INCONCLUSIVE, Verdict.ERROR])
def test_what_cannot_be_told_holds_until_the_deadline_and_is_said_then(verdict: Verdict) -> None:
    cluster = waiting(verdict, progress_deadline=timedelta(minutes=10))
    cluster.run(480)
    assert cluster.phase("scorer-r2") == "Pending"
    cluster.run(120)
    assert cluster.condition("Promoted") == ("False", reasons.PROGRESS_DEADLINE_EXCEEDED)
    assert f"waiting for golden ({verdict}: " in (cluster.status.message or "")
    sound(cluster)


def late() -> Cluster:
    """Version 2 was paused while it waited for golden data."""
    cluster = waiting(progress_deadline=timedelta(minutes=5), on_deadline=OnDeadline.PAUSE)
    cluster.run(400)
    assert cluster.phase("scorer-r2") == "Paused"
    return cluster


def test_a_release_that_its_deadline_paused_takes_no_step_and_goes_on_where_it_was_when_resumed() -> None:
    cluster = late()
    cluster.oracle = golden(Verdict.PASS)
    cluster.run(60)
    revision = cluster.revisions["scorer-r2"]
    assert (revision.phase, revision.status.lane, revision.status.steps) == (RevisionPhase.PAUSED, None, [])
    cluster.oracle = golden(Verdict.INCONCLUSIVE)
    cluster.tick()
    decide(cluster, "olga@bank.example", Action.RESUME, "scorer-r2")
    cluster.run(30)
    assert (cluster.phase("scorer-r2"), cluster.share("scorer-r2")) == ("Pending", 0)
    cluster.oracle = golden(Verdict.PASS)
    cluster.run(120)
    assert cluster.phase("scorer-r2") == "Promoted"
    sound(cluster)


def test_a_pod_that_moves_while_its_release_is_paused_or_resumed_is_not_one_that_never_started() -> None:
    cluster = late()
    assert cluster.revisions["scorer-r2"].status.ready_at is not None
    cluster.broken["scorer-r2"] = STARTING
    cluster.run(700)  # startTimeout is over
    assert cluster.phase("scorer-r2") == "Paused"
    decide(cluster, "olga@bank.example", Action.RESUME, "scorer-r2")
    cluster.run(30)
    assert cluster.phase("scorer-r2") == "Pending"
    assert decided(cluster.world(), cluster.now).requeue_after != timedelta(0), "it is not waited for what is over"
    del cluster.broken["scorer-r2"]
    cluster.oracle = golden(Verdict.PASS)
    cluster.run(120)
    assert cluster.phase("scorer-r2") == "Promoted"
    sound(cluster)


def test_a_paused_release_still_falls_when_golden_data_fails() -> None:
    cluster = late()
    cluster.oracle = golden(Verdict.FAIL)
    cluster.tick()
    assert cluster.phase("scorer-r2") == "RolledBack"


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.ERROR])
def test_what_only_observes_is_waited_for_put_on_record_and_passed_by(verdict: Verdict) -> None:
    cluster = waiting(mode=MonitorMode.OBSERVE)
    assert cluster.revisions["scorer-r2"].status.reason == reasons.EVALUATING
    assert verdicts(cluster) == []
    cluster.oracle = golden(verdict)
    cluster.run(120)
    assert cluster.phase("scorer-r2") == "Promoted"
    assert verdicts(cluster) == [f"golden {verdict}"]


def test_a_person_takes_a_release_past_golden_data_that_cannot_be_told_and_its_steps_are_still_before_it() -> None:
    cluster = waiting(Verdict.ERROR)
    name = decide(cluster, "rita@bank.example", Action.PROMOTE, "scorer-r2")
    cluster.run(20)
    assert answer(cluster, name) == ("True", reasons.DECISION_ACCEPTED)
    assert round(cluster.share("scorer-r2")) == 10
    assert verdicts(cluster) == ["golden Error"]
    assert "it may take its steps without golden, says rita@bank.example" in " ".join(e.message for e in cluster.events)
    cluster.run(60)
    assert cluster.phase("scorer-r2") == "Promoted"
    sound(cluster)


def test_who_was_let_past_once_need_not_be_again() -> None:
    cluster = waiting(Verdict.ERROR)
    cluster.program_after = timedelta(hours=1)
    cluster.routed_at = cluster.now
    decide(cluster, "rita@bank.example", Action.PROMOTE, "scorer-r2")
    cluster.run(20)
    again = decide(cluster, "rita@bank.example", Action.PROMOTE, "scorer-r2")
    cluster.settle()
    assert cluster.phase("scorer-r2") == "Pending"
    assert answer(cluster, again) == ("False", reasons.NOT_POSSIBLE)


def test_nobody_takes_a_release_past_golden_data_that_fails() -> None:
    cluster = waiting()
    cluster.oracle = golden(Verdict.FAIL)
    cluster.now += timedelta(seconds=5)
    cluster.evaluate()
    name = decide(cluster, "rita@bank.example", Action.PROMOTE, "scorer-r2")
    cluster.settle()
    assert answer(cluster, name) == ("False", reasons.NOT_POSSIBLE)
    assert cluster.phase("scorer-r2") == "RolledBack"


def test_a_release_that_waits_for_the_gateway_alone_is_not_taken_past_anything() -> None:
    cluster = waiting()
    cluster.program_after = timedelta(hours=1)
    cluster.routed_at = cluster.now
    cluster.oracle = golden(Verdict.PASS)
    cluster.run(20)
    name = decide(cluster, "rita@bank.example", Action.PROMOTE, "scorer-r2")
    cluster.settle()
    assert answer(cluster, name) == ("False", reasons.NOT_POSSIBLE)
    assert cluster.revisions["scorer-r2"].status.lane is None


def test_a_gate_that_was_deleted_may_be_golden_data_and_holds() -> None:
    cluster = waiting()
    del cluster.monitors[KEY]
    cluster.run(60)
    assert cluster.revisions["scorer-r2"].status.lane is None
    assert "there is no ClusterModelMonitor named golden" in (cluster.status.message or "")


def test_a_pod_that_is_not_ready_for_a_while_has_started_all_the_same() -> None:
    cluster = waiting()
    cluster.run(900)
    cluster.broken["scorer-r2"] = STARTING
    cluster.run(30)
    assert asked(cluster) == set()
    assert cluster.phase("scorer-r2") == "Pending"
    assert cluster.condition("Progressing")[1] == STARTING.reason
    cluster.broken["scorer-r2"] = Workload(WorkloadState.FAILED, "CrashLoopBackOff", "exit code 1")
    cluster.tick()
    assert cluster.condition("Promoted") == ("False", reasons.WORKLOAD_UNHEALTHY)


def test_golden_data_is_asked_when_the_pods_are_ready_beside_the_stable_revision_and_never_again_after() -> None:
    cluster = waiting()
    (wanted,) = cluster.evaluations
    stable = cluster.revisions["scorer-r1"]
    assert (wanted.revision, wanted.stable, wanted.stable_model) == ("scorer-r2", "scorer-r1", stable.spec.model)
    assert (wanted.weight, wanted.mirrored) == (0, False)
    assert wanted.since == cluster.revisions["scorer-r2"].status.started_at
    cluster.broken["scorer-r2"] = STARTING
    cluster.tick()
    assert asked(cluster) == set()
    del cluster.broken["scorer-r2"]
    cluster.oracle = golden(Verdict.PASS)
    cluster.run(30)
    assert "golden" not in asked(cluster)


def test_a_stable_revision_is_not_asked_where_nothing_is_held_against_it() -> None:
    cluster = released("1", steps=PLAN)
    cluster.monitors[KEY] = LIMITED
    cluster.oracle = golden(Verdict.INCONCLUSIVE)
    cluster.ask(examined(spec("2", steps=PLAN)))
    cluster.run(30)
    (wanted,) = cluster.evaluations
    assert (wanted.stable, wanted.stable_model) == (None, None)


def test_a_verdict_beside_another_stable_revision_is_none() -> None:
    cluster = waiting(Verdict.ERROR)
    world = cluster.world()
    candidate, stable = cluster.revisions["scorer-r2"], cluster.revisions["scorer-r1"]
    assert gates.examined(world, candidate, stable).results[0].verdict is Verdict.ERROR
    later = replace(stable, status=stable.status.model_copy(update={"promoted_at": cluster.now + timedelta(seconds=1)}))
    (result,) = gates.examined(world, candidate, later).results
    assert (result.verdict, gates.unfinished(result)) == (Verdict.INCONCLUSIVE, True)


def test_golden_data_with_mode_watch_is_refused_before_anything_is_released() -> None:
    cluster = released()
    cluster.ask(examined(spec("2"), MonitorMode.WATCH))
    assert list(cluster.revisions) == ["scorer-r1"]
    assert cluster.condition("Progressing") == ("False", reasons.INVALID_SPEC)
    assert "golden with mode Watch" in (cluster.status.message or "")


@pytest.mark.parametrize(
    ("monitor", "mode", "first", "asks"),
    [
        pytest.param(GOLDEN, MonitorMode.GATE, True, True, id="limits-and-comparison-at-first"),
        pytest.param(COMPARED, MonitorMode.GATE, True, False, id="comparison-at-first"),
        pytest.param(COMPARED, MonitorMode.OBSERVE, False, True, id="comparison"),
        pytest.param(GOLDEN, MonitorMode.WATCH, False, False, id="watch"),
        pytest.param(ModelMonitorSpec.model_validate({"drift": {}}), MonitorMode.GATE, False, False, id="drift"),
    ],
)
def test_who_is_asked_before_there_is_traffic(
    monitor: ModelMonitorSpec, mode: MonitorMode, first: bool, asks: bool
) -> None:
    stable = None if first else released().revisions["scorer-r1"]
    assert steps.examines(monitor, MonitorUse(name="any", mode=mode), stable) is asks


def test_golden_data_has_nothing_to_say_at_a_step() -> None:
    assert not steps.applicable(GOLDEN, steps.PlannedStep(steps.StepKind.WEIGHT, 50), None)


def test_a_release_without_golden_data_waits_for_none() -> None:
    cluster = released("1", steps=PLAN)
    cluster.ask(spec("2", steps=PLAN))
    cluster.run(120)
    assert cluster.phase("scorer-r2") == "Promoted"
    assert reasons.EVALUATING not in {r.status.reason for r in cluster.revisions.values()}
