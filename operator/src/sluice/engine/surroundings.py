"""Surroundings: what governance relies on outside the objects that are watched, looked up from time to time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from sluice.api.evidence import ModelEvidence
from sluice.api.modelrevision import ResolvedModel
from sluice.core.governance.facts import Guard
from sluice.edges import guards
from sluice.edges.evidence import EvidenceProblem, EvidenceReader

log = logging.getLogger(__name__)

SETTINGS = Path("/etc/sluice")
"""Where the chart mounts what governance is told: identities.yaml, guards.yaml, trusted-keys/."""


class Surroundings:
    """Guards, identities, and what the registry says of models."""

    def __init__(self, kube: guards.Reader, evidence: EvidenceReader, settings: Path = SETTINGS) -> None:
        self._kube = kube
        self._reader = evidence
        self._settings = settings
        self._guards: tuple[Guard, ...] = ()
        self._identities: dict[str, str] = {}

    def guards(self) -> tuple[Guard, ...]:
        """The admission policies as they were seen last; none if they could not be read."""
        return self._guards

    def identities(self) -> Mapping[str, str]:
        """Registry name to Kubernetes username, as the file said last."""
        return self._identities

    def evidence(self, model: ResolvedModel, done: Callable[[], None]) -> ModelEvidence | str | None:
        """What the registry says of a model, why it could not be read, or None while it is being read."""
        found = self._reader.read(model, done)
        return found.message if isinstance(found, EvidenceProblem) else found

    async def look(self) -> bool:
        """Look again; True if something is not as it was."""
        before = (self._guards, self._identities)
        self._identities = self._read_identities()
        self._guards = await guards.read(self._kube, guards.installed(self._settings / "guards.yaml"))
        return before != (self._guards, self._identities)

    def _read_identities(self) -> dict[str, str]:
        path = self._settings / "identities.yaml"
        try:
            found = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
        except (OSError, yaml.YAMLError) as error:
            log.warning("the identity map cannot be read: %s", error)
            return {}  # who is who is not known: approvals of mapped developers are an Error, never a pass
        return {str(name): str(user) for name, user in found.items()} if isinstance(found, dict) else {}
