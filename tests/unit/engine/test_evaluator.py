"""Rounds of verdicts: how often is asked, who is woken, and what an unexpected answer comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from sluice.api.measure import Limits
from sluice.api.modeldeployment import MonitorUse
from sluice.api.modelmonitor import SLO, Drift, ModelMonitorSpec
from sluice.api.verdict import LookKind, MonitorResult, Verdict
from sluice.core import slo
from sluice.core.looks import Look
from sluice.core.plan import Evaluation
from sluice.core.slo import Sample, Vector
from sluice.edges.prometheus import PrometheusUnavailableError, QueryRejectedError
from sluice.engine.evaluator import Evaluator
from sluice.engine.store import Key
from tests.unit.engine.answers import PlayedAsker, PlayedDrift, PlayedPrometheus
from tests.unit.engine.fakes import START, Time

ERRORS = ModelMonitorSpec(
    slo=SLO(
        bad="sum by (namespace, revision) (bad)",
        total="sum by (namespace, revision) (all)",
        window=timedelta(seconds=60),
        min_samples=10,
        limits=Limits(max="0.01"),
    )
)
DRIFT = ModelMonitorSpec(drift=Drift())
KEY = Key("risk", "scorer")


def evaluation(monitor: ModelMonitorSpec = ERRORS, key: Key = KEY, use: str = "gauge") -> Evaluation:
    return Evaluation(
        namespace=key.namespace,
        deployment=key.name,
        revision=f"{key.name}-r2",
        use=MonitorUse(name=use),
        monitor=monitor,
        since=START,
        lane=1,
        lane_clean_since=START - timedelta(hours=1),
        stable=None,
        stable_lane=None,
        mirrored=False,
    )


def requests(count: float, key: Key = KEY) -> Sample:
    return Sample({"namespace": key.namespace, "revision": f"{key.name}-r2"}, count)


class Rounds:
    """An evaluator and what surrounds it."""

    def __init__(self) -> None:
        self.time = Time(START + timedelta(seconds=10))
        self.prometheus = PlayedPrometheus(answers={"sum by (namespace, revision) (all)": [requests(100)]})
        self.drift = PlayedDrift()
        self.woken: list[Key] = []
        self.webhooks, self.performance, self.examinations = PlayedAsker(), PlayedAsker(), PlayedAsker()
        self.evaluator = Evaluator(
            self.prometheus,
            self.drift,
            self.time,
            self.woken.append,
            lambda _key, _name: [],
            self.webhooks,
            self.performance,
            self.examinations,
        )

    async def tick(self) -> list[Key]:
        """One round; who was woken by it."""
        self.woken.clear()
        await self.evaluator.tick()
        await asyncio.gather(*self.evaluator._looking.values())
        self.time.pass_(5)
        return list(self.woken)

    def verdict(self, key: Key = KEY, use: str = "gauge") -> Verdict:
        return self.evaluator.results(key)[f"{key.name}-r2", use].verdict


@pytest.fixture
def rounds() -> Rounds:
    return Rounds()


async def test_two_hundred_canaries_with_three_monitors_cost_as_many_queries_as_one(rounds: Rounds) -> None:
    latency = ERRORS.model_copy(update={"slo": SLO(query="latency", total="requests", limits=Limits(max="80"))})
    saturation = ERRORS.model_copy(update={"slo": SLO(query="saturation", total="requests", limits=Limits(max="1"))})
    for number in range(200):
        key = Key("risk", f"model-{number}")
        uses = {"errors": ERRORS, "latency": latency, "saturation": saturation}
        rounds.evaluator.want(key, tuple(evaluation(monitor, key, use) for use, monitor in uses.items()))
    await rounds.tick()
    assert len(rounds.prometheus.asked) == 5
    assert len(rounds.woken) == 600


async def test_a_deployment_is_woken_when_a_verdict_changes_and_not_otherwise(rounds: Rounds) -> None:
    rounds.evaluator.want(KEY, (evaluation(),))
    assert await rounds.tick() == [KEY]
    assert await rounds.tick() == []
    rounds.prometheus.answers["sum by (namespace, revision) (bad)"] = [requests(50)]
    assert await rounds.tick() == [KEY]
    assert rounds.verdict() is Verdict.FAIL


async def test_it_is_woken_once_more_when_a_pass_no_longer_looks_back_before_the_step(rounds: Rounds) -> None:
    rounds.evaluator.want(KEY, (evaluation(),))
    woken_at = [second for second in range(10, 100, 5) if await rounds.tick()]
    assert woken_at == [10, 60]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(QueryRejectedError("parse error"), "QueryFailed", id="syntax"),
        pytest.param(PrometheusUnavailableError("refused"), "SourceUnavailable", id="away"),
    ],
)
async def test_a_query_without_an_answer_is_an_error(
    rounds: Rounds, answer: QueryRejectedError | PrometheusUnavailableError, reason: str
) -> None:
    rounds.prometheus.default = answer
    rounds.prometheus.answers.clear()
    rounds.evaluator.want(KEY, (evaluation(),))
    await rounds.tick()
    assert rounds.verdict() is Verdict.ERROR
    assert rounds.evaluator.results(KEY)["scorer-r2", "gauge"].reason == reason


async def test_an_answer_to_what_is_not_asked_any_more_is_dropped(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds.evaluator.want(KEY, (evaluation(),))
    later = replace(evaluation(), since=START + timedelta(minutes=5))

    async def meanwhile(promql: str) -> Vector:
        rounds.evaluator.want(KEY, (later,))
        return Vector([requests(100)])

    monkeypatch.setattr(rounds.prometheus, "query", meanwhile)
    assert await rounds.tick() == []
    assert rounds.evaluator.results(KEY) == {}


async def test_results_are_forgotten_with_what_asked_for_them(rounds: Rounds) -> None:
    rounds.evaluator.want(KEY, (evaluation(),))
    await rounds.tick()
    rounds.evaluator.want(KEY, ())
    assert rounds.evaluator.results(KEY) == {}
    assert not rounds.evaluator.busy
    assert await rounds.tick() == []


async def test_a_monitor_that_nobody_foresaw_does_not_keep_the_others_from_being_judged(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = slo.judge

    def judged(wanted: Evaluation, vectors: Mapping[str, Vector], now: datetime) -> MonitorResult:
        if wanted.use.name == "odd":
            raise ZeroDivisionError
        return judge(wanted, vectors, now)

    monkeypatch.setattr(slo, "judge", judged)
    rounds.evaluator.want(KEY, (evaluation(use="odd"), evaluation()))
    await rounds.tick()
    assert (rounds.verdict(use="odd"), rounds.verdict()) == (Verdict.ERROR, Verdict.PASS)


async def test_drift_is_judged_by_the_drift_service(rounds: Rounds) -> None:
    rounds.drift.verdict = Verdict.FAIL
    rounds.evaluator.want(KEY, (evaluation(DRIFT),))
    assert await rounds.tick() == [KEY]
    assert rounds.verdict() is Verdict.FAIL


async def test_a_look_that_found_something_out_is_not_taken_again_and_the_next_one_is(rounds: Rounds) -> None:
    guard, planned = (
        replace(evaluation(DRIFT), look=Look(START + timedelta(seconds=seconds), kind))
        for seconds, kind in ((5, LookKind.GUARD), (40, LookKind.PLANNED))
    )
    rounds.drift.verdict = Verdict.INCONCLUSIVE
    rounds.evaluator.want(KEY, (guard,))
    await rounds.tick()
    rounds.drift.verdict = Verdict.PASS
    assert [await rounds.tick() for _ in range(3)] == [[KEY], [], []]
    assert rounds.drift.asked == [guard, guard]
    rounds.evaluator.want(KEY, (planned,))
    assert await rounds.tick() == [KEY], "a pass of another kind"
    assert rounds.drift.asked == [guard, guard, planned]


async def test_what_a_release_found_out_is_not_the_next_one_s(rounds: Rounds) -> None:
    guard = replace(evaluation(DRIFT), look=Look(START, LookKind.GUARD))
    rounds.evaluator.want(KEY, (guard,))
    await rounds.tick()
    rounds.evaluator.want(KEY, ())
    rounds.evaluator.want(KEY, (guard,))
    await rounds.tick()
    assert len(rounds.drift.asked) == 2


async def test_a_slow_drift_service_is_not_asked_twice_at_a_time(
    rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = asyncio.Event()
    asked = 0

    async def slow(*_: object) -> object:
        nonlocal asked
        asked += 1
        await release.wait()
        raise ValueError("too late")

    monkeypatch.setattr(rounds.drift, "judge", slow)
    rounds.evaluator.want(KEY, (evaluation(DRIFT),))
    for _ in range(3):
        await rounds.evaluator.tick()
        await asyncio.sleep(0)
    assert asked == 1
    release.set()


async def test_an_unforeseen_answer_of_the_drift_service_is_an_error_and_not_a_silence(rounds: Rounds) -> None:
    rounds.drift.verdict = KeyError("verdict")
    rounds.evaluator.want(KEY, (evaluation(DRIFT),))
    assert await rounds.tick() == [KEY]
    assert rounds.verdict() is Verdict.ERROR


WEBHOOK = ModelMonitorSpec.model_validate({"webhook": {"url": "http://checks.risk.svc/fraud", "interval": "20s"}})


async def test_a_webhook_is_asked_at_once_and_then_once_an_interval(rounds: Rounds) -> None:
    rounds.evaluator.want(KEY, (evaluation(WEBHOOK),))
    assert await rounds.tick() == [KEY]
    assert rounds.verdict() is Verdict.PASS
    for _ in range(8):  # of 5 s
        assert await rounds.tick() == []
    assert len(rounds.webhooks.asked) == 3
    rounds.webhooks.verdict = Verdict.FAIL
    woken = [await rounds.tick() for _ in range(4)]
    assert woken.count([KEY]) == 1
    assert rounds.verdict() is Verdict.FAIL


async def test_performance_is_asked_once_an_interval_of_who_knows_the_labels(rounds: Rounds) -> None:
    spec = {"performance": {"metric": "MAE", "limits": {"max": "1"}, "interval": "20s"}}
    rounds.evaluator.want(KEY, (evaluation(ModelMonitorSpec.model_validate(spec)),))
    for _ in range(9):  # of 5 s
        await rounds.tick()
    assert (len(rounds.performance.asked), rounds.webhooks.asked) == (3, [])
    assert rounds.verdict() is Verdict.PASS


GOLDEN = ModelMonitorSpec.model_validate(
    {
        "evaluation": {
            "data": {"uri": "s3://golden/fraud.parquet"},
            "metric": "MAE",
            "label": "truth",
            "limits": {"max": "1"},
        }
    }
)


async def test_the_job_of_an_evaluation_is_looked_at_each_round_and_told_of_when_it_has_news(rounds: Rounds) -> None:
    rounds.examinations.verdict = Verdict.INCONCLUSIVE
    rounds.evaluator.want(KEY, (evaluation(GOLDEN),))
    assert [await rounds.tick() for _ in range(3)] == [[KEY], [], []]
    assert (len(rounds.examinations.asked), rounds.webhooks.asked) == (3, [])
    rounds.examinations.message = "ask: ImagePullBackOff"
    assert await rounds.tick() == [KEY]
    rounds.examinations.verdict = Verdict.PASS
    assert await rounds.tick() == [KEY]
    assert rounds.verdict() is Verdict.PASS


@pytest.mark.parametrize("said", [Verdict.PASS, Verdict.FAIL])
async def test_what_golden_data_said_stands_though_its_pod_is_gone(rounds: Rounds, said: Verdict) -> None:
    rounds.examinations.verdict = said
    wanted = evaluation(GOLDEN)
    rounds.evaluator.want(KEY, (wanted,))
    await rounds.tick()
    rounds.examinations.verdict = Verdict.ERROR
    rounds.evaluator.want(KEY, (replace(wanted),))
    assert [await rounds.tick() for _ in range(3)] == [[], [], []]
    assert (rounds.verdict(), len(rounds.examinations.asked)) == (said, 1)
    rounds.evaluator.want(KEY, (replace(wanted, stable="scorer-r1"),))
    await rounds.tick()
    assert (rounds.verdict(), len(rounds.examinations.asked)) == (Verdict.ERROR, 2)


async def test_golden_data_that_could_not_be_asked_is_asked_again(rounds: Rounds) -> None:
    rounds.examinations.verdict = Verdict.ERROR
    rounds.evaluator.want(KEY, (evaluation(GOLDEN),))
    await rounds.tick()
    rounds.examinations.verdict = Verdict.PASS
    await rounds.tick()
    assert rounds.verdict() is Verdict.PASS


async def test_at_the_next_step_a_webhook_is_asked_anew(rounds: Rounds) -> None:
    first = evaluation(WEBHOOK)
    rounds.evaluator.want(KEY, (first,))
    await rounds.tick()
    rounds.evaluator.want(KEY, (replace(first, since=rounds.time(), weight=50),))
    await rounds.tick()
    assert [asked.weight for asked in rounds.webhooks.asked] == [None, 50]
    rounds.evaluator.want(KEY, ())
    rounds.evaluator.want(KEY, (first,))
    await rounds.tick()
    assert len(rounds.webhooks.asked) == 3


async def test_what_nobody_foresaw_of_a_webhook_is_an_error_and_does_not_end_the_round(rounds: Rounds) -> None:
    rounds.webhooks.verdict = RuntimeError("surprise")
    rounds.evaluator.want(KEY, (evaluation(WEBHOOK), evaluation(use="errors")))
    await rounds.tick()
    assert rounds.verdict() is Verdict.ERROR
    assert rounds.verdict(use="errors") is not Verdict.ERROR


class Hanging:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[int | None] = []
        self.go = asyncio.Event()

    async def judge(self, wanted: Evaluation, now: datetime) -> MonitorResult:
        self.asked.append(wanted.weight)
        await self.go.wait()
        return MonitorResult(name=wanted.use.name, verdict=Verdict.PASS, reason="Played", observed_at=now)


async def test_a_question_under_way_does_not_keep_the_next_step_from_being_asked(rounds: Rounds) -> None:
    rounds.evaluator._webhooks = hanging = Hanging()
    first = evaluation(WEBHOOK)
    for weight in (10, 50):
        rounds.evaluator.want(KEY, (replace(first, weight=weight),))
        await rounds.evaluator.tick()
        await asyncio.sleep(0)
    assert hanging.asked == [10, 50]
    hanging.go.set()
    await asyncio.gather(*rounds.evaluator._looking.values())
    await asyncio.sleep(0)
    assert rounds.verdict() is Verdict.PASS
    assert rounds.evaluator._looking == {}


async def test_what_is_wanted_again_is_asked_again_though_it_was_never_answered(rounds: Rounds) -> None:
    rounds.evaluator._webhooks = hanging = Hanging()
    for evaluations in ((evaluation(WEBHOOK),), (), (evaluation(WEBHOOK),)):
        rounds.evaluator.want(KEY, evaluations)
        await rounds.evaluator.tick()
        await asyncio.sleep(0)
    assert len(hanging.asked) == 2
    rounds.evaluator.want(KEY, ())
    assert rounds.evaluator._looking == {}


async def test_an_answer_to_a_gauge_that_was_edited_since_is_none(rounds: Rounds) -> None:
    rounds.evaluator.want(KEY, (evaluation(),))
    await rounds.tick()
    assert rounds.evaluator.results(KEY)
    rounds.evaluator.want(KEY, (evaluation(ERRORS.model_copy(update={"description": "edited"})),))
    assert rounds.evaluator.results(KEY) == {}
