"""Monitor service: what all clients of sluice-monitor do: one question, one answer, or why there is none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import aiohttp

from sluice.api.base import parse_time
from sluice.api.verdict import Evidence, MonitorResult, Verdict
from sluice.core import reasons
from sluice.core.plan import Evaluation

_TIMEOUT = aiohttp.ClientTimeout(total=30)
"""A look at 20,000 rows on each side takes a second or so; the report is rendered after the answer."""
PATIENCE = aiohttp.ClientTimeout(total=600)
"""A look at what serves may be at the rows of a day, which are read from thousands of files."""
LONGEST = 1024
"""Characters of a message."""


class NoVerdict(Exception):  # noqa: N818 - it says what did not come, not that something is wrong with us
    """The service is away, or answers what is no verdict; the message says which."""


class MonitorService:
    """The HTTP API of sluice-monitor."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url.rstrip("/")
        self._session = session

    async def ask(
        self, path: str, question: dict[str, Any], patience: aiohttp.ClientTimeout | None = None
    ) -> dict[str, Any]:
        """The answer to a question.

        Raises:
            NoVerdict: there is none.
        """
        try:
            timeout = patience or _TIMEOUT
            async with self._session.post(f"{self._url}{path}", json=question, timeout=timeout) as response:
                status, answer = response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            raise NoVerdict(f"sluice-monitor does not answer at {self._url}: {why}") from error
        if status != 200:
            raise NoVerdict(f"sluice-monitor answers {status}: {_said(answer)}")
        if not isinstance(answer, dict):
            raise self.not_a_verdict(answer)
        return answer

    def not_a_verdict(self, answer: object) -> NoVerdict:
        """Of an answer by another version of the service, or another service."""
        return NoVerdict(f"sluice-monitor at {self._url} gives no verdict: {_said(answer)}")

    def result(self, wanted: Evaluation, answer: dict[str, Any], now: datetime, **figures: Any) -> MonitorResult:
        """What all answers have, and these figures, as a result. Raises what another shape makes it raise."""
        report = answer.get("report")
        begun = answer.get("windowStart")
        return MonitorResult(
            name=wanted.use.name,
            verdict=Verdict(answer["verdict"]),
            reason=answer["reason"],
            message=answer["message"][:LONGEST],
            mode=wanted.use.mode,
            window_start=parse_time(begun) if begun else wanted.since,
            observed_at=now,
            evidence=Evidence(url=f"{self._url}{report['url']}", digest=report.get("digest")) if report else None,
            **figures,
        )


def no_verdict(
    wanted: Evaluation, why: Exception, now: datetime, reason: str = reasons.SOURCE_UNAVAILABLE
) -> MonitorResult:
    """The verdict Error, which holds."""
    return MonitorResult(
        name=wanted.use.name,
        verdict=Verdict.ERROR,
        reason=reason,
        message=str(why)[:LONGEST],
        mode=wanted.use.mode,
        observed_at=now,
    )


def _said(answer: object) -> str:
    if isinstance(answer, dict) and "message" in answer:
        return str(answer["message"])[:300]
    return str(answer)[:300]
