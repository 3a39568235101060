"""A split that is not fair: somebody sends a kind of request past the weights, through the real gateway."""

from __future__ import annotations

import time
from typing import Any

from hack.demo import data
from tests.e2e.conftest import Cluster
from tests.e2e.test_rest import NAME, customers
from tests.e2e.test_trouble import released


def test_requests_that_go_past_the_weights_hold_the_release(cluster: Cluster, namespace: str) -> None:
    drift = {"subject": "Prediction", "minEffect": "0.4", "minSamples": 50}
    kind = {"apiVersion": "sluice.dev/v1alpha1", "kind": "ModelMonitor"}
    cluster.apply({**kind, "metadata": {"name": "answers", "namespace": namespace}, "spec": {"drift": drift}})
    released(cluster, namespace)
    uses = [{"name": "answers", "kind": "ModelMonitor"}]
    steps = {"steps": [{"weight": 20, "hold": "20s"}, {"weight": 100}], "progressDeadline": "10m"}
    cluster.apply(cluster.deployment(NAME, namespace, "2", monitors=uses, rollout=steps))

    def backends() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = cluster.get("httproute", NAME, namespace)["spec"]["rules"][0]["backendRefs"]
        return found

    cluster.until("a fifth of the traffic", lambda: [b["weight"] for b in backends()] == [800_000, 200_000])
    cluster.apply(_past(cluster, namespace, backends()[1]))
    rows = data.load().live

    def answers() -> dict[str, Any]:
        found = cluster.get("md", NAME, namespace)["status"].get("monitors") or []
        return next((one for one in found if one["name"] == "answers"), {})

    with customers(cluster, namespace, rows, 300), customers(cluster, namespace, rows, 300, **{"x-group": "beta"}):
        cluster.until("it is told", lambda: answers().get("reason") == "SampleRatioMismatch", 240)
        time.sleep(12)  # two rounds of verdicts and more, in which something could move
    assert answers()["verdict"] == "Inconclusive", answers()
    assert "should have 20.00%" in answers()["message"], answers()
    status = cluster.get("md", NAME, namespace)["status"]
    assert (status["phase"], status["stableRevision"]) == ("Progressing", f"{NAME}-r1")
    assert [b["weight"] for b in backends()] == [800_000, 200_000], "which neither rises nor goes back"


def _past(cluster: Cluster, namespace: str, backend: dict[str, Any]) -> dict[str, Any]:
    """A route of somebody else's: the same host, and a header that sends a request to the candidate at once."""
    own = cluster.get("httproute", NAME, namespace)["spec"]
    headers = [{"name": "x-group", "value": "beta"}]
    rule = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}, "headers": headers}],
        "backendRefs": [{"name": backend["name"], "port": backend["port"]}],
    }
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "beta", "namespace": namespace},
        "spec": {"parentRefs": own["parentRefs"], "hostnames": own["hostnames"], "rules": [rule]},
    }
