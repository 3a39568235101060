"""Rules of one's own on a real API server, evaluated by the real process: told when written, held when they fail."""

from __future__ import annotations

import pytest

from sluice.core.objects import Object
from sluice.edges.kinds import GOVERNANCE_POLICIES, INFERENCE_SERVICES, MODEL_DEPLOYMENTS
from tests.component.rig import Rig, condition
from tests.component.test_operator import deployment

pytestmark = pytest.mark.component


def policy(rig: Rig, expression: str) -> Object:
    rule = {"name": "ours", "title": "It is ours", "expression": expression, "message": "it is not ours; make it so"}
    return {
        "apiVersion": GOVERNANCE_POLICIES.api_version,
        "kind": "GovernancePolicy",
        "metadata": {"name": f"rules-{rig.namespace}"},
        "spec": {"appliesTo": {"namespaces": [rig.namespace]}, "customRules": [rule]},
    }


async def written(rig: Rig, expression: str, status: str) -> Object:
    """Apply the policy, and wait until it was looked at."""
    made = await rig.kube.apply(GOVERNANCE_POLICIES, policy(rig, expression))
    found: Object = {}

    async def looked_at() -> bool:
        found.update(await rig.kube.get(GOVERNANCE_POLICIES, None, made["metadata"]["name"]))
        return bool(found.get("status", {}).get("observedGeneration") == made["metadata"]["generation"])

    await rig.eventually("the policy was looked at", looked_at)
    assert condition(found["status"], "Ready")["status"] == status
    return found


async def test_a_rule_is_compiled_when_it_is_written_evaluated_when_it_is_needed_and_held_against_the_release(
    rig: Rig,
) -> None:
    async with rig.operating(), rig.gateway_controller():
        broken = await written(rig, "facts.namespace.lowerAscii() == ''", "False")
        assert (
            "custom rule ours: line 1, column 27: undeclared reference"
            in condition(broken["status"], "Ready")["message"]
        )
        await written(rig, f"facts.namespace != '{rig.namespace}'", "True")
        await rig.kube.apply(MODEL_DEPLOYMENTS, deployment(rig, "1"))

        async def held() -> bool:
            status = await rig.says("GovernanceSatisfied", "GovernanceBlocked")  # first while it is being evaluated
            return "CUSTOM-ours: it is not ours; make it so" in condition(status, "GovernanceSatisfied")["message"]

        await rig.eventually("the release is held against the rule", held)
        assert await rig.kube.list(INFERENCE_SERVICES, rig.namespace) == []

        await written(rig, "facts.stated.riskTier == 'High'", "True")

        async def says_why() -> bool:
            said = (await rig.get(MODEL_DEPLOYMENTS, "scorer"))["status"]["governance"]["message"]
            return "nobody stated 'riskTier', and the rule reads it; ask with has(…) first" in said

        await rig.eventually("the Error says what to mend", says_why)
        assert await rig.kube.list(INFERENCE_SERVICES, rig.namespace) == []

        await written(rig, f"facts.namespace == '{rig.namespace}' && facts.weight <= 100", "True")
        await rig.ready("scorer-r1")
        await rig.phase("scorer", "Healthy")
        controls = (await rig.get(MODEL_DEPLOYMENTS, "scorer"))["status"]["governance"]["controls"]
        assert [(c["id"], c["verdict"]) for c in controls] == [("CUSTOM-ours", "Pass")]
    await rig.kube.delete(GOVERNANCE_POLICIES, await rig.kube.get(GOVERNANCE_POLICIES, None, f"rules-{rig.namespace}"))
