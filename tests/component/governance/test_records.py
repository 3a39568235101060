"""Who may write, and who may delete, what a release leaves behind."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sluice.api.record import ORIGIN
from tests.component.examples import SHA, deployment, revision
from tests.component.governance.acts import EXPORTED, decision, evidence, marked, record, waiver
from tests.component.governance.guarded import OPERATOR, Guarded, eventually, refused
from tests.component.kube import Api, Manifest

pytestmark = pytest.mark.component

HEAD = "sha256:" + "cd" * 32
GOVERNED = {"policies": [{"name": "high", "digest": SHA}]}
KEPT = "is kept until it was exported"


def intruders(guarded: Guarded) -> list[Api]:
    """Administrators of each kind: by certificate, by impersonation, and an all-powerful service account."""
    return [guarded.admin, Api(guarded.plane.kubeconfig, "mallory", ["system:masters"]), guarded.robot()]


def grown(guarded: Guarded, namespace: str, change: Manifest, name: str = "fraud-r1", **status: object) -> Manifest:
    """A revision of the operator's, with a status."""
    made = guarded.operator.create(revision(namespace, change, name=name))
    return guarded.operator.patch(made, {"status": {"phase": "Progressing"} | status}, "status")


def test_nobody_but_the_operator_writes_status(guarded: Guarded, space: str) -> None:
    guarded.person("dan").create(deployment(space))
    guarded.person("vera").create(decision(space, "Approve", "vera", name="d"))
    guarded.person("wendy").create(waiver(space, "wendy", name="w"))
    guarded.operator.create(revision(space))
    guarded.operator.create(evidence(space))
    everything: list[Manifest] = [
        deployment(space),
        revision(space),
        decision(space, "Approve", "vera", name="d"),
        waiver(space, "wendy", name="w"),
        evidence(space),
    ]
    condition = {"type": "Ready", "status": "True", "reason": "Mine", "message": ""}
    forged = {"status": {"conditions": [condition | {"lastTransitionTime": "2026-11-25T00:00:00Z"}]}}
    for item in everything:
        for intruder in intruders(guarded):
            write: Callable[[], object] = lambda by=intruder, on=item: by.patch(on, forged, "status")  # type: ignore[misc] # noqa: E731
            refused(write, 403, "is written by Sluice alone", "is not its service account")
        guarded.operator.patch(item, forged, "status")


def test_nobody_but_the_operator_makes_or_changes_records(guarded: Guarded, space: str) -> None:
    made = guarded.operator.create(revision(space))
    guarded.operator.create(evidence(space))
    for intruder in intruders(guarded):
        refused(lambda by=intruder: by.create(revision(space, name="fraud-r2")), 403, "are made by Sluice alone")  # type: ignore[misc]
        refused(lambda by=intruder: by.create(evidence(space, name="mine")), 403, "are made by Sluice alone")  # type: ignore[misc]
        for item in (made, evidence(space)):
            for change in ({"labels": {"a": "b"}}, {"finalizers": ["a/b"]}, {"annotations": {"a": "b"}}):
                write: Callable[[], object] = lambda by=intruder, on=item, to=change: by.patch(on, {"metadata": to})  # type: ignore[misc] # noqa: E731
                refused(write, 403, "are records", "Only the annotation sluice.dev/exported-head may be set")
    refused(lambda: guarded.admin.patch(made, {"spec": {"deployment": "other"}}), 422, "spec never changes")


def test_an_ungoverned_record_goes_with_its_owner_and_not_by_hand(guarded: Guarded, space: str) -> None:
    owner = guarded.person("dan").create(deployment(space))
    reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": "fraud"}
    reference["uid"] = owner["metadata"]["uid"]
    for name in ("fraud-r1", "fraud-r2"):
        made = revision(space, name=name)
        made["metadata"]["ownerReferences"] = [reference]
        guarded.operator.create(made)
    refused(lambda: guarded.admin.delete(revision(space)), 403, "which admin may not delete")
    guarded.operator.delete(revision(space))


def test_a_governed_record_stays_until_its_last_record_was_exported(guarded: Guarded, space: str) -> None:
    made = grown(guarded, space, GOVERNED, records=[record(0, SHA)])
    audra = guarded.person("audra")
    refused(lambda: guarded.operator.delete(made), 403, f"modelrevisions/fraud-r1 {KEPT}: let somebody")
    refused(lambda: guarded.operator.delete(made), 403, f"`kubectl sluice export fraud -n {space}`")

    audra.patch(made, marked(SHA))
    guarded.operator.patch(made, {"status": {"records": [record(0, SHA), record(1, HEAD)]}}, "status")
    refused(lambda: guarded.operator.delete(made), 403, f"{KEPT} (it was, but has grown since)")

    audra.patch(made, marked(HEAD))
    guarded.operator.delete(made)


