"""A release in full: two revisions, steps with verdicts, approvals, controls, records; and the least there can be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sluice.api.base import format_time
from sluice.api.modeldeployment import ModelDeploymentSpec, ModelDeploymentStatus
from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus
from sluice.api.record import ORIGIN, RecordKind
from sluice.cli.release import Pod, Release, Running
from sluice.core.objects import Object
from sluice.core.records import Entry, Head, chained
from sluice.core.world import Revision, Workload, WorkloadState

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
POLICY = "sha256:" + "b" * 64
STEPS = [
    {"shadow": {"percent": 100, "hold": "10m"}},
    {"weight": 5, "hold": "10m"},
    {"weight": 25, "hold": "20m"},
    {"weight": 100},
]


def before(**span: float) -> str:
    """A time before now, on the wire."""
    return format_time(NOW - timedelta(**span))


def digest(number: int) -> str:
    """The digest of a model version's files."""
    return f"sha256:{number:064x}"


def revision(number: int, status: Object | None = None, **spec: Any) -> Revision:
    """fraud-r<number>, with model version 6 + number."""
    version = 6 + number
    stated: Object = {
        "deployment": "fraud",
        "revision": number,
        "identity": digest(version),
        "plan": POLICY,
        "source": POLICY,
        "requestedAt": before(days=10 - number),
        "model": {"name": "fraud-scorer", "version": str(version), "digest": digest(version)},
        "serving": {"modelFormat": "sklearn"},
        "rollout": {"steps": STEPS},
        "requester": "alice",
    }
    said = ModelRevisionStatus.model_validate(status or {})
    return Revision(f"fraud-r{number}", ModelRevisionSpec.model_validate(stated | spec), said)


PROMOTED: Object = {
    "phase": "Promoted",
    "reason": "RevisionPromoted",
    "message": "passed all its steps",
    "promotedAt": before(days=2),
}
PASSING: Object = {
    "name": "error-rate", "verdict": "Pass", "reason": "WithinLimits", "message": "0.0011 is within 0.05",
    "value": "0.0011", "stableValue": "0.0012", "samples": 12040,
}  # fmt: skip
UNSURE: Object = {
    "name": "prediction-drift", "verdict": "Inconclusive", "reason": "TooFewSamples",
    "message": "312 rows of the candidate, 1000 are needed", "samples": 312,
}  # fmt: skip
FAILING: Object = {
    "name": "prediction-drift", "verdict": "Fail", "reason": "DriftDetected",
    "message": "two inputs look swapped: distance 0.41 above 0.1", "value": "0.41", "samples": 4096,
}  # fmt: skip
ON_ITS_WAY: Object = {
    "phase": "Progressing",
    "step": 2,
    "targetedAt": before(minutes=30),
    "steps": [
        {"index": 0, "weight": 0, "startedAt": before(minutes=28), "finishedAt": before(minutes=17, seconds=58),
         "results": [PASSING]},
        {"index": 1, "weight": 5, "startedAt": before(minutes=17, seconds=50), "finishedAt": before(minutes=7)},
        {"index": 2, "weight": 25, "startedAt": before(minutes=6, seconds=30)},
    ],
}  # fmt: skip
ROLLED_BACK: Object = {
    "phase": "RolledBack",
    "reason": "DriftDetected",
    "message": "prediction-drift failed at step 3",
    "targetedAt": before(minutes=30),
    "finishedAt": before(minutes=2),
    "steps": [
        *ON_ITS_WAY["steps"][:2],
        {"index": 2, "weight": 25, "startedAt": before(minutes=6), "finishedAt": before(minutes=2),
         "results": [PASSING, FAILING]},
    ],
}  # fmt: skip
GOVERNANCE: Object = {
    "revision": "fraud-r2",
    "policies": [{"name": "high-tier", "digest": digest(77)}],
    "policyDigest": POLICY,
    "blockedBy": "GOV-VAL-02, approval model-validator",
    "message": "GOV-VAL-02: the validation report speaks of other files",
    "summary": {"passed": 31, "failed": 1, "errors": 0, "skipped": 4, "waived": 1},
    "requester": "alice",
    "controls": [
        {"id": "GOV-INV-01", "verdict": "Pass", "mode": "Enforce", "severity": "High", "assurance": "Declared"},
        {"id": "GOV-VAL-02", "verdict": "Fail", "mode": "Enforce", "severity": "Critical", "assurance": "Derived",
         "message": "the validation report speaks of other files; the validator attaches one for version 8 in MLflow"},
        {"id": "GOV-DOC-01", "verdict": "Waived", "mode": "Enforce", "severity": "Medium", "assurance": "Declared",
         "message": "there is no model card", "waiver": "fraud-r2-gov-doc-01-x7k2p"},
    ],
    "approvals": [
        {"role": "model-owner", "required": 1, "given": 1, "before": "Start", "approvals": [
            {"decision": "fraud-r2-approve-aaaaa", "username": "olga", "role": "model-owner", "standing": "Counts",
             "expiresAt": "2027-02-22T12:00:00Z"}]},
        {"role": "model-validator", "required": 2, "given": 0, "before": "Promotion", "approvals": [
            {"decision": "fraud-r2-approve-bbbbb", "username": "alice", "role": "model-validator",
             "standing": "SelfApproval", "message": "alice asked for this release"}]},
    ],
}  # fmt: skip
PROGRESSING: Object = {
    "observedGeneration": 2,
    "phase": "Progressing",
    "message": "fraud-r2 has 25 % of the live traffic",
    "stableRevision": "fraud-r1",
    "candidateRevision": "fraud-r2",
    "traffic": [{"revision": "fraud-r1", "weight": 75}, {"revision": "fraud-r2", "weight": 25}],
    "step": {"index": 3, "of": 4, "kind": "Weight", "weight": 25, "startedAt": before(minutes=6, seconds=30)},
    "monitors": [PASSING, UNSURE],
    "url": "http://fraud.models.example.com",
}
DEGRADED: Object = {
    "observedGeneration": 2,
    "phase": "Degraded",
    "message": "fraud-r2 was rolled back; fraud-r1 serves all the traffic",
    "stableRevision": "fraud-r1",
    "traffic": [{"revision": "fraud-r1", "weight": 100}, {"revision": "fraud-r2", "weight": 0}],
    "conditions": [
        {"type": "Progressing", "status": "False", "reason": "DriftDetected", "lastTransitionTime": before(minutes=2),
         "message": "prediction-drift failed at step 3: two inputs look swapped"}],
}  # fmt: skip
HEALTHY: Object = {"observedGeneration": 2, "phase": "Healthy", "stableRevision": "fraud-r1"}


