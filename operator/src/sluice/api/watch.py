"""Watch: what goes on after a promotion, as a deployment states it."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from sluice.api.base import URL, Duration, Resource
from sluice.api.markers import Rule


class OnBreach(StrEnum):
    """What happens when what serves fails a monitor for too long."""

    ALERT = "Alert"
    ROLLBACK = "Rollback"


class Hook(Resource):
    """Who is told when what serves breaches a gate, and when it passes again: a training that begins, for instance.

    The message is a CloudEvent in JSON (``application/cloudevents+json``), signed as Standard Webhooks have it, of type
    ``dev.sluice.watch.breached`` or ``dev.sluice.watch.recovered``. It is sent until it is answered with 2xx.
    """

    rules = (
        Rule(
            "duration(self.timeout) >= duration('1s') && duration(self.timeout) <= duration('60s')",
            "must be between 1s and 60s; what takes longer is begun, and answered at once",
            field=".timeout",
        ),
    )

    url: URL
    """Where it is sent. The operator asks hosts that the chart's operator.webhooks.hosts names, and no others."""
    timeout: Duration = timedelta(seconds=10)
    """How long one try may take."""


class Watch(Resource):
    """The gauges go on after the promotion, on what serves."""

    sustained: Duration = timedelta(minutes=5)
    """How long a gate must fail, without a pass or as long a silence in between, before that is a breach."""
    on_breach: OnBreach = OnBreach.ALERT
    """Alert says so: MonitorsPassing is False, and the alert SluiceModelBreached fires. Rollback also returns to the
    revision before, while that still runs (rollout.rollbackWindow); then Promoted is False."""
    hook: Hook | None = None
    """Who is told of it."""