@pytest.mark.parametrize(
    ("spec", "status", "head"),
    [
        pytest.param({}, {}, ORIGIN, id="nothing recorded in a first revision"),
        pytest.param(
            {"previous": {"revision": "fraud-r0", "sequence": 3, "hash": HEAD}}, {}, HEAD, id="nor in a later"
        ),
        pytest.param(
            {},
            {"archived": {"until": 4, "hash": HEAD, "evidence": []}},
            HEAD,
            id="everything moved to evidence",
        ),
    ],
)
def test_the_head_is_that_of_the_chain(
    guarded: Guarded, space: str, spec: Manifest, status: Manifest, head: str
) -> None:
    made = grown(guarded, space, GOVERNED | spec, **status)
    guarded.person("audra").patch(made, marked(SHA))
    refused(lambda: guarded.operator.delete(made), 403, KEPT)
    guarded.person("audra").patch(made, marked(head))
    guarded.operator.delete(made)


@pytest.mark.parametrize(
    ("seal", "gone"),
    [
        pytest.param({"hash": HEAD, "anchor": "s3://records/fraud"}, True, id="anchored at its head"),
        pytest.param({"hash": SHA, "anchor": "s3://records/fraud"}, False, id="anchored before it grew"),
        pytest.param({"hash": HEAD}, False, id="signed only"),
    ],
)
def test_a_record_anchored_outside_may_go(guarded: Guarded, space: str, seal: Manifest, gone: bool) -> None:
    sealed = {"sequence": 0, "sealedAt": "2026-11-25T10:00:00Z", **seal}
    made = grown(guarded, space, GOVERNED, records=[record(0, HEAD)], seal=sealed)
    if gone:
        guarded.operator.delete(made)
    else:
        refused(lambda: guarded.operator.delete(made), 403, KEPT)


def test_only_those_who_may_export_mark_something_as_exported(guarded: Guarded, space: str) -> None:
    guarded.person("vera").create(decision(space, "Approve", "vera", name="d"))
    made = guarded.operator.create(revision(space, GOVERNED))
    limited = Api(guarded.plane.kubeconfig, OPERATOR, [])
    refused(lambda: limited.patch(made, marked(HEAD)), 403, "cannot patch resource")
    _grant_patch(guarded, space, "dan")
    for item in (made, decision(space, "Approve", "vera", name="d")):
        write: Callable[[], object] = lambda on=item: guarded.person("dan").patch(on, marked(HEAD))  # type: ignore[misc] # noqa: E731
        refused(write, 403, "dan may not mark records as exported", f"in namespace {space}")
    unmarked = decision(space, "Approve", "vera", name="premarked")
    unmarked["metadata"]["annotations"] = {EXPORTED: HEAD}
    refused(lambda: guarded.person("vera").create(unmarked), 403, "vera may not mark records as exported")
    refused(lambda: guarded.person("audra").patch(made, marked("yes")), 422, "must be the hash of the last record")


def test_the_auditor_changes_nothing_but_the_mark(guarded: Guarded, space: str) -> None:
    made = guarded.operator.create(revision(space, GOVERNED))
    change = {"metadata": {"labels": {"a": "b"}, **marked(HEAD)["metadata"]}}
    refused(lambda: guarded.person("audra").patch(made, change), 403, "which audra may not change")
    guarded.person("audra").patch(made, marked(HEAD))
    guarded.person("audra").patch(made, marked(None))


def test_decisions_exceptions_and_evidence_stay_until_they_were_exported(guarded: Guarded, space: str) -> None:
    guarded.person("vera").create(decision(space, "Approve", "vera", name="d"))
    guarded.person("wendy").create(waiver(space, "wendy", name="w"))
    guarded.operator.create(evidence(space))
    guarded.operator.create(evidence(space, {"retention": "WithRevision"}, name="ungoverned"))
    kept = (decision(space, "Approve", "vera", name="d"), waiver(space, "wendy", name="w"), evidence(space))
    for item in kept:
        for deleter in (guarded.admin, guarded.operator):
            refused(lambda by=deleter, it=item: by.delete(it), 403, KEPT, f"`kubectl sluice export fraud -n {space}`")  # type: ignore[misc]
        guarded.person("audra").patch(item, marked(HEAD))
        guarded.admin.delete(item)
    guarded.operator.delete(evidence(space, name="ungoverned"))


def test_a_whole_collection_is_not_deleted_either(guarded: Guarded, space: str) -> None:
    guarded.person("vera").create(decision(space, "Approve", "vera", name="d"))
    path = f"/apis/sluice.dev/v1alpha1/namespaces/{space}/modeldecisions"
    refused(lambda: guarded.admin.request("DELETE", path), 403, KEPT)


def _grant_patch(guarded: Guarded, namespace: str, person: str) -> None:
    """A right that no role of the chart gives: without the guard it would be enough."""
    base = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
    rule = {"apiGroups": ["sluice.dev"], "resources": ["modelrevisions", "modeldecisions"], "verbs": ["patch"]}
    guarded.admin.request("POST", f"{base}/roles", {"metadata": {"name": "patch"}, "rules": [rule]})
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": person}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "patch"}
    binding = {"metadata": {"name": "patch"}, "roleRef": reference, "subjects": [subject]}
    guarded.admin.request("POST", f"{base}/rolebindings", binding)
    eventually("the right is known", lambda: guarded.may(person, "patch", "modelrevisions", namespace))
