"""Inputs of the controls that an object alone can answer, with the verdict that both sides give."""

from __future__ import annotations

from typing import Any

import pytest

from tests.component.examples import ALL, rollout, weight
from tests.component.kube import Manifest

STATED: Manifest = {
    "inventoryId": "MRM-1042",
    "riskTier": "High",
    "owner": "jane@bank.example",
    "useCase": "card fraud",
    "changeReason": "Quarterly refit on the third quarter.",
    "ticket": "CHG-48211",
    "developers": ["dan"],
    "runbook": "https://wiki.bank.example/fraud",
    "escalation": "fraud-oncall",
    "logRetention": "4416h",
}
COMPLIANT: Manifest = {
    **rollout(weight(5, "15m"), weight(25, "15m"), ALL),
    "monitors": [{"name": "prediction-drift", "mode": "Gate"}],
    "governance": STATED,
}
"""What passes every one of them, with their default parameters."""
IDS = [
    f"GOV-{name}" for name in ["INV-01", "INV-02", "INV-03", "CHG-01", "ROL-01", "ROL-02", "ROL-03", "MON-01", "MON-04"]
]


def _case(control: str, name: str, change: Manifest, said: str, **parameters: str) -> Any:
    return pytest.param(control, change, parameters, said, id=f"{control} {name}")


def _states(**fields: Any) -> Manifest:
    return {"governance": fields}


CASES = [
    _case("GOV-INV-01", "absent", _states(inventoryId=None), "inventoryId is not stated"),
    _case("GOV-INV-01", "blank", _states(inventoryId="  "), "inventoryId is not stated"),
    _case(
        "GOV-INV-01", "of another form", {}, "is MRM-1042, which is no id of the inventory (INV-*)", patterns="INV-*"
    ),
    _case("GOV-INV-01", "a dot is a dot", _states(inventoryId="M-1"), "which is no id", patterns="M.1"),
    _case("GOV-INV-01", "one of two forms", {}, "", patterns="INV-*, MRM-*"),
    _case("GOV-INV-02", "absent", _states(riskTier=None), "riskTier is not stated"),
    _case("GOV-INV-02", "not allowed", {}, "riskTier is High; allowed are Low, Medium", allowed="Low, Medium"),
    _case("GOV-INV-02", "a parameter with a mistake", {}, "riskTier is High", allowed="High, Hihg"),
    _case("GOV-INV-03", "no owner", _states(owner=None), "does not name owner;"),
    _case("GOV-INV-03", "neither", _states(owner="", useCase=None), "does not name owner and useCase;"),
    _case("GOV-CHG-01", "no reason", _states(changeReason=None), "changeReason needs at least 10 characters"),
    _case("GOV-CHG-01", "too short a reason", _states(changeReason="refit"), "changeReason needs at least 10"),
    _case("GOV-CHG-01", "short is enough here", _states(changeReason="refit"), "", minReason="5"),
    _case("GOV-CHG-01", "no ticket", _states(ticket=None), "ticket is not stated"),
    _case("GOV-CHG-01", "another's ticket", {}, "is CHG-48211, which is no ticket", tickets="RFC-*"),
    _case(
        "GOV-ROL-01", "large at first", rollout(weight(50, "1h"), ALL), "the first weight in spec.rollout.steps is 50"
    ),
    _case("GOV-ROL-01", "large is allowed", rollout(weight(50, "1h"), ALL), "", maxFirstWeight="50"),
    _case("GOV-ROL-01", "all at once", rollout(ALL), "is 100, above 10"),
    _case("GOV-ROL-01", "few", rollout(weight(5, "1h"), ALL), "has 2 weights, fewer than 3", minSteps="3"),
    _case("GOV-ROL-01", "short", rollout(weight(5, "29m"), ALL), "together are shorter than 30m"),
    _case("GOV-ROL-01", "shadowing counts", rollout({"shadow": {"hold": "25m"}}, weight(5, "5m"), ALL), ""),
    _case("GOV-ROL-02", "pauses", {"rollout": {"onDeadline": "Pause"}}, "onDeadline is Pause"),
    _case("GOV-ROL-02", "soon gone", {"rollout": {"rollbackWindow": "59m"}}, "rollbackWindow is 59m, shorter than 1h"),
    _case("GOV-ROL-02", "soon is fine", {"rollout": {"rollbackWindow": "59m"}}, "", minWindow="30m"),
    _case("GOV-ROL-03", "no runbook", _states(runbook=None), "does not name runbook;"),
    _case("GOV-ROL-03", "neither", _states(runbook=" ", escalation=None), "does not name runbook and escalation;"),
    _case("GOV-MON-01", "no monitor", {"monitors": None}, "no monitor in spec.monitors is a gate"),
    _case("GOV-MON-01", "only watched", {"monitors": [{"name": "prediction-drift", "mode": "Observe"}]}, "is a gate"),
    _case("GOV-MON-04", "absent", _states(logRetention=None), "logRetention is not stated"),
    _case("GOV-MON-04", "too short", _states(logRetention="4415h"), "logRetention is 4415h; keep requests"),
    _case("GOV-MON-04", "short is enough here", _states(logRetention="24h"), "", minRetention="24h"),
]
"""Control, change of what complies, parameters, what the refusal says: nothing where it passes all the same."""
