"""Oversight: what governance looks at beside a release, from the store and from who reads the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from sluice.api.base import Condition, parse_time
from sluice.api.evidence import ModelEvidence
from sluice.api.governanceexception import GovernanceExceptionSpec
from sluice.api.governancepolicy import GovernancePolicySpec
from sluice.api.modeldecision import ModelDecisionSpec
from sluice.api.modeldeployment import Governance, ModelDeploymentSpec
from sluice.api.modelrevision import ResolvedModel
from sluice.api.record import Seal
from sluice.core import records
from sluice.core.governance import policy
from sluice.core.governance.facts import Decision, Guard, Policy, Waiver
from sluice.core.objects import Object
from sluice.core.world import HandEdit, Oversight, Revision, RuleOutcome
from sluice.edges.kinds import (
    GOVERNANCE_EXCEPTIONS,
    GOVERNANCE_POLICIES,
    INFERENCE_SERVICES,
    MODEL_DECISIONS,
    MODEL_DEPLOYMENTS,
    MODEL_REVISIONS,
)
from sluice.engine.store import Key, Store

REQUESTER = "sluice.dev/requested-by"
"""The annotation in which admission stamps who changed a ModelDeployment's spec."""

Evidence = Callable[[ResolvedModel, Callable[[], None]], ModelEvidence | str | None]
"""What the registry says of a model: the evidence, why it could not be read, or None while it is being read."""


def _no_evidence(_model: ResolvedModel, _done: Callable[[], None]) -> ModelEvidence | str | None:
    return "no registry is configured to read evidence from; set the operator's tracking URI"


@dataclass
class Sources:
    """Who knows what the store does not. Each answers at once with what is known."""

    evidence: Evidence = _no_evidence
    identities: Callable[[], Mapping[str, str]] = dict
    guards: Callable[[], tuple[Guard, ...]] = tuple
    seal: Callable[[str, str], Seal | None] = lambda _namespace, _revision: None
    """By namespace and revision: how far its records are signed and anchored."""
    hand_edits: Callable[[Key], tuple[HandEdit, ...]] = lambda _key: ()
    """What was changed by hand of the objects made for a deployment."""
    rules: Callable[[Key], Mapping[str, RuleOutcome]] = lambda _key: {}
    """What custom rules came to, of those that the deployment's last decision asked about."""
    anchoring: bool = False
    logging: bool = False
    wake: Callable[[Key], None] = field(default=lambda _key: None)
    """Called for a deployment of which more is known since."""


