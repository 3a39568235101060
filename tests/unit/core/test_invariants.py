"""What holds in every run, whatever the monitors say, whenever the spec changes and wherever the operator dies.

The long searches are not measured for coverage, which would double their time: that every branch is taken is the
tables' business.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.api.modeldeployment import ModelDeploymentSpec, OnDeadline
from sluice.api.modelrevision import RevisionPhase
from sluice.api.record import RecordKind
from sluice.api.verdict import Verdict
from sluice.core import lanes
from sluice.core.plan import Plan
from sluice.core.world import RouteIntent, Workload, WorkloadState
from tests.unit.core.crashes import crashes
from tests.unit.core.simulation import Cluster, Crash, examined, released, serving, spec, steps

PLANS = [
    steps("shadow 20s", "10 20s", "50 20s", "100"),
    steps("25 10s", "100 20s"),
    steps("100"),
]


@dataclass
class Script:
    """What happens in a run: one entry per tick, drawn by Hypothesis."""

    verdicts: list[Verdict]
    edits: dict[int, str]
    crashes: set[int]
    broken: set[int]
    plan: int
    on_deadline: OnDeadline
    gateway_lag: int
    """Seconds until the gateway carries a route out."""
    golden: bool
    """Whether golden data is asked before there is any traffic."""


scripts = st.builds(
    Script,
    verdicts=st.lists(
        # Passes are drawn more often, or hardly any run would get past its first step.
        st.sampled_from([Verdict.PASS] * 6 + [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERROR]),
        min_size=30,
        max_size=80,
    ),
    edits=st.dictionaries(st.integers(2, 60), st.sampled_from("1234"), max_size=4),
    crashes=st.sets(st.integers(1, 60), max_size=8),
    broken=st.sets(st.integers(1, 60), max_size=2),
    plan=st.integers(0, len(PLANS) - 1),
    on_deadline=st.sampled_from(list(OnDeadline)),
    gateway_lag=st.sampled_from([0, 1, 7, 45]),
    golden=st.booleans(),
)


@dataclass
class Watcher:
    """Checks every single write against the invariants."""

    shares: dict[str, float] = field(default_factory=dict)
    """Each revision's share of live traffic after the write before."""

    def __call__(self, cluster: Cluster) -> None:
        self._weights_are_whole(cluster.route)
        self._nothing_is_routed_to_a_missing_workload(cluster)
        self._lanes_change_hands_only_without_traffic(cluster.route, cluster.carried_out)
        self._golden_data_comes_before_traffic(cluster)
        self._rises_are_earned(cluster)

    def _weights_are_whole(self, route: RouteIntent | None) -> None:
        if route is not None:
            assert sum(lane.weight for lane in route.lanes) == lanes.WHOLE
            assert all(lane.weight >= lanes.SLIVER for lane in route.lanes)
            assert sum(lanes.percentages(route).values()) == 100

    def _nothing_is_routed_to_a_missing_workload(self, cluster: Cluster) -> None:
        for route in (cluster.route, cluster.carried_out):
            if route is not None and cluster.route is not None:
                assert {lane.revision for lane in route.lanes} <= set(cluster.created)

    def _lanes_change_hands_only_without_traffic(self, asked: RouteIntent | None, done: RouteIntent | None) -> None:
        if asked is None or done is None:
            return
        for wanted, live in zip(asked.lanes, done.lanes, strict=True):
            if wanted.revision != live.revision:
                assert live.weight == lanes.SLIVER, f"{live} is to become {wanted}"

    def _golden_data_comes_before_traffic(self, cluster: Cluster) -> None:
        for name, revision in cluster.revisions.items():
            asked = any(use.name == "golden" for use in revision.spec.monitors)
            routed = cluster.share(name) > 0 or revision.status.lane is not None
            if asked and routed:
                said = [r.message for r in revision.status.records if r.kind is RecordKind.VERDICT_GIVEN]
                assert any(message.startswith("golden Pass") for message in said), f"{name} is in the route"

    def _rises_are_earned(self, cluster: Cluster) -> None:
        for name, revision in cluster.revisions.items():
            before, after = self.shares.get(name, 0.0), cluster.share(name)
            if after > before + 0.001 and revision.phase is RevisionPhase.PROGRESSING and before >= 0.001:
                # A later step of a release: the step before was left with every gate passing.
                left = revision.status.steps[-2]
                verdicts = {result.verdict for result in left.results}
                assert verdicts == {Verdict.PASS}, f"{name} rose from {before} to {after} after {verdicts}"
                assert left.started_at is not None
            self.shares[name] = after


def rollout(plan: int, on_deadline: OnDeadline) -> dict[str, object]:
    return {"steps": PLANS[plan], "progress_deadline": timedelta(minutes=5), "on_deadline": on_deadline}


def stated(version: str, plan: int, on_deadline: OnDeadline, *, golden: bool) -> ModelDeploymentSpec:
    plain = spec(version, **rollout(plan, on_deadline))
    return examined(plain) if golden else plain


@cache
def first_release(plan: int, on_deadline: OnDeadline, *, golden: bool) -> Cluster:
    return serving(stated("1", plan, on_deadline, golden=golden))


