"""Drift: the verdicts of the sluice-monitor service."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import aiohttp

from sluice.api.base import format_time
from sluice.api.modelrevision import Column
from sluice.api.verdict import Evidence, MonitorResult, Verdict
from sluice.core import reasons
from sluice.core.plan import Evaluation

_TIMEOUT = aiohttp.ClientTimeout(total=30)


class DriftService:
    """The HTTP API of sluice-monitor."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url.rstrip("/")
        self._session = session

    async def judge(self, wanted: Evaluation, signature: list[Column], now: datetime) -> MonitorResult:
        """One look at candidate against stable since the step began. An unreachable service is an Error."""
        try:
            async with self._session.post(
                f"{self._url}/v1/drift", json=_question(wanted, signature), timeout=_TIMEOUT
            ) as response:
                answer = await response.json(content_type=None)
                if response.status != 200:
                    return _error(wanted, f"the drift service answers {response.status}: {str(answer)[:300]}", now)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return _error(wanted, f"the drift service does not answer at {self._url}: {error}", now)
        return _result(wanted, answer, self._url, now)


def _question(wanted: Evaluation, signature: list[Column]) -> dict[str, Any]:
    drift = wanted.monitor.drift
    assert drift is not None
    return {
        "namespace": wanted.namespace,
        "deployment": wanted.deployment,
        "candidate": wanted.revision,
        "stable": wanted.stable,
        "since": format_time(wanted.since),
        "subject": drift.subject,
        "minSamples": drift.min_samples,
        "minEffect": float(drift.min_effect),
        "alpha": wanted.alpha,
        "columns": drift.columns,
        "schema": [column.dump() for column in signature],
    }


def _result(wanted: Evaluation, answer: dict[str, Any], url: str, now: datetime) -> MonitorResult:
    report = answer.get("report")
    evidence = None
    if report:
        evidence = Evidence(url=f"{url}{report['url']}", digest=report.get("digest"))
    return MonitorResult(
        name=wanted.use.name,
        verdict=Verdict(answer["verdict"]),
        reason=answer["reason"],
        message=answer["message"][:1024],
        mode=wanted.use.mode,
        samples=answer.get("samples", {}).get("candidate"),
        window_start=wanted.since,
        observed_at=now,
        evidence=evidence,
    )


def _error(wanted: Evaluation, message: str, now: datetime) -> MonitorResult:
    return MonitorResult(
        name=wanted.use.name,
        verdict=Verdict.ERROR,
        reason=reasons.SOURCE_UNAVAILABLE,
        message=message,
        mode=wanted.use.mode,
        observed_at=now,
    )
