"""Status: what runs, where to reach it, and how much memory it takes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hack.cluster import addons, binaries, bringup, images, imagestore, layout, processes, recordstore


@dataclass(frozen=True)
class Row:
    """One process."""

    name: str
    state: str
    pid: int | None
    mebibytes: int


def rows() -> list[Row]:
    """Every process that belongs to the cluster, running or not."""
    held = layout.control_plane().processes
    found = []
    for name in bringup.known():
        record = held.record(name)
        if record is None:
            found.append(Row(name, "stopped", None, 0))
        elif not record.alive():
            found.append(Row(name, "ended", None, 0))
        else:
            found.append(Row(name, "running", record.pid, processes.memory(record.pid) // 2**20))
    return found


def facts() -> dict[str, Any]:
    """What programs that use the cluster want to know. Addresses are None while there are none."""
    processed = {row.name: row.state for row in rows()} if layout.KUBECONFIG.exists() else {}
    answers = processed.get("kube-apiserver") == "running"
    return {
        "kubeconfig": str(layout.KUBECONFIG),
        "kubectl": str(binaries.program_folder("kubectl") / "kubectl"),
        "helm": str(binaries.program_folder("helm") / "helm"),
        "gatewayAddress": addons.gateway_address() if answers else None,
        "gateway": "gateways/models",
        "prometheusUrl": f"http://127.0.0.1:{layout.PROMETHEUS_PORT}",
        "prometheusClusterUrl": "http://prometheus.monitoring.svc:9090",
        "prometheusRules": str(layout.DIRECTORY / "prometheus" / "rules"),
        "mlflowUrl": f"http://{layout.GATEWAY}:{layout.MLFLOW_PORT}",
        "mlflowClusterUrl": "http://mlflow.mlflow.svc:5000",
        "recordsUrl": recordstore.url(f"127.0.0.1:{layout.RECORDS_PORT}"),
        "recordsClusterUrl": recordstore.url(f"records.records.svc:{layout.RECORDS_PORT}"),
        "hostAddress": layout.GATEWAY,
        "logs": str(layout.log_directory()),
        "images": {
            image.name: {"tag": image.reference, "fixed": imagestore.fixed_reference(image, made)}
            for image in images.IMAGES
            if (made := images.built(image)) is not None
        },
        "processes": processed,
        "ready": bool(processed) and all(state == "running" for state in processed.values()),
    }


def show(*, as_json: bool) -> bool:
    """Print the status; returns whether everything runs and the Gateway has an address."""
    found = facts()
    healthy = bool(found["ready"] and found["gatewayAddress"])
    if as_json:
        print(json.dumps(found, indent=2))
        return healthy
    if not layout.KUBECONFIG.exists():
        print("The cluster is down. Start it with: make cluster")
        return False
    for row in rows():
        ports = " ".join(map(str, layout.TAKEN.get(row.name, ())))
        memory = f"{row.mebibytes:>5} MiB" if row.pid else ""
        print(f"{'✓' if row.state == 'running' else '✗'} {row.name:<26} {row.state:<8} {memory:<10} {ports}")
    for label in ("kubeconfig", "gatewayAddress", "prometheusUrl", "mlflowUrl", "recordsUrl", "logs"):
        print(f"  {label:<16} {found[label]}")
    for name, tags in found["images"].items():
        print(f"  image {name:<13} {tags['tag']}  =  {tags['fixed']}")
    return healthy
