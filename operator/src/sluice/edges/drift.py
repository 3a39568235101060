"""Drift: the verdicts of the sluice-monitor service."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import aiohttp

from sluice.api.base import format_time, parse_time
from sluice.api.modelmonitor import DriftSubject
from sluice.api.modelrevision import Column
from sluice.api.verdict import Evidence, LookKind, MonitorResult, Verdict
from sluice.core import reasons
from sluice.core.plan import Evaluation

_TIMEOUT = aiohttp.ClientTimeout(total=30)
"""A look at 20,000 rows on each side takes a second or so; the report is rendered after the answer."""
_LONGEST = 1024


class DriftService:
    """The HTTP API of sluice-monitor."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url.rstrip("/")
        self._session = session

    async def judge(self, wanted: Evaluation, signature: list[Column], now: datetime) -> MonitorResult:
        """One look at candidate against stable since the step began.

        A service that is away, or answers what is no verdict, is the verdict Error, which holds.
        """
        question = _question(wanted, signature)
        try:
            async with self._session.post(f"{self._url}/v1/drift", json=question, timeout=_TIMEOUT) as response:
                status, answer = response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            return _error(wanted, f"the drift service does not answer at {self._url}: {why}", now)
        if status != 200:
            return _error(wanted, f"the drift service answers {status}: {_said(answer)}", now)
        try:
            return _result(wanted, answer, self._url, now)
        except (LookupError, TypeError, ValueError, AttributeError):
            # Another version of the service, or another service: nobody's verdict.
            return _error(wanted, f"the drift service at {self._url} gives no verdict: {_said(answer)}", now)


def _question(wanted: Evaluation, signature: list[Column]) -> dict[str, Any]:
    drift = wanted.monitor.drift
    if drift is None:
        raise ValueError(f"{wanted.use.name} is no drift monitor")
    guard = wanted.look is not None and wanted.look.kind is LookKind.GUARD
    return {
        "namespace": wanted.namespace,
        "deployment": wanted.deployment,
        "candidate": wanted.revision,
        "stable": wanted.stable,
        "since": format_time(wanted.since),
        "subject": drift.subject,
        "top": drift.top,
        "minSamples": drift.min_samples,
        "minEffect": max(map(float, (drift.min_effect, drift.guard_effect if guard else "0"))),
        "alpha": wanted.alpha,
        "guard": guard,
        "share": wanted.weight / 100 if wanted.weight else None,
        "columns": drift.columns,
        # A signature names the inputs, in order; the answer is not the first of them.
        "schema": [column.dump() for column in signature] if drift.subject is DriftSubject.INPUTS else [],
    }


def _result(wanted: Evaluation, answer: dict[str, Any], url: str, now: datetime) -> MonitorResult:
    """The answer as a result. Raises what a document of another shape makes it raise."""
    report = answer.get("report")
    evidence = Evidence(url=f"{url}{report['url']}", digest=report.get("digest")) if report else None
    begun = answer.get("windowStart")
    return MonitorResult(
        name=wanted.use.name,
        verdict=Verdict(answer["verdict"]),
        reason=answer["reason"],
        message=answer["message"][:_LONGEST],
        mode=wanted.use.mode,
        look=wanted.look.kind if wanted.look is not None else None,
        samples=answer["samples"]["candidate"] if answer.get("samples") else None,
        window_start=parse_time(begun) if begun else wanted.since,
        observed_at=now,
        evidence=evidence,
    )


def _said(answer: object) -> str:
    if isinstance(answer, dict) and "message" in answer:
        return str(answer["message"])[:300]
    return str(answer)[:300]


def _error(wanted: Evaluation, message: str, now: datetime) -> MonitorResult:
    return MonitorResult(
        name=wanted.use.name,
        verdict=Verdict.ERROR,
        reason=reasons.SOURCE_UNAVAILABLE,
        message=message[:_LONGEST],
        mode=wanted.use.mode,
        observed_at=now,
    )
