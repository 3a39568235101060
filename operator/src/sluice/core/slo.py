"""SLO: from what Prometheus answered to a verdict on one revision. Missing data is never a pass."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sluice.api.measure import Limits
from sluice.api.modelmonitor import SLO, Comparison
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import chance, promql, reasons
from sluice.core.histogram import Histogram, NotAHistogramError, Race
from sluice.core.plan import Evaluation


@dataclass(frozen=True)
class Sample:
    """One series of an instant vector."""

    labels: Mapping[str, str]
    value: float


Place = tuple[str, str] | tuple[str, str, str]
"""Whose a series is: (namespace, revision), or for gateway metrics (namespace, route, backend)."""


class Vector(list[Sample]):
    """An instant vector. It answers for every revision, so its series are found by whose they are."""

    @cached_property
    def places(self) -> Mapping[Place, list[Sample]]:
        """The series by whose they are; series of nobody's are left out."""
        found: dict[Place, list[Sample]] = defaultdict(list)
        for sample in self:
            labels = sample.labels
            if "revision" in labels:
                found[labels.get("namespace", ""), labels["revision"]].append(sample)
            elif {"route_namespace", "route", "backend"} <= labels.keys():
                found[labels["route_namespace"], labels["route"], labels["backend"]].append(sample)
        return found


@dataclass(frozen=True)
class Reading:
    """What the vectors say of one revision. ``total`` and ``bad`` are counts, ``value`` is in the query's unit."""

    total: float
    value: float
    bad: float | None = None
    spread: Spread | None = None


@dataclass(frozen=True)
class Spread:
    """A histogram, and the share of it whose quantile is the value."""

    histogram: Histogram
    share: float

    @property
    def beyond(self) -> bool:
        """Whether the value is only what it is at least."""
        return self.histogram.beyond(self.share)


@dataclass(frozen=True)
class Finding:
    """One part of a verdict."""

    verdict: Verdict
    reason: str
    message: str


class Unreadable(Exception):  # noqa: N818 - not an error of ours: the data do not allow a verdict
    """Why a revision cannot be read, as a Finding that holds."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.finding = Finding(Verdict.INCONCLUSIVE, reason, message)


_WORST_FIRST = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.PASS)


@dataclass(frozen=True)
class _Question:
    """One evaluation, with its queries filled in and answered."""

    wanted: Evaluation
    slo: SLO
    values: Mapping[str, str]
    queries: promql.Queries
    vectors: Mapping[str, Vector]
    window_start: datetime


def judge(wanted: Evaluation, vectors: Mapping[str, Vector], now: datetime) -> MonitorResult:
    """The verdict on ``wanted.revision``: the worst of what its limits and its comparison say.

    Args:
        wanted: a service level and whom to judge by it.
        vectors: the answer to each query of the level, by the query.
        now: when they were asked; their window ends here.

    Raises:
        promql.TemplateError: the level's queries or limits cannot be filled in.
    """
    slo = wanted.monitor.slo
    if slo is None:
        raise ValueError(f"{wanted.use.name} has no service level to judge by")
    values = promql.parameters(wanted.monitor, wanted.use)
    question = _Question(wanted, slo, values, promql.queries(slo, values), vectors, now - slo.window)
    candidate = stable = None
    try:
        candidate = _candidate(question)
    except Unreadable as unreadable:
        findings = [unreadable.finding]
    else:
        findings, stable = _findings(question, candidate)
    finding = _worst(findings)
    return MonitorResult(
        name=wanted.use.name,
        verdict=finding.verdict,
        reason=finding.reason,
        message=finding.message[:1024],
        mode=wanted.use.mode,
        value=_decimal(candidate.value) if candidate else None,
        stable_value=_decimal(stable.value) if stable else None,
        samples=math.floor(candidate.total) if candidate else None,
        window_start=question.window_start,
        observed_at=now,
    )


def _findings(question: _Question, candidate: Reading) -> tuple[list[Finding], Reading | None]:
    """What the limits say, then what the comparison says, and the stable revision's figures where it was read."""
    slo, values = question.slo, question.values
    findings = [_against_limits(slo.limits, candidate, values)] if slo.limits is not None else []
    stable: Reading | None = None
    if slo.compare is not None and question.wanted.stable is not None:
        try:
            stable = _stable(question, question.wanted.stable)
            findings.append(_against_stable(slo.compare, candidate, stable, values))
        except Unreadable as unreadable:
            findings.append(unreadable.finding)
    if not findings:
        message = f"{_figure(candidate)}; there is nothing to compare it with"
        findings.append(Finding(Verdict.INCONCLUSIVE, reasons.NO_STABLE_DATA, message))
    return findings, stable


