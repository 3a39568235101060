"""A bank's cluster: the simulated one with a registry that knows everything, guards, policies and a sealed record.

Nothing here writes a record, a status or a piece of evidence: ``decide`` does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from securesystemslib.signer import CryptoSigner

from sluice.api.governanceexception import GovernanceExceptionSpec
from sluice.api.governancepolicy import GovernancePolicySpec
from sluice.api.modeldecision import Action, ModelDecisionSpec
from sluice.api.modeldeployment import (
    GatewayReference,
    Governance,
    ModelDeploymentSpec,
    ModelReference,
    MonitorUse,
    Rollout,
    Serving,
    Traffic,
)
from sluice.api.modelrevision import Column, ResolvedModel
from sluice.api.record import Seal
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import identity, records
from sluice.core.governance import policy
from sluice.core.governance.facts import Decision, Policy, Waiver
from sluice.core.plan import Evaluation
from sluice.core.world import Resolved, Workload, WorkloadState, World
from sluice.edges import signing
from tests.unit.core.governance import examples
from tests.unit.core.people import INTACT
from tests.unit.core.simulation import Cluster, steps

POLICIES = Path(__file__).parents[2] / "policies"
UID = "5f1b2a50-6c1e-4a58-9d0c-2f7e3c9a7b11"
PLAN = steps("shadow 600s", "5 600s", "25 600s", "50 600s", "100")
STATED = Governance(
    inventory_id="MRM-2041",
    risk_tier="High",
    owner="ann@bank.example",
    use_case="card-fraud-detection",
    change_reason="quarterly retrain on transactions up to October",
    ticket="CHG-88213",
    developers=["dev@bank.example"],
    runbook="https://runbooks.bank.example/fraud",
    escalation="on-call-fraud",
    log_retention=timedelta(days=200),
    jurisdictions=["US", "EU"],
)
REQUESTER = "dana@bank.example"
KEY = CryptoSigner.generate_ecdsa()
SIGNER = signing.Signer(KEY)

Measure = Callable[[Evaluation, datetime], MonitorResult]
"""What a monitor measures of a revision at a time."""


def digest_of(version: str) -> str:
    """The digest of a model version's files: not a real one, but it looks like one."""
    return identity.digest({"files of version": version})


def model(version: str, name: str = "fraud-scorer") -> ResolvedModel:
    """A model, pinned."""
    columns = [Column(name="amount", type="double"), Column(name="merchant", type="string")]
    return ResolvedModel(
        name=name, version=version, digest=digest_of(version), run_id=f"run-{version}", signature=columns
    )


def spec(version: str, governance: Governance | None = STATED, **rollout: Any) -> ModelDeploymentSpec:
    """risk/fraud with this version of the model, two gates and a monitor that is only observed."""
    plan = {"steps": PLAN, "progress_deadline": timedelta(hours=4)} | rollout
    return ModelDeploymentSpec(
        model=ModelReference(name="fraud-scorer", version=version),
        serving=Serving(model_format="sklearn"),
        traffic=Traffic(gateway=GatewayReference(name="models", namespace="gateways"), hostnames=["fraud.example.com"]),
        rollout=Rollout.model_validate(plan),
        monitors=[
            MonitorUse(name="error-rate"),
            MonitorUse(name="prediction-drift"),
        ],
        governance=governance,
    )


def tier_high(**changes: Any) -> Policy:
    """The policy for models of tier High that the repository brings."""
    item = yaml.safe_load((POLICIES / "tier-high.yaml").read_text())
    made = GovernancePolicySpec.model_validate(item["spec"] | changes)
    return Policy(item["metadata"]["name"], made, changed_at=examples.NOW - timedelta(days=60))


def measured(wanted: Evaluation, now: datetime, verdict: Verdict = Verdict.PASS) -> MonitorResult:
    """Figures that look like the real ones."""
    drift = wanted.monitor.drift is not None
    window = wanted.monitor.slo.window if wanted.monitor.slo else now - wanted.since
    bad = verdict is Verdict.FAIL
    value: str | None
    stable: str | None
    if drift:
        message = "distance 0.41 is above 0.1: two inputs look swapped" if bad else "distance 0.021 is below 0.1"
        value, stable, samples, reason = ("0.41" if bad else "0.021"), None, 4096, "DriftDetected" if bad else "NoDrift"
    else:
        message = "0.094 is above 0.01, stable has 0.0012" if bad else "0.0011 is within 0.01, stable has 0.0012"
        value, stable, samples = ("0.094" if bad else "0.0011"), "0.0012", 12040
        reason = "OutsideLimits" if bad else "WithinLimits"
    if verdict is Verdict.INCONCLUSIVE:
        message, value, samples, reason = "312 rows of the candidate, 1000 are needed", None, 312, "TooFewSamples"
    return MonitorResult(
        name=wanted.use.name,
        verdict=verdict,
        reason=reason,
        message=message,
        value=value,
        stable_value=stable,
        samples=samples,
        window_start=now - window,
        observed_at=now,
    )


