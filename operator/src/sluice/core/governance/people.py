"""People: who developed a model, who asked for a release, and whether the API server's word stands behind a name.

Usernames are compared without regard to case. Kubernetes tells ``Ann@bank`` and ``ann@bank`` apart, but an
identity provider rarely does, and two spellings must not make two people of one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sluice.api.base import format_time
from sluice.core.governance.facts import Facts

_NOT_PEOPLE = "system:"
"""What Kubernetes calls service accounts, nodes and its own parts begins with this."""


def person(username: str) -> str:
    """What two spellings of one person's name have in common."""
    return username.strip().casefold()


def is_person(username: str) -> bool:
    """Whether it is a user at all, and not a service account or a part of the cluster."""
    name = person(username)
    return bool(name) and not name.startswith(_NOT_PEOPLE)


@dataclass(frozen=True)
class Developers:
    """Who developed the model, as far as it is known."""

    known: frozenset[str]
    """By Kubernetes username, as :func:`person` has it."""
    unmapped: tuple[str, ...]
    """Names of the registry for which nobody has said which username they are."""
    problem: str
    """Why nobody can say who developed it; empty if that is known."""

    @property
    def unsure(self) -> str:
        """Why there may be developers beside the known ones, and what to do; empty if there are none."""
        if self.unmapped:
            names = ", ".join(self.unmapped)
            return (
                f"the registry names {names}, who is in no identity map; the platform team adds registry name: username"
            )
        return self.problem


def developers(facts: Facts) -> Developers:
    """Those whom the team states and those whom the registry names."""
    stated = {person(name) for name in facts.stated.developers if person(name)}
    if facts.evidence is None:
        why = facts.evidence_problem or "it was not read yet"
        return Developers(frozenset(stated), (), f"the registry does not say who developed the model: {why}")
    named = [name for name in (facts.evidence.registered_by, facts.evidence.trained_by) if name.strip()]
    mapped = {person(facts.identities[name]) for name in named if facts.identities.get(name, "").strip()}
    unmapped = tuple(sorted({name for name in named if not facts.identities.get(name, "").strip()}))
    known = frozenset(stated | mapped)
    problem = ""
    if not known and not unmapped:
        problem = "nobody is named as the model's developer; the team lists them in spec.governance.developers"
    return Developers(known, unmapped, problem)


def unguarded(facts: Facts, made: datetime) -> str:
    """Why the author of an object made then is only what it says, and not known; empty if the API server saw to it."""
    if not facts.guards:
        return "the admission policies that prove who somebody is could not be read"
    for guard in facts.guards:
        if not guard.intact:
            return f"{guard.name} is not as installed: {guard.message or 'it is missing or was changed'}"
        if guard.since is None or guard.since > made:
            since = format_time(guard.since) if guard.since else "an unknown time"
            return f"{guard.name} has been there only since {since}"
    return ""


def dependent(facts: Facts, username: str, developed: Developers) -> str:
    """Why somebody may not waive or approve, being no person, a developer or the requester; empty if they may.

    What cannot be told is a reason too.
    """
    if not is_person(username):
        return f"{username} is not a person"
    if person(username) in developed.known:
        return f"{username} developed the model; somebody else must decide"
    if developed.unsure:
        return f"it cannot be told whether {username} developed the model: {developed.unsure}"
    if not (facts.requester or "").strip():
        return f"it cannot be told whether {username} asked for this release: nobody was stamped at admission"
    if person(username) == person(facts.requester or ""):
        return f"{username} asked for this release; somebody else must decide"
    return ""
