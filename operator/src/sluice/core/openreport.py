"""Open report: what governance says of a deployment, in the form that policy dashboards read (openreports.io).

It says how things stand now, and nothing of what was: that is what records are for. No result has a time stamp, so that
the same verdicts are the same report.
"""

from __future__ import annotations

from collections import Counter

from sluice.api.governance import ApprovalState, ControlResult, ControlVerdict, GovernanceStatus
from sluice.api.governancepolicy import Mode
from sluice.core import objects
from sluice.core.objects import Object

SOURCE = "sluice"
_RESULTS = ("pass", "fail", "warn", "error", "skip")
_SAID = {
    ControlVerdict.PASS: "pass",
    ControlVerdict.FAIL: "fail",
    ControlVerdict.ERROR: "error",
    ControlVerdict.SKIPPED: "skip",
    ControlVerdict.WAIVED: "skip",
}


def name(deployment: str) -> str:
    """What a deployment's report is called."""
    return f"sluice-{deployment}"


def build(deployment: Object) -> Object | None:
    """The Report of a ModelDeployment, from its status; None where nothing governs it."""
    governance = deployment.get("status", {}).get("governance")
    if governance is None:
        return None
    said, metadata = GovernanceStatus.model_validate(governance), deployment["metadata"]
    results = [*map(_control, said.controls), *map(_approval, said.approvals)]
    if said.revision is not None:
        results = [result | {"properties": {**result["properties"], "revision": said.revision}} for result in results]
    count = Counter(result["result"] for result in results)
    return {
        "apiVersion": objects.OPEN_REPORTS,
        "kind": "Report",
        "metadata": {
            "name": name(metadata["name"]),
            "namespace": metadata["namespace"],
            "labels": objects.labels(metadata["name"]),
            "ownerReferences": objects.owned_by("ModelDeployment", metadata["name"], metadata["uid"]),
        },
        "source": SOURCE,
        "scope": {
            "apiVersion": objects.SLUICE,
            "kind": "ModelDeployment",
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata["uid"],
        },
        "summary": {result: count[result] for result in _RESULTS},
        "results": results,
    }


def _control(said: ControlResult) -> Object:
    fails = said.verdict is ControlVerdict.FAIL
    properties = {"verdict": said.verdict, "mode": said.mode, "assurance": said.assurance}
    return {
        "source": SOURCE,
        "policy": said.id,
        "category": said.id.rpartition("-")[0] if said.id.startswith("GOV-") else "CUSTOM",
        "severity": said.severity.lower(),
        # What blocks nothing is a warning to readers too; the property says what the control itself said.
        "result": "warn" if fails and said.mode is not Mode.ENFORCE else _SAID[said.verdict],
        "scored": said.verdict is not ControlVerdict.SKIPPED,
        "message": said.message,
        "properties": properties | ({"waiver": said.waiver} if said.waiver else {}),
    }


def _approval(state: ApprovalState) -> Object:
    return {
        "source": SOURCE,
        "policy": f"approval:{state.role}",
        "category": "Approvals",
        "severity": "high",
        "result": "pass" if state.given >= state.required else "fail",
        "scored": True,
        "message": f"{state.given} of {state.required} people have approved as {state.role}",
        "properties": {"before": state.before},
    }
