"""Drift: the verdicts of sluice-monitor on how a candidate behaves beside the stable revision, or what serves."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sluice.api.base import format_time
from sluice.api.modelmonitor import DriftSubject, DriftWatch
from sluice.api.modelrevision import Column
from sluice.api.verdict import LookKind, MonitorResult
from sluice.core.looks import Look
from sluice.core.plan import Evaluation
from sluice.edges.monitorservice import PATIENCE, MonitorService, NoVerdict, no_verdict


class DriftService:
    """Asks sluice-monitor whether a candidate drifted from the stable revision, or what serves from its first time."""

    def __init__(self, service: MonitorService) -> None:
        self._service = service

    async def judge(self, wanted: Evaluation, signature: list[Column], now: datetime) -> MonitorResult:
        """One look at candidate against stable since the step began, or, after a promotion, at what serves.

        Error, which holds, where no verdict is to be had.
        """
        try:
            after = wanted.look is not None and wanted.look.after_promotion
            question = _question(wanted, signature)
            answer = await self._service.ask("/v1/drift", question, PATIENCE if after else None)
        except NoVerdict as error:
            return no_verdict(wanted, error, now)
        try:
            return self._result(wanted, answer, now)
        except (LookupError, TypeError, ValueError, AttributeError):
            return no_verdict(wanted, self._service.not_a_verdict(answer), now)

    def _result(self, wanted: Evaluation, answer: dict[str, Any], now: datetime) -> MonitorResult:
        look = wanted.look
        # After a promotion a look is of the time that ended when it was due, whenever it is taken: one that is taken
        # again after a restart is not seen to fail a second time.
        seen = look.due if look is not None and look.after_promotion else now
        return self._service.result(
            wanted,
            answer,
            seen,
            look=look.kind if look is not None else None,
            samples=answer["samples"]["candidate"] if answer.get("samples") else None,
        )


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
        **_alone(wanted, wanted.look, drift.watch),
    }


def _alone(wanted: Evaluation, look: Look | None, watch: DriftWatch | None) -> dict[str, Any]:
    """What is asked otherwise where there is one revision only: of its later rows against its first ones."""
    if look is None or watch is None or not look.after_promotion:
        return {}
    whole = wanted.since + watch.reference
    asked = {
        "stable": wanted.revision,
        "share": None,
        "reference": {"since": format_time(wanted.since), "until": format_time(whole)},
    }
    if look.kind is LookKind.REFERENCE:
        return asked
    return asked | {"since": format_time(look.due - watch.every), "until": format_time(look.due)}
