"""The store: what is kept, what is dropped, and what belongs to whom."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.objects import Object
from sluice.edges.kinds import HTTP_ROUTES, MODEL_DEPLOYMENTS, MODEL_REVISIONS, PODS, Kind
from sluice.engine.store import Key, Store, is_ours, owner_of

SCORER = Key("risk", "scorer")


def item(version: int, name: str = "scorer-r1", uid: str = "u1", **metadata: Any) -> Object:
    labels = metadata.pop("labels", {"sluice.dev/deployment": "scorer"})
    created = metadata.pop("created", "2026-11-24T12:00:00Z")
    found = {
        "name": name,
        "namespace": "risk",
        "uid": uid,
        "resourceVersion": str(version),
        "creationTimestamp": created,
        "labels": labels,
    }
    return {"kind": "ModelRevision", "metadata": found | metadata, "spec": {"version": version}}


def known(store: Store) -> Any:
    found = store.get(MODEL_REVISIONS, "risk", "scorer-r1")
    return found["spec"]["version"] if found else None


def test_the_higher_version_is_kept_whatever_the_order() -> None:
    store = Store()
    assert store.put(MODEL_REVISIONS, item(10))
    assert not store.put(MODEL_REVISIONS, item(9))
    assert not store.put(MODEL_REVISIONS, item(10))
    assert store.put(MODEL_REVISIONS, item(11))
    assert known(store) == 11


def test_versions_are_numbers_and_not_text() -> None:
    store = Store()
    store.put(MODEL_REVISIONS, item(9))
    assert store.put(MODEL_REVISIONS, item(10))


def test_a_later_object_of_the_same_name_replaces_the_earlier_and_its_late_deletion_is_no_matter() -> None:
    store = Store()
    store.put(MODEL_REVISIONS, item(10))
    store.put(MODEL_REVISIONS, item(12, uid="u2", created="2026-11-24T12:00:05Z"))
    store.drop(MODEL_REVISIONS, item(11))
    assert known(store) == 12
    assert not store.put(MODEL_REVISIONS, item(13))
    assert known(store) == 12


def test_a_late_answer_does_not_bring_a_deleted_object_back() -> None:
    store = Store()
    store.put(MODEL_REVISIONS, item(10))
    store.drop(MODEL_REVISIONS, item(12))
    assert not store.put(MODEL_REVISIONS, item(11))
    assert known(store) is None
    assert store.of(MODEL_REVISIONS, SCORER) == []


def test_managed_fields_are_not_kept() -> None:
    store = Store()
    store.put(MODEL_REVISIONS, item(10, managedFields=[{"manager": "kubectl"}]))
    found = store.get(MODEL_REVISIONS, "risk", "scorer-r1")
    assert found is not None
    assert "managedFields" not in found["metadata"]


def test_of_a_pod_only_its_metadata_and_status_are_kept() -> None:
    store = Store()
    store.put(PODS, item(10, labels={"serving.kserve.io/inferenceservice": "scorer-r1"}) | {"status": {"phase": "x"}})
    (pod,) = store.of(PODS, SCORER)
    assert "spec" not in pod
    assert pod["status"] == {"phase": "x"}


def test_objects_are_found_by_their_deployment() -> None:
    store = Store()
    store.put(MODEL_REVISIONS, item(10))
    store.put(MODEL_REVISIONS, item(11, name="scorer-r2", uid="u2"))
    store.put(MODEL_REVISIONS, item(12, name="other-r1", uid="u3", labels={"sluice.dev/deployment": "other"}))
    assert {found["metadata"]["name"] for found in store.of(MODEL_REVISIONS, SCORER)} == {"scorer-r1", "scorer-r2"}


def test_an_object_whose_label_changed_belongs_to_the_new_deployment_only() -> None:
    store = Store()
    store.put(MODEL_REVISIONS, item(10))
    store.put(MODEL_REVISIONS, item(11, labels={"sluice.dev/deployment": "other"}))
    assert store.of(MODEL_REVISIONS, SCORER) == []
    assert len(store.of(MODEL_REVISIONS, Key("risk", "other"))) == 1


def test_what_is_not_on_a_list_is_gone() -> None:
    store = Store()
    store.put(MODEL_REVISIONS, item(10))
    store.put(MODEL_REVISIONS, item(11, name="scorer-r2", uid="u2"))
    news = store.replace(MODEL_REVISIONS, [item(10)], version=20)
    assert [(found["metadata"]["name"], there) for found, there in news] == [("scorer-r2", False)]
    assert known(store) == 10


def test_what_is_younger_than_a_list_is_not_gone() -> None:
    # We created it while the list was on its way.
    store = Store()
    store.put(MODEL_REVISIONS, item(21))
    assert store.replace(MODEL_REVISIONS, [], version=20) == []
    assert known(store) == 21


def test_what_was_deleted_after_a_list_was_made_does_not_return_with_it() -> None:
    store = Store()
    store.put(MODEL_REVISIONS, item(10))
    store.drop(MODEL_REVISIONS, item(21))
    assert store.replace(MODEL_REVISIONS, [item(10)], version=20) == []
    assert known(store) is None


def test_a_list_of_one_namespace_says_nothing_about_another() -> None:
    store = Store()
    store.put(MODEL_REVISIONS, item(10))
    assert store.replace(MODEL_REVISIONS, [], version=20, namespace="elsewhere") == []
    assert known(store) == 10


@pytest.mark.parametrize(
    ("kind", "labels", "owner"),
    [
        pytest.param(MODEL_REVISIONS, {"sluice.dev/deployment": "scorer"}, SCORER, id="our-label"),
        pytest.param(PODS, {"serving.kserve.io/inferenceservice": "scorer-r12"}, SCORER, id="name-from-kserve"),
        pytest.param(PODS, {"serving.kserve.io/inferenceservice": "a-r1-r2"}, Key("risk", "a-r1"), id="odd-name"),
        pytest.param(PODS, {"serving.kserve.io/inferenceservice": "iris"}, None, id="not-ours"),
        pytest.param(HTTP_ROUTES, None, None, id="no-labels"),
    ],
)
def test_owner(kind: Kind, labels: dict[str, str] | None, owner: Key | None) -> None:
    assert owner_of(kind, item(1, labels=labels)) == owner


def test_a_deployment_belongs_to_itself() -> None:
    assert owner_of(MODEL_DEPLOYMENTS, item(1, name="scorer", labels={})) == SCORER


@pytest.mark.parametrize(
    ("metadata", "ours"),
    [
        pytest.param({"ownerReferences": [{"uid": "me", "controller": True}], "labels": {}}, True, id="owned"),
        pytest.param({"ownerReferences": [{"uid": "before-me", "controller": True}]}, False, id="owned-by-another"),
        pytest.param({"ownerReferences": [{"uid": "someone"}]}, True, id="labelled-and-not-controlled"),
        pytest.param({}, True, id="labelled-orphan"),
        pytest.param({"labels": {}}, False, id="a-stranger"),
    ],
)
def test_ours(metadata: dict[str, Any], ours: bool) -> None:
    assert is_ours(item(1, **metadata), "scorer", "me") is ours
