"""People who act on the simulated cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from sluice.api.governancepolicy import GovernancePolicySpec
from sluice.api.modeldecision import Action, ModelDecisionSpec
from sluice.core.governance import policy
from sluice.core.governance.facts import Decision, Guard, Policy
from tests.unit.core.simulation import START, Cluster

INTACT = (Guard("ValidatingAdmissionPolicy/sluice-decisions", intact=True, since=START - timedelta(days=1)),)


def govern(cluster: Cluster, *approvals: dict[str, Any], **rest: Any) -> None:
    """A policy that asks for these approvals, and admission that is guarded."""
    made = GovernancePolicySpec.model_validate({"approvals": list(approvals)} | rest)
    cluster.oversight = replace(
        cluster.oversight,
        policies=(Policy("high", made),),
        guards=INTACT,
        identities={"dev": "dev@bank.example"},
        requester="dana@bank.example",
    )


def decide(cluster: Cluster, who: str, action: Action, revision: str, **given: Any) -> str:
    """A person makes a decision; its name is returned. Nothing happens before the operator looks."""
    model = cluster.revisions[revision].spec.model
    digest = policy.digest_of_all(policy.pinned(cluster.oversight.policies))
    values: dict[str, Any] = {
        "action": action,
        "actor": {"username": who},
        "target": {"deployment": "scorer", "uid": "uid", "revision": revision},
        "subject": {"model": model.name, "version": model.version, "digest": model.digest},
        "reason": "because",
    }
    if action is Action.APPROVE:
        values |= {"policyDigest": digest, "expiresAt": cluster.now + timedelta(days=30)}
    if action is Action.PROMOTE:
        values["ticket"] = "CHG-1"
    number = len(cluster.oversight.decisions)
    name = f"{action.lower()}-{number}"
    made = Decision(name, f"uid-{number}", cluster.now, ModelDecisionSpec.model_validate(values | given))
    cluster.oversight = replace(cluster.oversight, decisions=(*cluster.oversight.decisions, made))
    return name


def answer(cluster: Cluster, name: str) -> tuple[str, str]:
    """Status and reason of a decision's condition Accepted."""
    found = cluster.answers[name]
    return str(found.status), found.reason
