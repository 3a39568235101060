"""Evaluator: one round of verdicts for all rollouts. Each distinct query is asked once, however many share it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from sluice.api.modelrevision import Column
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import promql, reasons, slo
from sluice.core.looks import Look
from sluice.core.plan import Evaluation
from sluice.edges import metrics
from sluice.edges.prometheus import PrometheusUnavailableError, QueryRejectedError
from sluice.engine.store import Key

log = logging.getLogger(__name__)

Results = dict[tuple[str, str], MonitorResult]
Answer = slo.Vector | QueryRejectedError | PrometheusUnavailableError
_CONCURRENT_QUERIES = 8
_CONCURRENT_LOOKS = 4
_CONCURRENT_WATCHES = 2
"""Looks at what serves, over the rows of a day perhaps: those of a release do not wait for them."""


class Querier(Protocol):
    """Prometheus, or a double."""

    async def query(self, promql: str) -> slo.Vector: ...


class Judge(Protocol):
    """The drift service, or a double."""

    async def judge(self, wanted: Evaluation, signature: list[Column], now: datetime) -> MonitorResult: ...


class Asker(Protocol):
    """Whoever is asked now and then: somebody else's service, sluice-monitor for performance, the Job of an evaluation,
    or a double."""

    async def judge(self, wanted: Evaluation, now: datetime) -> MonitorResult: ...


class Evaluator:
    """Keeps the wanted evaluations of every deployment and the latest verdict on each."""

    def __init__(
        self,
        prometheus: Querier,
        drift: Judge,
        clock: Callable[[], datetime],
        wake: Callable[[Key], None],
        signature: Callable[[Key, str], list[Column]],
        webhooks: Asker,
        performance: Asker,
        examinations: Asker,
    ) -> None:
        """``wake`` is called for a deployment whose verdicts changed; ``signature`` gives a revision's columns."""
        self._prometheus = prometheus
        self._drift = drift
        self._webhooks = webhooks
        self._performance = performance
        self._examinations = examinations
        self._clock = clock
        self._wake = wake
        self._signature = signature
        self._wanted: dict[Key, tuple[Evaluation, ...]] = {}
        self._results: dict[Key, Results] = {}
        self._looking: dict[tuple[Key, str, str], asyncio.Task[None]] = {}
        self._looked: dict[tuple[Key, str, str], Look | None] = {}
        """The last look of each drift monitor that is settled. It is not taken again."""
        self._told: dict[tuple[Key, str, str], tuple[Evaluation, datetime | None]] = {}
        """What was last asked of those who are asked now and then, and when; None where the answer stands."""
        self._asking = asyncio.Semaphore(_CONCURRENT_QUERIES)
        self._judging = asyncio.Semaphore(_CONCURRENT_LOOKS)
        self._watching = asyncio.Semaphore(_CONCURRENT_WATCHES)

    def want(self, key: Key, evaluations: tuple[Evaluation, ...]) -> None:
        """From now on measure this, and only this, for a deployment."""
        before = {(e.revision, e.use.name): (e.use, e.monitor) for e in self._wanted.get(key, ())}
        # An answer to a gauge that was edited since is no answer to it.
        same = [e for e in evaluations if before.get((e.revision, e.use.name)) in (None, (e.use, e.monitor))]
        names = {(e.revision, e.use.name) for e in same}
        table = self._results.get(key, {})
        for name in table.keys() - names:
            del table[name]
            self._looked.pop((key, *name), None)
            metrics.forget(key.namespace, key.name, *name)
        if not table:
            self._results.pop(key, None)
        for slot in [slot for slot in self._told if slot[0] == key and slot[1:] not in names]:
            self._leave(slot)
        if evaluations:
            self._wanted[key] = evaluations
        else:
            self._wanted.pop(key, None)

    def results(self, key: Key) -> Mapping[tuple[str, str], MonitorResult]:
        """The latest verdicts for a deployment, by (revision, monitor)."""
        return dict(self._results.get(key, {}))

    @property
    def busy(self) -> bool:
        """Whether anything is being measured."""
        return bool(self._wanted)

    async def tick(self) -> None:
        """One round: levels now, everything else in the background."""
        with metrics.TICK.time():
            now = self._clock()  # before asking: a window may reach back further than it says, never less far
            levels = [(key, wanted) for key, all_ in self._wanted.items() for wanted in all_ if wanted.monitor.slo]
            answers = await self.ask({query for _, wanted in levels for query in _queries(wanted)})
            for key, wanted in levels:
                self._take(key, wanted, _judge(wanted, answers, now))
        for key, all_ in self._wanted.items():
            for wanted in all_:
                if wanted.monitor.drift:
                    self._look(key, wanted)
                elif (interval := wanted.monitor.interval) is not None:
                    self._tell(key, wanted, interval)

    async def ask(self, queries: Iterable[str]) -> dict[str, Answer]:
        """Every query's answer, or why there is none."""
        listed = list(queries)
        return dict(zip(listed, await asyncio.gather(*(self._ask(query) for query in listed)), strict=True))

    async def _ask(self, query: str) -> Answer:
        async with self._asking:
            try:
                answer = await self._prometheus.query(query)
            except (QueryRejectedError, PrometheusUnavailableError) as error:
                metrics.QUERIES.labels(type(error).__name__.removesuffix("Error")).inc()
                return error
        metrics.QUERIES.labels("Answered").inc()
        return answer

    def _look(self, key: Key, wanted: Evaluation) -> None:
        slot = (key, wanted.revision, wanted.use.name)
        known = slot in self._looked and self._looked[slot] == wanted.look
        if not known:
            self._start(slot, key, wanted)

    def _tell(self, key: Key, wanted: Evaluation, interval: timedelta) -> None:
        slot = (key, wanted.revision, wanted.use.name)
        told = self._told.get(slot)
        if told is not None and told[0] != wanted:
            self._leave(slot)  # the step is another: an answer about the one before is none
            told = None
        if told is None or (told[1] is not None and self._clock() >= told[1] + interval):
            self._told[slot] = wanted, self._clock()
            self._start(slot, key, wanted)

    def _leave(self, slot: tuple[Key, str, str]) -> None:
        """Ask no longer what was asked last."""
        self._told.pop(slot, None)
        if (task := self._looking.pop(slot, None)) is not None:
            task.cancel()

    def _start(self, slot: tuple[Key, str, str], key: Key, wanted: Evaluation) -> None:
        if slot not in self._looking:
            task = asyncio.create_task(self._judge_apart(key, wanted))
            self._looking[slot] = task
            task.add_done_callback(lambda done: self._over(slot, done))

    def _over(self, slot: tuple[Key, str, str], done: asyncio.Task[None]) -> None:
        if self._looking.get(slot) is done:
            del self._looking[slot]

    async def _judge_apart(self, key: Key, wanted: Evaluation) -> None:
        """A verdict that takes its time."""
        try:
            if wanted.monitor.drift:
                async with self._watching if _after_promotion(wanted) else self._judging:
                    signature = self._signature(key, wanted.revision)
                    result = await self._drift.judge(wanted, signature, self._clock())
            elif wanted.monitor.performance:
                async with self._judging:
                    result = await self._performance.judge(wanted, self._clock())
            elif wanted.monitor.evaluation:
                result = await self._examinations.judge(wanted, self._clock())
            else:
                result = await self._webhooks.judge(wanted, self._clock())
        except Exception as error:  # an answer that nobody foresaw holds the release, and is said
            log.exception("judging failed", extra={"namespace": key.namespace, "deployment": key.name})
            result = _error(wanted, reasons.SOURCE_UNAVAILABLE, f"no verdict: {error!r}", self._clock())
        self._take(key, wanted, result)

    def _take(self, key: Key, wanted: Evaluation, result: MonitorResult) -> None:
        """Keep a verdict, and wake the deployment if a decision could come out differently for it."""
        if wanted not in self._wanted.get(key, ()):
            return  # the release went on while this was being asked
        table = self._results.setdefault(key, {})
        name = (wanted.revision, wanted.use.name)
        before = table.get(name)
        table[name] = result
        if wanted.monitor.drift and _settled(result, wanted):
            self._looked[key, *name] = wanted.look
        if wanted.monitor.evaluation and result.verdict.conclusive:
            # What golden data said stands: its Job, and the pod that told it, will not be there for as long.
            self._told[key, *name] = wanted, None
        _measure(key, wanted, result)
        if before is None or _gist(before, wanted) != _gist(result, wanted):
            metrics.VERDICTS.labels(wanted.use.name, result.verdict).inc()
            self._wake(key)


