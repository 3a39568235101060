"""Decisions, exceptions and evidence that the API server admits, with a change merged in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sluice.api import API_VERSION
from tests.component.examples import SHA, merged
from tests.component.kube import Manifest

SUBJECT = {"model": "fraud-scorer", "version": "7", "digest": SHA}
TARGET = {"deployment": "fraud", "uid": "0b0c1d2e", "revision": "fraud-r1"}
EXPORTED = "sluice.dev/exported-head"


def ahead(days: float) -> str:
    """So many days from now."""
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def decision(namespace: str, action: str, actor: str, role: str = "model-validator", name: str = "act") -> Manifest:
    """One act of a person."""
    spec: Manifest = {"action": action, "actor": {"username": actor}, "target": TARGET, "subject": SUBJECT}
    spec |= {"reason": "because", "ticket": "CHG-1"}
    if action in ("Approve", "Reject", "Revoke"):
        spec["role"] = role
    if action == "Approve":
        spec |= {"policyDigest": SHA, "expiresAt": ahead(30)}
    if action == "Revoke":
        spec["revokes"] = "an-approval"
    return _made("ModelDecision", namespace, name, spec)


def waiver(namespace: str, approver: str, days: float = 30, name: str = "waiver") -> Manifest:
    """One control waived."""
    spec = {"control": "GOV-DOC-01", "approver": {"username": approver}, "target": TARGET, "subject": SUBJECT}
    return _made(
        "GovernanceException", namespace, name, spec | {"reason": "r", "ticket": "T", "expiresAt": ahead(days)}
    )


def evidence(namespace: str, change: Manifest | None = None, name: str = "inputs") -> Manifest:
    """One document."""
    spec = {"deployment": "fraud", "revision": "fraud-r1", "kind": "Inputs", "digest": SHA, "content": "e30="}
    return _made("GovernanceEvidence", namespace, name, merged(spec, change or {}))


def marked(head: str | None) -> Manifest:
    """The change that marks something as exported."""
    return {"metadata": {"annotations": {EXPORTED: head}}}


def record(number: int, hash_of_it: str) -> Manifest:
    """One record in a status, as far as the guards look."""
    return {
        "sequence": number,
        "time": "2026-11-25T10:00:00Z",
        "kind": "Created",
        "actor": "sluice",
        "reason": "RevisionCreated",
        "message": "made",
        "previousHash": SHA,
        "hash": hash_of_it,
    }


def _made(kind: str, namespace: str, name: str, spec: Manifest) -> Manifest:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