def _worst(findings: list[Finding]) -> Finding:
    verdict = min((finding.verdict for finding in findings), key=_WORST_FIRST.index)
    alike = [finding for finding in findings if finding.verdict is verdict]
    # A limit that is breached says more than a comparison; of a Pass, the comparison has both sides' figures.
    return alike[-1] if verdict is Verdict.PASS else alike[0]


def _candidate(question: _Question) -> Reading:
    wanted = question.wanted
    backend = "mirror" if wanted.mirrored else str(wanted.lane)
    reading = _read(question, wanted.revision, backend)
    lane = (wanted.namespace, wanted.deployment, backend)
    by_lane = any(lane in question.vectors[query].places for query in question.queries.all)
    if by_lane and question.window_start < wanted.lane_clean_since:
        # Such series are known by their place in the route only, and another revision stood there before.
        raise Unreadable(reasons.WINDOW_NOT_FULL, "the window still holds an earlier revision's requests")
    return reading


def _stable(question: _Question, name: str) -> Reading:
    try:
        return _read(question, name, str(question.wanted.stable_lane))
    except Unreadable as unreadable:
        raise Unreadable(reasons.NO_STABLE_DATA, f"stable {name}: {unreadable.finding.message}") from None


def _read(question: _Question, revision: str, backend: str) -> Reading:
    """One revision's figures.

    Raises:
        Unreadable: no series, several, too few events in them, or not a number.
    """
    queries = question.queries
    if queries.histogram is not None:
        return _spread(question, queries.histogram, revision, backend)
    total = _enough(question, revision, _one(question, queries.total, revision, backend))
    if queries.bad is not None:
        # A counter of bad events appears with the first of them: with enough requests seen, no series means none.
        bad = _one(question, queries.bad, revision, backend) or 0.0
        bad = min(max(bad, 0.0), total)  # the two queries are not asked at the same instant
        return Reading(total, bad / total, bad)
    value = _one(question, queries.value, revision, backend)
    if value is None:
        raise Unreadable(reasons.NO_DATA, f"Prometheus has no value for {revision}")
    return Reading(total, value)


def _spread(question: _Question, query: str, revision: str, backend: str) -> Reading:
    share = promql.share(question.slo.quantile, question.values)
    series = _series(question, query, revision, backend)
    if not series:
        raise _nothing(revision)
    buckets = [(sample.labels.get("le", ""), _finite(sample.value, revision)) for sample in series]
    try:
        histogram = Histogram.of(buckets)
    except NotAHistogramError as error:
        raise Unreadable(reasons.NOT_A_HISTOGRAM, f"the histogram of {revision} cannot be read: {error}") from None
    total = _enough(question, revision, histogram.total)
    return Reading(total, histogram.quantile(share), spread=Spread(histogram, share))


def _enough(question: _Question, revision: str, total: float | None) -> float:
    """The number of requests, if there is one and it is high enough."""
    if total is None:
        raise _nothing(revision)
    slo = question.slo
    if total < slo.min_samples:
        window = f"{slo.window.total_seconds():.0f} s"
        few = f"{max(total, 0):.0f} requests of {revision} in {window}, {slo.min_samples} are needed"
        raise Unreadable(reasons.TOO_FEW_SAMPLES, few)
    return total


def _nothing(revision: str) -> Unreadable:
    return Unreadable(reasons.NO_DATA, f"Prometheus has no requests of {revision} in the window")


def _one(question: _Question, query: str | None, revision: str, backend: str) -> float | None:
    """The number that one query gives for one revision; None if it gives none."""
    mine = _series(question, query, revision, backend) if query is not None else []
    if len(mine) > 1:
        message = (
            f"{len(mine)} series for {revision}; group the query by (namespace, revision), "
            "or by (route_namespace, route, backend) for gateway metrics"
        )
        raise Unreadable(reasons.SEVERAL_SERIES, message)
    return _finite(mine[0].value, revision) if mine else None


def _series(question: _Question, query: str, revision: str, backend: str) -> list[Sample]:
    """What one query gives for one revision, by its name or by its place in the route."""
    places, wanted = question.vectors[query].places, question.wanted
    named = places.get((wanted.namespace, revision), [])
    placed = places.get((wanted.namespace, wanted.deployment, backend), [])
    return [*named, *placed]


def _finite(value: float, revision: str) -> float:
    if not math.isfinite(value):
        raise Unreadable(reasons.NOT_A_NUMBER, f"Prometheus answers {value} for {revision}")
    return value


