"""SLO: from what Prometheus answered to a verdict on one revision. Missing data is never a pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist

from sluice.api.modelmonitor import SLO
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import promql, reasons
from sluice.core.plan import Evaluation


@dataclass(frozen=True)
class Sample:
    """One series of an instant vector."""

    labels: Mapping[str, str]
    value: float


Vector = Sequence[Sample]


@dataclass(frozen=True)
class Reading:
    """What the vectors say of one revision. ``total`` and ``bad`` are counts, ``value`` is in the query's unit."""

    total: float
    value: float
    bad: float | None
    by_lane: bool
    """It carries only the lane's position, so an earlier tenant's traffic would be counted too."""


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


_ORDER = (Verdict.FAIL, Verdict.ERROR, Verdict.INCONCLUSIVE, Verdict.PASS)


def judge(wanted: Evaluation, vectors: Mapping[str, Vector], now: datetime) -> MonitorResult:
    """The verdict on ``wanted.revision``. ``vectors`` has the answer to each query of the level.

    Raises:
        promql.TemplateError: the level's queries or limits cannot be filled in.
    """
    slo = wanted.monitor.slo
    assert slo is not None
    values = promql.parameters(wanted.monitor, wanted.use)
    queries = promql.queries(slo, values)
    window_start = now - slo.window
    candidate = stable = None
    try:
        backend = "mirror" if wanted.mirrored else str(wanted.lane)
        candidate = read(queries, vectors, wanted, wanted.revision, backend)
        if candidate.by_lane and window_start < wanted.lane_clean_since:
            raise Unreadable(reasons.WINDOW_NOT_FULL, "the window still holds an earlier revision's requests")
        if candidate.total < slo.min_samples:
            few = f"{candidate.total:.0f} requests in {slo.window.total_seconds():.0f} s, {slo.min_samples} are needed"
            raise Unreadable(reasons.TOO_FEW_SAMPLES, few)
        findings = [_against_limits(slo, candidate, values)]
        if slo.compare is not None and wanted.stable is not None:
            stable = _stable(queries, vectors, wanted, slo)
            findings.append(_against_stable(slo, candidate, stable, values))
        elif slo.limits is None:
            findings.append(Finding(Verdict.INCONCLUSIVE, reasons.NO_STABLE_DATA, "there is nothing to compare with"))
        finding = min(findings, key=lambda found: _ORDER.index(found.verdict))
    except Unreadable as unreadable:
        finding = unreadable.finding
    return MonitorResult(
        name=wanted.use.name,
        verdict=finding.verdict,
        reason=finding.reason,
        message=finding.message,
        mode=wanted.use.mode,
        value=_decimal(candidate.value) if candidate else None,
        stable_value=_decimal(stable.value) if stable else None,
        samples=int(candidate.total) if candidate else None,
        window_start=window_start,
        observed_at=now,
    )


def read(
    queries: promql.Queries, vectors: Mapping[str, Vector], wanted: Evaluation, revision: str, backend: str
) -> Reading:
    """One revision's figures.

    Raises:
        Unreadable: no series, several, or not a number.
    """
    total = _one(vectors[queries.total], wanted, revision, backend)
    if total is None:
        raise Unreadable(reasons.NO_DATA, f"Prometheus has no requests of {revision} in the window")
    by_lane = "revision" not in total.labels
    if queries.bad is not None:
        bad = _one(vectors[queries.bad], wanted, revision, backend)
        # A counter of bad events appears with the first of them: with requests seen, none means none.
        count = 0.0 if bad is None else _finite(bad.value)
        seen = _finite(total.value)
        return Reading(seen, min(count / seen, 1.0) if seen else 0.0, min(count, seen), by_lane)
    assert queries.value is not None
    value = _one(vectors[queries.value], wanted, revision, backend)
    if value is None:
        raise Unreadable(reasons.NO_DATA, f"Prometheus has no value for {revision}")
    return Reading(_finite(total.value), _finite(value.value), None, by_lane)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Unreadable(reasons.NOT_A_NUMBER, f"Prometheus answers {value}")
    return value


def _one(vector: Vector, wanted: Evaluation, revision: str, backend: str) -> Sample | None:
    mine = [sample for sample in vector if _is_of(sample.labels, wanted, revision, backend)]
    if len(mine) > 1:
        message = (
            f"{len(mine)} series for {revision}; group the query by (namespace, revision), "
            "or by (route_namespace, route, backend) for gateway metrics"
        )
        raise Unreadable(reasons.SEVERAL_SERIES, message)
    return mine[0] if mine else None