def play(script: Script) -> Cluster:
    cluster = first_release(script.plan, script.on_deadline, golden=script.golden).fork()
    cluster.program_after = timedelta(seconds=script.gateway_lag)
    cluster.on_write = Watcher()
    for tick, verdict in enumerate(script.verdicts):
        cluster.oracle = lambda _e, _n, verdict=verdict: verdict  # type: ignore[misc]
        if tick in script.crashes:
            cluster.crash_after = cluster.writes + 1
        if tick in script.broken and (candidate := cluster.status.candidate_revision):
            cluster.broken[candidate] = Workload(WorkloadState.FAILED, "CrashLoopBackOff", "exit code 1")
        if tick in script.edits:
            cluster.ask(stated(script.edits[tick], script.plan, script.on_deadline, golden=script.golden))
        cluster.tick()
        standing = [r.status.lane for r in cluster.revisions.values() if r.status.lane is not None]
        assert len(standing) == len(set(standing)), "two revisions in one lane"
    return cluster


@pytest.mark.no_cover
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts)
def test_weights_are_whole_rises_are_earned_and_every_run_ends_with_the_revision_promoted_last(script: Script) -> None:
    cluster = play(script)
    cluster.run(600, every=10)
    unfinished = [r.name for r in cluster.revisions.values() if r.in_progress and r.phase is not RevisionPhase.PAUSED]
    assert unfinished == []
    assert cluster.status.phase in ("Healthy", "Degraded", "Paused")
    if cluster.status.phase != "Paused":
        stable = max(
            (r for r in cluster.revisions.values() if r.status.promoted_at),
            key=lambda r: (r.status.promoted_at, r.number),
        )
        assert cluster.share(stable.name) == pytest.approx(100, abs=0.001)


@pytest.mark.no_cover
@settings(max_examples=100, deadline=None)
@given(verdicts=st.lists(st.sampled_from([Verdict.INCONCLUSIVE, Verdict.ERROR]), min_size=1, max_size=40))
def test_inconclusive_and_error_never_move_traffic(verdicts: list[Verdict]) -> None:
    cluster = in_mid_release().fork()
    before = cluster.route
    assert cluster.share("scorer-r2") == pytest.approx(10)
    for verdict in verdicts:
        cluster.oracle = lambda _e, _n, verdict=verdict: verdict  # type: ignore[misc]
        cluster.tick()
        assert cluster.route == before


@cache
def in_mid_release() -> Cluster:
    cluster = released()
    cluster.ask(spec("2", steps=steps("10 60s", "100")))
    cluster.run(20)
    return cluster


def scenario(name: str) -> Cluster:
    """A whole story, from nothing: first release, then what the name says."""
    wanted = examined(spec("1")) if name in EXAMINED else spec("1")
    return Cluster(wanted, on_write=None if name == "first release" else Watcher())


def tell(cluster: Cluster, name: str) -> None:
    """Play a story to its end."""
    cluster.settle()
    cluster.run(120)
    if name == "first release":
        return
    cluster.ask(examined(spec("2")) if name in EXAMINED else spec("2"))
    if name == "failed golden data":
        cluster.oracle = lambda _e, _n: Verdict.FAIL
    if name == "superseded":
        cluster.run(90)
        cluster.ask(spec("3"))
    if name == "rolled back":
        cluster.run(90)
        cluster.oracle = lambda _e, _n: Verdict.FAIL
    cluster.run(600)
    if name == "returned":
        cluster.ask(spec("1"))
        cluster.run(60)


def outcome(cluster: Cluster) -> tuple[object, ...]:
    """What must not depend on where the operator died."""
    phases = {name: revision.phase for name, revision in cluster.revisions.items()}
    return cluster.status.phase, cluster.status.stable_revision, phases, cluster.route, sorted(cluster.created)


EXAMINED = ["passed golden data", "failed golden data"]
STORIES = ["first release", "promoted", "rolled back", "superseded", "returned", *EXAMINED]


@pytest.mark.no_cover
@pytest.mark.parametrize("name", STORIES)
def test_a_crash_after_any_single_write_changes_no_outcome(name: str) -> None:
    undisturbed, ends = crashes(lambda: scenario(name), lambda cluster: tell(cluster, name))
    assert undisturbed.writes > 10
    for end in ends:
        crashed = f"after a crash behind write {end.after} of {undisturbed.writes}"
        assert outcome(end.cluster) == outcome(undisturbed), crashed


class Fragile(Cluster):
    """What its operator was about to release fails when the operator dies."""

    def reconcile(self) -> Plan:
        try:
            return super().reconcile()
        except Crash:
            if candidate := self.status.candidate_revision:
                self.broken[candidate] = Workload(WorkloadState.FAILED, "CrashLoopBackOff", "exit code 1")
            raise


def test_an_outcome_that_a_crash_changes_would_be_found() -> None:
    undisturbed, ends = crashes(lambda: Fragile(spec("1")), lambda cluster: tell(cluster, "promoted"))
    assert undisturbed.phase("scorer-r2") == "Promoted"
    assert any(outcome(end.cluster) != outcome(undisturbed) for end in ends)
