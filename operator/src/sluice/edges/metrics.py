"""Metrics: what the operator tells Prometheus about itself and its rollouts."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

_MINUTES = (30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
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
    "Latest verdict on a candidate: 1 Pass, 0 Inconclusive, -1 Fail, -2 Error.",
    ["namespace", "deployment", "revision", "monitor"],
)
VALUE = Gauge(
    "sluice_monitor_value",
    "Latest value that a monitor measured on a candidate.",
    ["namespace", "deployment", "revision", "monitor"],
)
WEIGHT = Gauge("sluice_traffic_weight", "Share of live traffic in percent.", ["namespace", "deployment", "revision"])
PHASE = Gauge("sluice_deployment_phase", "1 for the phase a deployment is in.", ["namespace", "deployment", "phase"])
QUEUE_DEPTH = Gauge("sluice_queue_depth", "Deployments waiting to be reconciled.")
RECONCILE = Histogram("sluice_reconcile_seconds", "One reconcile, reads to last write.", ["result"], buckets=_SECONDS)
WRITES = Counter("sluice_api_writes_total", "Writes to the Kubernetes API.", ["kind", "verb"])
QUERIES = Counter("sluice_prometheus_queries_total", "Queries asked of Prometheus.", ["result"])
TICK = Histogram("sluice_tick_seconds", "One round of verdicts.", buckets=_SECONDS)
LAST_EVENT = Gauge("sluice_last_event_timestamp_seconds", "When the API server was last heard.")
LEADER = Gauge("sluice_leader", "1 while this process holds the Lease.")