def _is_of(labels: Mapping[str, str], wanted: Evaluation, revision: str, backend: str) -> bool:
    if "revision" in labels:
        return labels["revision"] == revision and labels.get("namespace") == wanted.namespace
    where = (labels.get("route_namespace"), labels.get("route"), labels.get("backend"))
    return where == (wanted.namespace, wanted.deployment, backend)


def _stable(queries: promql.Queries, vectors: Mapping[str, Vector], wanted: Evaluation, slo: SLO) -> Reading:
    assert wanted.stable is not None
    try:
        stable = read(queries, vectors, wanted, wanted.stable, str(wanted.stable_lane))
    except Unreadable as unreadable:
        message = f"stable {wanted.stable}: {unreadable.finding.message}"
        raise Unreadable(reasons.NO_STABLE_DATA, message) from None
    if stable.total < slo.min_samples:
        message = f"stable {wanted.stable} answered {stable.total:.0f} requests, {slo.min_samples} are needed"
        raise Unreadable(reasons.NO_STABLE_DATA, message)
    return stable


def _against_limits(slo: SLO, reading: Reading, values: Mapping[str, str]) -> Finding:
    if slo.limits is None:
        return Finding(Verdict.PASS, reasons.WITHIN_LIMITS, f"{_figure(reading)}; no absolute limit")
    highest, lowest = promql.number(slo.limits.max, values), promql.number(slo.limits.min, values)
    if lowest is not None and reading.value < lowest:
        return Finding(Verdict.FAIL, reasons.OUTSIDE_LIMITS, f"{_figure(reading)}, below {lowest:g}")
    if highest is None or reading.value <= highest:
        return Finding(Verdict.PASS, reasons.WITHIN_LIMITS, _figure(reading))
    if reading.bad is not None and wilson_lower(reading.bad, reading.total) <= highest:
        message = f"{_figure(reading)}, above {highest:g}, but so few may be chance"
        return Finding(Verdict.INCONCLUSIVE, reasons.TOO_FEW_SAMPLES, message)
    return Finding(Verdict.FAIL, reasons.OUTSIDE_LIMITS, f"{_figure(reading)}, above {highest:g}")


def _against_stable(slo: SLO, candidate: Reading, stable: Reading, values: Mapping[str, str]) -> Finding:
    assert slo.compare is not None
    ratio, difference = (
        promql.number(slo.compare.max_ratio, values),
        promql.number(slo.compare.max_difference, values),
    )
    worse = (ratio is None or candidate.value > ratio * stable.value) and (
        difference is None or candidate.value - stable.value > difference
    )
    figures = f"{_figure(candidate)}; stable {stable.value:.6g}"
    if not worse or (ratio is None and difference is None):
        return Finding(Verdict.PASS, reasons.WITHIN_LIMITS, figures)
    if candidate.bad is not None and stable.bad is not None:
        real = proportions_differ(
            candidate.bad, candidate.total, stable.bad, stable.total, float(slo.compare.confidence)
        )
        if not real:
            message = f"{figures}: worse, but so few may be chance"
            return Finding(Verdict.INCONCLUSIVE, reasons.TOO_FEW_SAMPLES, message)
    return Finding(Verdict.FAIL, reasons.WORSE_THAN_STABLE, f"{figures}: worse than allowed")


def _figure(reading: Reading) -> str:
    if reading.bad is not None:
        return f"{reading.value:.2%} of {reading.total:.0f} requests"
    return f"{reading.value:.6g} over {reading.total:.0f} requests"


def _decimal(value: float) -> str:
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return text if text not in ("", "-0") else "0"


def wilson_lower(bad: float, total: float, confidence: float = 0.99) -> float:
    """The one-sided Wilson lower bound of a proportion: it is at least this, with ``confidence``.

    One bad of 50 is 2 %, but with 99 % confidence only at least 0.2 %: no reason to undo a release.
    """
    z = NormalDist().inv_cdf(confidence)
    share, square = bad / total, z * z
    centre = share + square / (2 * total)
    margin = z * math.sqrt(share * (1 - share) / total + square / (4 * total * total))
    return max(0.0, (centre - margin) / (1 + square / total))


def proportions_differ(bad: float, total: float, other_bad: float, other_total: float, confidence: float) -> bool:
    """Whether the first proportion is really above the second: pooled z test, continuity corrected, one-sided."""
    pooled = (bad + other_bad) / (total + other_total)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / total + 1 / other_total))
    if spread == 0:
        return False
    correction = (1 / total + 1 / other_total) / 2
    z = (bad / total - other_bad / other_total - correction) / spread
    return z > NormalDist().inv_cdf(confidence)
