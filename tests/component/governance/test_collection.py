"""Garbage collection and the end of namespaces, by a real kube-controller-manager, with the guards in force."""

from __future__ import annotations

from typing import Any

import pytest

from tests.component.examples import SHA, deployment, revision
from tests.component.governance.acts import evidence, marked, record
from tests.component.governance.guarded import Guarded, eventually
from tests.component.kube import Manifest, Refused

pytestmark = pytest.mark.component

GOVERNED = {"policies": [{"name": "high", "digest": SHA}]}


def released(guarded: Guarded, namespace: str, *, governed: bool) -> Manifest:
    """A deployment with a revision and its evidence, owned as the operator's are."""
    owner = guarded.person("dan").create(deployment(namespace))
    made = revision(namespace, GOVERNED if governed else None)
    document = evidence(namespace, {"retention": "UntilExported" if governed else "WithRevision"})
    for item in (made, document):
        item["metadata"]["ownerReferences"] = [_owned(owner)]
        guarded.operator.create(item)
    guarded.operator.patch(made, {"status": {"records": [record(0, SHA)]}}, "status")
    return owner


def _owned(owner: Manifest) -> dict[str, Any]:
    metadata = owner["metadata"]
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": metadata["name"]}
    return reference | {"uid": metadata["uid"], "controller": True, "blockOwnerDeletion": True}


def gone(guarded: Guarded, *items: Manifest) -> bool:
    """Whether none of them is there any more."""
    for item in items:
        try:
            guarded.admin.get(item)
        except Refused as answer:
            if answer.status != 404:
                raise
        else:
            return False
    return True


@pytest.mark.parametrize("how", ["background", "foreground"])
def test_without_governance_everything_goes_with_the_deployment(guarded: Guarded, space: str, how: str) -> None:
    owner = released(guarded, space, governed=False)
    guarded.kubectl("delete", "modeldeployment", "fraud", "-n", space, f"--cascade={how}", "--wait=false")
    everything = (owner, revision(space), evidence(space))
    eventually("everything is collected", lambda: gone(guarded, *everything), seconds=90)


def test_what_was_orphaned_can_be_deleted_by_hand(guarded: Guarded, space: str) -> None:
    owner = released(guarded, space, governed=False)
    guarded.kubectl("delete", "modeldeployment", "fraud", "-n", space, "--cascade=orphan", "--wait=false")
    eventually("the deployment is gone", lambda: gone(guarded, owner), seconds=90)
    guarded.admin.delete(revision(space))
    guarded.admin.delete(evidence(space))


def test_what_is_governed_outlives_its_deployment_until_it_was_exported(guarded: Guarded, space: str) -> None:
    owner = released(guarded, space, governed=True)
    guarded.person("dan").delete(owner)
    eventually("the deployment is gone", lambda: gone(guarded, owner))
    assert not gone(guarded, revision(space))
    assert not gone(guarded, evidence(space))
    for item in (revision(space), evidence(space)):
        guarded.person("audra").patch(item, marked(SHA))
    eventually("the rest is collected", lambda: gone(guarded, revision(space), evidence(space)), seconds=120)


def test_a_namespace_ends_unless_something_governed_is_in_it(guarded: Guarded, space: str) -> None:
    released(guarded, space, governed=False)
    end: Manifest = {"kind": "Namespace", "metadata": {"name": space}}
    guarded.admin.delete(end)
    eventually("the namespace is gone", lambda: gone(guarded, end), seconds=90)


def test_a_namespace_with_something_governed_says_why_it_stays(guarded: Guarded, space: str) -> None:
    released(guarded, space, governed=True)
    end: Manifest = {"kind": "Namespace", "metadata": {"name": space}}
    guarded.admin.delete(end)

    def told() -> bool:
        conditions = guarded.admin.get(end).get("status", {}).get("conditions", [])
        return any("is kept until it was exported" in condition["message"] for condition in conditions)

    eventually("the namespace says why", told, seconds=90)
