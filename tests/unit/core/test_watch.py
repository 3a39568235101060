"""What goes on after a promotion: what serves is measured on, and a breach is told, recorded and, if asked, undone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from sluice.api.modeldecision import Action
from sluice.api.modeldeployment import ModelDeploymentSpec, MonitorKind, MonitorMode, MonitorUse, Serving
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.modelrevision import RevisionPhase
from sluice.api.record import RecordKind
from sluice.api.verdict import Verdict
from sluice.api.watch import OnBreach, Watch
from sluice.core import reasons
from sluice.core.decide import decide
from sluice.core.plan import Evaluation
from sluice.core.world import Resolving, Workload, WorkloadState
from tests.unit.core.crashes import crashes
from tests.unit.core.people import decide as decide_as
from tests.unit.core.simulation import STARTING, Cluster, Oracle, passing, spec, steps
from tests.unit.core.test_records import kinds, sound

QUICK = steps("50 20s", "100")


def asked(version: str, on_breach: OnBreach | None = OnBreach.ROLLBACK, **rollout: Any) -> ModelDeploymentSpec:
    watch = Watch(sustained=timedelta(minutes=1), on_breach=on_breach) if on_breach is not None else None
    return spec(version, steps=QUICK, **rollout).model_copy(update={"watch": watch})


def at_rest(on_breach: OnBreach | None = OnBreach.ROLLBACK, **rollout: Any) -> Cluster:
    """Version 2 serves, and version 1 still runs."""
    cluster = Cluster(asked("1", on_breach, **rollout))
    cluster.settle()
    cluster.run(120)
    cluster.ask(asked("2", on_breach, **rollout))
    cluster.run(120)
    assert cluster.status.phase == "Healthy"
    assert cluster.share("scorer-r2") == pytest.approx(100, abs=0.001)
    return cluster


def saying(verdict: Verdict, revision: str = "scorer-r2", monitor: str = "error-rate") -> Oracle:
    def answer(wanted: Evaluation, _now: object) -> Verdict:
        return verdict if (wanted.revision, wanted.use.name) == (revision, monitor) else Verdict.PASS

    return answer


def test_what_serves_is_measured_by_the_levels_that_can_speak_alone() -> None:
    cluster = at_rest()
    (wanted,) = decide(cluster.world(), cluster.now).evaluations
    assert (wanted.revision, wanted.use.name, wanted.stable, wanted.weight) == ("scorer-r2", "error-rate", None, 100)
    assert wanted.since == cluster.revisions["scorer-r2"].status.promoted_at
    assert cluster.condition("MonitorsPassing") == ("True", reasons.ALL_PASSING)
    assert [(r.name, r.verdict) for r in cluster.status.monitors or []] == [
        ("workload-health", Verdict.PASS),
        ("error-rate", Verdict.PASS),
    ]


def test_nothing_is_measured_where_nobody_asks_for_it() -> None:
    cluster = at_rest(on_breach=None)
    assert decide(cluster.world(), cluster.now).evaluations == ()


def test_during_a_release_the_candidate_is_measured_and_what_serves_is_not() -> None:
    cluster = at_rest()
    cluster.ask(asked("3"))
    cluster.run(20)
    assert {wanted.revision for wanted in decide(cluster.world(), cluster.now).evaluations} == {"scorer-r3"}


def test_a_bad_minute_is_no_breach() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(50)
    assert cluster.condition("MonitorsPassing") == ("Unknown", reasons.FAILING_BRIEFLY)
    cluster.oracle = passing
    cluster.run(10)
    assert cluster.condition("MonitorsPassing") == ("True", reasons.ALL_PASSING)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(50)
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")
    assert cluster.share("scorer-r2") == pytest.approx(100, abs=0.001)


@pytest.mark.parametrize("verdict", [Verdict.INCONCLUSIVE, Verdict.ERROR])
def test_what_cannot_tell_makes_no_breach_and_ends_none(verdict: Verdict) -> None:
    cluster = at_rest()
    cluster.oracle = saying(verdict)
    cluster.run(300)
    assert cluster.condition("MonitorsPassing")[0] == "Unknown"
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(30)
    cluster.oracle = saying(verdict)
    cluster.run(40)
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(5)
    assert RecordKind.BREACHED in kinds(cluster, "scorer-r2"), "it has not passed since it first failed"


@pytest.mark.parametrize("silence", ["inconclusive", "no-operator"])
def test_two_bad_moments_with_a_long_silence_in_between_are_no_breach(silence: str) -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(20)
    cluster.oracle = saying(Verdict.INCONCLUSIVE)
    if silence == "inconclusive":
        cluster.run(3600, every=30)
    else:
        cluster.now += timedelta(hours=1)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(50)
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")
    cluster.run(20)
    assert RecordKind.BREACHED in kinds(cluster, "scorer-r2")


def test_a_short_time_is_long_enough_to_be_seen_in() -> None:
    cluster = at_rest()
    brief = Watch(sustained=timedelta(seconds=1), on_breach=OnBreach.ROLLBACK)
    cluster.ask(cluster.spec.model_copy(update={"watch": brief}))
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(15)
    assert cluster.status.stable_revision == "scorer-r1"


def test_before_it_is_a_breach_it_is_noted_a_few_times_only() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(5)
    before = cluster.writes
    cluster.run(50, every=1)
    assert cluster.writes - before <= 3


def test_a_breach_is_told_once_put_on_record_and_over_when_it_passes() -> None:
    cluster = at_rest(OnBreach.ALERT)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(300)
    assert cluster.condition("MonitorsPassing") == ("False", reasons.BREACHED)
    assert cluster.status.phase == "Healthy"
    assert cluster.share("scorer-r2") == pytest.approx(100, abs=0.001)
    told = [event for event in cluster.events if event.reason == reasons.BREACHED]
    assert len(told) == 1
    assert "it serves on, as spec.watch.onBreach says" in told[0].message
    cluster.oracle = passing
    cluster.run(10)
    assert cluster.condition("MonitorsPassing") == ("True", reasons.ALL_PASSING)
    assert kinds(cluster, "scorer-r2")[-2:] == [RecordKind.BREACHED, RecordKind.RECOVERED]
    sound(cluster)


def test_while_it_lasts_nothing_is_written() -> None:
    cluster = at_rest(OnBreach.ALERT)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(100)
    before = cluster.writes
    cluster.run(300)
    assert cluster.writes == before


def test_after_a_breach_the_traffic_returns_to_the_revision_before() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(70)
    assert cluster.share("scorer-r1") == pytest.approx(100, abs=0.001)
    assert cluster.status.stable_revision == "scorer-r1"
    assert cluster.status.phase == "Degraded"
    assert "scorer-r2 breached error-rate, and the traffic returned to scorer-r1" in (cluster.status.message or "")
    assert cluster.condition("Promoted") == ("False", reasons.RETURNED)
    assert cluster.condition("MonitorsPassing") == ("True", reasons.ALL_PASSING)
    assert kinds(cluster, "scorer-r1")[-2:] == [RecordKind.REUSED, RecordKind.PROMOTED]
    assert kinds(cluster, "scorer-r2")[-2:] == [RecordKind.BREACHED, RecordKind.REPLACED]
    sound(cluster)


def test_the_breach_is_over_when_the_spec_agrees() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    cluster.ask(asked("1"))
    assert cluster.status.phase == "Healthy"
    assert cluster.condition("Promoted")[0] == "True"
    sound(cluster)


@pytest.mark.parametrize("why", ["a person", "the spec"])
def test_it_never_goes_to_a_later_revision_that_was_left_on_purpose(why: str) -> None:
    cluster = at_rest()
    if why == "a person":
        decide_as(cluster, "olga@bank.example", Action.ROLLBACK, "scorer-r1")
    else:
        cluster.ask(asked("1"))
    cluster.run(30)
    assert cluster.status.stable_revision == "scorer-r1"
    cluster.oracle = saying(Verdict.FAIL, "scorer-r1")
    cluster.run(300)
    assert cluster.status.stable_revision == "scorer-r1"
    assert cluster.condition("MonitorsPassing") == ("False", reasons.BREACHED)


def test_an_edit_that_cannot_be_acted_on_yet_is_acted_on_after_the_return() -> None:
    cluster = at_rest()
    cluster.resolution = Resolving()
    cluster.ask(asked("3"))
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    assert cluster.status.stable_revision == "scorer-r1"
    cluster.resolution = None
    cluster.run(120)
    assert cluster.status.stable_revision == "scorer-r3"
    assert cluster.revisions["scorer-r3"].spec.model.version == "3"


def test_it_returns_after_a_release_that_failed_too() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.FAIL, "scorer-r3")
    cluster.ask(asked("3"))
    cluster.run(60)
    assert cluster.phase("scorer-r3") == "RolledBack"
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    assert cluster.status.stable_revision == "scorer-r1"
    assert any("scorer-r1 takes over" in event.message for event in cluster.events)


def test_what_cannot_be_told_by_the_version_is_told_too() -> None:
    """The same version, served another way."""
    cluster = at_rest()
    serving = Serving(model_format="sklearn", runtime="another")
    cluster.ask(cluster.spec.model_copy(update={"serving": serving}))
    cluster.run(120)
    assert cluster.status.stable_revision == "scorer-r3"
    cluster.oracle = saying(Verdict.FAIL, "scorer-r3")
    cluster.run(90)
    assert cluster.status.stable_revision == "scorer-r2"
    assert cluster.status.phase == "Degraded"
    assert cluster.condition("Promoted") == ("False", reasons.RETURNED)


def test_while_the_next_release_waits_what_serves_is_watched_and_nothing_is_taken_from_it() -> None:
    cluster = at_rest()
    cluster.ready_after = timedelta(hours=1)
    cluster.ask(asked("3"))
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(120)
    assert cluster.phase("scorer-r3") == "Pending"
    assert cluster.condition("MonitorsPassing") == ("False", reasons.BREACHED)
    assert any("it serves on until scorer-r3 is released" in event.message for event in cluster.events)
    cluster.ready_after = timedelta(0)
    cluster.run(10)
    assert cluster.phase("scorer-r3") == "Progressing"
    assert cluster.condition("MonitorsPassing") == ("False", reasons.BREACHED), "it is as bad as before"
    cluster.run(60)
    assert cluster.status.stable_revision == "scorer-r3"
    assert cluster.condition("MonitorsPassing")[0] != "False"


def test_a_gauge_whose_definition_is_gone_cannot_tell_and_ends_nothing() -> None:
    cluster = at_rest(OnBreach.ALERT)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    cluster.monitors.pop((MonitorKind.CLUSTER_MODEL_MONITOR, "error-rate"))
    cluster.run(60)
    assert cluster.condition("MonitorsPassing") == ("False", reasons.BREACHED)
    results = {result.name: (result.verdict, result.reason) for result in cluster.status.monitors or []}
    assert results["error-rate"] == (Verdict.ERROR, reasons.MONITOR_NOT_FOUND)


def test_nothing_is_taken_back_while_nobody_can_tell() -> None:
    cluster = at_rest(OnBreach.ALERT)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    cluster.oracle = saying(Verdict.ERROR)
    cluster.run(10)
    cluster.ask(asked("2", OnBreach.ROLLBACK))
    cluster.run(120)
    assert cluster.status.stable_revision == "scorer-r2"
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(10)
    assert cluster.status.stable_revision == "scorer-r1"


def test_it_waits_for_the_revision_before_to_be_ready() -> None:
    cluster = at_rest()
    cluster.broken["scorer-r1"] = STARTING
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    assert cluster.status.stable_revision == "scorer-r2"
    assert any("it serves on until scorer-r1 is ready" in event.message for event in cluster.events)
    del cluster.broken["scorer-r1"]
    cluster.run(10)
    assert cluster.status.stable_revision == "scorer-r1"


def test_a_workload_without_a_pod_that_answers_is_a_breach() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.INCONCLUSIVE)
    cluster.broken["scorer-r2"] = Workload(WorkloadState.FAILED, "CrashLoopBackOff", "exit code 1", restarts=9)
    cluster.run(90)
    assert cluster.status.stable_revision == "scorer-r1"
    assert "no pod answers: exit code 1" in cluster.revisions["scorer-r2"].status.records[-2].message


def test_restarts_over_time_and_a_pod_that_is_replaced_are_none() -> None:
    cluster = at_rest()
    cluster.broken["scorer-r2"] = Workload(WorkloadState.STARTING, "Rolling", "1 of 2 pods ready", 40, available=1)
    cluster.run(300)
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")
    assert cluster.condition("MonitorsPassing")[0] == "Unknown"


def test_it_never_returns_to_a_revision_that_breached_itself() -> None:
    cluster = at_rest()
    cluster.oracle = lambda wanted, _now: Verdict.FAIL if wanted.use.name == "error-rate" else Verdict.PASS
    cluster.run(1200)
    assert cluster.status.stable_revision == "scorer-r1"
    assert cluster.reasons().count(reasons.RETURNED) == 1
    assert any("does not run any more, or breached itself" in event.message for event in cluster.events)


def test_a_revision_that_was_left_on_purpose_is_no_way_back_by_its_number_either() -> None:
    cluster = at_rest()
    decide_as(cluster, "olga@bank.example", Action.ROLLBACK, "scorer-r1")
    cluster.run(30)
    cluster.oracle = saying(Verdict.FAIL, "scorer-r1")
    cluster.run(90)
    cluster.ask(asked("3"))
    cluster.run(120)
    assert cluster.status.stable_revision == "scorer-r3"
    cluster.oracle = saying(Verdict.FAIL, "scorer-r3")
    cluster.run(300)
    assert cluster.status.stable_revision == "scorer-r3", "scorer-r1 breached, and scorer-r2 was left"


def test_what_somebody_asked_for_already_is_waited_for() -> None:
    cluster = at_rest()
    cluster.ask(asked("3"))
    cluster.run(120)
    cluster.broken["scorer-r1"] = STARTING
    cluster.ask(asked("1"))
    cluster.oracle = saying(Verdict.FAIL, "scorer-r3")
    cluster.run(120)
    assert cluster.status.stable_revision == "scorer-r3"
    del cluster.broken["scorer-r1"]
    cluster.run(10)
    assert cluster.status.stable_revision == "scorer-r1"
    assert cluster.status.phase == "Healthy"


@pytest.mark.parametrize(
    "spoken",
    [
        {"webhook": {"url": "https://checks.risk.svc/x", "interval": "1h"}},
        {"performance": {"metric": "MAE", "limits": {"max": "0.5"}, "interval": "1h"}},
    ],
)
def test_one_answer_that_stands_for_long_is_no_long_failure(spoken: dict[str, Any]) -> None:
    """Who is asked once in a while must say Fail again before that is a breach."""
    cluster = at_rest()
    cluster.monitors[MonitorKind.CLUSTER_MODEL_MONITOR, "error-rate"] = ModelMonitorSpec.model_validate(spoken)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.tick()
    kept = cluster.results
    for minutes in range(1, 50):
        cluster.now += timedelta(minutes=1)
        cluster.settle()
        assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2"), minutes
    assert cluster.results is kept
    cluster.now += timedelta(minutes=12)
    cluster.evaluate()
    cluster.settle()
    assert RecordKind.BREACHED in kinds(cluster, "scorer-r2")


LABELS = {"performance": {"metric": "ROCAUC", "positive": "1", "limits": {"min": "0.85"}, "interval": "5s"}}
HOOK = {"webhook": {"url": "https://checks.risk.svc/x", "interval": "5s", "timeout": "60s", "retries": 2}}


@pytest.mark.parametrize(
    ("spoken", "seconds", "breaches"),
    [(LABELS, 20, True), (LABELS, 60, True), (LABELS, 120, False), (HOOK, 200, True), (HOOK, 300, False)],
)
def test_answers_that_come_late_one_after_the_other_make_a_breach(
    spoken: dict[str, Any], seconds: int, breaches: bool
) -> None:
    """On a busy cluster whoever is asked each five seconds is read each twenty: that is slow, and not silent."""
    cluster = at_rest()
    brief = Watch(sustained=timedelta(seconds=10), on_breach=OnBreach.ROLLBACK)
    cluster.ask(cluster.spec.model_copy(update={"watch": brief}))
    cluster.monitors[MonitorKind.CLUSTER_MODEL_MONITOR, "error-rate"] = ModelMonitorSpec.model_validate(spoken)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(10 * seconds, every=seconds)
    assert (RecordKind.BREACHED in kinds(cluster, "scorer-r2")) is breaches


def test_what_is_there_to_watch_holds_no_release_and_decides_after_it() -> None:
    watching = {"monitors": [MonitorUse(name="error-rate", mode=MonitorMode.WATCH)]}
    cluster = Cluster(asked("1").model_copy(update=watching))
    cluster.settle()
    cluster.run(120)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.ask(asked("2").model_copy(update=watching))
    cluster.run(240)
    assert cluster.status.stable_revision == "scorer-r1", "back again"
    assert [kind for kind in kinds(cluster, "scorer-r2") if kind in (RecordKind.PROMOTED, RecordKind.BREACHED)] == [
        RecordKind.PROMOTED,
        RecordKind.BREACHED,
    ]


def test_what_only_compares_says_nothing_of_what_is_alone() -> None:
    cluster = at_rest()
    cluster.monitors[MonitorKind.CLUSTER_MODEL_MONITOR, "error-rate"] = ModelMonitorSpec.model_validate(
        {"performance": {"metric": "MAE", "compare": {"maxDegradation": "0.1"}}}
    )
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(600)
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")


def test_where_no_earlier_revision_runs_it_serves_on() -> None:
    cluster = at_rest(rollback_window=timedelta(seconds=30))
    cluster.run(120)
    assert not cluster.revisions["scorer-r1"].running
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(120)
    assert cluster.status.stable_revision == "scorer-r2"
    assert cluster.condition("MonitorsPassing") == ("False", reasons.BREACHED)


def test_what_breached_is_released_again_through_its_gates_only() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    cluster.ask(asked("1"))
    assert cluster.status.phase == "Healthy"
    cluster.oracle = passing
    cluster.ask(asked("2"))
    cluster.run(15)
    assert cluster.revisions["scorer-r3"].spec.model.version == "2"
    assert cluster.phase("scorer-r3") == RevisionPhase.PROGRESSING
    cluster.run(120)
    assert cluster.status.stable_revision == "scorer-r3"


def test_a_breach_stands_while_the_next_is_released_and_watching_goes_on_when_it_fell() -> None:
    cluster = at_rest(OnBreach.ALERT)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    cluster.oracle = lambda wanted, _now: Verdict.FAIL if wanted.use.name == "error-rate" else Verdict.PASS
    cluster.ask(asked("3", OnBreach.ALERT))
    cluster.run(60)
    assert cluster.phase("scorer-r3") == "RolledBack"
    assert cluster.status.stable_revision == "scorer-r2"
    assert [b.monitor for b in cluster.revisions["scorer-r2"].status.breached] == ["error-rate"]
    cluster.oracle = passing
    cluster.run(10)
    assert kinds(cluster, "scorer-r2")[-1] is RecordKind.RECOVERED
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    assert cluster.condition("MonitorsPassing") == ("False", reasons.BREACHED)


def test_what_failed_before_a_release_counts_anew_after_it() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(50)
    cluster.oracle = saying(Verdict.FAIL, "scorer-r3")
    cluster.ask(asked("3"))
    cluster.run(60)
    assert cluster.phase("scorer-r3") == "RolledBack"
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(50)
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")


@pytest.mark.parametrize("edit", ["no watch", "no monitors", "another monitor"])
def test_a_breach_of_what_is_not_watched_any_more_is_over(edit: str) -> None:
    cluster = at_rest(OnBreach.ALERT)
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(90)
    changes: dict[str, dict[str, Any]] = {
        "no watch": {"watch": None},
        "no monitors": {"monitors": []},
        "another monitor": {"monitors": [MonitorUse(name="latency")]},
    }
    cluster.monitors[next(iter(cluster.monitors))[0], "latency"] = next(iter(cluster.monitors.values()))
    cluster.ask(cluster.spec.model_copy(update=changes[edit]))
    cluster.run(20)
    assert kinds(cluster, "scorer-r2")[-1] is RecordKind.RECOVERED
    assert cluster.revisions["scorer-r2"].status.breached == []
    assert cluster.condition("MonitorsPassing")[1] != reasons.BREACHED


def test_an_observing_monitor_breaches_nothing() -> None:
    cluster = at_rest()
    observing = [MonitorUse(name="error-rate", mode=MonitorMode.OBSERVE)]
    cluster.ask(cluster.spec.model_copy(update={"monitors": observing}))
    cluster.oracle = saying(Verdict.FAIL)
    cluster.run(300)
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")
    assert [r.verdict for r in cluster.status.monitors or []] == [Verdict.PASS, Verdict.FAIL]


def test_an_answer_from_before_the_promotion_says_nothing() -> None:
    cluster = at_rest()
    cluster.results = {
        name: result.model_copy(update={"observed_at": cluster.now - timedelta(hours=1), "verdict": Verdict.FAIL})
        for name, result in cluster.results.items()
    }
    cluster.settle()
    assert cluster.condition("MonitorsPassing")[0] == "Unknown"
    assert cluster.revisions["scorer-r2"].status.failing == []


@pytest.mark.no_cover
def test_a_crash_after_any_single_write_changes_no_outcome_of_a_breach() -> None:
    def story(cluster: Cluster) -> None:
        cluster.settle()
        cluster.run(120)
        cluster.ask(asked("2"))
        cluster.run(120)
        cluster.oracle = saying(Verdict.FAIL)
        cluster.run(100)

    undisturbed, ends = crashes(lambda: Cluster(asked("1")), story)
    assert undisturbed.status.stable_revision == "scorer-r1"
    for end in ends:
        assert end.cluster.status.stable_revision == "scorer-r1", f"after a crash behind write {end.after}"
        for name in undisturbed.revisions:
            assert kinds(end.cluster, name) == kinds(undisturbed, name), f"after a crash behind write {end.after}"
        sound(end.cluster)
