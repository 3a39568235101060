"""When drift monitors look, and what a look may spend."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from sluice.api.modeldeployment import MonitorKind, MonitorMode, MonitorUse
from sluice.api.modelmonitor import Drift, DriftSubject, ModelMonitorSpec
from sluice.api.verdict import LookKind, MonitorResult, Verdict
from sluice.core import looks
from sluice.core.plan import Evaluation
from tests.unit.core.simulation import Cluster, guarding, passing, released, spec
from tests.unit.core.simulation import steps as planned

DRIFT = MonitorUse(name="prediction-drift")
KEY = MonitorKind.CLUSTER_MODEL_MONITOR, DRIFT.name
PLANNED, GUARD = 0.009 / 3, 0.001 / 9
"""Of 0.01, over a shadow step, 10 % and 50 %: at 100 % there is nothing left to compare with."""


def under_way(version: str = "2", *texts: str, mode: MonitorMode = MonitorMode.GATE) -> Cluster:
    """A release that has been asked for, over a stable one."""
    cluster = released()
    wanted = spec(version, **({"steps": planned(*texts)} if texts else {}))
    uses = [use.model_copy(update={"mode": mode}) if use.name == DRIFT.name else use for use in wanted.monitors or []]
    cluster.ask(wanted.model_copy(update={"monitors": uses}))
    return cluster


def spending(cluster: Cluster, name: str = "scorer-r2", use: MonitorUse = DRIFT) -> list[float | None]:
    """What a planned look may spend, and a guard look."""
    world, revision, stable = cluster.world(), cluster.revisions[name], cluster.revisions["scorer-r1"]
    return [looks.alpha(world, revision, stable, use, kind) for kind in (LookKind.PLANNED, LookKind.GUARD)]


def asked(cluster: Cluster, until: str = "Promoted") -> list[tuple[LookKind, float]]:
    """Every time that the drift monitor was asked until the end: what for, and how many seconds into the step."""
    found: list[tuple[LookKind, float]] = []
    oracle = cluster.oracle

    def listening(wanted: Evaluation, now: datetime) -> Verdict:
        if wanted.look is not None:
            found.append((wanted.look.kind, (now - wanted.since).total_seconds()))
        return oracle(wanted, now)

    cluster.oracle = listening
    while cluster.phase("scorer-r2") != until:
        cluster.tick(1)
    return found


def test_the_budget_is_spent_over_looks_and_guards() -> None:
    cluster = under_way()
    (fixed,) = cluster.revisions["scorer-r2"].spec.looks
    assert (fixed.monitor, fixed.looks, fixed.alpha) == ("prediction-drift", 3, "0.003")
    assert (fixed.guards, fixed.guard_alpha) == (9, "0.000111111")
    assert spending(cluster) == pytest.approx([PLANNED, GUARD], rel=1e-5)
    assert fixed.looks * 0.003 + fixed.guards * 0.000111111 == pytest.approx(0.01, rel=1e-5)


def test_a_step_without_a_hold_has_no_guards_and_leaves_all_to_its_look() -> None:
    cluster = under_way("2", "10", "100")
    (fixed,) = cluster.revisions["scorer-r2"].spec.looks
    assert (fixed.looks, fixed.alpha, fixed.guards, fixed.guard_alpha) == (1, "0.01", 0, None)
    assert spending(cluster) == [0.01, None]


def test_rankings_are_looked_at_in_shadows_only() -> None:
    cluster = released()
    drift = Drift(subject=DriftSubject.RANKING)
    cluster.monitors[MonitorKind.CLUSTER_MODEL_MONITOR, "prediction-drift"] = ModelMonitorSpec(drift=drift)
    cluster.ask(spec("2", steps=planned("shadow 60s", "10 60s", "100")))
    seen = asked(cluster)
    (fixed,) = cluster.revisions["scorer-r2"].spec.looks
    assert (fixed.looks, fixed.guards) == (1, 3)
    assert [kind for kind, _ in seen].count(LookKind.PLANNED) == 1
    at_ten = cluster.revisions["scorer-r2"].status.steps[1]
    assert [result.name for result in at_ten.results] == ["workload-health", "error-rate"]


def test_drift_gates_share_the_budget_and_each_has_its_own_looks() -> None:
    cluster = released()
    other = MonitorUse(name="input-drift")
    cluster.monitors[MonitorKind.CLUSTER_MODEL_MONITOR, "input-drift"] = ModelMonitorSpec(drift=Drift(alpha="0.02"))
    wanted = spec("2")
    cluster.ask(wanted.model_copy(update={"monitors": [*(wanted.monitors or []), other]}))
    cluster.run(30)
    assert [fixed.monitor for fixed in cluster.revisions["scorer-r2"].spec.looks] == ["prediction-drift", "input-drift"]
    assert spending(cluster) == pytest.approx([0.009 / 6, 0.001 / 18], rel=1e-5)
    assert spending(cluster, use=other) == pytest.approx([0.018 / 6, 0.002 / 18], rel=1e-5)


def test_nobody_raises_the_budget_of_a_release_under_way() -> None:
    cluster = under_way()
    cluster.monitors[KEY] = cluster.monitors[KEY].model_copy(update={"drift": Drift(alpha="0.5")})
    assert spending(cluster) == pytest.approx([PLANNED, GUARD], rel=1e-5)
    cluster.ask(spec("3"))
    cluster.run(30)
    assert spending(cluster, "scorer-r3")[0] == pytest.approx(0.45 / 3, rel=1e-5)


def test_a_revision_that_fixed_nothing_has_the_budget_that_it_would_have_fixed() -> None:
    # It was made by an earlier version, or the monitor was of another kind then.
    cluster = under_way()
    revision = cluster.revisions["scorer-r2"]
    cluster.revisions["scorer-r2"] = replace(revision, spec=revision.spec.model_copy(update={"looks": []}))
    assert spending(cluster) == pytest.approx([PLANNED, GUARD], rel=1e-5)


def test_only_drift_monitors_look_and_only_where_there_is_something_to_compare_with() -> None:
    cluster = under_way()
    assert spending(cluster, use=MonitorUse(name="error-rate")) == [None, None]
    assert cluster.revisions["scorer-r1"].spec.looks == []


def test_a_look_knows_the_candidate_s_share_and_copies_have_none() -> None:
    cluster = under_way()
    shares: dict[datetime, int | None] = {}
    while cluster.phase("scorer-r2") != "Promoted":
        cluster.tick()
        shares |= {wanted.since: wanted.weight for wanted in cluster.evaluations}
    assert list(shares.values()) == [None, 10, 50]


def failing_guard(wanted: Evaluation, _now: datetime) -> Verdict:
    return Verdict.FAIL if guarding(wanted) else Verdict.PASS


def test_guards_look_after_an_eighth_a_quarter_and_half_of_a_hold_once_each() -> None:
    assert asked(under_way("2", "50 80s", "100")) == [
        (LookKind.GUARD, 11),
        (LookKind.GUARD, 21),
        (LookKind.GUARD, 41),
        (LookKind.PLANNED, 81),
    ]


def test_a_guard_that_cannot_tell_yet_asks_again_until_the_next_is_due() -> None:
    cluster = under_way("2", "50 80s", "100")

    def oracle(wanted: Evaluation, now: datetime) -> Verdict:
        early = wanted.look is not None and now - wanted.since < timedelta(seconds=13)
        return Verdict.INCONCLUSIVE if early else Verdict.PASS

    cluster.oracle = oracle
    assert [seconds for look, seconds in asked(cluster) if look is LookKind.GUARD] == [11, 12, 13, 21, 41]


def test_a_gross_failure_is_taken_back_in_mid_hold() -> None:
    cluster = under_way("2", "50 80s", "100")
    cluster.oracle = failing_guard
    assert asked(cluster, until="RolledBack") == [(LookKind.GUARD, 11)]
    assert cluster.share("scorer-r2") < 1
    assert cluster.revisions["scorer-r2"].status.reason == "DriftDetected"


def test_a_guard_that_only_observes_decides_nothing_and_is_shown() -> None:
    cluster = under_way("2", "50 80s", "100", mode=MonitorMode.OBSERVE)
    cluster.oracle = failing_guard
    while cluster.revisions["scorer-r2"].status.step_started_at() is None:
        cluster.tick(1)
    cluster.run(30)
    (said,) = [m for m in cluster.status.monitors or [] if m.name == "prediction-drift"]
    assert (said.verdict, said.mode) == (Verdict.FAIL, MonitorMode.OBSERVE)
    assert cluster.revisions["scorer-r2"].status.steps[0].results == [], "the look that counts is yet to come"
    cluster.run(60)
    assert cluster.phase("scorer-r2") == "Promoted"


def test_what_guards_pass_moves_nothing() -> None:
    cluster = under_way("2", "50 80s", "100")

    def oracle(wanted: Evaluation, _now: datetime) -> Verdict:
        return Verdict.INCONCLUSIVE if wanted.look is not None and not guarding(wanted) else Verdict.PASS

    cluster.oracle = oracle
    cluster.run(300)
    assert cluster.phase("scorer-r2") == "Progressing", "guards pass, and the planned look cannot tell"
    cluster.oracle = passing
    cluster.run(60)
    assert cluster.phase("scorer-r2") == "Promoted"


def test_a_guard_s_late_pass_is_no_planned_look() -> None:
    cluster = under_way("2", "50 80s", "100")
    cluster.oracle = lambda wanted, _: Verdict.PASS if wanted.look is None else Verdict.ERROR
    while cluster.revisions["scorer-r2"].status.step_started_at() is None:
        cluster.tick(1)
    cluster.run(120)
    late = MonitorResult(
        name=DRIFT.name, verdict=Verdict.PASS, reason="Late", look=LookKind.GUARD, observed_at=cluster.now
    )
    cluster.results["scorer-r2", DRIFT.name] = late
    cluster.settle()
    assert cluster.phase("scorer-r2") == "Progressing"
    assert cluster.revisions["scorer-r2"].status.steps[0].results == []


def test_a_verdict_that_no_look_asked_for_counts_for_nothing() -> None:
    cluster = under_way("2", "50 80s", "100")
    while cluster.revisions["scorer-r2"].status.step_started_at() is None:
        cluster.tick(1)
    early = MonitorResult(name=DRIFT.name, verdict=Verdict.FAIL, reason="DriftDetected", observed_at=cluster.now)
    cluster.results["scorer-r2", DRIFT.name] = early  # before the first guard
    cluster.settle()
    assert cluster.phase("scorer-r2") == "Progressing"
    (said,) = [m for m in cluster.status.monitors or [] if m.name == DRIFT.name]
    assert (said.verdict, said.message) == (Verdict.INCONCLUSIVE, "a verdict is due when the hold ends")
