"""Metrics: what the operator tells Prometheus about itself and its rollouts."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, Info
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from sluice.core import reasons

_MINUTES = (30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
_VERDICTS = {"Pass": 1, "Skipped": 0, "Waived": 0, "Fail": -1, "Error": -2}
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)

ROLLOUT_DURATION = Histogram(
    "sluice_rollout_duration_seconds",
    "From the request for a revision to its end, by outcome (Promoted, RolledBack, Superseded).",
    ["namespace", "deployment", "outcome"],
    buckets=_MINUTES,
)
STEP_DURATION = Histogram(
    "sluice_rollout_progression_duration_seconds",
    "From the gateway applying a step to leaving it.",
    ["namespace", "deployment"],
    buckets=_MINUTES,
)
EVENTS = Counter("sluice_events_total", "Transitions and problems that were told, by reason.", ["reason", "type"])
VERDICTS = Counter("sluice_verdicts_total", "Verdicts given.", ["monitor", "verdict"])
VERDICT = Gauge(
    "sluice_verdict",
    "Latest verdict on a candidate, or on what serves: 1 Pass, 0 Inconclusive, -1 Fail, -2 Error.",
    ["namespace", "deployment", "revision", "monitor"],
)
VALUE = Gauge(
    "sluice_monitor_value",
    "Latest value that a monitor measured on a candidate, or on what serves.",
    ["namespace", "deployment", "revision", "monitor"],
)
QUEUE_DEPTH = Gauge("sluice_queue_depth", "Deployments waiting to be reconciled.")
RECONCILE = Histogram("sluice_reconcile_seconds", "One reconcile, reads to last write.", ["result"], buckets=_SECONDS)
WRITES = Counter("sluice_api_writes_total", "Writes to the Kubernetes API.", ["kind", "verb"])
QUERIES = Counter("sluice_prometheus_queries_total", "Queries asked of Prometheus.", ["result"])
TICK = Histogram("sluice_tick_seconds", "One round of verdicts.", buckets=_SECONDS)
RULES = Counter("sluice_rules_total", "Custom rules evaluated: Passed, Failed, Error, or Stopped.", ["result"])
RULE_SECONDS = Histogram("sluice_rule_seconds", "One custom rule on one deployment's facts.", buckets=_SECONDS)
RULE_WORKERS = Counter("sluice_rule_workers_total", "Processes started to evaluate custom rules; one is enough.")
LAST_EVENT = Gauge("sluice_last_event_timestamp_seconds", "When the API server was last heard.")
ANCHOR_FAILURES = Counter(
    "sluice_anchor_failures_total",
    "Heads of records that could not be signed, kept or anchored, by reason.",
    ["reason"],
)
UNANCHORED = Gauge(
    "sluice_anchor_oldest_pending_seconds",
    "Age of the oldest record that is not anchored; 0 if all are, or there is no anchor.",
)
LEADER = Gauge("sluice_leader", "1 while this process holds the Lease.")
BUILD = Info("sluice_build", "What is running.")


def forget(namespace: str, deployment: str, revision: str, monitor: str) -> None:
    """Let go of the figures of one monitor on one revision, which would otherwise be exposed for good."""
    for gauge in (VERDICT, VALUE):
        try:
            gauge.remove(namespace, deployment, revision, monitor)
        except KeyError:
            continue  # it was never measured


class Deployments(Collector):
    """What the deployments' status says, read at every scrape: there is nothing to forget when one goes."""

    def __init__(self, items: Callable[[], Iterable[dict[str, Any]]]) -> None:
        """``items`` gives all ModelDeployments as they are known."""
        self._items = items

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Traffic shares, phases and how many are in each, breaches, and what governance says of each deployment."""
        names = ["namespace", "deployment"]
        weights = GaugeMetricFamily(
            "sluice_traffic_weight", "Share of live traffic in percent.", labels=[*names, "revision"]
        )
        phases = GaugeMetricFamily(
            "sluice_deployment_phase", "1 for the phase that a deployment is in.", labels=[*names, "phase"]
        )
        breached = GaugeMetricFamily(
            "sluice_breached",
            "1 while what serves has failed a monitor for too long, or was left for that.",
            labels=names,
        )
        tally: Tally[str] = Tally()
        governance = _Governance()
        for item in self._items():
            where = [item["metadata"]["namespace"], item["metadata"]["name"]]
            status = item.get("status", {})
            phase = status.get("phase", "Pending")
            tally[phase] += 1
            phases.add_metric([*where, phase], 1)
            breached.add_metric(where, 1 if _breached(status) else 0)
            for share in status.get("traffic", []):
                weights.add_metric([*where, share["revision"]], share["weight"])
            governance.add(where, status.get("governance"))
        totals = GaugeMetricFamily("sluice_deployments", "Deployments by phase.", labels=["phase"])
        for phase, count in tally.items():
            totals.add_metric([phase], count)
        yield from (weights, phases, breached, totals, *governance.families)


def _breached(status: dict[str, Any]) -> bool:
    false = {c["reason"] for c in status.get("conditions", []) if c["status"] == "False"}
    return bool(false & {reasons.BREACHED, reasons.RETURNED})


class _Governance:
    """What governance says of the deployments: of the release in progress, or else of what serves."""

    def __init__(self) -> None:
        names = ["namespace", "deployment"]
        self._verdicts = GaugeMetricFamily(
            "sluice_control_verdict",
            "What a control says: 1 Pass, 0 Skipped or Waived, -1 Fail, -2 Error.",
            labels=[*names, "control", "mode", "severity"],
        )
        self._missing = GaugeMetricFamily(
            "sluice_approvals_missing", "People whose approval is still missing.", labels=[*names, "role"]
        )
        self._blocked = GaugeMetricFamily(
            "sluice_governance_blocked", "1 while a control or an approval holds the deployment back.", labels=names
        )

    @property
    def families(self) -> tuple[GaugeMetricFamily, ...]:
        """All of it."""
        return self._verdicts, self._missing, self._blocked

    def add(self, where: list[str], said: dict[str, Any] | None) -> None:
        """Take in the ``governance`` of a deployment's status; None of one that nothing governs."""
        if said is None:
            return
        self._blocked.add_metric(where, 1 if said.get("blockedBy") else 0)
        for result in said.get("controls", []):
            labels = [*where, result["id"], result["mode"], result["severity"]]
            self._verdicts.add_metric(labels, _VERDICTS[result["verdict"]])
        for state in said.get("approvals", []):
            self._missing.add_metric([*where, state["role"]], max(state["required"] - state["given"], 0))
