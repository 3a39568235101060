"""A governed release on a guarded API server: the whole operator, people with client certificates, every refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from sluice.api.evidence import ModelEvidence
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus, ResolvedModel
from sluice.core import document, evidence, records, replay
from sluice.core.objects import Object
from sluice.edges.evidence import EvidenceProblem, EvidenceReader
from sluice.edges.kinds import (
    GOVERNANCE_EVIDENCE,
    MODEL_DECISIONS,
    MODEL_DEPLOYMENTS,
    MODEL_REVISIONS,
)
from sluice.edges.kube import Access, Kube
from sluice.engine.surroundings import Surroundings
from tests.component.cli.test_cli import deployment
from tests.component.governance.acts import ahead
from tests.component.governance.guarded import OPERATOR, Guarded, guards, refused
from tests.component.kube import Manifest
from tests.component.rig import Rig
from tests.component.rig import rig as make_rig

pytestmark = pytest.mark.component

NAME = "scorer"
TEAM = {"rosa": ("edit", "sluice-model-owner"), "dan": ("sluice-model-validator",), "vic": ("sluice-model-validator",)}
"""Rosa asks for the release and could own others; Dan developed the model and could validate others."""
DISTINCT = ["Developer", "Requester", "Approver"]
APPROVALS = [{"role": role, "distinctFrom": DISTINCT} for role in ("model-validator", "model-owner")]
CONTROLS = [f"GOV-{name}" for name in ("APP-01", "APP-02", "APP-03", "SUP-01", "AUD-01", "AUD-03", "AUD-04")]


class Known(EvidenceReader):
    """What MLflow would say: who developed the model."""

    def __init__(self) -> None:
        super().__init__("")

    def read(self, model: ResolvedModel, done: Callable[[], None]) -> ModelEvidence | EvidenceProblem | None:
        """The same of every model."""
        return ModelEvidence(observed_at=datetime(2026, 11, 1, tzinfo=UTC), registered_by="dan.lee")


@dataclass
class Release:
    """A deployment that rosa asked for, under a policy, and those who decide about it."""

    guarded: Guarded
    rig: Rig
    uid: str

    @asynccontextmanager
    async def awaited(self) -> AsyncIterator[None]:
        """The operator runs, as its service account, and the release waits for people."""
        async with self.rig.operating(), self.rig.gateway_controller():
            await self.rig.says("GovernanceSatisfied", "AwaitingApproval", NAME)
            yield

    def decision(self, action: str, who: str, number: int = 1, **change: Any) -> Manifest:
        """A person's decision about a revision, not made yet."""
        spec: Manifest = {
            "action": action,
            "actor": {"username": who},
            "target": {"deployment": NAME, "uid": self.uid, "revision": f"{NAME}-r{number}"},
            "subject": {"model": NAME, "version": str(number), "digest": f"sha256:{number:064x}"},
            "reason": "read and agreed",
        }
        if action in ("Approve", "Reject", "Revoke"):
            spec["role"] = "model-owner" if who in ("rosa", "owen") else "model-validator"
        if action == "Approve":
            spec |= {"policyDigest": self.status()["governance"]["policyDigest"], "expiresAt": ahead(30)}
        metadata = {"generateName": "act-", "namespace": self.rig.namespace}
        return {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "ModelDecision",
            "metadata": metadata,
            "spec": spec | change,
        }

    def make(self, action: str, who: str, number: int = 1, **change: Any) -> str:
        """A person makes a decision, with their own certificate; its name."""
        made = self.guarded.person(who).create(self.decision(action, who, number, **change))
        return str(made["metadata"]["name"])

    async def answer(self, name: str, reason: str) -> str:
        """Wait until a decision is answered with a reason; the message."""
        found: list[Object] = []

        async def there() -> bool:
            item = await self.rig.get(MODEL_DECISIONS, name)
            found[:] = item.get("status", {}).get("conditions", [])
            return bool(found) and found[0]["reason"] == reason

        try:
            await self.rig.eventually(f"{name} is answered with {reason}", there, 20)
        except AssertionError as error:
            raise AssertionError(f"it is answered with {found}") from error
        return str(found[0]["message"])

    def status(self) -> Manifest:
        """The deployment's status."""
        where = {"kind": "ModelDeployment", "metadata": {"name": NAME, "namespace": self.rig.namespace}}
        found: Manifest = self.guarded.admin.get(where)["status"]
        return found


@pytest.fixture
async def release(prepared: Guarded, space: str, tmp_path: Path) -> AsyncIterator[Release]:
    """Rosa has asked for a release that needs two people."""
    guarded = prepared
    for person, roles in TEAM.items():
        for role in roles:
            guarded.kubectl(
                "create", "rolebinding", f"{person}-{role}", f"--clusterrole={role}", f"--user={person}", "-n", space
            )
    policy = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "GovernancePolicy",
        "metadata": {"name": space},
        "spec": {
            "appliesTo": {"namespaces": [space]},
            "controls": [{"id": control} for control in CONTROLS],
            "approvals": APPROVALS,
        },
    }
    guarded.admin.create(policy)
    (tmp_path / "guards.yaml").write_text(yaml.safe_dump_all(guards()))
    (tmp_path / "identities.yaml").write_text(yaml.safe_dump({"dan.lee": "dan"}))
    async with make_rig(guarded.plane, space) as rig:
        access = Access(kubeconfig=str(guarded.plane.kubeconfig), user=OPERATOR, groups=("system:masters",))
        rig.operator_kube = await Kube.connect(access)
        rig.surroundings = Surroundings(rig.operator_kube, Known(), tmp_path)
        made = guarded.person("rosa").create(deployment(space, "1"))
        try:
            yield Release(guarded, rig, made["metadata"]["uid"])
        finally:
            await rig.operator_kube.close()
            guarded.admin.request("DELETE", f"/apis/sluice.dev/v1alpha1/governancepolicies/{space}")


