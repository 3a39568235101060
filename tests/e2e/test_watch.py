"""What serves goes beyond its limit after the promotion: by real requests and the real Prometheus, and by labels."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hack.demo import data
from hack.demo.ground import RELEASE, RELEASE_NAMESPACE
from tests.e2e.conftest import Cluster
from tests.e2e.test_trouble import released

NAME = "california"


@contextmanager
def requests(cluster: Cluster, namespace: str) -> Iterator[None]:
    """Some requests a second, for ten minutes at most."""
    over, until = threading.Event(), time.monotonic() + 600

    def ask() -> None:
        while not over.wait(0.08) and time.monotonic() < until:
            cluster.answers(NAME, namespace)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


_TAKES_ALL = """
import http.server

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        print(self.rfile.read(int(self.headers["content-length"])).decode(), flush=True)
        self.send_response(202)
        self.end_headers()

    def log_message(self, *_):
        pass

http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""


def hook(cluster: Cluster, namespace: str) -> str:
    """A service that takes what it is told, and logs it; its URL."""
    operator = cluster.list("pods", RELEASE_NAMESPACE, "app.kubernetes.io/component=operator")[0]
    image = operator["spec"]["containers"][0]["image"]
    container = {"name": "hooks", "image": image, "command": ["python", "-c", _TAKES_ALL]}
    metadata = {"name": "hooks", "namespace": namespace, "labels": {"app": "hooks"}}
    port = {"port": 8080, "targetPort": 8080}
    pod = {"containers": [container], "terminationGracePeriodSeconds": 0}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod})
    service = {"selector": {"app": "hooks"}, "ports": [port]}
    cluster.apply({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service})
    cluster.kubectl("wait", "pod/hooks", "-n", namespace, "--for=condition=Ready", "--timeout=90s")
    return f"http://hooks.{namespace}.svc:8080/"


def test_a_breach_after_the_promotion_returns_to_the_revision_before(cluster: Cluster, namespace: str) -> None:
    released(cluster, namespace)
    cluster.apply(cluster.deployment(NAME, namespace, "2"))
    cluster.phase(NAME, namespace, "Healthy")

    url = hook(cluster, namespace)

    def watched(limit: str) -> None:
        latency = {"name": "latency-p99", "parameters": {"maxMs": limit}}
        watch = {"sustained": "10s", "onBreach": "Rollback", "hook": {"url": url}}
        cluster.apply(cluster.deployment(NAME, namespace, "2", monitors=[latency], watch=watch))

    def says(status: str, reason: str) -> bool:
        said = cluster.condition(NAME, namespace, "MonitorsPassing")
        return (said.get("status"), said.get("reason")) == (status, reason)

    def serving() -> str:
        found: str = cluster.get("md", NAME, namespace)["status"]["stableRevision"]
        return found

    with requests(cluster, namespace):
        watched("60000")
        cluster.until("what serves is within its limit", lambda: says("True", "AllPassing"), 180)
        watched("1")  # which no model keeps
        cluster.until("the revision before serves", lambda: serving() == f"{NAME}-r1", 180)
    cluster.phase(NAME, namespace, "Degraded")
    assert cluster.answers(NAME, namespace) == (200, f"{NAME}-r1")
    records = cluster.get("mrev", f"{NAME}-r2", namespace)["status"]["records"]
    assert [record["kind"] for record in records][-2:] == ["Breached", "Replaced"]
    assert "latency-p99" in records[-2]["message"]

    def told() -> list[Any]:
        return [json.loads(line) for line in cluster.kubectl("logs", "hooks", "-n", namespace).splitlines()]

    cluster.until("the hook is told", lambda: len(told()) > 0)
    (event,) = told()
    assert (event["type"], event["subject"]) == ("dev.sluice.watch.breached", f"{NAME}-r2")
    assert f"{NAME}-r1 takes over" in event["data"]["message"]
    assert f"{NAME}-r2 breached latency-p99" in cluster.kubectl("get", "events", "-n", namespace)


def asked(cluster: Cluster, namespace: str, count: int) -> dict[str, int]:
    """So many real rows asked of the model: by the request's id, what their truth turns out to be."""
    housing = data.load()
    gateway = http.client.HTTPConnection(cluster.ground.gateway_address, timeout=30)
    headers = {"Host": f"{NAME}.{namespace}.example.com", "Content-Type": "application/json"}
    truth = {}
    for row, expensive in zip(housing.live[:count].tolist(), housing.truth[:count].tolist(), strict=True):
        gateway.request("POST", f"/v1/models/{NAME}:predict", json.dumps({"instances": [row]}), headers)
        answer = gateway.getresponse()
        answer.read()
        assert (answer.status, answer.headers["x-sluice-revision"]) == (200, f"{NAME}-r2")
        truth[answer.headers["x-request-id"]] = expensive
    gateway.close()
    return truth


def test_labels_that_come_late_take_the_traffic_back(cluster: Cluster, namespace: str) -> None:
    """A model that mixes up two inputs was promoted, for nobody could tell yet; then the truth becomes known."""
    metadata = {"name": "auc", "namespace": namespace}
    spec = {"metric": "ROCAUC", "positive": "1", "minLabels": 100, "interval": "5s", "limits": {"min": "0.85"}}
    kind = {"apiVersion": "sluice.dev/v1alpha1", "kind": "ModelMonitor"}
    cluster.apply({**kind, "metadata": metadata, "spec": {"performance": spec}})
    released(cluster, namespace)
    uses = [{"name": "auc", "kind": "ModelMonitor", "mode": "Watch"}]
    watch = {"sustained": "10s", "onBreach": "Rollback"}
    cluster.apply(cluster.deployment(NAME, namespace, "4", monitors=uses, watch=watch))
    cluster.phase(NAME, namespace, "Healthy")

    unknown = asked(cluster, namespace, 300)
    url = cluster.sluice("labels", namespace, "--service", "").strip()
    service = f"/api/v1/namespaces/{RELEASE_NAMESPACE}/services/{RELEASE}-monitor:80/proxy"

    def all_known() -> bool:
        """Sends what was unknown again: an answer takes a moment to be collected."""
        labels = [{"request": request, "label": label} for request, label in unknown.items()]
        said = json.loads(
            cluster.kubectl("create", f"--raw={service}{url}", "-f", "-", stdin=json.dumps({"labels": labels}))
        )
        for request in unknown.keys() - {label["request"] for label in said["unknown"]}:
            del unknown[request]
        return not unknown

    cluster.until("every answer has its label", all_known, 60)
    serving = f"{NAME}-r1"
    cluster.until(
        "the revision before serves",
        lambda: bool(cluster.get("md", NAME, namespace)["status"]["stableRevision"] == serving),
        120,
    )
    cluster.phase(NAME, namespace, "Degraded")
    assert cluster.answers(NAME, namespace) == (200, serving)
    records = cluster.get("mrev", f"{NAME}-r2", namespace)["status"]["records"]
    breach = next(record for record in records if record["kind"] == "Breached")
    assert "auc fails" in breach["message"]
    assert "ROCAUC 0.7" in breach["message"]
    assert "over 300 labelled answers, below the least allowed, 0.85" in breach["message"]