@dataclass
class Bank(Cluster):
    """risk/fraud: the simulated cluster with a registry that knows everything, guards, and a sealed record."""

    namespace: str = "risk"
    measure: Measure = measured
    sealing: bool = True
    """Whether records are sealed as they are written."""
    known: dict[str, Any] = field(default_factory=dict)
    """What the registry says otherwise than ``examples.EVIDENCE``."""

    def workload(self, name: str) -> Workload:
        found = super().workload(name)
        if found.state is not WorkloadState.READY:
            return found
        return replace(found, available=2, loaded_digest=self.revisions[name].spec.model.digest, image=examples.IMAGE)

    def world(self) -> World:
        seen = super().world()
        return replace(
            seen,
            name="fraud",
            uid=UID,
            resolution=Resolved(model(self.spec.model.version or "1", self.spec.model.name)),
            oversight=replace(
                seen.oversight,
                evidence={name: self._registered(name) for name in self.revisions},
                waivers=tuple(replace(w, answer=self.answers.get(w.name)) for w in self.oversight.waivers),
                identities=examples.IDENTITIES,
                seals=self._seals(),
                anchoring=self.sealing,
                logging=True,
            ),
        )

    def found(self, wanted: Evaluation, verdict: Verdict) -> MonitorResult:
        return self.measure(wanted, self.now) if verdict is Verdict.PASS else measured(wanted, self.now, verdict)

    def _registered(self, name: str) -> Any:
        pinned = self.revisions[name].spec.model
        known = examples.EVIDENCE
        assert known.validation is not None
        assert known.signature is not None
        report = known.validation.model_copy(update={"model_digest": pinned.digest})
        signature = known.signature.model_copy(update={"digest": pinned.digest})
        asked = self.revisions[name].spec.requested_at
        seen = {"observed_at": self.now, "run_started_at": asked - timedelta(days=10)}
        return known.model_copy(update=seen | {"validation": report, "signature": signature} | self.known)

    def _seals(self) -> dict[str, Seal]:
        if not self.sealing:
            return {}
        heads = {name: records.head(r.spec, r.status) for name, r in self.revisions.items() if r.status.records}
        return {
            name: Seal(
                sequence=head.sequence,
                hash=head.hash,
                sealed_at=self.now,
                key_id=SIGNER.key_id,
                anchor=f"s3://records/risk/fraud/{name}",
            )
            for name, head in heads.items()
        }

    # What people do

    def govern(self, *policies: Policy) -> None:
        """These policies apply from now on, and admission is guarded."""
        self.oversight = replace(self.oversight, policies=policies, guards=INTACT, requester=REQUESTER)

    def act(self, who: str, action: Action, number: int, **given: Any) -> str:
        """A person makes a decision about revision fraud-r<number>; its name is returned."""
        name = f"fraud-r{number}"
        pinned = self.revisions[name].spec.model
        values: dict[str, Any] = {
            "action": action,
            "actor": {"username": who},
            "target": {"deployment": "fraud", "uid": UID, "revision": name},
            "subject": {"model": pinned.name, "version": pinned.version, "digest": pinned.digest},
        }
        if action is Action.APPROVE:
            policies = policy.digest_of_all(policy.pinned(self.oversight.policies))
            values |= {"policyDigest": policies, "expiresAt": self.now + timedelta(days=30)}
        made_before = len(self.oversight.decisions)
        called = f"{name}-{action.lower()}-{made_before}"
        made = ModelDecisionSpec.model_validate(values | given)
        decision = Decision(called, f"uid-{made_before}", self.now, made)
        self.oversight = replace(self.oversight, decisions=(*self.oversight.decisions, decision))
        return called

    def waive(self, who: str, control: str, number: int, **given: Any) -> str:
        """A person waives a control for revision fraud-r<number>; the exception's name is returned."""
        name = f"fraud-r{number}"
        pinned = self.revisions[name].spec.model
        values = {
            "control": control,
            "approver": {"username": who},
            "target": {"deployment": "fraud", "uid": UID, "revision": name},
            "subject": {"model": pinned.name, "version": pinned.version, "digest": pinned.digest},
            "reason": "the report of the new scanner is due on Friday",
            "ticket": "EXC-17",
            "expires_at": self.now + timedelta(days=30),
        }
        called = f"{name}-{control.lower()}-{len(self.oversight.waivers)}"
        waiver = Waiver(called, f"uid-{called}", self.now, GovernanceExceptionSpec.model_validate(values | given))
        self.oversight = replace(self.oversight, waivers=(*self.oversight.waivers, waiver))
        return called

    def agree(self, number: int) -> None:
        """Both people whom tier High asks for approve."""
        self.act("vera@bank.example", Action.APPROVE, number, role="model-validator", reason="the report holds")
        self.act("olga@bank.example", Action.APPROVE, number, role="model-owner", reason="wanted by the business")
