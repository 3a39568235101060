"""What Sluice builds on, as far as it fits an API server without nodes: CRDs, and a Gateway that is programmed."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hack import documents
from hack.cluster import binaries
from sluice.core.objects import Object
from tests.component.kube import Api, Refused

_CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def install_platform(api: Api) -> None:
    """KServe's and the Gateway API's CRDs, and a Gateway `models` in the namespace `gateways`, which must be there."""
    for item in _definitions():
        path = f"{_CRD}/{item['metadata']['name']}"
        query = {"fieldManager": "test", "force": "true"}
        api.request("PATCH", path, item, query=query, content="application/apply-patch+yaml")
    gateways = "/apis/gateway.networking.k8s.io/v1/namespaces/gateways/gateways"
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "models", "namespace": "gateways"},
        "spec": {"gatewayClassName": "played", "listeners": listeners},
    }
    for attempt in range(100):
        try:
            api.request("POST", gateways, gateway)
            break
        except Refused:  # the CRD is not served yet
            assert attempt < 99
            time.sleep(0.1)
    condition = {"type": "Programmed", "status": "True", "reason": "Programmed", "message": ""}
    condition["lastTransitionTime"] = "2026-11-24T00:00:00Z"
    status = {"status": {"conditions": [condition]}}
    api.request("PATCH", f"{gateways}/models/status", status, content="application/merge-patch+json")


def _definitions() -> Iterator[Object]:
    binaries.build("kserve", "envoy-gateway")
    wanted = ("serving.kserve.io_inferenceservices.yaml", "gatewayapi-crds.yaml")
    for file in (*binaries.assets("kserve"), *binaries.assets("envoy-gateway")):
        if file.name in wanted:
            definitions = documents.read(file.read_text())
            yield from (item for item in definitions if item["kind"] == "CustomResourceDefinition")
