"""Courier: messages to services that are not ours, at allowed hosts only, signed as Standard Webhooks have it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from sluice.core import reasons

_LARGEST_ANSWER = 1 << 16
_PREFIX = "whsec_"


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
class Undelivered(Exception):  # noqa: N818 - a host that does not answer is no error of ours
    """A message was not taken."""

    reason: str
    message: str
    again: bool = False
    """Whether another try may do better."""


@dataclass(frozen=True)
class Letter:
    """A message. Its name is the same at each try, so that who gets it twice can tell."""

    url: str
    name: str
    body: bytes
    timeout: timedelta
    content_type: str = "application/json"

    @property
    def place(self) -> str:
        """The URL without its query, which may hold what is nobody else's business."""
        return self.url.partition("?")[0]


class Courier:
    """Posts letters."""

    def __init__(self, session: aiohttp.ClientSession, hosts: Sequence[str] = (), key: Path | None = None) -> None:
        """``hosts`` are patterns such as ``*.risk.svc`` or ``checks.example.com:8443``; ``key`` is a file, read for
        each letter, so that a key that was exchanged is used; None: letters are not signed."""
        self._session = session
        self._hosts = tuple(hosts)
        self._key = key

    def refusal(self, url: str) -> str:
        """Why nothing is sent to a URL; empty if it is."""
        parts = urlsplit(url)
        where = {parts.hostname or "", parts.netloc.lower()}
        if any(fnmatchcase(name, host.lower()) for host in self._hosts for name in where):
            return ""
        allowed = ", ".join(self._hosts) or "no host"
        return (
            f"the operator may not ask {parts.netloc}: operator.webhooks.hosts of the chart names {allowed}. "
            "Whoever installs Sluice can add it"
        )

    async def ask(self, letter: Letter) -> bytes:
        """What is answered, at one try. An answer has the status 200; any other, as of a job that was queued, is none.

        Raises:
            Undelivered: it may not be sent, cannot be signed, was not answered, or with another status, or with too
                much.
        """
        status, content = await self._post(letter, read=True)
        if status != HTTPStatus.OK or len(content) > _LARGEST_ANSWER:
            said = excerpt(content) if status != HTTPStatus.OK else f"with more than {_LARGEST_ANSWER} bytes"
            raise Undelivered(reasons.WEBHOOK_UNUSABLE, f"{letter.place} answers {status}: {said}")
        return content

    async def deliver(self, letter: Letter) -> None:
        """Have it taken, at one try: by a status of 200 to 299, whatever is said with it, and however slowly.

        Raises:
            Undelivered: it may not be sent, cannot be signed, was not answered, or with another status.
        """
        status, content = await self._post(letter, read=False)
        if not _taken(status):
            raise Undelivered(reasons.WEBHOOK_UNUSABLE, f"{letter.place} answers {status}: {excerpt(content)}")

    async def _post(self, letter: Letter, *, read: bool) -> tuple[int, bytes]:
        """The status and content of an answer; the content of a letter that was taken only if that is to be read."""
        if refusal := self.refusal(letter.url):
            raise Undelivered(reasons.WEBHOOK_NOT_ALLOWED, refusal)
        timeout = aiohttp.ClientTimeout(total=letter.timeout.total_seconds())
        headers = self._headers(letter)
        try:
            # Not redirected: the host that is allowed is the host that is asked.
            async with self._session.post(
                letter.url, data=letter.body, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                status = response.status
                content = await _content(response) if read or not _taken(status) else b""
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            message = f"{letter.place} does not answer: {why}"
            raise Undelivered(reasons.SOURCE_UNAVAILABLE, message, again=True) from error
        if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            message = f"{letter.place} answers {status}: {excerpt(content)}"
            raise Undelivered(reasons.SOURCE_UNAVAILABLE, message, again=True)
        return status, content

    def _headers(self, letter: Letter) -> dict[str, str]:
        at = int(time.time())
        headers = {"content-type": letter.content_type, "webhook-id": letter.name, "webhook-timestamp": str(at)}
        if self._key is not None:
            try:
                headers["webhook-signature"] = signature(read_key(self._key), letter.name, at, letter.body)
            except WebhookKeyError as error:
                raise Undelivered(reasons.WEBHOOK_UNUSABLE, f"it cannot be signed: {error}") from error
        return headers


def _taken(status: int) -> bool:
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


async def _content(response: aiohttp.ClientResponse) -> bytes:
    """What is answered, in however many pieces; a little more than the longest answer, if it is longer."""
    content = bytearray()
    async for piece in response.content.iter_any():
        content += piece
        if len(content) > _LARGEST_ANSWER:
            break
    return bytes(content)


def excerpt(content: bytes) -> str:
    """The beginning of an answer, for a message."""
    return content[:300].decode(errors="replace").strip() or "nothing"
