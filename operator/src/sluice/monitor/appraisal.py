"""Appraisal: from a question about performance to its answer. Gathers outcomes, then judges in a thread."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from sluice.api.verdict import Verdict
from sluice.monitor.cloudevents import Key
from sluice.monitor.contract import PerformanceAnswer, PerformanceRequest
from sluice.monitor.evidence import Evidence
from sluice.monitor.exhibit import Grades
from sluice.monitor.grading import UngradedError, Yardstick, grade
from sluice.monitor.outcome import Outcomes, gather
from sluice.monitor.performance import appraise
from sluice.monitor.spool import Spool
from sluice.monitor.standing import Standing
from sluice.monitor.store import Held, Store
from sluice.monitor.telemetry import Metrics
from sluice.monitor.verdict import Reason

MAX_WAITING = 64
"""Questions that may wait; beyond it the answer is Error at once, and the caller comes again."""

log = logging.getLogger(__name__)


class _Side(NamedTuple):
    """One of the revisions that a question is about."""

    revision: str
    born: float
    """Answers before this were another's of that name; in seconds since the epoch."""


class PerformanceService:
    """Answers questions about performance from the outcomes in memory and, where there is one, on the volume."""

    def __init__(
        self,
        outcomes: Store,
        archive: Spool | None,
        evidence: Evidence,
        metrics: Metrics,
        *,
        max_rows: int,
        row_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._outcomes = outcomes
        self._archive = archive
        self._evidence = evidence
        self._metrics = metrics
        self._max_rows = max_rows
        self._row_seconds = row_seconds
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sluice-appraise")
        self._waiting = 0
        self._standing = Standing(evidence, clock)

    async def answer(self, request: PerformanceRequest) -> PerformanceAnswer:
        """The verdict. Decisive ones have a report, a new one when the verdict changes or the last is a day old."""
        if request.min_labels > self._max_rows:
            most = f"a verdict looks at {self._max_rows} labelled answers at most (--max-rows)"
            return self._counted(unanswered("InvalidRequest", f"minLabels is {request.min_labels}; {most}."))
        if self._waiting >= MAX_WAITING:
            return self._counted(unanswered("Busy", f"{self._waiting} questions are waiting already."))
        self._waiting += 1
        try:
            answer, shown = await self._judge(request)
        except UngradedError as error:
            return self._counted(unanswered(Reason.UNGRADED, f"The answers cannot be held against labels: {error}."))
        except OSError as error:
            log.exception("the volume cannot be read")
            return self._counted(unanswered("VolumeUnreadable", f"The volume cannot be read: {error}"))
        finally:
            self._waiting -= 1
        return self._counted(self._show(request, answer, shown) if answer.verdict.conclusive else answer)

    def close(self) -> None:
        """Ends the worker thread once it is done."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _judge(self, request: PerformanceRequest) -> tuple[PerformanceAnswer, Grades]:
        until = self._clock()
        since = until - request.window
        sides = [_Side(request.candidate, _moment(request.since))]
        if request.stable is not None:
            sides.append(_Side(request.stable, _moment(request.stable_since)))
        held = [self._outcomes.window(Key(request.namespace, side.revision), self._first(since)) for side in sides]
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self._compute, request, sides, held, since, until
        )

    def _compute(
        self, request: PerformanceRequest, sides: list[_Side], held: list[Held], since: float, until: float
    ) -> tuple[PerformanceAnswer, Grades]:
        """The blocking part: runs in a worker thread, on immutable chunks."""
        yardstick = Yardstick(
            metric=request.metric,
            prediction=request.prediction,
            positive=request.positive,
            threshold=request.threshold,
            top=request.top,
            min_labels=request.min_labels,
            maximum=request.maximum,
            minimum=request.minimum,
            max_degradation=request.max_degradation,
            confidence=request.confidence,
        )
        graded = []
        for side, mine in zip(sides, held, strict=True):
            outcomes = self._gather(Key(request.namespace, side.revision), mine, since, until)
            chosen = outcomes.since(since, self._rows_begin(side.born)).latest().bounded(self._max_rows)
            try:
                graded.append(grade(chosen, yardstick))
            except UngradedError as error:
                raise UngradedError(f"of {side.revision}, {error}") from None
        candidate, stable = graded[0], graded[1] if len(graded) > 1 else None
        found = appraise(candidate, stable, yardstick)
        answer = PerformanceAnswer(
            verdict=found.verdict,
            reason=found.reason,
            message=found.message,
            candidate=found.candidate,
            stable=found.stable,
            window_start=datetime.fromtimestamp(since, UTC),
            window_end=datetime.fromtimestamp(until, UTC),
        )
        return answer, Grades(request.metric, request.top, candidate, stable)

    def _gather(self, key: Key, held: Held, since: float, until: float) -> Outcomes:
        """Every outcome of a revision in the buckets of a window.

        Raises:
            OSError: the volume cannot be read.
        """
        chunks = list(held.chunks)
        if self._archive is not None:
            chunks += [chunk for chunk, _ in self._archive.window(key, self._first(since), until, held.paths)]
        return gather(chunks)

    def _first(self, since: float) -> float:
        """Where the bucket begins that a moment is in."""
        return self._outcomes.first_bucket(since) - self._outcomes.bucket_seconds

    def _rows_begin(self, born: float) -> float:
        """A row is known by its bucket, which may have begun before the revision did."""
        return born - self._row_seconds

    def _show(self, request: PerformanceRequest, answer: PerformanceAnswer, shown: Grades) -> PerformanceAnswer:
        title = f"{request.metric} of {request.candidate}"
        return self._standing.show(msgspec.structs.astuple(request), answer.verdict, title, request, answer, shown)

    def _counted(self, answer: PerformanceAnswer) -> PerformanceAnswer:
        self._metrics.appraisals.labels(answer.verdict, answer.reason).inc()
        return answer


def _moment(stated: datetime | None) -> float:
    return stated.timestamp() if stated is not None else float("-inf")


def unanswered(reason: str, message: str) -> PerformanceAnswer:
    """The answer when the question could not be asked of the outcomes: verdict Error."""
    return PerformanceAnswer(verdict=Verdict.ERROR, reason=reason, message=message)
