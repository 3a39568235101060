"""An operator at work behind the chart's guards, as its service account; people act with their own certificates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from sluice.api.evidence import ModelEvidence
from sluice.api.modelrevision import ResolvedModel
from sluice.core.objects import Object
from sluice.edges.evidence import EvidenceReader
from sluice.edges.kinds import GOVERNANCE_POLICIES, MODEL_DEPLOYMENTS, MODEL_REVISIONS
from sluice.edges.kube import Kube
from sluice.engine.surroundings import Surroundings
from tests.component.governance.acts import ahead
from tests.component.governance.guarded import Guarded, guards
from tests.component.kube import Manifest
from tests.component.rig import Rig
from tests.component.test_operator import deployment


class PlayedEvidence(Surroundings):
    """Real guards; of every model the registry says that dev made it, and no more."""

    def __init__(self, kube: Kube, directory: Path) -> None:
        super().__init__(kube, EvidenceReader("http://127.0.0.1:9"), directory)
        (directory / "guards.yaml").write_text(yaml.safe_dump_all(guards()))
        (directory / "identities.yaml").write_text(yaml.safe_dump({"dev": "dan"}))
        self._said = ModelEvidence(observed_at=datetime.now(UTC), registered_by="dev", trained_by="dev")

    def evidence(self, model: ResolvedModel, done: Callable[[], None]) -> ModelEvidence | str | None:
        """The same of every model."""
        return self._said


@dataclass
class AtWork:
    """What a test holds."""

    guarded: Guarded
    rig: Rig

    async def govern(self, **spec: Any) -> None:
        """A policy for this namespace."""
        await self.rig.kube.apply(GOVERNANCE_POLICIES, self.policy(**spec))

    async def ungovern(self) -> None:
        """Take it away."""
        name = self.policy()["metadata"]["name"]
        await self.rig.kube.delete(GOVERNANCE_POLICIES, await self.rig.kube.get(GOVERNANCE_POLICIES, None, name))

    def policy(self, **spec: Any) -> Object:
        """The policy of this namespace."""
        return {
            "apiVersion": GOVERNANCE_POLICIES.api_version,
            "kind": "GovernancePolicy",
            "metadata": {"name": f"at-work-{self.rig.namespace}"},
            "spec": {"appliesTo": {"namespaces": [self.rig.namespace]}, **spec},
        }

    async def asks(self, person: str, version: str) -> None:
        """A person applies the deployment."""
        wanted = deployment(self.rig, version)
        api = self.guarded.admin if person == "admin" else self.guarded.person(person)
        await asyncio.to_thread(lambda: api.apply(wanted, "kubectl"))

    async def decides(self, person: str, action: str, revision: str, role: str, expires: str = "") -> str:
        """A person makes a decision about a revision; its name."""
        about = await self._about(revision)
        spec: Manifest = {"action": action, "actor": {"username": person}, "role": role, "reason": "because", **about}
        if action == "Approve":
            status = (await self.rig.get(MODEL_DEPLOYMENTS, "scorer"))["status"]
            spec |= {"policyDigest": status["governance"]["policyDigest"], "expiresAt": expires or ahead(30)}
        return await self._create(person, "ModelDecision", f"{action.lower()}-{person}-{revision}", spec)

    async def waives(self, person: str, control: str, revision: str, expires: str, name: str = "waiver") -> str:
        """A person waives a control for a revision's model; the exception's name."""
        about = await self._about(revision)
        spec = {"control": control, "approver": {"username": person}, "reason": "r", "ticket": "T", **about}
        return await self._create(person, "GovernanceException", name, spec | {"expiresAt": expires})

    async def answered(self, kind: str, name: str, status: str, reason: str) -> datetime:
        """Wait until an act is answered so; when it was answered."""
        manifest = {"kind": kind, "metadata": {"name": name, "namespace": self.rig.namespace}}
        found: Object = {}

        async def there() -> bool:
            item = await asyncio.to_thread(self.guarded.admin.get, manifest)
            for condition in item.get("status", {}).get("conditions", []):
                found.update(condition)
            return (found.get("status"), found.get("reason")) == (status, reason)

        try:
            await self.rig.eventually(f"{kind} {name} is answered {status}, {reason}", there)
        except AssertionError as late:
            raise AssertionError(f"{late}\nit is answered {found}") from late
        return datetime.fromisoformat(found["lastTransitionTime"])

    async def records(self, revision: str) -> list[Object]:
        """What is on record of a revision."""
        records: list[Object] = (await self.rig.get(MODEL_REVISIONS, revision))["status"]["records"]
        return records

    async def _about(self, revision: str) -> Manifest:
        owner = await self.rig.get(MODEL_DEPLOYMENTS, "scorer")
        model = (await self.rig.get(MODEL_REVISIONS, revision))["spec"]["model"]
        target = {"deployment": "scorer", "uid": owner["metadata"]["uid"], "revision": revision}
        subject = {"model": model["name"], "version": model["version"], "digest": model["digest"]}
        return {"target": target, "subject": subject}

    async def _create(self, person: str, kind: str, name: str, spec: Manifest) -> str:
        metadata = {"name": name, "namespace": self.rig.namespace}
        item = {"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
        api = self.guarded.admin if person == "admin" else self.guarded.person(person)
        await asyncio.to_thread(lambda: api.create(item))
        return name


def soon(seconds: float) -> tuple[datetime, str]:
    """A time that is so many seconds ahead, at least, in whole seconds; and as people write it."""
    at = (datetime.now(UTC) + timedelta(seconds=seconds + 1)).replace(microsecond=0)
    return at, at.strftime("%Y-%m-%dT%H:%M:%SZ")
