"""People and policies on the real cluster: what they decide moves, holds or ends a release of a real model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.conftest import Cluster
from tests.e2e.test_trouble import released

NAME = "california"
SLOW = {"steps": [{"weight": 50, "hold": "5m"}, {"weight": 100}], "progressDeadline": "30m"}


@pytest.fixture
def staffed(cluster: Cluster, namespace: str) -> str:
    """A namespace in which owen owns models and olga operates them."""
    for person, role in {"owen": "sluice-model-owner", "olga": "sluice-operations"}.items():
        cluster.kubectl("create", "rolebinding", person, f"--clusterrole={role}", f"--user={person}", "-n", namespace)
    return namespace


@pytest.fixture
def approved(cluster: Cluster, staffed: str) -> Iterator[str]:
    """The same, under a policy that asks for the owner's approval."""
    approval = {"role": "model-owner", "distinctFrom": ["Requester"]}
    policy = {
        "apiVersion": "sluice.dev/v1alpha1",
        "kind": "GovernancePolicy",
        "metadata": {"name": staffed},
        "spec": {
            "appliesTo": {"namespaces": [staffed]},
            "controls": [{"id": f"GOV-{name}"} for name in ("APP-01", "APP-02", "APP-03", "AUD-01", "SUP-01")],
            "approvals": [approval],
        },
    }
    cluster.apply(policy)
    yield staffed
    cluster.kubectl("delete", "governancepolicy", staffed)


def governance(cluster: Cluster, namespace: str) -> dict[str, Any]:
    found: dict[str, Any] = cluster.get("md", NAME, namespace).get("status", {}).get("governance") or {}
    return found


def held(cluster: Cluster, namespace: str, by: str, seconds: float = 60) -> None:
    cluster.until(f"held by {by}", lambda: by in governance(cluster, namespace).get("blockedBy", ""), seconds)


def half(cluster: Cluster, namespace: str) -> bool:
    status = cluster.get("md", NAME, namespace).get("status", {})
    return any(share["weight"] == 50 for share in status.get("traffic", []))


def test_a_rejection_ends_a_release_that_waits_for_a_person(cluster: Cluster, staffed: str) -> None:
    released(cluster, staffed)
    steps = [{"weight": 50, "hold": "5s"}, {"approval": {"role": "model-owner"}}, {"weight": 100}]
    cluster.apply(cluster.deployment(NAME, staffed, "2", rollout={"steps": steps, "progressDeadline": "10m"}))
    cluster.phase(NAME, staffed, "AwaitingApproval")
    assert half(cluster, staffed)
    said = cluster.sluice("why", staffed, NAME)
    assert "model-owner" in said
    assert "kubectl sluice approve" in said
    cluster.sluice("reject", staffed, NAME, "--as", "owen", "--reason", "not yet", "--yes", "--wait")
    cluster.phase(NAME, staffed, "Degraded")
    assert "rejected by owen" in cluster.condition(NAME, staffed, "Promoted")["message"]
    assert cluster.answers(NAME, staffed) == (200, f"{NAME}-r1")


def test_operations_pause_resume_and_abort(cluster: Cluster, staffed: str) -> None:
    released(cluster, staffed)
    cluster.apply(cluster.deployment(NAME, staffed, "2", rollout=SLOW))
    cluster.until("half of the traffic", lambda: half(cluster, staffed))
    act = ("--as", "olga", "--reason", "looking into it", "--yes", "--wait")
    cluster.sluice("pause", staffed, NAME, *act)
    cluster.phase(NAME, staffed, "Paused")
    cluster.sluice("resume", staffed, NAME, *act)
    cluster.phase(NAME, staffed, "Progressing")
    refused = cluster.sluice("promote", staffed, NAME, *act, "--ticket", "CHG-7", check=False)
    assert "may not promote" in " ".join(refused.split())
    cluster.sluice("abort", staffed, NAME, *act)
    cluster.phase(NAME, staffed, "Degraded")
    assert cluster.answers(NAME, staffed) == (200, f"{NAME}-r1")


def test_an_approval_that_expires_holds_back_what_comes_next_and_nothing_else(cluster: Cluster, approved: str) -> None:
    cluster.apply(cluster.deployment(NAME, approved, "1"))
    held(cluster, approved, "approval:model-owner")
    assert not cluster.list("isvc", approved)
    act = ("--as", "owen", "--role", "model-owner", "--reason", "agreed", "--yes", "--wait")
    soon = datetime.now(UTC) + timedelta(seconds=90)
    cluster.sluice("approve", approved, NAME, *act, "--expires", soon.strftime("%Y-%m-%dT%H:%M:%SZ"))
    cluster.phase(NAME, approved, "Healthy")
    held(cluster, approved, "GOV-APP-03", seconds=150)
    assert cluster.answers(NAME, approved) == (200, f"{NAME}-r1")
    cluster.apply(cluster.deployment(NAME, approved, "2"))
    held(cluster, approved, f"GOV-APP-03:{NAME}-r1")
    cluster.sluice("approve", approved, NAME, "--revision", "r1", *act)
    cluster.sluice("approve", approved, NAME, "--revision", "r2", *act)
    cluster.phase(NAME, approved, "Healthy")
    assert cluster.answers(NAME, approved) == (200, f"{NAME}-r2")


def test_a_model_beside_sluice_is_reported(cluster: Cluster, approved: str) -> None:
    cluster.apply(cluster.deployment(NAME, approved, "1"))
    held(cluster, approved, "approval:model-owner")
    policy = {"spec": {"controls": [{"id": "GOV-APP-01"}, {"id": "GOV-INV-04", "mode": "Warn"}]}}
    patch, before = json.dumps(policy), governance(cluster, approved)["policyDigest"]
    cluster.kubectl("patch", "governancepolicy", approved, "--type=merge", "-p", patch)
    # An approval names the policies that it is given under, as the status has them.
    cluster.until("the new policy applies", lambda: governance(cluster, approved).get("policyDigest") != before)
    cluster.sluice(
        "approve", approved, NAME, "--as", "owen", "--role", "model-owner", "--reason", "ok", "--yes", "--wait"
    )
    cluster.phase(NAME, approved, "Healthy")
    container = {"name": "kserve-container", "image": "localhost/nobody/has-this:1", "imagePullPolicy": "Never"}
    shadow = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "shadow", "namespace": approved},
        "spec": {"predictor": {"containers": [container]}},
    }
    cluster.apply(shadow)

    def reported() -> bool:
        controls = governance(cluster, approved).get("controls", [])
        return any(c["id"] == "GOV-INV-04" and c["verdict"] == "Fail" and "shadow" in c["message"] for c in controls)

    cluster.until("it is reported", reported, 60)
