"""What the objects of one deployment have in common: their API versions, labels and owners."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
"""A Kubernetes object as ``kubectl get -o json`` shows it."""

SLUICE = "sluice.dev/v1alpha1"
KSERVE = "serving.kserve.io/v1beta1"
GATEWAY = "gateway.networking.k8s.io/v1"
OPEN_REPORTS = "openreports.io/v1alpha1"

EXPORTED = "sluice.dev/exported-head"
"""The annotation in which an export notes up to which record it went."""
DEPLOYMENT_LABEL = "sluice.dev/deployment"
REVISION_LABEL = "sluice.dev/revision"


def labels(deployment: str, revision: str | None = None) -> dict[str, str]:
    """The labels that tie an object to its deployment, and to its revision where it has one."""
    found = {"app.kubernetes.io/managed-by": "sluice", DEPLOYMENT_LABEL: deployment}
    return found | ({REVISION_LABEL: revision} if revision else {})


def owned_by(kind: str, name: str, uid: str) -> list[Object]:
    """The owner reference that lets Kubernetes remove an object together with its owner."""
    owner = {"apiVersion": SLUICE, "kind": kind, "name": name, "uid": uid, "controller": True}
    return [owner | {"blockOwnerDeletion": True}]
