"""The kinds as the API server serves them: what it fills in, shows, finds, keeps apart and merges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from sluice.api import API_VERSION
from sluice.api.base import Resource
from sluice.api.crds import KINDS, Kind
from sluice.api.modeldeployment import ModelDeploymentSpec, ModelDeploymentStatus
from sluice.api.modelrevision import ModelRevisionStatus
from sluice.api.schema import structural
from tests.component.examples import deployment, merged, monitor, revision
from tests.component.kube import Api, Manifest
from tests.unit.api.structural import values

pytestmark = pytest.mark.component

NOW = "2026-11-24T10:00:00Z"


def condition(kind: str, status: str, reason: str = "Because") -> Manifest:
    """A condition as the operator writes it."""
    return {"type": kind, "status": status, "reason": reason, "message": "", "lastTransitionTime": NOW}


def status(manifest: Manifest, **fields: Any) -> Manifest:
    """The object with nothing but a status, as server-side apply wants it."""
    identity = {key: manifest["metadata"][key] for key in ("name", "namespace")}
    return {"apiVersion": API_VERSION, "kind": manifest["kind"], "metadata": identity, "status": fields}


def test_what_a_deployment_leaves_out_is_filled_in_for_people_to_see(api: Api, namespace: str) -> None:
    spec = api.create(deployment(namespace))["spec"]

    assert spec["traffic"]["router"] == "GatewayAPI"
    assert spec["serving"]["replicas"] == {"min": 1}
    assert spec["rollout"] == {
        "steps": [
            {"weight": 5, "hold": "10m"},
            {"weight": 25, "hold": "10m"},
            {"weight": 50, "hold": "10m"},
            {"weight": 100},
        ],
        "progressDeadline": "4h",
        "onDeadline": "Rollback",
        "rollbackWindow": "24h",
        "approvalDeadline": "168h",
        "revisionHistoryLimit": 10,
    }
    assert ModelDeploymentSpec.model_validate(spec) == ModelDeploymentSpec.model_validate(deployment(namespace)["spec"])


def test_a_monitor_in_use_is_a_cluster_monitor_that_gates_unless_said_otherwise(api: Api, namespace: str) -> None:
    made = api.create(deployment(namespace, {"monitors": [{"name": "error-rate"}]}))

    assert made["spec"]["monitors"] == [{"name": "error-rate", "kind": "ClusterModelMonitor", "mode": "Gate"}]


def test_a_predictor_is_kept_as_it_was_written(api: Api, namespace: str) -> None:
    predictor = {"containers": [{"name": "m", "args": ["--x", "1"], "tty": True}], "scaleTarget": 3, "nothing": {}}

    made = api.create(deployment(namespace, {"serving": {"modelFormat": None, "predictor": predictor}}))

    assert made["spec"]["serving"]["predictor"] == predictor


@pytest.mark.parametrize(
    ("example", "model"), [(deployment, ModelDeploymentStatus), (revision, ModelRevisionStatus)], ids=["md", "mrev"]
)
def test_every_status_that_the_operator_can_write_is_kept_as_it_was_written(
    api: Api, example: Callable[[str], Manifest], model: type[Resource]
) -> None:
    made = api.create(merged(example("default"), {"metadata": {"name": model.__name__.lower()}}))

    @settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(values(structural(model)).map(model.model_validate))
    def kept(written: Resource) -> None:
        stored = api.replace({**api.get(made), "status": written.dump()}, "status")
        assert model.model_validate(stored["status"]) == written

    kept()


def test_a_time_keeps_its_microseconds(api: Api, namespace: str) -> None:
    assert api.create(revision(namespace))["spec"]["requestedAt"] == "2026-11-24T10:00:00.123456Z"


def test_a_status_sent_with_a_new_object_is_dropped(api: Api, namespace: str) -> None:
    made = api.create(deployment(namespace) | {"status": {"phase": "Healthy"}})

    assert "status" not in made


def test_the_object_and_its_status_are_written_apart(api: Api, namespace: str) -> None:
    made = api.create(deployment(namespace))

    reported = api.patch(made, {"spec": {"model": {"version": "8"}}, "status": {"phase": "Healthy"}}, "status")
    assert reported["spec"] == made["spec"]
    assert reported["status"] == {"phase": "Healthy"}
    assert reported["metadata"]["generation"] == 1, "a status is no new wish"

    wished = api.patch(made, {"spec": {"model": {"version": "8"}}, "status": {"phase": "Degraded"}})
    assert wished["spec"]["model"]["version"] == "8"
    assert wished["status"] == {"phase": "Healthy"}
    assert wished["metadata"]["generation"] == 2


def test_the_status_of_a_revision_may_change_though_its_spec_may_not(api: Api, namespace: str) -> None:
    made = api.create(revision(namespace))

    reported = api.patch(made, {"status": {"phase": "Progressing", "step": 0}}, "status")

    assert reported["status"] == {"phase": "Progressing", "step": 0}


def test_writers_of_different_conditions_do_not_take_each_others(api: Api, namespace: str) -> None:
    made = api.create(deployment(namespace))

    api.apply(status(made, conditions=[condition("Ready", "True")]), "sluice", "status")
    after = api.apply(status(made, conditions=[condition("GovernanceSatisfied", "False")]), "governance", "status")

    assert [one["type"] for one in after["status"]["conditions"]] == ["Ready", "GovernanceSatisfied"]


def test_a_condition_that_its_writer_leaves_out_disappears(api: Api, namespace: str) -> None:
    made = api.create(deployment(namespace))
    api.apply(status(made, conditions=[condition("Ready", "True"), condition("Promoted", "True")]), "sluice", "status")

    left = api.apply(status(made, conditions=[condition("Ready", "True")]), "sluice", "status")

    assert [one["type"] for one in left["status"]["conditions"]] == ["Ready"]


def test_a_platform_team_may_add_a_monitor_to_a_deployment_of_another(api: Api, namespace: str) -> None:
    theirs = deployment(namespace, {"monitors": [{"name": "latency-p99"}]})
    api.apply(theirs, "model-team")
    spec = {"monitors": [{"name": "workload-health"}]}

    after = api.apply({key: theirs[key] for key in ("apiVersion", "kind", "metadata")} | {"spec": spec}, "platform")

    assert [use["name"] for use in after["spec"]["monitors"]] == ["latency-p99", "workload-health"]


def cells(table: Manifest) -> dict[str, Any]:
    """The first row of a table, without its age."""
    names = [column["name"] for column in table["columnDefinitions"]]
    row = dict(zip(names, table["rows"][0]["cells"], strict=True))
    del row["Age"]
    return row


def test_kubectl_get_answers_the_daily_question_about_a_deployment(api: Api, namespace: str) -> None:
    made = api.create(deployment(namespace))
    step = {"index": 2, "of": 4, "kind": "Weight", "weight": 25}
    fields = {"phase": "Progressing", "message": "holding", "url": "https://fraud.models.example.com", "step": step}
    fields["governance"] = {"blockedBy": "approval:model-validator"}
    api.apply(status(made, stableRevision="fraud-r1", candidateRevision="fraud-r2", **fields), "sluice", "status")

    assert cells(api.table("ModelDeployment", namespace)) == {
        "Name": "fraud",
        "Phase": "Progressing",
        "Model": "fraud-scorer",
        "Version": "7",
        "Alias": None,
        "Stable": "fraud-r1",
        "Candidate": "fraud-r2",
        "Step": 2,
        "Weight": 25,
        "Blocked-By": "approval:model-validator",
        "Message": "holding",
        "URL": "https://fraud.models.example.com",
    }


def test_kubectl_get_answers_the_daily_question_about_a_revision(api: Api, namespace: str) -> None:
    made = api.create(revision(namespace))
    fields = {"phase": "RolledBack", "step": 1, "reason": "DriftDetected", "message": "prediction-drift: 0.4 > 0.1"}
    api.apply(status(made, **fields), "sluice", "status")

    assert cells(api.table("ModelRevision", namespace)) == {
        "Name": "fraud-r1",
        "Deployment": "fraud",
        "Model": "fraud-scorer",
        "Version": "7",
        "Phase": "RolledBack",
        "Step": 1,
        "Reason": "DriftDetected",
        "Message": "prediction-drift: 0.4 > 0.1",
        "Digest": made["spec"]["model"]["digest"],
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, {"SLO": "1m", "Drift": None, "Workload": None}, id="slo"),
        pytest.param({"slo": None, "drift": {}}, {"SLO": None, "Drift": "Prediction", "Workload": None}, id="drift"),
        pytest.param({"slo": None, "workload": {}}, {"SLO": None, "Drift": None, "Workload": "10m"}, id="workload"),
    ],
)
def test_kubectl_get_shows_what_a_monitor_is_and_whether_it_can_be_read(
    api: Api, namespace: str, change: Manifest, expected: dict[str, Any]
) -> None:
    made = api.create(monitor(namespace, change))
    api.apply(status(made, conditions=[condition("Ready", "False", "MetricNotFound")]), "sluice", "status")

    row = cells(api.table("ModelMonitor", namespace))

    assert row.items() >= (expected | {"Ready": "False", "Reason": "MetricNotFound"}).items()


def test_long_columns_are_left_to_o_wide(api: Api, namespace: str) -> None:
    api.create(deployment(namespace))
    columns = api.table("ModelDeployment", namespace)["columnDefinitions"]

    wide = [column["name"] for column in columns if column["priority"] > 0]

    assert wide == ["Alias", "Message", "URL"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_kinds_are_found_by_short_name_and_as_sluice(api: Api, kind: Kind) -> None:
    resources = api.request("GET", f"/apis/{API_VERSION}")["resources"]
    served = {resource["name"]: resource for resource in resources}

    assert served[kind.plural]["shortNames"] == [kind.short_name]
    assert served[kind.plural]["categories"] == ["sluice"]
    assert served[kind.plural]["namespaced"] is (kind.scope == "Namespaced")
    assert f"{kind.plural}/status" in served


def test_revisions_are_selected_by_deployment_and_phase(api: Api, namespace: str) -> None:
    for name, owner, phase in (("a-r1", "a", "Promoted"), ("a-r2", "a", "Pending"), ("b-r1", "b", "Promoted")):
        made = api.create(revision(namespace, {"deployment": owner}, name=name))
        api.apply(status(made, phase=phase), "sluice", "status")

    def names(selector: str) -> list[str]:
        found = api.list("ModelRevision", namespace, fieldSelector=selector)
        return [one["metadata"]["name"] for one in found]

    assert names("spec.deployment=a") == ["a-r1", "a-r2"]
    assert names("spec.deployment=a,status.phase=Promoted") == ["a-r1"]
