"""Drift: from a question about two revisions, or two times of one, to its answer.

Gathers the rows, then judges in a thread.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from sluice.api.verdict import Verdict
from sluice.monitor.cloudevents import Key
from sluice.monitor.comparison import ColumnPair, match_columns, match_rankings, name_columns
from sluice.monitor.contract import DriftAnswer, DriftRequest, Inferences, SampleCounts, Span, no_answer
from sluice.monitor.evidence import Evidence
from sluice.monitor.exhibit import Columns, Exhibit, exhibits
from sluice.monitor.horizon import GONE, Horizon, of_age, of_memory, of_start
from sluice.monitor.joining import join
from sluice.monitor.reference import Reference, References, Time
from sluice.monitor.reservoir import Chunk, Side
from sluice.monitor.spool import Spool
from sluice.monitor.standing import Standing
from sluice.monitor.store import Held, Store
from sluice.monitor.tally import Tally
from sluice.monitor.telemetry import Metrics
from sluice.monitor.verdict import AT_REST, Judgement, Reason, Rule, Sample, judge
from sluice.monitor.window import Frame, assemble

THREADS = 2
"""Verdicts worked on at a time. NumPy sorts without the interpreter's lock, so a second one gains."""
MOST = 0.5
"""The share of a candidate's requests that the stable revision must have answered too, for the answers to be compared
in pairs."""
MAX_WAITING = 256
"""Verdicts that may wait; beyond it the answer is Error at once, and the caller comes again."""

