"""Verdicts: the four words a monitor may answer, and what stands behind one."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sluice.api.base import Decimal, Digest, Name, Resource, Time, Word


class Verdict(StrEnum):
    """What a monitor says of a revision. The four are never mixed up."""

    PASS = "Pass"  # noqa: S105 - a verdict, not a password
    """Measured, enough samples, within limits."""
    FAIL = "Fail"
    """Measured, enough samples, outside limits."""
    INCONCLUSIVE = "Inconclusive"
    """Too few samples, NaN, a missing series or column. Holds; neither advances nor rolls back."""
    ERROR = "Error"
    """The source could not be asked. Holds and tries again; an outage undoes no good canary."""

    @property
    def conclusive(self) -> bool:
        """Whether something was found out: Pass or Fail."""
        return self in (Verdict.PASS, Verdict.FAIL)


class LookKind(StrEnum):
    """What a drift monitor looks for."""

    GUARD = "Guard"
    """Gross failure, in mid-hold. It can fail a release, and lets nothing pass."""
    PLANNED = "Planned"
    """The look when the hold ends, which must pass."""
    REFERENCE = "Reference"
    """After the promotion: what later looks compare with is collected. It finds nothing out."""
    WATCH = "Watch"
    """After the promotion: what serves is compared with its own first time."""


class Evidence(Resource):
    """A document that backs a verdict, such as an Evidently report."""

    url: Annotated[str, Field(max_length=512)] | None = None
    """Where it can be read."""
    digest: Digest | None = None
    """Its SHA-256, so that a later copy can be compared."""


class MonitorResult(Resource):
    """One monitor's verdict on one revision, with the figures behind it."""

    name: Name
    """The monitor's name."""
    verdict: Verdict
    """Pass, Fail, Inconclusive or Error."""
    reason: Word
    """Why, in one CamelCase word."""
    message: Annotated[str, Field(max_length=1024)] = ""
    """Why, in a sentence with figures."""
    mode: Word = "Gate"
    """Gate decides; Observe is recorded only."""
    look: LookKind | None = None
    """Which kind of look a drift monitor found it by."""
    value: Decimal | None = None
    """What was measured on the candidate."""
    stable_value: Decimal | None = None
    """The same on the stable revision, in the same window."""
    samples: Annotated[int, Field(ge=0)] | None = None
    """How many requests or rows of the candidate stand behind it."""
    window_start: Time | None = None
    """Start of what was measured."""
    observed_at: Time | None = None
    """When it was measured."""
    evidence: Evidence | None = None
    """A document behind it."""
