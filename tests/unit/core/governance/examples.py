"""A release with which every control is content, and ways to change one thing of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sluice.api.evidence import (
    Dataset,
    ModelCard,
    ModelEvidence,
    ModelSignature,
    SignatureState,
    ValidationReport,
)
from sluice.api.governance import PinnedPolicy
from sluice.api.governanceexception import GovernanceExceptionSpec
from sluice.api.governancepolicy import Before, Distinct, RequiredApproval, RiskTier
from sluice.api.measure import Limits
from sluice.api.modeldecision import Action, Actor, ApprovalConditions, ModelDecisionSpec, Subject, Target
from sluice.api.modeldeployment import Governance, MonitorMode, MonitorUse, Rollout, Serving
from sluice.api.modelmonitor import SLO, Comparison, Drift, ModelMonitorSpec, Workload
from sluice.api.modelrevision import Column, ResolvedModel
from sluice.api.record import ORIGIN, Record, RecordKind, Seal
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import reasons
from sluice.core.governance.facts import Approved, Decision, Facts, Gauge, Guard, Stage, Waiver
from sluice.core.records import Entry, Head, chained

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
POLICIES = "sha256:" + "c" * 64
IMAGE = "registry.bank.example/ml/sklearnserver@sha256:" + "d" * 64

MODEL = ResolvedModel(
    name="fraud-scorer",
    version="8",
    digest=DIGEST,
    run_id="run-8",
    signature=[Column(name="amount", type="double"), Column(name="merchant", type="string")],
)
STABLE = ResolvedModel(
    name="fraud-scorer",
    version="7",
    digest=OTHER,
    run_id="run-7",
    signature=[Column(name="amount", type="double"), Column(name="merchant", type="string")],
)
STATED = Governance(
    inventory_id="MRM-2041",
    risk_tier=RiskTier.HIGH,
    owner="ann@bank.example",
    use_case="card-fraud-detection",
    change_reason="quarterly retrain",
    ticket="CHG-88213",
    developers=["dev@bank.example"],
    runbook="https://runbooks.bank.example/fraud",
    escalation="on-call-fraud",
    log_retention=timedelta(days=200),
    jurisdictions=["US", "EU"],
)
EVIDENCE = ModelEvidence(
    observed_at=NOW - timedelta(minutes=1),
    registered_by="dora",
    trained_by="dora",
    run_started_at=NOW - 10 * DAY,
    registered_at=NOW - 9 * DAY,
    tags={
        "sluice.inventory.id": "MRM-2041",
        "sluice.risk.tier": "High",
        "sluice.license": "Apache-2.0",
        "sluice.reference.digest": DIGEST,
        "sluice.fairness.groups": "age,sex",
    },
    metrics={"auc": "0.91", "fairness_ratio_age": "0.95", "fairness_ratio_sex": "0.9", "fairness_samples": "5000"},
    datasets=[
        Dataset(name="transactions-2026q3", digest="0a1b2c", source="s3://data/train.parquet", context="training"),
        Dataset(name="transactions-2026q4", digest="3d4e5f", source="s3://data/eval.parquet", context="evaluation"),
    ],
    commit="4f2a9c1",
    environment_digest=DIGEST,
    inputs=list(MODEL.signature),
    outputs=[Column(name="score", type="double")],
    flavors=["sklearn"],
    formats=["skops"],
    scan="pass",
    scan_digest=DIGEST,
    card=ModelCard(
        source="MODEL_CARD.md",
        digest=DIGEST,
        sections=["intended use", "prohibited use", "limitations", "human oversight", "data", "evaluation"],
        intended_uses=["card-fraud-detection"],
        prohibited_uses=["credit decisions"],
    ),
    validation=ValidationReport(
        source="validation.json",
        digest=DIGEST,
        model_digest=DIGEST,
        result="pass",
        validator="val",
        performed_at=NOW - 5 * DAY,
        next_due_at=NOW + 200 * DAY,
    ),
    reasons_digest=DIGEST,
    signature=ModelSignature(state=SignatureState.VERIFIED, signer="release-key", digest=DIGEST),
)
STABLE_EVIDENCE = EVIDENCE.model_copy(update={"metrics": {"auc": "0.90"}})
IDENTITIES = {"dora": "dev@bank.example", "val": "vera@bank.example"}
GUARDS = (
    Guard("ValidatingAdmissionPolicy/sluice-decisions", intact=True, since=NOW - 30 * DAY),
    Guard("ValidatingAdmissionPolicyBinding/sluice-decisions", intact=True, since=NOW - 30 * DAY),
)
VALIDATOR = RequiredApproval(role="model-validator")
OWNER = RequiredApproval(role="model-owner", before=Before.PROMOTION)
TARGET = Target(deployment="fraud", uid="u-1", revision="fraud-r8")
SUBJECT = Subject(model="fraud-scorer", version="8", digest=DIGEST)
ENTRIES = [
    Entry(RecordKind.CREATED, "RevisionCreated", "made", evidence=()),
    Entry(RecordKind.POLICY_EVALUATED, "PolicySatisfied", "all controls pass"),
    Entry(RecordKind.STARTED, "Started", "nothing stood against it"),
    Entry(RecordKind.STEP_STARTED, "StepStarted", "5 %"),
]
RECORDS = tuple(chained(Head(-1, ORIGIN), ENTRIES, NOW - timedelta(minutes=20)))


def decision(
    action: Action = Action.APPROVE,
    username: str = "vera@bank.example",
    role: str | None = "model-validator",
    *,
    name: str = "d-1",
    at: datetime = NOW - timedelta(hours=1),
    expires_at: datetime | None = NOW + 30 * DAY,
    **spec: Any,
) -> Decision:
    """An act on the release; an approval in force unless something is changed."""
    given: dict[str, Any] = {
        "action": action,
        "actor": Actor(username=username),
        "target": TARGET,
        "subject": SUBJECT,
        "role": role,
        "policy_digest": POLICIES,
        "expires_at": expires_at,
        "reason": "read the report",
    }
    return Decision(name, f"uid-{name}", at, ModelDecisionSpec(**(given | spec)))


def conditions(max_weight: int | None = None, *namespaces: str) -> ApprovalConditions:
    return ApprovalConditions(max_weight=max_weight, namespaces=list(namespaces))


def revoke(of: str, username: str = "rita@bank.example", role: str = "model-validator", **more: Any) -> Decision:
    given: dict[str, Any] = {"name": f"revoke-{of}", "at": NOW - timedelta(minutes=30)}
    return decision(Action.REVOKE, username, role, revokes=of, **(given | more))


APPROVED = (
    decision(name="d-1"),
    decision(name="d-2", username="olga@bank.example", role="model-owner"),
)


def waiver(
    control: str = "GOV-DOC-01", *, name: str = "w-1", at: datetime = NOW - timedelta(hours=2), **spec: Any
) -> Waiver:
    """An exception in force, unless something is changed."""
    given: dict[str, Any] = {
        "control": control,
        "approver": Actor(username="rita@bank.example"),
        "target": TARGET,
        "subject": SUBJECT,
        "reason": "the card is being written",
        "ticket": "EXC-17",
        "expires_at": NOW + 30 * DAY,
    }
    return Waiver(name, f"uid-{name}", at, GovernanceExceptionSpec(**(given | spec)))


def result(
    name: str, verdict: Verdict = Verdict.PASS, reason: str = reasons.WITHIN_LIMITS, **more: Any
) -> MonitorResult:
    given: dict[str, Any] = {"observed_at": NOW - timedelta(seconds=30), "samples": 900, "value": "0.001"}
    return MonitorResult(name=name, verdict=verdict, reason=reason, **(given | more))


ERRORS = Gauge(
    MonitorUse(name="error-rate"),
    ModelMonitorSpec(slo=SLO(bad="bad", total="total", limits=Limits(max="0.01"))),
    result("error-rate"),
)
COMPARED = Gauge(
    MonitorUse(name="latency-compared"),
    ModelMonitorSpec(slo=SLO(query="value", total="total", compare=Comparison(max_ratio="1.5"))),
    result("latency-compared"),
)
DRIFT = Gauge(MonitorUse(name="prediction-drift"), ModelMonitorSpec(drift=Drift()), result("prediction-drift"))
HEALTH = Gauge(MonitorUse(name="health"), ModelMonitorSpec(workload=Workload()), result("health"))


def observed(gauge: Gauge) -> Gauge:
    """The same gauge, which reports only."""
    return replace(gauge, use=gauge.use.model_copy(update={"mode": MonitorMode.OBSERVE}))


def said(gauge: Gauge, verdict: Verdict, reason: str = reasons.NO_DATA, **more: Any) -> Gauge:
    """The same gauge with another answer."""
    return replace(gauge, result=result(gauge.use.name, verdict, reason, **more))


def facts(**changes: Any) -> Facts:
    """Version 8 of the fraud scorer on its way, at 5 % of the traffic and next at 25 %: all is well."""
    given: dict[str, Any] = {
        "now": NOW,
        "stage": Stage.ROLLOUT,
        "namespace": "risk",
        "deployment": "fraud",
        "uid": "u-1",
        "revision": "fraud-r8",
        "stated": STATED,
        "requester": "tom@bank.example",
        "model": MODEL,
        "serving": Serving(model_format="sklearn"),
        "rollout": Rollout(),
        "gauges": (ERRORS, DRIFT),
        "evidence": EVIDENCE,
        "stable": Approved("fraud-r7", STABLE, NOW - 90 * DAY, running=True),
        "stable_evidence": STABLE_EVIDENCE,
        "identities": IDENTITIES,
        "policies": (PinnedPolicy(name="tier-high", digest=OTHER),),
        "policy_digest": POLICIES,
        "policies_since": NOW - 60 * DAY,
        "required": (VALIDATOR, OWNER),
        "decisions": APPROVED,
        "weight": 25,
        "started": True,
        "stepped": True,
        "records": RECORDS,
        "seal": Seal(
            sequence=RECORDS[-1].sequence,
            hash=RECORDS[-1].hash,
            sealed_at=NOW - timedelta(minutes=1),
            anchor="s3://records/risk/fraud",
        ),
        "anchoring": True,
        "guards": GUARDS,
        "image": IMAGE,
        "loaded_digest": DIGEST,
        "logging": True,
    }
    return Facts(**(given | changes))


def empty(**changes: Any) -> Facts:
    """A release about which nothing is known but that somebody asked for it."""
    given: dict[str, Any] = {
        "now": NOW,
        "stage": Stage.ROLLOUT,
        "namespace": "risk",
        "deployment": "fraud",
        "uid": "u-1",
        "revision": None,
        "stated": Governance(),
        "requester": None,
        "model": None,
        "serving": Serving(model_format="sklearn"),
        "rollout": Rollout(),
    }
    return Facts(**(given | changes))


def evidence(**changes: Any) -> ModelEvidence:
    """What the registry says, but for the changes."""
    return EVIDENCE.model_copy(update=changes)


def stated(**changes: Any) -> Governance:
    """What the team states, but for the changes."""
    return STATED.model_copy(update=changes)


def role(name: str = "model-validator", count: int = 1, *distinct: Distinct, **more: Any) -> RequiredApproval:
    """An approval that is asked for; distinct from nobody unless said."""
    return RequiredApproval(role=name, count=count, distinct_from=list(distinct), **more)


def tags(**changes: str | None) -> ModelEvidence:
    """The evidence with tags changed, or taken away; ``__`` stands for a dot."""
    given = {name.replace("__", "."): value for name, value in changes.items()}
    kept = {name: value for name, value in EVIDENCE.tags.items() if name not in given}
    return evidence(tags=kept | {name: value for name, value in given.items() if value is not None})


def record(kind: RecordKind, *, at: datetime = NOW) -> Record:
    """The next record of the chain."""
    head = Head(RECORDS[-1].sequence, RECORDS[-1].hash)
    return chained(head, [Entry(kind, str(kind), "")], at)[0]