_SIDES = {"Prediction": Side.OUTPUTS, "Inputs": Side.INPUTS, "Ranking": Side.RANKS}
_NO_RANKING = (
    "Rankings are compared request by request, where both revisions answered the same ones; "
    "none of these had more rows than are the first, with a score for each."
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """One revision's rows, and what became of its inferences."""

    frame: Frame
    sample: Sample


@dataclass(frozen=True, slots=True)
class Kept:
    """What there is of one revision in a window, before anything is chosen."""

    chunks: list[Chunk]
    tally: Tally

    @property
    def rows(self) -> int:
        """All of them."""
        return sum(len(chunk.rows) for chunk in self.chunks)

    @property
    def rate(self) -> float:
        """The share of the rows that came which are kept."""
        return self.rows / max(1, sum(chunk.seen for chunk in self.chunks))


class DriftService:
    """Answers drift questions from the store and, where there is one, the volume."""

    def __init__(
        self,
        store: Store,
        spool: Spool | None,
        evidence: Evidence,
        metrics: Metrics,
        references: References,
        *,
        max_rows: int,
        seed: int,
        late_seconds: float,
        retention_seconds: float = math.inf,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """``late_seconds``: how long after its end a bucket may still be written to; ``retention_seconds``: the age at
        which rows are deleted."""
        self._store = store
        self._spool = spool
        self._evidence = evidence
        self._metrics = metrics
        self._max_rows = max_rows
        self._seed = seed
        self._late_seconds = late_seconds
        self._retention_seconds = retention_seconds
        self._clock = clock
        self._started = clock()
        self._references = references
        self._growing = asyncio.Lock()
        self._standing = Standing(evidence, clock)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sluice-judge")
        # A day's rows are thousands of files. A release does not wait while they are read.
        self._watcher = ThreadPoolExecutor(1, thread_name_prefix="sluice-watch")
        self._waiting = 0

    async def answer(self, request: DriftRequest) -> DriftAnswer:
        """The verdict. Decisive ones come with a link to a report that is rendered later."""
        try:
            return self._counted(await self._answer(request))
        except Exception as error:
            log.exception("a verdict failed", extra={"namespace": request.namespace, "revision": request.candidate})
            message = f"sluice-monitor failed at this question ({type(error).__name__}); its log has the traceback."
            return self._counted(no_answer(Reason.INTERNAL, message))

    async def _answer(self, request: DriftRequest) -> DriftAnswer:
        if request.min_samples > self._max_rows:
            most = f"a verdict looks at {self._max_rows} rows at most (--max-rows)"
            return no_answer("InvalidRequest", f"minSamples is {request.min_samples}; {most}.")
        if self._waiting >= MAX_WAITING:
            return no_answer("Busy", f"{self._waiting} verdicts are waiting already.")
        self._waiting += 1
        try:
            with self._metrics.verdict_seconds.time():
                if request.reference is not None:
                    answer, shown = await self._watch(request, request.reference)
                else:
                    answer, shown = await self._judge(request)
        except OSError as error:
            log.exception("the volume cannot be read")
            return no_answer("VolumeUnreadable", f"The volume cannot be read: {error}")
        finally:
            self._waiting -= 1
        if request.reference is not None and answer.verdict.conclusive:
            answer = self._show(request, request.reference, answer, shown)
        elif answer.verdict is Verdict.FAIL or (answer.verdict is Verdict.PASS and not request.guard):
            answer = self._evidence.submit(request, answer, shown)
        return answer

    def close(self) -> None:
        """Ends the worker threads once they are done."""
        for threads in (self._threads, self._watcher):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _judge(self, request: DriftRequest) -> tuple[DriftAnswer, tuple[Exhibit, ...]]:
        keys = [Key(request.namespace, revision) for revision in (request.candidate, request.stable)]
        since, until = self._store.first_bucket(request.since.timestamp()), self._clock()
        # The same window on both sides: where one side's early rows had to make room, the other's go too.
        since = max(since, *(self._store.window(key, since).complete_since for key in keys))
        held = [self._store.window(key, since) for key in keys]
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, self._compute, request, keys, held, since, until
        )

    def _compute(
        self, request: DriftRequest, keys: list[Key], held: list[Held], since: float, until: float
    ) -> tuple[DriftAnswer, tuple[Exhibit, ...]]:
        """The blocking part: runs in a worker thread, on immutable chunks."""
        side = _SIDES[request.subject]
        names = [column.name for column in request.schema or ()]
        kept = [self._kept(key, mine, since, until) for key, mine in zip(keys, held, strict=True)]
        chance = np.random.default_rng([self._seed, int(since)])
        candidate_frame, stable_frame, paired = self._choose(kept[0], kept[1], side, request.min_samples, chance)
        candidate = Found(name_columns(candidate_frame, names), Sample(candidate_frame.rows, kept[0].tally))
        stable = Found(name_columns(stable_frame, names), Sample(stable_frame.rows, kept[1].tally))
        rule = Rule(
            min_samples=request.min_samples,
            min_effect=request.min_effect,
            alpha=request.alpha,
            share=request.share,
        )
        pairs: list[ColumnPair] = []
        columns = request.columns or ()
        if side is not Side.RANKS:
            pairs = match_columns(candidate.frame, stable.frame, columns, paired=paired)
        elif paired:
            pairs = match_rankings(candidate.frame, stable.frame, columns, request.top)
        judgement = judge(pairs, candidate.sample, stable.sample, rule)
        if side is Side.RANKS and not pairs and judgement.reason is Reason.NO_DATA:
            judgement = replace(judgement, message=_NO_RANKING)
        return _answer(judgement, pairs, candidate, stable, since, until)

    async def _watch(self, request: DriftRequest, reference: Span) -> tuple[DriftAnswer, tuple[Exhibit, ...]]:
        """A look at what serves alone: its rows of a time against those of its first time."""
        key = Key(request.namespace, request.candidate)
        when = Time(reference.since.timestamp(), reference.until.timestamp())
        if request.subject == "Ranking" or when.until <= when.since:
            return no_answer("InvalidRequest", "A reference is of Prediction or Inputs, and ends after it begins."), ()
        async with self._growing:  # two monitors of a deployment share it
            kept = await self._horizon(key)
            first = await self._grown(key, when, kept.since)
        if first.is_lost(when):
            return _partly_lost(first, when), ()
        if request.until is None or first.covered < when.until:
            return _incomplete(first, when), ()
        if not first.rows:
            return _reference_lost(when), ()
        begin, until = request.since.timestamp(), request.until.timestamp()
        if until <= begin:
            return no_answer("InvalidRequest", "A look ends after it begins."), ()
        if kept.share_gone(begin, until) > GONE:
            return _gone(key, Time(begin, until), kept), ()
        since = self._store.first_bucket(max(begin, kept.since))
        held = self._store.window(key, since, until)
        return await asyncio.get_running_loop().run_in_executor(
            self._watcher, self._hold_against, request, key, first, held, since, until
        )

    async def _horizon(self, key: Key) -> Horizon:
        """From when on all rows of a revision are there."""
        if self._spool is not None:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._watcher, self._spool.horizons, key)
        else:
            found = [of_start(self._started)]
        of_now = of_age(self._clock(), self._retention_seconds), of_memory(self._store.complete_since(key))
        return max(*found, *of_now)

    async def _grown(self, key: Key, when: Time, kept_since: float) -> Reference:
        """The reference with what has come of it by now. Only whole buckets are taken in, each once."""
        loop = asyncio.get_running_loop()
        known = await loop.run_in_executor(self._watcher, self._references.find, key, when)
        first = known or Reference.begun(when.since)
        over = self._clock() - self._late_seconds
        ready = min(self._store.first_bucket(over) - self._store.bucket_seconds, when.until)
        if first.covered >= ready:
            return first
        since = self._store.first_bucket(max(first.covered, min(kept_since, ready)))
        held = self._store.window(key, since, ready)
        return await loop.run_in_executor(self._watcher, self._grow, key, when, first, held, since, ready, kept_since)

    def _grow(
        self, key: Key, when: Time, first: Reference, held: Held, since: float, ready: float, kept_since: float
    ) -> Reference:
        kept = self._kept(key, held, since, ready)
        chance = np.random.default_rng([self._seed, int(since)])
        first = first.grown(kept.chunks, kept.tally, ready, self._max_rows, chance, kept_since)
        self._references.keep(key, when, first)
        return first

    def _hold_against(
        self, request: DriftRequest, key: Key, first: Reference, held: Held, since: float, until: float
    ) -> tuple[DriftAnswer, tuple[Exhibit, ...]]:
        """The blocking part of a look at what serves."""
        side, names = _SIDES[request.subject], [column.name for column in request.schema or ()]
        chance = np.random.default_rng([self._seed, int(since)])
        kept = self._kept(key, held, since, until)
        sides = [
            Found(name_columns(frame, names), Sample(frame.rows, tally))
            for frame, tally in (
                (assemble(kept.chunks, side, self._max_rows, chance), kept.tally),
                (assemble([first.chunk], side, self._max_rows, chance), first.tally),
            )
        ]
        rule = Rule(min_samples=request.min_samples, min_effect=request.min_effect, alpha=request.alpha)
        pairs = match_columns(sides[0].frame, sides[1].frame, request.columns or ())
        judgement = judge(pairs, sides[0].sample, sides[1].sample, rule, AT_REST)
        return _answer(judgement, pairs, sides[0], sides[1], since, until)

    def _show(
        self, request: DriftRequest, reference: Span, answer: DriftAnswer, shown: tuple[Exhibit, ...]
    ) -> DriftAnswer:
        """With a report: looks go on for months."""
        columns = tuple(request.columns or ())
        question = (request.namespace, request.candidate, request.subject, request.min_effect, columns, reference)
        hours = (reference.until - reference.since).total_seconds() / 3_600
        title = f"{request.subject} drift of {request.candidate} against its first {hours:g} h"
        return self._standing.show(
            question, answer.verdict, title, request, answer, Columns(request.min_effect, tuple(shown))
        )

    def _choose(
        self, candidate: Kept, stable: Kept, side: Side, min_samples: int, chance: np.random.Generator
    ) -> tuple[Frame, Frame, bool]:
        """The rows to compare, and whether in pairs: those that both answered, if they can speak for the candidate.

        They can where they are enough, and the stable revision answered most of what the candidate was asked. Where
        traffic is split and not mirrored, only a gateway's retries reach both. Inputs are never compared in pairs:
        they are the same.
        """
        if side is not Side.INPUTS:
            joined = join(candidate.chunks, stable.chunks, side, self._max_rows, chance)
            all_mirrored = min(candidate.rows * stable.rate, self._max_rows)
            if joined.candidate.rows >= max(min_samples, MOST * all_mirrored):
                return joined.candidate, joined.stable, True
        ours, theirs = (assemble(kept.chunks, side, self._max_rows, chance) for kept in (candidate, stable))
        return ours, theirs, False

    def _kept(self, key: Key, held: Held, since: float, until: float) -> Kept:
        chunks, tally = list(held.chunks), held.tally
        if self._spool:
            for chunk, stored in self._spool.window(key, since, until, known=held.paths):
                chunks.append(chunk)
                tally.add(stored)
        return Kept(chunks, tally)

    def _counted(self, answer: DriftAnswer) -> DriftAnswer:
        self._metrics.verdicts.labels(answer.verdict, answer.reason).inc()
        return answer


