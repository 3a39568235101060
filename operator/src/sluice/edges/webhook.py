"""Webhook: the verdicts of services that are not ours, asked over HTTP and signed as Standard Webhooks have it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import math
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from sluice.api.base import format_time
from sluice.api.modelmonitor import Webhook
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import reasons
from sluice.core.plan import Evaluation

_LONGEST_MESSAGE = 1024
_LARGEST_ANSWER = 1 << 16
_AT_ONCE = 4
"""Questions of one namespace under way: slow services of one team hold up nobody else."""
_MOST_SAMPLES = 1 << 53
_PAUSE = 0.5
"""Seconds before the second try; twice as long before each that follows."""
_PREFIX = "whsec_"
_REASONS = {
    Verdict.PASS: reasons.WEBHOOK_PASSED,
    Verdict.FAIL: reasons.WEBHOOK_FAILED,
    Verdict.INCONCLUSIVE: reasons.WEBHOOK_UNDECIDED,
}


class WebhookKeyError(ValueError):
    """What should be a signing key is none."""


def read_key(file: Path) -> bytes:
    """The key of a file: ``whsec_`` and base64, 24 to 64 bytes, as Standard Webhooks write it.

    Raises:
        WebhookKeyError: it is another thing, or cannot be read.
    """
    try:
        text = file.read_text().strip()
        key = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (OSError, UnicodeDecodeError, binascii.Error) as error:
        raise WebhookKeyError(f"{file}: {error}") from error
    if not text.startswith(_PREFIX) or not 24 <= len(key) <= 64:
        raise WebhookKeyError(f"{file}: write {_PREFIX} and the base64 of 24 to 64 random bytes")
    return key


def signature(key: bytes, name: str, at: int, body: bytes) -> str:
    """The header ``webhook-signature`` of a message, by its id, its time in seconds since 1970, and its content."""
    digest = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


@dataclass(frozen=True)
class Unanswered(Exception):  # noqa: N818 - becomes a verdict
    """No verdict came of asking."""

    reason: str
    message: str
    again: bool = False
    """Whether another try may do better."""


class Webhooks:
    """Asks services for verdicts, at allowed hosts only."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        hosts: Sequence[str] = (),
        key: Path | None = None,
        pause: float = _PAUSE,
    ) -> None:
        """``hosts`` are patterns such as ``*.risk.svc`` or ``checks.example.com:8443``; ``key`` is a file, read at each
        question, so that a key that was exchanged is used; None: questions are not signed."""
        self._session = session
        self._hosts = tuple(hosts)
        self._key = key
        self._pause = pause
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))

    def refusal(self, url: str) -> str:
        """Why a URL is not asked; empty if it is."""
        parts = urlsplit(url)
        where = {parts.hostname or "", parts.netloc.lower()}
        if any(fnmatchcase(name, host.lower()) for host in self._hosts for name in where):
            return ""
        allowed = ", ".join(self._hosts) or "no host"
        return (
            f"the operator may not ask {parts.netloc}: operator.webhooks.hosts of the chart names {allowed}. "
            "Whoever installs Sluice can add it"
        )

    async def judge(self, wanted: Evaluation, now: datetime) -> MonitorResult:
        """One question, with its tries. Whatever is no verdict is an Error, which holds."""
        webhook = wanted.monitor.webhook
        assert webhook is not None, "only webhooks are asked here"
        body = json.dumps(question(wanted), sort_keys=True).encode()
        try:
            if refusal := self.refusal(webhook.url):
                raise Unanswered(reasons.WEBHOOK_NOT_ALLOWED, refusal)
            return _result(wanted, await self._answer(webhook, body, self._turns[wanted.namespace]), now)
        except Unanswered as error:
            return MonitorResult(
                name=wanted.use.name,
                verdict=Verdict.ERROR,
                reason=error.reason,
                message=error.message[:_LONGEST_MESSAGE],
                mode=wanted.use.mode,
                observed_at=now,
            )

    async def _answer(self, webhook: Webhook, body: bytes, turns: asyncio.Semaphore) -> Any:
        name = f"msg_{uuid.uuid4().hex}"  # the same at each try, so that the service can tell
        for attempt in range(webhook.retries + 1):
            try:
                async with turns:
                    return await self._try(webhook, name, body)
            except Unanswered as error:
                if not error.again or attempt == webhook.retries:
                    raise
                await asyncio.sleep(self._pause * 2**attempt)
        raise AssertionError("the last try answers or raises")

    async def _try(self, webhook: Webhook, name: str, body: bytes) -> Any:
        at = int(time.time())
        headers = {"content-type": "application/json", "webhook-id": name, "webhook-timestamp": str(at)}
        if self._key is not None:
            try:
                headers["webhook-signature"] = signature(read_key(self._key), name, at, body)
            except WebhookKeyError as error:
                raise Unanswered(reasons.WEBHOOK_UNUSABLE, f"the question cannot be signed: {error}") from error
        timeout = aiohttp.ClientTimeout(total=webhook.timeout.total_seconds())
        try:
            # Not redirected: the host that is allowed is the host that is asked.
            async with self._session.post(
                webhook.url, data=body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                status, content = response.status, await _content(response)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            message = f"{webhook.url} does not answer: {why}"
            raise Unanswered(reasons.SOURCE_UNAVAILABLE, message, again=True) from error
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unanswered(
                reasons.SOURCE_UNAVAILABLE, f"{webhook.url} answers {status}: {_said(content)}", again=True
            )
        if status != HTTPStatus.OK or len(content) > _LARGEST_ANSWER:
            said = _said(content) if status != HTTPStatus.OK else f"with more than {_LARGEST_ANSWER} bytes"
            raise Unanswered(reasons.WEBHOOK_UNUSABLE, f"{webhook.url} answers {status}: {said}")
        try:
            return json.loads(content)
        except ValueError as error:
            message = f"{webhook.url} answers what is no JSON: {_said(content)}"
            raise Unanswered(reasons.WEBHOOK_UNUSABLE, message) from error


async def _content(response: aiohttp.ClientResponse) -> bytes:
    """What is answered, in however many pieces; a little more than the longest answer, if it is longer."""
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > _LARGEST_ANSWER:
            break
    return bytes(content)


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


def _result(wanted: Evaluation, answer: Any, now: datetime) -> MonitorResult:
    """The answer as a result.

    Raises:
        Unanswered: it is no verdict.
    """
    verdict = answer.get("verdict") if isinstance(answer, dict) else None
    if verdict not in tuple(_REASONS):
        message = f'no verdict: an answer is {{"verdict": "Pass"}}, Fail or Inconclusive; it was {str(answer)[:200]}'
        raise Unanswered(reasons.WEBHOOK_UNUSABLE, message)
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


def _said(content: bytes) -> str:
    return content[:300].decode(errors="replace").strip() or "nothing"
