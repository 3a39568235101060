"""Identity: what makes two specs, workloads or plans the same. All are SHA-256 over canonical JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sluice.api.base import Resource
from sluice.api.modeldeployment import ModelDeploymentSpec, Serving
from sluice.api.modelrevision import ResolvedModel


def digest(value: Any) -> str:
    """``sha256:<hex>`` of a JSON value; equal for equal values whatever the order of keys.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def _stated(resource: Resource) -> Any:
    # Defaults are left out: a release of Sluice that adds a field with a default, or an API server that
    # writes defaults into the object, must not make every model look changed.
    return resource.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)


def content(resource: Resource) -> str:
    """What a resource says, whether or not a default was written out. Records name specs and steps by it."""
    return digest(_stated(resource))


def source(spec: ModelDeploymentSpec) -> str:
    """What is asked for, as stated: an alias counts as itself, not as the version it points at today."""
    return digest({"model": _stated(spec.model), "serving": _stated(spec.serving)})


def workload(model: ResolvedModel, serving: Serving) -> str:
    """What runs: the model's digest and how it is served. The same workload need not be started twice."""
    pinned = {"name": model.name, "version": model.version, "digest": model.digest}
    return digest({"model": pinned, "serving": _stated(serving)})


def plan(spec: ModelDeploymentSpec) -> str:
    """How a release is judged: its steps and gauges, and what the team stated about it."""
    judged = {"rollout": _stated(spec.rollout), "monitors": [_stated(use) for use in spec.monitors]}
    stated = {"governance": _stated(spec.governance)} if spec.governance is not None else {}
    return digest(judged | stated)
