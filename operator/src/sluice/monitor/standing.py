"""Standing: one report for verdicts that stay the same.

What is asked after a promotion is asked for months, every hour or every few seconds. A report for each answer would
push out those of releases, and show the same.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import msgspec

from sluice.api.verdict import Verdict
from sluice.monitor.contract import ReportLink
from sluice.monitor.evidence import Answer, Evidence, ReportState
from sluice.monitor.exhibit import Shown

SHOWN_SECONDS = 86_400.0
"""How long one report stands for verdicts that stay the same."""
MAX_SHOWN = 4_096
"""Questions whose last report is remembered."""


class _Last(NamedTuple):
    """The last report of one question."""

    verdict: Verdict
    at: float
    report: ReportLink


class Standing:
    """Remembers which report each question had last."""

    def __init__(self, evidence: Evidence, clock: Callable[[], float]) -> None:
        self._evidence = evidence
        self._clock = clock
        self._last: dict[Hashable, _Last] = {}

    def show(
        self, question: Hashable, verdict: Verdict, title: str, request: msgspec.Struct, answer: Answer, shown: Shown
    ) -> Answer:
        """The answer with the link to a report: a new one when its verdict changed, or the last is a day old.

        Args:
            question: what tells this question from others.
            verdict: the answer's.
            title: as in :meth:`Evidence.attach`, and so are the others.
            request: see there.
            answer: see there.
            shown: see there.
        """
        last, now = self._last.get(question), self._clock()
        known = self._evidence.record(last.report.id) if last is not None else None
        there = known is not None and known.state is not ReportState.FAILED
        if last is not None and there and last.verdict is verdict and now - last.at < SHOWN_SECONDS:
            return msgspec.structs.replace(answer, report=last.report)
        answer = self._evidence.attach(title, request, answer, shown)
        report: ReportLink | None = getattr(answer, "report", None)
        if report is not None:
            if len(self._last) >= MAX_SHOWN:
                self._last.clear()
            self._last[question] = _Last(verdict, now, report)
        return answer