def _against_limits(limits: Limits, reading: Reading, values: Mapping[str, str]) -> Finding:
    highest, lowest = promql.number(limits.max, values), promql.number(limits.min, values)
    figure = _figure(reading)
    if _is_at_least(reading, max((limit for limit in (highest, lowest) if limit is not None), default=-math.inf)):
        return _beyond(figure)
    if lowest is not None and reading.value < lowest:
        return Finding(Verdict.FAIL, reasons.OUTSIDE_LIMITS, f"{figure}, below the least allowed, {lowest:g}")
    if highest is None or reading.value <= highest:
        return Finding(Verdict.PASS, reasons.WITHIN_LIMITS, figure)
    above = f"{figure}, above the limit of {highest:g}"
    if _may_be_chance(reading, highest):
        return Finding(Verdict.INCONCLUSIVE, reasons.TOO_FEW_SAMPLES, f"{above}, but so few may be chance")
    return Finding(Verdict.FAIL, reasons.OUTSIDE_LIMITS, above)


def _is_at_least(reading: Reading, limit: float) -> bool:
    """Whether the value is beyond the last bucket, and so is what it is to be held against."""
    return reading.spread is not None and reading.spread.beyond and reading.value <= limit


def _beyond(figures: str) -> Finding:
    message = f"{figures}: beyond the last bucket, and so is what is allowed"
    return Finding(Verdict.INCONCLUSIVE, reasons.BEYOND_BUCKETS, message)


def _may_be_chance(reading: Reading, highest: float) -> bool:
    """Whether a value above a limit may be luck. Of a value that Prometheus computed itself, nobody can say."""
    if reading.spread is not None:
        # The quantile is above the limit, which is to say: more than the rest of the requests are.
        slower, rest = reading.spread.histogram.above(highest), 1 - reading.spread.share
        return chance.wilson_lower(slower, reading.total) <= rest
    return reading.bad is not None and chance.wilson_lower(reading.bad, reading.total) <= highest


def _against_stable(compare: Comparison, candidate: Reading, stable: Reading, values: Mapping[str, str]) -> Finding:
    ratio, difference = promql.number(compare.max_ratio, values), promql.number(compare.max_difference, values)

    def allowed(value: float) -> float:
        """What the candidate may have where stable has a value: with both limits, both must be exceeded."""
        by_ratio = ratio * value if ratio is not None else -math.inf
        by_difference = value + difference if difference is not None else -math.inf
        return max(by_ratio, by_difference)

    figures = f"{_figure(candidate)}; stable: {_figure(stable)}"
    if _is_at_least(candidate, allowed(stable.value)):
        return _beyond(figures)
    if candidate.value <= allowed(stable.value):
        return Finding(Verdict.PASS, reasons.WITHIN_LIMITS, figures)
    confidence = float(compare.confidence)
    if candidate.spread is not None and stable.spread is not None:
        race = Race(candidate.spread.histogram, stable.spread.histogram, candidate.spread.share, allowed)
        worse = race.lost(confidence)
        if not worse and candidate.spread.beyond:
            return _beyond(figures)
        if not worse and race.undecidable:
            return Finding(Verdict.PASS, reasons.WITHIN_LIMITS, f"{figures}: by no more than the buckets can tell")
    elif candidate.bad is not None and stable.bad is not None:
        counts = (candidate.bad, candidate.total), (stable.bad, stable.total)
        worse = chance.really_more(*counts, confidence=confidence)
    else:
        worse = True  # values that Prometheus computed itself are taken as they are
    if not worse:
        message = f"{figures}: worse, but so few may be chance"
        return Finding(Verdict.INCONCLUSIVE, reasons.TOO_FEW_SAMPLES, message)
    return Finding(Verdict.FAIL, reasons.WORSE_THAN_STABLE, f"{figures}: worse than allowed")


def _figure(reading: Reading) -> str:
    if reading.bad is not None:
        return f"{reading.value:.2%} of {reading.total:.0f} requests"
    if reading.spread is not None:
        percentile = f"{100 * reading.spread.share:g}"
        return f"{percentile}th percentile {reading.value:.4g} of {reading.total:.0f} requests"
    return f"{reading.value:.6g} over {reading.total:.0f} requests"


def _decimal(value: float) -> str:
    """Six significant digits, as ``api.base.Decimal`` has them: ``1.5e-07``, never ``1e+06``."""
    return f"{value + 0.0:.6g}".replace("e+", "e")