async def test_every_approval_that_does_not_count_says_why_and_two_that_do_release_it(release: Release) -> None:
    async with release.awaited():
        await people_decide(release)
        await the_record_holds(release)


async def people_decide(release: Release) -> None:
    """All that is refused, then what is needed; and what that is worth for the next release."""
    guarded, rig = release.guarded, release.rig
    dan, vera = guarded.person("dan"), guarded.person("vera")
    refused(lambda: dan.create(release.decision("Approve", "vera")), 403, "forged", "but you are dan")
    refused(lambda: dan.create(release.decision("Approve", "dan", role="model-owner")), 403, "dan may not approve")
    robot = guarded.robot()
    software = release.decision("Approve", "system:serviceaccount:ci:deployer", role="model-owner")
    refused(lambda: robot.create(software), 403, "only a person may approve")

    digest = {"model": NAME, "version": "1", "digest": "sha256:" + "e" * 64}
    cases: list[tuple[str, Manifest, str, str]] = [
        ("vera", {"subject": digest}, "OtherModel", "make one about this model"),
        ("vera", {"policyDigest": "sha256:" + "e" * 64}, "OtherPolicies", "approve again under"),
        ("vera", {"expiresAt": "2026-01-01T00:00:00Z"}, "Expired", "make a new one"),
        ("dan", {}, "DeveloperAsApprover", "somebody else must approve it"),
        ("rosa", {}, "SelfApproval", "somebody else must approve it"),
    ]
    async with rig.untouched():
        for who, change, reason, message in cases:
            assert message in await release.answer(release.make("Approve", who, **change), reason), reason
        given = release.make("Approve", "vera")
        assert "it counts" in await release.answer(given, "Accepted")
        release.make("Revoke", "vera", revokes=given)
        assert "took it back" in await release.answer(given, "Revoked")

    await release.answer(release.make("Approve", "vic"), "Accepted")
    await release.answer(release.make("Approve", "owen"), "Accepted")
    await rig.ready(f"{NAME}-r1")
    await rig.phase(NAME, "Healthy")
    assert release.status()["governance"]["requester"] == "rosa"

    # What was given for one release is worth nothing for the next, copied or not.
    guarded.person("rosa").patch(deployment(rig.namespace, "1"), {"spec": {"model": {"version": "2"}}})
    await rig.says("GovernanceSatisfied", "AwaitingApproval", NAME)
    used = next(
        d for d in guarded.admin.list("ModelDecision", rig.namespace) if d["spec"]["actor"]["username"] == "vic"
    )
    copy = {"apiVersion": "sluice.dev/v1alpha1", "kind": "ModelDecision", "spec": used["spec"]}
    copy["metadata"] = {"name": "copied", "namespace": rig.namespace}
    guarded.person("vic").create(copy)
    async with rig.untouched():
        assert "read and agreed" not in await release.answer("copied", "Accepted")
        assert release.status()["governance"]["blockedBy"] == "approval:model-validator, approval:model-owner"
    refused(lambda: vera.create(copy), 403, "forged")


async def the_record_holds(release: Release) -> None:
    """Nobody can edit or delete it; it is one chain, and deciding again gives every record."""
    guarded, rig = release.guarded, release.rig
    found = sorted(await rig.kube.list(MODEL_REVISIONS, rig.namespace), key=lambda item: item["spec"]["revision"])
    first = found[0]
    edited = {"status": {"message": "all is well"}}
    refused(lambda: guarded.admin.patch(first, edited, "status"), 403, "sluice-records")
    refused(lambda: guarded.person("rosa").patch(first, edited, "status"), 403)
    refused(lambda: guarded.admin.delete(first), 403)
    refused(lambda: guarded.operator.delete(first), 403, "kept until it was exported")
    documents = [evidence.decode(item) for item in await rig.kube.list(GOVERNANCE_EVIDENCE, rig.namespace)]
    kept = {document.digest(text): text for text in documents}
    asked = 0
    for item in found:
        spec = ModelRevisionSpec.model_validate(item["spec"])
        status = ModelRevisionStatus.model_validate(item["status"])
        assert records.chain_problem(spec, status) == ""
        assert list(replay.replay(item["metadata"]["name"], status.records, kept.get)) == []
        asked += len(status.records)
    assert asked > 10
    said = records.story(ModelRevisionStatus.model_validate(first["status"]).records)
    assert "Promoted by sluice" in said
    assert "DecisionSeen by owen" in said


async def test_a_deployment_that_asks_for_too_much_at_once_is_refused_when_it_is_applied(release: Release) -> None:
    rig, rosa = release.rig, release.guarded.person("rosa")
    path = f"/apis/sluice.dev/v1alpha1/governancepolicies/{rig.namespace}"
    change = {"spec": {"controls": [{"id": "GOV-ROL-01"}], "approvals": APPROVALS}}
    release.guarded.admin.request("PATCH", path, change, content="application/merge-patch+json")

    async def refuses() -> bool:  # a policy reaches the guard's cache a moment later
        try:
            rosa.patch(deployment(rig.namespace, "1"), {"spec": {"model": {"version": "3"}}})
        except Exception as error:  # noqa: BLE001 - the refusal's text is what is looked at
            return "GOV-ROL-01" in str(error) and "first weight" in str(error)
        return False

    await rig.eventually("it is refused", refuses, 20)
    assert (await rig.get(MODEL_DEPLOYMENTS, NAME))["spec"]["model"]["version"] == "1"
