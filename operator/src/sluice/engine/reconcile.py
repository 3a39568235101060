"""Reconcile: observe, decide, act, for one deployment at a time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime

from sluice.core.decide import decide
from sluice.edges import metrics
from sluice.edges.kinds import MODEL_DEPLOYMENTS, MODEL_REVISIONS
from sluice.edges.kube import Conflict, KubeError, NotFound, Writer
from sluice.engine.act import Actor
from sluice.engine.evaluator import Evaluator
from sluice.engine.hooks import Hooks
from sluice.engine.observe import Observer, UnreadableError
from sluice.engine.queue import Queue
from sluice.engine.rules import Rules
from sluice.engine.store import Key, Store

log = logging.getLogger(__name__)

_LATE = 0.01
"""Seconds: a moment late rather than a moment early, which would find the hold not over."""


class Reconciler:
    """Takes keys from the queue and carries out what the core decides about them."""

    def __init__(
        self,
        *,
        store: Store,
        queue: Queue[Key],
        kube: Writer,
        observer: Observer,
        evaluator: Evaluator,
        rules: Rules,
        hooks: Hooks,
        actor: Actor,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._queue = queue
        self._kube = kube
        self._observer = observer
        self._evaluator = evaluator
        self._rules = rules
        self._hooks = hooks
        self._actor = actor
        self._clock = clock

    async def work(self) -> None:
        """One worker: reconcile whatever is due, until cancelled."""
        while True:
            key = await self._queue.next()
            metrics.QUEUE_DEPTH.set(len(self._queue))
            started = time.perf_counter()
            result = await self._try(key)
            metrics.RECONCILE.labels(result).observe(time.perf_counter() - started)
            self._queue.done(key, failed=result != "Done")

    async def reconcile(self, key: Key) -> None:
        """Observe, decide, act.

        Raises:
            KubeError: something could not be written. Coming back later makes up for it.
        """
        try:
            world = self._observer.world(key, self._evaluator.results(key))
        except UnreadableError as error:
            await self._actor.say_unreadable(key, str(error), self._clock())
            return
        if world is None:
            self._evaluator.want(key, ())
            self._rules.want(key, ())
            self._hooks.want(key, ())
            self._actor.forget(key)
            return
        plan = decide(world, self._clock())
        self._evaluator.want(key, plan.evaluations)
        self._rules.want(key, plan.questions)
        self._hooks.want(key, plan.outgoing)
        if await self._actor.carry_out(world, plan):
            self._queue.add(key)  # the watch will bring our own writes back as no news
        if plan.requeue_after is not None:
            self._queue.add(key, plan.requeue_after.total_seconds() + _LATE)

    async def _try(self, key: Key) -> str:
        """Reconcile; what came of it, in one word."""
        about = {"namespace": key.namespace, "deployment": key.name}
        try:
            await self.reconcile(key)
        except Conflict as error:
            log.debug("someone else wrote: %s", error, extra=about)
            await self._refresh(key)
            return "Conflict"
        except KubeError as error:
            log.warning("write refused: %s", error, extra=about | {"reason": type(error).__name__})
            return type(error).__name__
        except Exception:  # one deployment's trouble is not the others'
            log.exception("reconcile failed", extra=about)
            return "Failed"
        return "Done"

    async def _refresh(self, key: Key) -> None:
        """Read again what we decide on, rather than wait for the watch."""
        for kind in (MODEL_DEPLOYMENTS, MODEL_REVISIONS):
            for item in self._store.of(kind, key):
                try:
                    self._store.put(kind, await self._kube.get(kind, key.namespace, item["metadata"]["name"]))
                except NotFound:
                    self._store.drop(kind, item)
                except KubeError:
                    return  # the watch will tell, or the next try