def _answer(
    judgement: Judgement, pairs: Sequence[ColumnPair], candidate: Found, stable: Found, since: float, until: float
) -> tuple[DriftAnswer, tuple[Exhibit, ...]]:
    answer = DriftAnswer(
        verdict=judgement.verdict,
        reason=judgement.reason,
        message=judgement.message,
        samples=SampleCounts(candidate.sample.rows, stable.sample.rows),
        inferences=Inferences(candidate.sample.tally, stable.sample.tally),
        window_start=datetime.fromtimestamp(since, UTC),
        window_end=datetime.fromtimestamp(until, UTC),
        columns=judgement.columns,
    )
    return answer, exhibits(pairs, judgement.columns) if judgement.columns else ()


def _incomplete(first: Reference, when: Time) -> DriftAnswer:
    done = max(0.0, first.covered - when.since) / (when.until - when.since)
    message = f"The reference is being collected until {_moment(when.until)}: {first.rows:,} rows of {done:.0%} of it."
    return DriftAnswer(
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason.REFERENCE_INCOMPLETE,
        message=message,
        samples=SampleCounts(0, first.rows),
        window_start=datetime.fromtimestamp(when.since, UTC),
        window_end=datetime.fromtimestamp(max(first.covered, when.since), UTC),
    )


