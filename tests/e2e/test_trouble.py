"""What goes wrong in real clusters, on a real one: each is said with its reason, and the stable revision serves on."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import Cluster


def released(cluster: Cluster, namespace: str, name: str = "california") -> None:
    cluster.apply(cluster.deployment(name, namespace, "1"))
    cluster.phase(name, namespace, "Healthy")
    cluster.until("the gateway answers", lambda: cluster.answers(name, namespace) == (200, f"{name}-r1"), 30)


def test_an_image_that_cannot_be_pulled(cluster: Cluster, namespace: str) -> None:
    released(cluster, namespace)
    container = {"name": "kserve-container", "image": "localhost/nobody/has-this:1", "imagePullPolicy": "Never"}
    broken = cluster.deployment("california", namespace, "1", serving={"predictor": {"containers": [container]}})
    cluster.apply(broken)
    cluster.phase("california", namespace, "Degraded")
    promoted = cluster.condition("california", namespace, "Promoted")
    assert promoted["reason"] == "WorkloadUnhealthy"
    assert "ErrImageNeverPull" in promoted["message"]
    assert cluster.answers("california", namespace) == (200, "california-r1")


def test_a_model_that_crashes_on_load(cluster: Cluster, namespace: str) -> None:
    released(cluster, namespace)
    container = {
        "name": "kserve-container",
        "image": "localhost/sluice-demo:dev",
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", "raise SystemExit('no such weights')"],
        "ports": [{"containerPort": 8080}],
    }
    cluster.apply(cluster.deployment("california", namespace, "1", serving={"predictor": {"containers": [container]}}))
    cluster.phase("california", namespace, "Degraded", 180)
    assert cluster.condition("california", namespace, "Promoted")["reason"] == "WorkloadUnhealthy"
    assert cluster.answers("california", namespace) == (200, "california-r1")


def test_a_version_that_mlflow_does_not_have(cluster: Cluster, namespace: str) -> None:
    released(cluster, namespace)
    before = cluster.get("httproute", "california", namespace)["metadata"]["resourceVersion"]
    cluster.apply(cluster.deployment("california", namespace, "99"))
    cluster.phase("california", namespace, "Degraded")
    assert cluster.condition("california", namespace, "ModelResolved")["reason"] == "ModelNotFound"
    assert cluster.get("httproute", "california", namespace)["metadata"]["resourceVersion"] == before
    assert cluster.answers("california", namespace) == (200, "california-r1")


def test_a_route_edited_by_hand_in_mid_canary(cluster: Cluster, namespace: str) -> None:
    released(cluster, namespace)
    slow = {"steps": [{"weight": 50, "hold": "5m"}, {"weight": 100}], "progressDeadline": "30m"}
    cluster.apply(cluster.deployment("california", namespace, "2", rollout=slow))

    def half() -> bool:
        status = cluster.get("md", "california", namespace).get("status", {})
        return any(share["weight"] == 50 for share in status.get("traffic", []))

    cluster.until("half of the traffic", half)
    patch = '[{"op": "replace", "path": "/spec/rules/0/backendRefs/1/weight", "value": 999000}]'
    cluster.kubectl("patch", "httproute", "california", "-n", namespace, "--type=json", "-p", patch)

    def mended() -> bool:
        route = cluster.get("httproute", "california", namespace)
        return [b["weight"] for b in route["spec"]["rules"][0]["backendRefs"]] == [500_000, 500_000]

    cluster.until("the route is set right", mended, 30)

    def said() -> bool:
        return any(event["reason"] == "RouteCorrected" for event in cluster.list("events", namespace))

    cluster.until("it is said", said, 30)


def test_deletion_in_mid_canary_leaves_nothing(cluster: Cluster, namespace: str) -> None:
    released(cluster, namespace)
    slow = {"steps": [{"weight": 50, "hold": "5m"}, {"weight": 100}], "progressDeadline": "30m"}
    cluster.apply(cluster.deployment("california", namespace, "2", rollout=slow))
    cluster.phase("california", namespace, "Progressing")
    cluster.kubectl("delete", "md", "california", "-n", namespace, "--wait=true", "--timeout=60s")

    def empty() -> bool:
        kinds = ("mrev", "isvc", "httproute", "deployments", "pods")
        return not any(cluster.list(kind, namespace) for kind in kinds)

    cluster.until("nothing is left", empty, 120)


def test_weights_that_do_not_end_at_100_are_refused_at_admission(cluster: Cluster, namespace: str) -> None:
    wrong = cluster.deployment("california", namespace, "1", rollout={"steps": [{"weight": 50, "hold": "5s"}]})
    said = cluster.apply(wrong, check=False)
    assert "100" in said
    assert not cluster.get("md", "california", namespace)


@pytest.mark.alone
def test_a_restarted_operator_carries_on(cluster: Cluster, namespace: str) -> None:
    released(cluster, namespace)
    plan = {"steps": [{"weight": 50, "hold": "40s"}, {"weight": 100}], "progressDeadline": "10m"}
    cluster.apply(cluster.deployment("california", namespace, "2", rollout=plan))

    def started() -> bool:
        status = cluster.get("md", "california", namespace).get("status", {})
        return status.get("step", {}).get("startedAt") is not None

    cluster.until("half of the traffic", started)
    cluster.kubectl(
        "delete", "pods", "-n", "sluice-system", "-l", "app.kubernetes.io/component=operator", "--wait=false"
    )
    time.sleep(2)
    cluster.phase("california", namespace, "Healthy", 180)
    assert cluster.get("md", "california", namespace)["status"]["stableRevision"] == "california-r2"
