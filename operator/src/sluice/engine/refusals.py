"""Refusals: objects that the API server would not take, so that the next decision knows and can say so."""

from __future__ import annotations

from dataclasses import dataclass

from sluice.edges.kinds import Kind
from sluice.edges.kube import Invalid, KubeError


@dataclass(frozen=True)
class Refusal:
    """Why an object could not be written. ``final``: the same object will not be taken another time either."""

    message: str
    final: bool


class Refusals:
    """The latest refusal of each object, until it is accepted. Kept in memory: a new process asks again."""

    def __init__(self) -> None:
        self._known: dict[tuple[Kind, str, str], Refusal] = {}

    def note(self, kind: Kind, namespace: str, name: str, error: KubeError) -> None:
        """An object was refused."""
        self._known[kind, namespace, name] = Refusal(str(error)[:700], isinstance(error, Invalid))

    def clear(self, kind: Kind, namespace: str, name: str) -> None:
        """It was accepted, or is not wanted any more."""
        self._known.pop((kind, namespace, name), None)

    def of(self, kind: Kind, namespace: str, name: str) -> Refusal | None:
        """Why an object was refused, if it was."""
        return self._known.get((kind, namespace, name))
