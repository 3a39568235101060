"""Hooks: sends what deployments have to tell until it is answered, beside everything else.

What is still to be told is in the revisions' statuses; what was answered is only known here, until a decision has taken
it out of there. A process that ends in between sends it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sluice.core import reasons
from sluice.core.plan import Event, EventType, Outgoing
from sluice.edges import cloudevent
from sluice.edges.courier import Letter, Undelivered
from sluice.engine.children import Tell
from sluice.engine.store import Key

log = logging.getLogger(__name__)

_PAUSE = 1.0
"""Seconds before the second try; twice as long before each that follows."""
_LONGEST_PAUSE = 300.0
_AT_ONCE = 4
"""Messages of one namespace under way: slow services of one team hold up nobody else."""


class Sender(Protocol):
    """The courier, or a double."""

    async def deliver(self, letter: Letter) -> None: ...

    def refusal(self, url: str) -> str: ...


@dataclass
class _Line:
    """What one deployment has to tell, in order; the first is on its way."""

    letters: dict[Letter, Outgoing]
    task: asyncio.Task[None] | None = None

    @property
    def first(self) -> Letter:
        return next(iter(self.letters))


class Hooks:
    """What is on its way, by deployment; of each one at a time, so that nothing is told before what came before it."""

    def __init__(self, courier: Sender, wake: Callable[[Key], None], tell: Tell, pause: float = _PAUSE) -> None:
        """``wake`` is called for a deployment of which something was delivered; ``tell`` that something was not."""
        self._courier = courier
        self._wake = wake
        self._tell = tell
        self._pause = pause
        self._lines: dict[Key, _Line] = {}
        self._delivered: dict[Key, set[str]] = {}
        self._turns: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(_AT_ONCE))

    def want(self, key: Key, outgoing: tuple[Outgoing, ...]) -> None:
        """From now on send this, and only this, for a deployment."""
        wanted = {cloudevent.letter(event, key.namespace, key.name): event for event in outgoing}
        delivered = self._delivered.pop(key, set()) & {event.id for event in outgoing}
        if delivered:
            self._delivered[key] = delivered
        waiting = {letter: event for letter, event in wanted.items() if event.id not in delivered}
        line = self._lines.get(key)
        if line is not None and line.first not in waiting:
            assert line.task is not None, "a line is sent from its beginning"
            line.task.cancel()
            line = None
            del self._lines[key]
        if line is not None:
            line.letters = {line.first: waiting.pop(line.first), **waiting}
        elif waiting:
            line = self._lines[key] = _Line(waiting)
            line.task = asyncio.create_task(self._send(key, line))

    def delivered(self, key: Key) -> tuple[str, ...]:
        """Ids of what was answered and is still asked for, in order."""
        return tuple(sorted(self._delivered.get(key, ())))

    def refusal(self, url: str) -> str:
        """Why nothing is sent to a URL; empty if it is."""
        return self._courier.refusal(url)

    async def _send(self, key: Key, line: _Line) -> None:
        while line.letters:
            letter = line.first
            event = line.letters[letter]
            await self._deliver(key, letter, event)
            del line.letters[letter]
            self._delivered.setdefault(key, set()).add(event.id)
            self._wake(key)
        del self._lines[key]

    async def _deliver(self, key: Key, letter: Letter, event: Outgoing) -> None:
        """Try until it is taken."""
        pause, said = self._pause, ""
        while True:
            try:
                async with self._turns[key.namespace]:
                    await self._courier.deliver(letter)
                return
            except Undelivered as error:
                if error.message != said:  # once, and again when it is another trouble
                    said = error.message
                    message = f"{event.monitor}, {event.type}, could not be told and is tried again: {said}"
                    self._tell(key, Event(EventType.WARNING, reasons.HOOK_UNANSWERED, message[:1024], event.subject))
            except Exception:
                log.exception("telling a hook failed", extra={"namespace": key.namespace, "deployment": key.name})
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
