"""What serves is asked otherwise than on its first day: said, by real requests, within the day's budget.

A reference of ten minutes is the shortest there is, so that this takes half an hour: ``make soak``.
"""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from hack.demo import data
from hack.demo.ground import RELEASE, RELEASE_NAMESPACE
from tests.e2e.conftest import Cluster
from tests.e2e.test_trouble import released

NAME = "california"
WATCH = {"reference": "10m", "every": "5m"}


@contextmanager
def customers(
    cluster: Cluster, namespace: str, rows: NDArray[np.float64], seconds: float, **more: str
) -> Iterator[None]:
    """These rows, over and over, five a second, with more headers."""
    over, until = threading.Event(), time.monotonic() + seconds
    headers = {"Host": f"{NAME}.{namespace}.example.com", "Content-Type": "application/json"} | more
    endless = itertools.cycle(rows.tolist())

    def ask() -> None:
        while not over.wait(0.2) and time.monotonic() < until:
            with closing(http.client.HTTPConnection(cluster.ground.gateway_address, timeout=30)) as gateway:
                body = json.dumps({"instances": [next(endless)]})
                gateway.request("POST", f"/v1/models/{NAME}:predict", body, headers)
                gateway.getresponse().read()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.soak
def test_customers_who_change_after_the_promotion_are_told(cluster: Cluster, namespace: str) -> None:
    metadata = {"name": "customers", "namespace": namespace}
    drift = {"subject": "Inputs", "minEffect": "0.2", "minSamples": 200, "watch": WATCH}
    kind = {"apiVersion": "sluice.dev/v1alpha1", "kind": "ModelMonitor"}
    cluster.apply({**kind, "metadata": metadata, "spec": {"drift": drift}})
    uses = [{"name": "customers", "kind": "ModelMonitor", "mode": "Watch"}]
    watch = {"sustained": "0s", "onBreach": "Alert"}
    housing = data.load()
    released(cluster, namespace)
    cluster.apply(cluster.deployment(NAME, namespace, "2", monitors=uses, watch=watch))
    cluster.phase(NAME, namespace, "Healthy")

    def says(reason: str) -> bool:
        found = cluster.get("md", NAME, namespace)["status"].get("monitors") or []
        return any((one["name"], one["reason"]) == ("customers", reason) for one in found)

    def passing() -> str:
        return str(cluster.condition(NAME, namespace, "MonitorsPassing").get("status"))

    with customers(cluster, namespace, housing.live, 1200):
        cluster.until("it is said that the reference is not whole", lambda: says("ReferenceIncomplete"), 60)
        assert passing() == "True", "which decides nothing"
        # A restart in mid-reference loses nothing. The pod of sluice-monitor stays: here, rows are in its volume.
        cluster.kubectl("-n", RELEASE_NAMESPACE, "rollout", "restart", f"deployment/{RELEASE}-operator")
        end = ("python", "-c", "import os; os.kill(1, 15)")
        cluster.kubectl("-n", RELEASE_NAMESPACE, "exec", f"deployment/{RELEASE}-monitor", "--", *end, check=False)
        cluster.until("the first look passes", lambda: says("WithinLimits"), 1100)
    assert passing() == "True"
    wealthy = housing.live[housing.live[:, 0] > np.median(housing.live[:, 0])]
    with customers(cluster, namespace, wealthy, 800):
        cluster.until("a look fails", lambda: says("DriftDetected"), 700)
        cluster.until("which is a breach", lambda: passing() == "False", 60)
    assert cluster.answers(NAME, namespace) == (200, f"{NAME}-r2"), "nobody asked to go back"
    records = cluster.get("mrev", f"{NAME}-r2", namespace)["status"]["records"]
    breach = next(record for record in records if record["kind"] == "Breached")
    assert "MedInc" in breach["message"], breach
    assert "of the reference" in breach["message"], breach
