"""Referee: says from the client's own counts when a release began to breach a limit.

It asks neither Sluice nor Prometheus, so the time from its word to the end of the candidate's traffic is the
time that users had to bear a bad model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hack.demo.load import Seen, Tally


@dataclass(frozen=True)
class Limits:
    """The limits that a release is judged by, and how many answers must stand behind a word."""

    errors: float
    """The share of failures."""
    error_samples: int
    seconds: float
    """The 99th percentile of the latency."""
    latency_samples: int
    effect: float
    """The Kolmogorov-Smirnov distance between the candidate's predictions and the stable revision's."""
    effect_samples: int


def limits(monitors: Iterable[Mapping[str, Any]], uses: Iterable[Mapping[str, Any]]) -> Limits:
    """The limits of the gauges ``error-rate``, ``latency-p99`` (in ms) and ``prediction-drift``.

    Args:
        monitors: their manifests.
        uses: ``spec.monitors`` of a ModelDeployment, whose parameters win.
    """
    specs = {monitor["metadata"]["name"]: monitor["spec"] for monitor in monitors}
    given = {use["name"]: use.get("parameters", {}) for use in uses}

    def filled(name: str, text: str) -> float:
        values = {**specs[name].get("parameters", {}), **given.get(name, {})}
        return float(values[text[2:-1]] if text.startswith("${") else text)

    drift = specs["prediction-drift"]["drift"]
    return Limits(
        errors=filled("error-rate", specs["error-rate"]["slo"]["limits"]["max"]),
        error_samples=specs["error-rate"]["slo"]["minSamples"],
        seconds=filled("latency-p99", "${maxMs}") / 1000,
        latency_samples=specs["latency-p99"]["slo"]["minSamples"],
        effect=float(drift["minEffect"]),
        effect_samples=drift["minSamples"],
    )


def breaches(tally: Tally, candidate: str, stable: str | None, limits: Limits) -> list[str]:
    """The gauges whose limit the candidate's answers exceed so far, each with enough samples."""
    seen = tally.revisions.get(candidate)
    if seen is None:
        return []
    found = []
    if seen.answers >= limits.error_samples and seen.failures > limits.errors * seen.answers:
        found.append("error-rate")
    if seen.answers >= limits.latency_samples and seen.percentile(99) > limits.seconds:
        found.append("latency-p99")
    other = tally.revisions.get(stable) if stable else None
    if other is not None and _enough(seen, other, limits) and distance(seen, other) > limits.effect:
        found.append("prediction-drift")
    return found


def _enough(seen: Seen, other: Seen, limits: Limits) -> bool:
    return min(len(seen.predictions), len(other.predictions)) >= limits.effect_samples


def distance(one: Seen, other: Seen) -> float:
    """The largest gap between the two distribution functions of their predictions, in [0, 1]."""
    first, second = np.sort(np.asarray(one.predictions)), np.sort(np.asarray(other.predictions))
    points = np.concatenate([first, second])
    below_first = np.searchsorted(first, points, side="right") / len(first)
    below_second = np.searchsorted(second, points, side="right") / len(second)
    return float(np.max(np.abs(below_first - below_second)))
