"""Policies: each is looked at when it changes, so that a mistake in it is said then, in its status."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from pydantic import ValidationError

from sluice.api.base import Condition, ConditionStatus
from sluice.api.governancepolicy import GovernancePolicySpec, GovernancePolicyStatus
from sluice.core import reasons
from sluice.core.governance import policy, soundness
from sluice.core.governance.soundness import Says
from sluice.core.objects import Object
from sluice.edges.kinds import GOVERNANCE_POLICIES
from sluice.edges.kube import KubeError, Writer
from sluice.edges.rules import Answer
from sluice.engine.store import Store

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 60.0
"""How often to look again at a policy of which nothing could be told."""


class Compiler(Protocol):
    """The worker process, or a double."""

    async def compile(self, expression: str) -> Answer: ...


class Policies:
    """Looks at policies and writes what came of it into their status."""

    def __init__(self, store: Store, writer: Writer, compiler: Compiler, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._writer = writer
        self._compiler = compiler
        self._clock = clock
        self._news = asyncio.Event()
        self._looked: dict[str, int] = {}
        """By uid, the generation that was looked at and could be told of: another version may know other controls,
        so that a new process looks at all."""

    def wake(self) -> None:
        """A policy is new or has changed."""
        self._news.set()

    async def run(self) -> None:
        """Look at policies when they change, and at those of which nothing could be told now and then."""
        while True:
            try:
                await self.all()
            except Exception:  # one policy's trouble is not the others'
                log.exception("looking at policies failed")
            try:
                await asyncio.wait_for(self._news.wait(), _AGAIN_SECONDS)
            except TimeoutError:
                continue
            finally:
                self._news.clear()

    async def all(self) -> None:
        """Look at every policy that was not looked at in its present form."""
        items = list(self._store.all(GOVERNANCE_POLICIES))
        self._looked = {
            item["metadata"]["uid"]: self._looked[item["metadata"]["uid"]]
            for item in items
            if item["metadata"]["uid"] in self._looked
        }
        for item in items:
            if self._looked.get(item["metadata"]["uid"]) != item["metadata"]["generation"]:
                await self._look(item)

    async def _look(self, item: Object) -> None:
        (status, reason, message), digest = await self._said(item)
        before = {c["type"]: c for c in item.get("status", {}).get("conditions", [])}.get("Ready")
        same = before is not None and before["status"] == status
        condition = Condition(
            type="Ready",
            status=status,
            reason=reason,
            message=message[:4096],
            last_transition_time=before["lastTransitionTime"] if before and same else self._clock(),
            observed_generation=item["metadata"]["generation"],
        )
        wanted = GovernancePolicyStatus(
            conditions=[condition], observed_generation=item["metadata"]["generation"], digest=digest
        )
        name = item["metadata"]["name"]
        if wanted.dump() != item.get("status"):
            try:
                self._store.put(
                    GOVERNANCE_POLICIES, await self._writer.apply_status(GOVERNANCE_POLICIES, item, wanted.dump())
                )
            except KubeError as error:
                log.info("GovernancePolicy %s: its status is not written: %s", name, error)
                return
            if status is ConditionStatus.FALSE:
                log.warning("GovernancePolicy %s: %s", name, message, extra={"reason": reason})
        if status is not ConditionStatus.UNKNOWN:
            self._looked[item["metadata"]["uid"]] = item["metadata"]["generation"]

    async def _said(self, item: Object) -> tuple[Says, str | None]:
        try:
            spec = GovernancePolicySpec.model_validate(item["spec"])
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in ("spec", *first["loc"]))
            message = f"this version of Sluice cannot read {where}: {first['msg']}"
            return (ConditionStatus.FALSE, reasons.POLICY_INVALID, message), None
        complaints: dict[str, str] = {}
        untold = ""
        for rule in spec.custom_rules:
            answer = await self._compiler.compile(rule.expression)
            if answer.stopped:
                untold = f"custom rule {rule.name}: {answer.error}"
            elif answer.error:
                complaints[rule.name] = answer.error
        return soundness.ready(spec, complaints, untold), policy.digest_of(spec)
