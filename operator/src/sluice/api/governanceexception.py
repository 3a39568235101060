"""GovernanceException: one control waived for one release, by a person who may, until a day."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sluice.api.base import Conditions, Resource, Text, Time, Word
from sluice.api.markers import Matching, Rule
from sluice.api.modeldecision import Actor, Subject, Target

MAX_DAYS = 90
"""The longest a control may be waived, in days after the exception was made."""

WaivableControl = Annotated[
    str,
    Field(min_length=1, max_length=80),
    Matching(
        "^(GOV-[A-Z]+-[0-9][0-9]|CUSTOM-[a-z]([-a-z0-9]*[a-z0-9])?)$",
        "must be the id of a control, such as GOV-DOC-01, or CUSTOM-<name> of a custom rule",
    ),
]


class GovernanceExceptionSpec(Resource):
    """The control is still evaluated, and shown as Waived with this exception's name where it does not pass."""

    rules = (
        Rule("self == oldSelf", "an exception never changes; make another one"),
        Rule(
            "!self.control.startsWith('GOV-APP-') && !self.control.startsWith('GOV-AUD-')",
            "must not be an approval or the record itself; get the approval, or mend the record",
            field=".control",
        ),
    )

    control: WaivableControl
    """The control that is waived."""
    approver: Actor
    """Who waives it; must be the authenticated user."""
    target: Target
    """For which release; the revision is the one it was granted for."""
    subject: Subject
    """For which model, by digest: another version needs another exception."""
    reason: Annotated[Text, Field(min_length=1)]
    """Why it is acceptable."""
    ticket: Annotated[Word, Field(min_length=1)]
    """The ticket of the exception."""
    expires_at: Time
    """Until when; at most 90 days after the exception is made."""


class GovernanceExceptionStatus(Resource):
    """What came of it, written by Sluice alone."""

    conditions: Conditions = []
    """Accepted: whether it is in force; False says why not."""
