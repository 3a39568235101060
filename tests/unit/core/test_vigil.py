"""Drift at rest: when what serves is looked at, what a look may spend, and what comes of what it finds."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.api.evaluation import Evaluation as Golden
from sluice.api.modeldeployment import ModelDeploymentSpec, MonitorKind, MonitorMode, MonitorUse
from sluice.api.modelmonitor import Drift, DriftWatch, ModelMonitorSpec
from sluice.api.record import RecordKind
from sluice.api.verdict import LookKind, Verdict
from sluice.api.watch import OnBreach, Watch
from sluice.core import reasons, vigil
from sluice.core.decide import decide
from sluice.core.looks import Look
from sluice.core.plan import Evaluation
from tests.unit.core.examples import world
from tests.unit.core.simulation import START, Cluster, Oracle, spec, steps
from tests.unit.core.test_records import kinds, sound

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
HOURLY = DriftWatch()
NAME = "population-drift"
KEY = MonitorKind.CLUSTER_MODEL_MONITOR, NAME

watches = st.builds(
    DriftWatch,
    reference=st.integers(10, 7 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
    every=st.integers(5, 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
    alpha=st.sampled_from(["0.01", "0.05", "0.5"]),
)
ages = st.integers(0, 20 * 24 * 3600).map(lambda seconds: timedelta(seconds=seconds))


def watching(watch: DriftWatch | None = HOURLY, **drift: Any) -> ModelMonitorSpec:
    return ModelMonitorSpec(drift=Drift(watch=watch, **drift))


def sharing(*modes: MonitorMode, watch: DriftWatch = HOURLY) -> float:
    """What one look may spend where so many drift monitors look, of these modes."""
    uses = [MonitorUse(name=f"drift-{number}", mode=mode) for number, mode in enumerate(modes)]
    silent, unknown = MonitorUse(name="prediction-drift"), MonitorUse(name="nobody-defined-it")
    monitors = {(use.kind, use.name): watching(watch) for use in uses} | {(silent.kind, silent.name): watching(None)}
    asked = spec("7").model_copy(update={"monitors": [*uses, silent, unknown]})
    return vigil.alpha(world(spec=asked, monitors=monitors), watch)


# When


@pytest.mark.parametrize(
    ("age", "due", "kind"),
    [
        pytest.param(9 * MINUTE, None, None, id="nothing-has-come-yet"),
        pytest.param(10 * MINUTE, 10 * MINUTE, LookKind.REFERENCE, id="the-reference-begins"),
        pytest.param(5 * HOUR + MINUTE, 5 * HOUR, LookKind.REFERENCE, id="it-grows"),
        pytest.param(DAY, DAY, LookKind.REFERENCE, id="it-is-whole"),
        pytest.param(DAY + 59 * MINUTE, DAY, LookKind.REFERENCE, id="nothing-came-after-it-yet"),
        pytest.param(DAY + HOUR, DAY + HOUR, LookKind.WATCH, id="the-first-look"),
        pytest.param(DAY + 119 * MINUTE, DAY + HOUR, LookKind.WATCH, id="still-the-first"),
        pytest.param(DAY + 2 * HOUR, DAY + 2 * HOUR, LookKind.WATCH, id="the-second"),
        pytest.param(9 * DAY + 61 * MINUTE, 9 * DAY + HOUR, LookKind.WATCH, id="after-an-outage-the-newest-only"),
        pytest.param(-MINUTE, None, None, id="by-the-clock-of-a-new-leader"),
    ],
)
def test_the_look_that_is_due(age: timedelta, due: timedelta | None, kind: LookKind | None) -> None:
    expected = Look(START + due, kind) if due is not None and kind is not None else None
    assert vigil.due(START, HOURLY, START + age) == expected


@given(watches, ages)
def test_no_look_before_the_reference_is_whole_and_what_it_sees_is_over(watch: DriftWatch, age: timedelta) -> None:
    now = START + age
    look = vigil.due(START, watch, now)
    if look is None or look.kind is LookKind.REFERENCE:
        assert now < vigil.first_due(START, watch)
    else:
        assert vigil.first_due(START, watch) <= look.due <= now < look.due + watch.every


@given(watches, ages)
def test_it_is_woken_for_each_look_and_for_nothing_else(watch: DriftWatch, age: timedelta) -> None:
    now = START + age
    woken = vigil.next_due(START, watch, now)
    assert woken > now
    look = vigil.due(START, watch, woken)
    assert look is not None
    assert look.due == woken
    assert vigil.due(START, watch, woken - timedelta(microseconds=1)) == vigil.due(START, watch, now)


@given(watches, st.integers(0, 10_000))
def test_the_looks_of_a_day_spend_no_more_than_its_budget_and_see_each_row_once(watch: DriftWatch, first: int) -> None:
    """Of any day, at whatever hour it begins."""
    begun = vigil.first_due(START, watch) + first * MINUTE
    taken: list[datetime] = []
    now = begun
    while now < begun + DAY:
        look = vigil.due(START, watch, now)
        assert look is not None
        if look.due >= begun:
            taken.append(look.due)
        now = vigil.next_due(START, watch, now)
    assert len(set(taken)) == len(taken)
    assert {later - earlier for earlier, later in itertools.pairwise(taken)} <= {watch.every}
    assert len(taken) * sharing(MonitorMode.GATE, watch=watch) <= float(watch.alpha) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("every", "modes", "expected"),
    [
        pytest.param(HOUR, [MonitorMode.GATE], 0.01 / 24, id="one-gate"),
        pytest.param(HOUR, [MonitorMode.GATE, MonitorMode.WATCH], 0.01 / 48, id="two-that-decide"),
        pytest.param(HOUR, [MonitorMode.OBSERVE], 0.01 / 24, id="one-that-is-recorded-only"),
        pytest.param(HOUR, [MonitorMode.GATE, MonitorMode.OBSERVE], 0.01 / 24, id="what-is-recorded-takes-no-share"),
        pytest.param(DAY, [MonitorMode.GATE], 0.01, id="one-look-a-day"),
        pytest.param(13 * HOUR, [MonitorMode.GATE], 0.005, id="a-day-may-have-two"),
    ],
)
def test_what_a_look_may_spend(every: timedelta, modes: list[MonitorMode], expected: float) -> None:
    assert sharing(*modes, watch=DriftWatch(every=every)) == pytest.approx(expected)


# What comes of it


def at_rest(
    watch: DriftWatch | None = HOURLY,
    mode: MonitorMode = MonitorMode.GATE,
    *,
    on_breach: OnBreach = OnBreach.ALERT,
    sustained: timedelta = 5 * MINUTE,
) -> Cluster:
    """Version 2 has just been promoted, and version 1 still runs."""

    def asked(version: str) -> ModelDeploymentSpec:
        rollout = {"steps": steps("50 20s", "100"), "rollback_window": 7 * DAY}
        rest = Watch(sustained=sustained, on_breach=on_breach)
        uses = [MonitorUse(name="error-rate"), MonitorUse(name=NAME, mode=mode)]
        return spec(version, **rollout).model_copy(update={"watch": rest, "monitors": uses})

    cluster = Cluster(asked("1"))
    cluster.monitors[KEY] = watching(watch)
    cluster.settle()
    cluster.run(60)
    cluster.ask(asked("2"))
    cluster.run(60)
    assert cluster.status.stable_revision == "scorer-r2", cluster.status.message
    return cluster


def promoted(cluster: Cluster) -> datetime:
    at = cluster.revisions["scorer-r2"].status.promoted_at
    assert at is not None
    return at


def until(cluster: Cluster, age: timedelta, every: float = 600) -> None:
    """Time passes until what serves is of an age."""
    end = promoted(cluster) + age
    while cluster.now < end:
        cluster.tick(min(every, (end - cluster.now).total_seconds()))
    cluster.tick(5)


def saying(*verdicts: Verdict) -> Oracle:
    """What the looks find, one after the other; the last for ever."""
    seen: list[datetime] = []

    def answer(wanted: Evaluation, _now: datetime) -> Verdict:
        if wanted.use.name != NAME or wanted.look is None or wanted.look.kind is not LookKind.WATCH:
            return Verdict.INCONCLUSIVE if wanted.look is not None else Verdict.PASS
        if wanted.look.due not in seen:
            seen.append(wanted.look.due)
        return verdicts[min(seen.index(wanted.look.due), len(verdicts) - 1)]

    return answer


def looks(cluster: Cluster) -> list[Look | None]:
    wanted = decide(cluster.world(), cluster.now).evaluations
    return [one.look for one in wanted if one.use.name == NAME]


def test_it_is_asked_about_what_serves_alone_with_its_share_of_a_day() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.PASS)
    assert looks(cluster) == []
    until(cluster, DAY + HOUR)
    (wanted,) = [one for one in decide(cluster.world(), cluster.now).evaluations if one.use.name == NAME]
    assert (wanted.revision, wanted.stable, wanted.since) == ("scorer-r2", None, promoted(cluster))
    assert wanted.look == Look(promoted(cluster) + DAY + HOUR, LookKind.WATCH)
    assert wanted.alpha == pytest.approx(0.01 / 24)
    assert cluster.condition("MonitorsPassing") == ("True", reasons.ALL_PASSING)


def test_until_the_first_look_it_decides_nothing_and_says_when_it_will() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.PASS)
    for age in (MINUTE, 5 * HOUR, DAY + 50 * MINUTE):
        until(cluster, age)
        found = next(result for result in cluster.status.monitors or [] if result.name == NAME)
        assert (found.verdict, found.reason, found.mode) == (
            Verdict.INCONCLUSIVE,
            reasons.REFERENCE_INCOMPLETE,
            MonitorMode.OBSERVE,
        )
        assert (promoted(cluster) + DAY + HOUR).strftime("%Y-%m-%dT%H:%M") in found.message
        assert cluster.condition("MonitorsPassing") == ("True", reasons.ALL_PASSING)


def test_that_nobody_collects_the_reference_is_said() -> None:
    cluster = at_rest()
    cluster.oracle = lambda wanted, _now: Verdict.ERROR if wanted.look is not None else Verdict.PASS
    until(cluster, HOUR)
    assert cluster.condition("MonitorsPassing") == ("Unknown", reasons.GATES_UNANSWERED)


def test_a_first_look_that_has_no_answer_yet_says_so() -> None:
    cluster = at_rest()
    cluster.results.clear()
    cluster.evaluations = ()
    cluster.now = promoted(cluster) + 2 * DAY
    cluster.settle()
    assert cluster.condition("MonitorsPassing") == ("Unknown", reasons.GATES_INCONCLUSIVE)


def test_it_wakes_when_a_look_is_due() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.PASS)
    until(cluster, DAY + HOUR)
    assert decide(cluster.world(), cluster.now).requeue_after == HOUR - timedelta(seconds=5)


def test_two_bad_looks_with_one_in_between_that_cannot_tell_are_not_in_a_row() -> None:
    """However nearly as long as a look spec.watch.sustained is: looks have no grace for coming late."""
    cluster = at_rest(sustained=HOUR - timedelta(seconds=30))
    cluster.oracle = saying(Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.FAIL)
    until(cluster, DAY + 3 * HOUR)
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")
    until(cluster, DAY + 4 * HOUR)
    assert RecordKind.BREACHED in kinds(cluster, "scorer-r2")


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("sustained", "bad_looks"),
    [
        pytest.param(timedelta(0), 1, id="at-once"),
        pytest.param(5 * MINUTE, 2, id="two-in-a-row"),
        pytest.param(HOUR, 2, id="as-long-as-a-look"),
        pytest.param(2 * HOUR, 3, id="three-in-a-row"),
    ],
)
def test_so_many_bad_looks_make_a_breach_and_one_that_passes_ends_it(sustained: timedelta, bad_looks: int) -> None:
    cluster = at_rest(sustained=sustained)
    cluster.oracle = saying(*[Verdict.FAIL] * (bad_looks + 1), Verdict.PASS)
    until(cluster, DAY + bad_looks * HOUR - MINUTE)
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")
    assert cluster.condition("MonitorsPassing")[1] == (
        reasons.FAILING_BRIEFLY if bad_looks > 1 else reasons.ALL_PASSING
    )
    until(cluster, DAY + bad_looks * HOUR)
    assert cluster.condition("MonitorsPassing") == ("False", reasons.BREACHED)
    until(cluster, DAY + (bad_looks + 2) * HOUR)
    assert cluster.condition("MonitorsPassing") == ("True", reasons.ALL_PASSING)
    assert kinds(cluster, "scorer-r2")[-2:] == [RecordKind.BREACHED, RecordKind.RECOVERED]
    sound(cluster)


def test_a_look_that_is_taken_again_after_a_restart_counts_once() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.FAIL, Verdict.PASS)
    until(cluster, DAY + HOUR)
    for _ in range(5):
        cluster.results, cluster.looked = {}, {}
        cluster.tick(480)
    assert cluster.condition("MonitorsPassing") == ("Unknown", reasons.FAILING_BRIEFLY)
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")


def test_two_bad_looks_with_one_in_between_that_cannot_tell_are_no_breach() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.FAIL, Verdict.PASS)
    until(cluster, DAY + 4 * HOUR)
    assert RecordKind.BREACHED not in kinds(cluster, "scorer-r2")
    assert cluster.condition("MonitorsPassing") == ("True", reasons.ALL_PASSING)


def test_a_look_that_fails_does_not_keep_the_operator_busy_until_the_next() -> None:
    cluster = at_rest()
    cluster.oracle = saying(Verdict.FAIL)
    until(cluster, DAY + HOUR + 10 * MINUTE)
    pause = decide(cluster.world(), cluster.now).requeue_after
    assert pause is not None
    assert pause > 40 * MINUTE
    before = cluster.writes
    cluster.run(1800, every=60)
    assert cluster.writes == before


def test_a_breach_returns_to_the_revision_before_where_that_is_asked_for() -> None:
    cluster = at_rest(mode=MonitorMode.WATCH, on_breach=OnBreach.ROLLBACK)
    cluster.oracle = saying(Verdict.FAIL)
    until(cluster, DAY + 2 * HOUR)
    cluster.run(30)
    assert cluster.status.stable_revision == "scorer-r1"
    sound(cluster)


def test_what_is_recorded_only_makes_no_breach() -> None:
    cluster = at_rest(mode=MonitorMode.OBSERVE, on_breach=OnBreach.ROLLBACK)
    cluster.oracle = saying(Verdict.FAIL)
    until(cluster, DAY + 5 * HOUR)
    assert cluster.status.stable_revision == "scorer-r2"
    assert next(r.verdict for r in cluster.status.monitors or [] if r.name == NAME) is Verdict.FAIL


GOLDEN = Golden.model_validate(
    {"data": {"uri": "s3://golden/a.csv"}, "label": "truth", "metric": "MAE", "limits": {"max": "1"}}
)


@pytest.mark.parametrize(
    ("monitor", "remedy"),
    [
        pytest.param(watching(None), "spec.drift.watch", id="drift"),
        pytest.param(
            ModelMonitorSpec.model_validate({"slo": {"bad": "bad", "total": "total", "compare": {"maxRatio": "2"}}}),
            "limits of its own",
            id="only-compares",
        ),
        pytest.param(ModelMonitorSpec(evaluation=GOLDEN), "before the first step", id="golden-data"),
    ],
)
def test_a_gauge_that_is_to_decide_at_rest_and_cannot_is_said(monitor: ModelMonitorSpec, remedy: str) -> None:
    cluster = at_rest(mode=MonitorMode.WATCH)
    cluster.monitors[KEY] = monitor
    cluster.run(60)
    assert cluster.condition("MonitorsPassing") == ("Unknown", reasons.GATES_UNANSWERED)
    found = next(result for result in cluster.status.monitors or [] if result.name == NAME)
    assert (found.verdict, found.reason) == (Verdict.ERROR, reasons.SILENT_AT_REST)
    assert remedy in found.message


@pytest.mark.parametrize("mode", [MonitorMode.GATE, MonitorMode.OBSERVE])
def test_of_other_modes_a_drift_monitor_without_a_watch_is_silent_as_ever(mode: MonitorMode) -> None:
    cluster = at_rest(None, mode)
    until(cluster, 2 * HOUR)
    assert cluster.condition("MonitorsPassing") == ("True", reasons.ALL_PASSING)
    assert looks(cluster) == []
    assert [result.name for result in cluster.status.monitors or []] == ["workload-health", "error-rate"]