def _reference_lost(when: Time) -> DriftAnswer:
    message = (
        f"There is no row of the reference, {_moment(when.since)} to {_moment(when.until)}: nothing was asked then, or "
        "the rows were lost or deleted before they were taken in. The next reference begins with the next promotion."
    )
    return DriftAnswer(verdict=Verdict.INCONCLUSIVE, reason=Reason.REFERENCE_LOST, message=message)


def _partly_lost(first: Reference, when: Time) -> DriftAnswer:
    message = (
        f"Of the reference, {_moment(when.since)} to {_moment(when.until)}, {_hours(first.lost)} of rows were gone "
        "before they were taken in; the rest cannot stand for them. monitor.persistence.enabled keeps rows over a "
        "restart, monitor.retentionSeconds longer and monitor.rows.maxMiB more of them. The next reference begins "
        "with the next promotion."
    )
    return DriftAnswer(
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason.REFERENCE_LOST,
        message=message,
        samples=SampleCounts(0, first.rows),
    )


def _gone(key: Key, look: Time, kept: Horizon) -> DriftAnswer:
    gone = min(kept.since, look.until) - look.since
    message = (
        f"Of the time looked at, {_moment(look.since)} to {_moment(look.until)}, the rows of the first {_hours(gone)} "
        f"are gone; the rest cannot stand for them. Rows of {key.revision} are kept from {_moment(kept.since)} on: "
        f"{kept.why}."
    )
    return DriftAnswer(
        verdict=Verdict.INCONCLUSIVE,
        reason=Reason.ROWS_GONE,
        message=message,
        window_start=datetime.fromtimestamp(look.since, UTC),
        window_end=datetime.fromtimestamp(look.until, UTC),
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3_600:.1f} h"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