def release(status: Object | None = None, *revisions: Revision, **more: Any) -> Release:
    """risk/fraud, with these revisions."""
    spec: Object = {
        "model": {"name": "fraud-scorer", "version": "8"},
        "serving": {"modelFormat": "sklearn"},
        "traffic": {"gateway": {"name": "models", "namespace": "gateways"}, "hostnames": ["fraud.models.example.com"]},
    }
    item: Object = {"metadata": {"name": "fraud", "namespace": "risk", "uid": "u-1", "generation": 2}, "spec": spec}
    return Release(
        item=item,
        spec=ModelDeploymentSpec.model_validate(spec),
        status=ModelDeploymentStatus.model_validate(status or {}),
        revisions=revisions,
        **more,
    )


def running(*names: str) -> dict[str, Running]:
    """These revisions, each with one ready pod."""
    ready = Workload(WorkloadState.READY, available=1)
    return {n: Running(ready, (Pod(f"{n}-predictor-7d9f-x2x4p", "Running", "2/2", 0),)) for n in names}


def recorded(number: int = 2) -> Revision:
    """A revision with three records, the second a person's."""
    entries = (
        Entry(RecordKind.CREATED, "RevisionCreated", "fraud-scorer version 8, as alice asked"),
        Entry(RecordKind.DECISION_SEEN, "Approve", "olga approves as model-owner", actor="olga"),
        Entry(RecordKind.PROMOTED, "RevisionPromoted", "passed all its steps"),
    )
    made = revision(number, PROMOTED)
    records = chained(Head(-1, ORIGIN), entries, NOW)
    return Revision(made.name, made.spec, made.status.model_copy(update={"records": records}))


def governed() -> Release:
    """A release on its way that a control and an approval hold back."""
    status = PROGRESSING | {"governance": GOVERNANCE}
    return release(status, revision(1, PROMOTED), revision(2, ON_ITS_WAY), running=running("fraud-r1", "fraud-r2"))


def failed() -> Release:
    """A release that was rolled back."""
    return release(DEGRADED, revision(1, PROMOTED), revision(2, ROLLED_BACK), running=running("fraud-r1", "fraud-r2"))
