"""People: who did what in a release, from the objects that they made and from the record, held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from sluice.api.base import Condition, Resource, parse_time
from sluice.api.governance import GivenApproval
from sluice.api.governanceexception import GovernanceExceptionSpec
from sluice.api.modeldecision import Action, ModelDecisionSpec
from sluice.api.record import Record, RecordKind
from sluice.cli.report.assessment import Assessment
from sluice.cli.report.story import Story
from sluice.core import identity
from sluice.core.objects import Object

R = TypeVar("R", bound=Resource)

_EXCEPTION = "Exception"


@dataclass(frozen=True)
class Act:
    """One thing that a person did."""

    name: str
    """The object's name."""
    what: str
    """The Action, or ``Exception``."""
    who: str
    at: datetime
    role: str = ""
    reason: str = ""
    ticket: str = ""
    expires_at: datetime | None = None
    conditions: str = ""
    about: str = ""
    """The control that is waived, or the approval that is taken back."""
    counts: bool | None = None
    """Of an approval, whether it counted at the time that is reported; of others, whether Sluice accepted it."""
    standing: str = ""
    """One word for that, such as SelfApproval."""
    message: str = ""
    """Why it does not count."""
    sequence: int | None = None
    """The record that it is in."""
    changed: str = ""
    """What is otherwise in the record than in the object, in a sentence."""


def acts(story: Story, found: Assessment | None) -> tuple[Act, ...]:
    """What people did in a release, oldest first."""
    recorded = _recorded(story)
    standing = {a.decision: a for state in (found.approvals if found else ()) for a in state.approvals}
    used = {control.waiver for control in (found.controls if found else ()) if control.waiver}
    made = [
        *(_decision(story, item, recorded, standing) for item in story.dossier.of("ModelDecision")),
        *(_exception(story, item, recorded, used) for item in story.dossier.of("GovernanceException")),
    ]
    present = [act for act in made if act is not None]
    lost = [_from_record(name, record) for name, record in recorded.items() if name not in {a.name for a in present}]
    return tuple(sorted([*present, *lost], key=lambda act: (act.at, act.sequence or 0, act.name)))


def _recorded(story: Story) -> dict[str, Record]:
    """The records of people's acts, by the name of the object."""
    found = {}
    for record in story.records:
        for evidence in record.evidence:
            kind, _, name = evidence.name.partition("/")
            if kind in ("decision", "exception") and record.kind in (RecordKind.DECISION_SEEN, RecordKind.WAIVED):
                found[name] = record
    return found


def _decision(
    story: Story, item: Object, recorded: Mapping[str, Record], standing: Mapping[str, GivenApproval]
) -> Act | None:
    read = _spec(ModelDecisionSpec, item)
    if read is None:
        return None
    spec, name, at = read
    if spec.target.revision != story.revision.name or story.uid not in ("", spec.target.uid):
        return None
    record, answer, stands = recorded.get(name), _answer(item), standing.get(name)
    limits = spec.conditions
    conditions = [f"up to {limits.max_weight} % of the traffic"] if limits and limits.max_weight else []
    conditions += [f"in {', '.join(limits.namespaces)}"] if limits and limits.namespaces else []
    counts = None if answer is None else answer.status == "True"
    word, message = ("", "") if answer is None else (answer.reason, answer.message)
    if spec.action is Action.APPROVE and stands is not None:
        counts, word, message = stands.standing == "Counts", stands.standing, stands.message
    elif record is not None and spec.action is not Action.APPROVE:
        counts, word, message = True, "Accepted", ""
    return Act(
        name=name,
        what=spec.action,
        who=spec.actor.username,
        at=at,
        role=spec.role or "",
        reason=spec.reason,
        ticket=spec.ticket or "",
        expires_at=stands.expires_at if stands is not None and stands.expires_at else spec.expires_at,
        conditions="; ".join(conditions),
        about=spec.revokes or "",
        counts=counts,
        standing=word,
        message="" if counts else message,
        sequence=record.sequence if record else None,
        changed=_changed(record, spec),
    )


def _exception(story: Story, item: Object, recorded: Mapping[str, Record], used: set[str]) -> Act | None:
    read = _spec(GovernanceExceptionSpec, item)
    if read is None:
        return None
    spec, name, at = read
    if story.uid not in ("", spec.target.uid):
        return None
    if spec.target.revision != story.revision.name and name not in recorded and name not in used:
        return None
    record, answer = recorded.get(name), _answer(item)
    in_force = name in used
    return Act(
        name=name,
        what=_EXCEPTION,
        who=spec.approver.username,
        at=at,
        reason=spec.reason,
        ticket=spec.ticket,
        expires_at=spec.expires_at,
        about=spec.control,
        counts=in_force or record is not None,
        standing="InForce" if in_force else "Recorded" if record is not None else "NotUsed",
        message="" if in_force or answer is None else answer.message,
        sequence=record.sequence if record else None,
        changed=_changed(record, spec),
    )


def _from_record(name: str, record: Record) -> Act:
    """An act whose object is not there any more: the record still says who and what."""
    return Act(
        name=name,
        what=record.reason if record.kind is RecordKind.DECISION_SEEN else _EXCEPTION,
        who=record.actor,
        at=record.time,
        reason=record.message,
        counts=None,
        standing="ObjectMissing",
        message="the object is not in this export; this is what the record says of it",
        sequence=record.sequence,
    )


def _changed(record: Record | None, spec: Resource) -> str:
    digest = next((e.digest for e in record.evidence if "/" in e.name), None) if record else None
    if digest is not None and digest != identity.digest(spec.dump()):
        return "the object says something else than what was put on record"
    return ""


def _spec(kind: type[R], item: Object) -> tuple[R, str, datetime] | None:
    metadata = item.get("metadata") or {}
    try:
        return kind.model_validate(item["spec"]), str(metadata["name"]), parse_time(metadata["creationTimestamp"])
    except (ValidationError, KeyError, TypeError, ValueError):
        return None


def _answer(item: Object) -> Condition | None:
    try:
        given = [Condition.model_validate(c) for c in (item.get("status") or {}).get("conditions") or ()]
    except (ValidationError, TypeError, AttributeError):
        return None
    return next((condition for condition in given if condition.type == "Accepted"), None)
