"""Objects that the API server admits, and ways to change one thing about them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from sluice.api import API_VERSION
from tests.component.kube import Manifest

SHA = "sha256:" + "ab" * 32

FULL = yaml.safe_load((Path(__file__).parent / "modeldeployment-full.yaml").read_text(encoding="utf-8"))
"""The example of the design, every part in use."""


def deployment(namespace: str, change: Manifest | None = None, name: str = "fraud") -> Manifest:
    """The least that makes a ModelDeployment, with a change merged in."""
    spec = {
        "model": {"name": "fraud-scorer", "version": "7"},
        "serving": {"modelFormat": "sklearn"},
        "traffic": {"gateway": {"name": "models", "namespace": "gateways"}, "hostnames": ["fraud.models.example.com"]},
    }
    return _manifest("ModelDeployment", name, namespace, merged(spec, change or {}))


def revision(namespace: str, change: Manifest | None = None, name: str = "fraud-r1") -> Manifest:
    """The least that makes a ModelRevision, with a change merged in."""
    spec = {
        "deployment": "fraud",
        "revision": 1,
        "identity": SHA,
        "plan": SHA,
        "source": SHA,
        "requestedAt": "2026-11-24T10:00:00.123456Z",
        "model": {"name": "fraud-scorer", "version": "7", "digest": SHA},
        "serving": {"predictor": {"model": {"modelFormat": {"name": "sklearn"}}}},
        "rollout": {},
    }
    return _manifest("ModelRevision", name, namespace, merged(spec, change or {}))


def monitor(namespace: str, change: Manifest | None = None, name: str = "error-rate") -> Manifest:
    """The least that makes an SLO monitor, with a change merged in."""
    slo = {"bad": "sum(errors)", "total": "sum(requests)", "limits": {"max": "0.05"}}
    return _manifest("ModelMonitor", name, namespace, merged({"slo": slo}, change or {}))


def rollout(*steps: Manifest, **fields: Any) -> Manifest:
    """A change that replaces the steps of a rollout."""
    return {"rollout": {"steps": list(steps), **fields}}


def weight(share: int, hold: str | None = "10m") -> Manifest:
    """A weight step; a weight of 100 is :data:`ALL`."""
    return {"weight": share, **({"hold": hold} if hold else {})}


def shadow(hold: str = "10m") -> Manifest:
    """A shadow step."""
    return {"shadow": {"hold": hold}}


ALL: Manifest = {"weight": 100}
APPROVAL: Manifest = {"approval": {"role": "model-validator"}}


def merged(base: Any, change: Any) -> Any:
    """RFC 7386: maps are merged, None removes, all else replaces."""
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    result = dict(base) if isinstance(base, dict) else {}
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _manifest(kind: str, name: str, namespace: str, spec: Manifest) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