def _settled(result: MonitorResult, wanted: Evaluation) -> bool:
    """Whether a look need not be taken again: it found something out, or what it sees is over and will not change."""
    return result.verdict.conclusive or (_after_promotion(wanted) and result.verdict is not Verdict.ERROR)


def _after_promotion(wanted: Evaluation) -> bool:
    return wanted.look is not None and wanted.look.after_promotion


def _gist(result: MonitorResult, wanted: Evaluation) -> tuple[object, ...]:
    observed = result.observed_at is not None and result.observed_at >= wanted.since
    whole = result.window_start is not None and result.window_start >= wanted.since
    # After a promotion each look counts for itself: one that fails again makes a breach.
    seen = result.observed_at if _after_promotion(wanted) else None
    # While a release waits for golden data, the words are news, too: such as that an image cannot be pulled.
    told = result.message if wanted.monitor.evaluation else None
    return result.verdict, result.reason, result.look, observed, whole, seen, told


def _queries(wanted: Evaluation) -> tuple[str, ...]:
    assert wanted.monitor.slo is not None
    try:
        return promql.queries(wanted.monitor.slo, promql.parameters(wanted.monitor, wanted.use)).all
    except promql.TemplateError:
        return ()


def _judge(wanted: Evaluation, answers: Mapping[str, Answer], now: datetime) -> MonitorResult:
    vectors: dict[str, slo.Vector] = {}
    for query in _queries(wanted):
        answer = answers[query]
        if isinstance(answer, QueryRejectedError):
            return _error(wanted, reasons.QUERY_FAILED, f"Prometheus refuses the query: {answer}", now)
        if isinstance(answer, PrometheusUnavailableError):
            return _error(wanted, reasons.SOURCE_UNAVAILABLE, str(answer), now)
        vectors[query] = answer
    try:
        return slo.judge(wanted, vectors, now)
    except promql.TemplateError as error:
        return _error(wanted, reasons.QUERY_FAILED, str(error), now)
    except Exception as error:  # one monitor that nobody foresaw must not keep the others from being judged
        log.exception("judging failed", extra={"namespace": wanted.namespace, "deployment": wanted.deployment})
        return _error(wanted, reasons.QUERY_FAILED, f"no verdict: {error!r}", now)


def _error(wanted: Evaluation, reason: str, message: str, now: datetime) -> MonitorResult:
    return MonitorResult(
        name=wanted.use.name,
        verdict=Verdict.ERROR,
        reason=reason,
        message=message[:1024],
        mode=wanted.use.mode,
        observed_at=now,
    )


_NUMBERS = {Verdict.PASS: 1, Verdict.INCONCLUSIVE: 0, Verdict.FAIL: -1, Verdict.ERROR: -2}


def _measure(key: Key, wanted: Evaluation, result: MonitorResult) -> None:
    labels = (key.namespace, key.name, wanted.revision, wanted.use.name)
    metrics.VERDICT.labels(*labels).set(_NUMBERS[result.verdict])
    if result.value is not None:
        metrics.VALUE.labels(*labels).set(float(result.value))
