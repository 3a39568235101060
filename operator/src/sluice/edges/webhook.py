"""Webhook: the verdicts of services that are not ours, asked over HTTP."""

from __future__ import annotations

import asyncio
import json
import math
import uuid
from collections import defaultdict
from datetime import datetime
from typing import Any

from sluice.api.base import format_time
from sluice.api.modelmonitor import Webhook
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import reasons
from sluice.core.plan import Evaluation
from sluice.edges.courier import Courier, Letter, Undelivered, excerpt

_LONGEST_MESSAGE = 1024
_AT_ONCE = 4
"""Questions of one namespace under way: slow services of one team hold up nobody else."""
_MOST_SAMPLES = 1 << 53
_PAUSE = 0.5
"""Seconds before the second try; twice as long before each that follows."""
_REASONS = {
    Verdict.PASS: reasons.WEBHOOK_PASSED,
    Verdict.FAIL: reasons.WEBHOOK_FAILED,
    Verdict.INCONCLUSIVE: reasons.WEBHOOK_UNDECIDED,
}


class Webhooks:
    """Asks services for verdicts."""

    def __init__(self, courier: Courier, pause: float = _PAUSE) -> None:
        self._courier = courier
        self._pause = pause
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))

    async def judge(self, wanted: Evaluation, now: datetime) -> MonitorResult:
        """One question, with its tries. Whatever is no verdict is an Error, which holds."""
        webhook = wanted.monitor.webhook
        assert webhook is not None, "only webhooks are asked here"
        body = json.dumps(question(wanted), sort_keys=True).encode()
        try:
            return _result(wanted, await self._answer(webhook, body, self._turns[wanted.namespace]), now)
        except Undelivered as error:
            return MonitorResult(
                name=wanted.use.name,
                verdict=Verdict.ERROR,
                reason=error.reason,
                message=error.message[:_LONGEST_MESSAGE],
                mode=wanted.use.mode,
                observed_at=now,
            )

    async def _answer(self, webhook: Webhook, body: bytes, turns: asyncio.Semaphore) -> Any:
        letter = Letter(webhook.url, f"msg_{uuid.uuid4().hex}", body, webhook.timeout)
        for attempt in range(webhook.retries + 1):
            try:
                async with turns:
                    return _read(letter, await self._courier.ask(letter))
            except Undelivered as error:
                if not error.again or attempt == webhook.retries:
                    raise
                await asyncio.sleep(self._pause * 2**attempt)
        raise AssertionError("the last try answers or raises")


def question(wanted: Evaluation) -> dict[str, Any]:
    """What a service is told."""
    model = wanted.model
    return {
        "namespace": wanted.namespace,
        "deployment": wanted.deployment,
        "revision": wanted.revision,
        "stable": wanted.stable,
        "monitor": wanted.use.name,
        "parameters": {**wanted.monitor.parameters, **wanted.use.parameters},
        "model": {"name": model.name, "version": model.version, "digest": model.digest} if model else None,
        "weight": wanted.weight,
        "mirrored": wanted.mirrored,
        "since": format_time(wanted.since),
    }


def _read(letter: Letter, content: bytes) -> Any:
    try:
        return json.loads(content)
    except ValueError as error:
        message = f"{letter.place} answers what is no JSON: {excerpt(content)}"
        raise Undelivered(reasons.WEBHOOK_UNUSABLE, message) from error


def _result(wanted: Evaluation, answer: Any, now: datetime) -> MonitorResult:
    """The answer as a result.

    Raises:
        Undelivered: it is no verdict.
    """
    verdict = answer.get("verdict") if isinstance(answer, dict) else None
    if verdict not in tuple(_REASONS):
        message = f'no verdict: an answer is {{"verdict": "Pass"}}, Fail or Inconclusive; it was {str(answer)[:200]}'
        raise Undelivered(reasons.WEBHOOK_UNUSABLE, message)
    given, message = Verdict(verdict), answer.get("message")
    samples = answer.get("samples")
    text = str(message).encode(errors="replace").decode() if message else f"it answers {given}"
    return MonitorResult(
        name=wanted.use.name,
        verdict=given,
        reason=_REASONS[given],
        message=text[:_LONGEST_MESSAGE],
        mode=wanted.use.mode,
        value=_figure(answer.get("value")),
        samples=samples if type(samples) is int and 0 <= samples <= _MOST_SAMPLES else None,
        window_start=wanted.since,
        observed_at=now,
    )


def _figure(value: Any) -> str | None:
    """A number as results have it; whatever is none is left out, for it decides nothing."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return f"{number:.6g}".replace("e+", "e") if math.isfinite(number) else None
