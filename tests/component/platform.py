"""What Sluice builds on, as far as it fits an API server without nodes: CRDs, and a Gateway that is programmed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from hack import documents
from hack.cluster import binaries
from sluice.core.objects import Object
from tests.component.kube import Api, Manifest, Refused

_WANTED = (
    "inferenceservices.serving.kserve.io",
    "gateways.gateway.networking.k8s.io",
    "httproutes.gateway.networking.k8s.io",
)
"""The CRDs of what Sluice reads and writes. Those of the other kinds cost each API server seconds."""
_CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def install_platform(api: Api) -> None:
    """KServe's and the Gateway API's CRDs, and a Gateway `models` in the namespace `gateways`, which must be there."""
    definitions = list(_definitions())
    for item in definitions:
        api.request("POST", _CRD, item)
    wait_until_served(api, definitions)
    gateways = "/apis/gateway.networking.k8s.io/v1/namespaces/gateways/gateways"
    listeners = [{"name": "http", "port": 80, "protocol": "HTTP"}]
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": "models", "namespace": "gateways"},
        "spec": {"gatewayClassName": "played", "listeners": listeners},
    }
    api.request("POST", gateways, gateway)
    condition = {"type": "Programmed", "status": "True", "reason": "Programmed", "message": ""}
    condition["lastTransitionTime"] = "2026-11-24T00:00:00Z"
    status = {"status": {"conditions": [condition]}}
    api.request("PATCH", f"{gateways}/models/status", status, content="application/merge-patch+json")


def wait_until_served(api: Api, definitions: Sequence[Manifest], patience: float = 30) -> None:
    """Wait until the API server answers for every kind of these CRDs, and lists it.

    All at once: the first answer for each kind is to come again in a second. Lists lag behind answers, and kopf, which
    reads lists when it starts, does not watch what is not on them.
    """
    with ThreadPoolExecutor(max_workers=len(definitions)) as pool:
        list(pool.map(lambda definition: _wait_for(api, definition, patience), definitions))


def _wait_for(api: Api, definition: Manifest, patience: float) -> None:
    spec = definition["spec"]
    version = next(version["name"] for version in spec["versions"] if version["served"])
    group, plural = f"/apis/{spec['group']}/{version}", spec["names"]["plural"]
    deadline = time.monotonic() + patience
    while True:
        try:
            api.request("GET", f"{group}/{plural}")
            groups = {item["name"] for item in api.request("GET", "/apis")["groups"]}
            if spec["group"] in groups and plural in {item["name"] for item in api.request("GET", group)["resources"]}:
                return
        except Refused:
            if time.monotonic() > deadline:
                raise
        assert time.monotonic() < deadline, f"{plural} is not listed"
        time.sleep(0.05)


def _definitions() -> Iterator[Object]:
    binaries.build("kserve", "envoy-gateway")
    files = ("serving.kserve.io_inferenceservices.yaml", "gatewayapi-crds.yaml")
    for file in (*binaries.assets("kserve"), *binaries.assets("envoy-gateway")):
        if file.name in files:
            texts = file.read_text().split("\n---\n")
            yield from documents.read(
                "\n---\n".join(text for text in texts if any(f"\n  name: {name}\n" in text for name in _WANTED))
            )
