"""Quorum: who counts in which role, where one person may count only once. A bipartite matching, small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Seats:
    """A role, how many it needs, who may fill it, and whether whoever does must fill no other."""

    role: str
    count: int
    people: frozenset[str]
    exclusive: bool


def seated(roles: Sequence[Seats]) -> Mapping[str, frozenset[str]]:
    """Who counts in each role. As many seats are filled as can be, those of earlier roles first.

    Which of the orders people came in does not matter: if Ann holds two roles and Ben one of them, Ann is given
    the other. People beyond the required number count where they came, in the first role that has them.
    """
    everywhere = _matched(roles)
    if any(not role.exclusive for role in roles) and not _full(roles, everywhere):
        # Somebody may have to sit in several of the roles that allow it, whom no exclusive role needs.
        own = _matched([role for role in roles if role.exclusive])
        taken = {name for names in own.values() for name in names}
        shared = {role.role: set(role.people - taken) for role in roles if not role.exclusive}
        if _filled(roles, own | shared) > _filled(roles, everywhere):
            everywhere = own | shared
    return {role: frozenset(names) for role, names in _with_the_rest(roles, everywhere).items()}


def _matched(roles: Sequence[Seats]) -> dict[str, set[str]]:
    """One seat a person, by augmenting paths: a seat once filled stays filled, perhaps by another."""
    seats = [(number, place) for number, role in enumerate(roles) for place in range(role.count)]
    holder: dict[str, tuple[int, int]] = {}

    def fill(seat: tuple[int, int], tried: set[str]) -> bool:
        for name in sorted(roles[seat[0]].people - tried):
            tried.add(name)
            if name not in holder or fill(holder[name], tried):
                holder[name] = seat
                return True
        return False

    for seat in seats:
        fill(seat, set())
    result: dict[str, set[str]] = {role.role: set() for role in roles}
    for name, (number, _) in holder.items():
        result[roles[number].role].add(name)
    return result


def _filled(roles: Sequence[Seats], seats: Mapping[str, set[str]]) -> int:
    return sum(min(role.count, len(seats[role.role])) for role in roles)


def _full(roles: Sequence[Seats], seats: Mapping[str, set[str]]) -> bool:
    return _filled(roles, seats) == sum(role.count for role in roles)


def _with_the_rest(roles: Sequence[Seats], seats: dict[str, set[str]]) -> dict[str, set[str]]:
    exclusive = {role.role for role in roles if role.exclusive}
    for role in roles:
        for name in role.people:
            elsewhere = {other for other, names in seats.items() if name in names and other != role.role}
            if not elsewhere or not (elsewhere | {role.role}) & exclusive:
                seats[role.role].add(name)
    return seats
