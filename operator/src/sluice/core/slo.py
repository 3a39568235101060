"""SLO: from what Prometheus answered to a verdict on one revision. Missing data is never a pass."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sluice.api.modelmonitor import SLO, Comparison, Limits
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import chance, promql, reasons
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
    def places(self) -> Mapping[Place, list[float]]:
        """The values by whose they are; series of nobody's are left out."""
        found: dict[Place, list[float]] = defaultdict(list)
        for labels, value in ((sample.labels, sample.value) for sample in self):
            if "revision" in labels:
                found[labels.get("namespace", ""), labels["revision"]].append(value)
            elif {"route_namespace", "route", "backend"} <= labels.keys():
                found[labels["route_namespace"], labels["route"], labels["backend"]].append(value)
        return found


@dataclass(frozen=True)
class Reading:
    """What the vectors say of one revision. ``total`` and ``bad`` are counts, ``value`` is in the query's unit."""

    total: float
    value: float
    bad: float | None = None


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
    queries, slo = question.queries, question.slo
    total = _one(question, queries.total, revision, backend)
    if total is None:
        raise Unreadable(reasons.NO_DATA, f"Prometheus has no requests of {revision} in the window")
    if total < slo.min_samples:
        window = f"{slo.window.total_seconds():.0f} s"
        few = f"{max(total, 0):.0f} requests of {revision} in {window}, {slo.min_samples} are needed"
        raise Unreadable(reasons.TOO_FEW_SAMPLES, few)
    if queries.bad is not None:
        # A counter of bad events appears with the first of them: with enough requests seen, no series means none.
        bad = _one(question, queries.bad, revision, backend) or 0.0
        bad = min(max(bad, 0.0), total)  # the two queries are not asked at the same instant
        return Reading(total, bad / total, bad)
    value = _one(question, queries.value, revision, backend) if queries.value is not None else None
    if value is None:
        raise Unreadable(reasons.NO_DATA, f"Prometheus has no value for {revision}")
    return Reading(total, value)


def _one(question: _Question, query: str, revision: str, backend: str) -> float | None:
    """The number that one query gives for one revision; None if it gives none."""
    places, wanted = question.vectors[query].places, question.wanted
    named = places.get((wanted.namespace, revision), [])
    placed = places.get((wanted.namespace, wanted.deployment, backend), [])
    mine = [*named, *placed]
    if len(mine) > 1:
        message = (
            f"{len(mine)} series for {revision}; group the query by (namespace, revision), "
            "or by (route_namespace, route, backend) for gateway metrics"
        )
        raise Unreadable(reasons.SEVERAL_SERIES, message)
    if mine and not math.isfinite(mine[0]):
        raise Unreadable(reasons.NOT_A_NUMBER, f"Prometheus answers {mine[0]} for {revision}")
    return mine[0] if mine else None


def _against_limits(limits: Limits, reading: Reading, values: Mapping[str, str]) -> Finding:
    highest, lowest = promql.number(limits.max, values), promql.number(limits.min, values)
    figure = _figure(reading)
    if lowest is not None and reading.value < lowest:
        return Finding(Verdict.FAIL, reasons.OUTSIDE_LIMITS, f"{figure}, below the least allowed, {lowest:g}")
    if highest is None or reading.value <= highest:
        return Finding(Verdict.PASS, reasons.WITHIN_LIMITS, figure)
    above = f"{figure}, above the limit of {highest:g}"
    if reading.bad is not None and chance.wilson_lower(reading.bad, reading.total) <= highest:
        return Finding(Verdict.INCONCLUSIVE, reasons.TOO_FEW_SAMPLES, f"{above}, but so few may be chance")
    return Finding(Verdict.FAIL, reasons.OUTSIDE_LIMITS, above)


def _against_stable(compare: Comparison, candidate: Reading, stable: Reading, values: Mapping[str, str]) -> Finding:
    ratio, difference = promql.number(compare.max_ratio, values), promql.number(compare.max_difference, values)
    exceeded = []
    if ratio is not None:
        exceeded.append(candidate.value > ratio * stable.value)
    if difference is not None:
        exceeded.append(candidate.value - stable.value > difference)
    figures = f"{_figure(candidate)}; stable: {_figure(stable)}"
    if not exceeded or not all(exceeded):
        return Finding(Verdict.PASS, reasons.WITHIN_LIMITS, figures)
    if candidate.bad is not None and stable.bad is not None:
        sides = (candidate.bad, candidate.total), (stable.bad, stable.total)
        if not chance.really_more(*sides, confidence=float(compare.confidence)):
            message = f"{figures}: worse, but so few may be chance"
            return Finding(Verdict.INCONCLUSIVE, reasons.TOO_FEW_SAMPLES, message)
    return Finding(Verdict.FAIL, reasons.WORSE_THAN_STABLE, f"{figures}: worse than allowed")


def _figure(reading: Reading) -> str:
    if reading.bad is not None:
        return f"{reading.value:.2%} of {reading.total:.0f} requests"
    return f"{reading.value:.6g} over {reading.total:.0f} requests"


def _decimal(value: float) -> str:
    """Six significant digits, as ``api.base.Decimal`` has them: ``1.5e-07``, never ``1e+06``."""
    return f"{value + 0.0:.6g}".replace("e+", "e")