class Overseer:
    """Makes the Oversight of one deployment."""

    def __init__(self, store: Store, sources: Sources) -> None:
        self._store = store
        self._sources = sources
        self._checked: dict[tuple[str, str], tuple[str, str]] = {}
        """By namespace and revision: the version of the object whose chain was checked, and what was wrong with it."""

    def of(self, key: Key, item: Object, spec: ModelDeploymentSpec, revisions: tuple[Revision, ...]) -> Oversight:
        """What is known now. What must be read first is asked for, and its coming wakes the deployment."""
        moving = [revision.spec.governance for revision in revisions if revision.in_progress]
        policies = self._policies(key.namespace, [spec.governance, *moving])
        plans = [spec.rollout, *(revision.spec.rollout for revision in revisions)]
        governed = bool(policies) or any(step.approval is not None for plan in plans for step in plan.steps)
        evidence, problems = self._evidence(key, revisions) if governed else ({}, {})
        return Oversight(
            policies=policies,
            decisions=tuple(sorted(self._decisions(key), key=lambda d: (d.created_at, d.name))),
            waivers=tuple(sorted(self._waivers(key), key=lambda w: w.name)),
            identities=self._sources.identities(),
            requester=(item["metadata"].get("annotations") or {}).get(REQUESTER),
            evidence=evidence,
            evidence_problems=problems,
            guards=self._sources.guards(),
            unmanaged=tuple(self._unmanaged(key.namespace)) if governed else (),
            hand_edits=self._sources.hand_edits(key),
            inventory_elsewhere=tuple(self._elsewhere(key, spec.governance)) if governed else (),
            chain_problems={r.name: problem for r in revisions if (problem := self._chain_problem(key, r))},
            seals={r.name: seal for r in revisions if (seal := self._sources.seal(key.namespace, r.name))},
            anchoring=self._sources.anchoring,
            logging=self._sources.logging,
            rules=self._sources.rules(key) if policies else {},
        )

    def _policies(self, namespace: str, stated: list[Governance | None]) -> tuple[Policy, ...]:
        """Those that apply to what is stated now, or to what was stated for the release in progress."""
        known = [_policy(item) for item in self._store.all(GOVERNANCE_POLICIES)]
        found = {one.name: one for said in stated for one in policy.applicable(known, namespace, said)}
        return tuple(found[name] for name in sorted(found))

    def _decisions(self, key: Key) -> Iterator[Decision]:
        for item in self._store.of(MODEL_DECISIONS, key):
            metadata = item["metadata"]
            spec = ModelDecisionSpec.model_validate(item["spec"])
            made = parse_time(metadata["creationTimestamp"])
            yield Decision(metadata["name"], metadata["uid"], made, spec, _accepted(item))

    def _waivers(self, key: Key) -> Iterator[Waiver]:
        for item in self._store.of(GOVERNANCE_EXCEPTIONS, key):
            metadata = item["metadata"]
            spec = GovernanceExceptionSpec.model_validate(item["spec"])
            made = parse_time(metadata["creationTimestamp"])
            yield Waiver(metadata["name"], metadata["uid"], made, spec, _accepted(item))

    def _evidence(self, key: Key, revisions: tuple[Revision, ...]) -> tuple[dict[str, ModelEvidence], dict[str, str]]:
        evidence: dict[str, ModelEvidence] = {}
        problems: dict[str, str] = {}
        for revision in revisions:
            if not revision.running:
                continue
            found = self._sources.evidence(revision.spec.model, lambda: self._sources.wake(key))
            if isinstance(found, ModelEvidence):
                evidence[revision.name] = found
            elif found is not None:
                problems[revision.name] = found
        return evidence, problems

    def _unmanaged(self, namespace: str) -> Iterator[str]:
        """InferenceServices beside ours: models that nobody released."""
        for item in self._store.all(INFERENCE_SERVICES):
            metadata = item["metadata"]
            owners = {owner["kind"] for owner in metadata.get("ownerReferences", []) if owner.get("controller")}
            if metadata["namespace"] == namespace and "ModelRevision" not in owners:
                yield metadata["name"]

    def _elsewhere(self, key: Key, stated: Governance | None) -> Iterator[str]:
        if stated is None or not stated.inventory_id:
            return
        for item in self._store.all(MODEL_DEPLOYMENTS):
            metadata = item["metadata"]
            other = (item["spec"].get("governance") or {}).get("inventoryId")
            if other == stated.inventory_id and (metadata["namespace"], metadata["name"]) != key:
                yield f"{metadata['namespace']}/{metadata['name']}"

    def _chain_problem(self, key: Key, revision: Revision) -> str:
        address = (key.namespace, revision.name)
        item = self._store.get(MODEL_REVISIONS, *address)
        version = item["metadata"]["resourceVersion"] if item is not None else ""
        if self._checked.get(address, ("", ""))[0] != version:
            self._checked[address] = (version, records.chain_problem(revision.spec, revision.status))
        return self._checked[address][1]


def _policy(item: Object) -> Policy:
    spec = GovernancePolicySpec.model_validate(item["spec"])
    return Policy(item["metadata"]["name"], spec, parse_time(item["metadata"]["creationTimestamp"]))


def _accepted(item: Object) -> Condition | None:
    conditions = item.get("status", {}).get("conditions", [])
    return next((Condition.model_validate(c) for c in conditions if c["type"] == "Accepted"), None)
