"""Observe, decide and act together, on an API server in memory."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sluice.api.modelrevision import ModelRevisionSpec, ModelRevisionStatus
from sluice.core import records
from sluice.core.objects import Object
from sluice.edges.kinds import (
    CLUSTER_MODEL_MONITORS,
    DEPLOYMENTS,
    HTTP_ROUTES,
    INFERENCE_SERVICES,
    MODEL_DEPLOYMENTS,
    MODEL_REVISIONS,
    Kind,
)
from sluice.edges.kube import Forbidden, Invalid, KubeError, Unavailable
from sluice.engine.queue import LONGEST_BACKOFF
from sluice.engine.store import Key
from tests.unit.engine.fakes import Crash, Engine, FakeKube, Time, cluster, deployment

SCORER = Key("risk", "scorer")


def live(kube: FakeKube, kind: Kind, name: str) -> Object:
    return kube.objects[kind, "risk", name]


def status(kube: FakeKube, name: str = "scorer") -> Any:
    return live(kube, MODEL_DEPLOYMENTS, name).get("status", {})


def weights(kube: FakeKube) -> dict[str, int]:
    backends = live(kube, HTTP_ROUTES, "scorer")["spec"]["rules"][0]["backendRefs"]
    return {backend["name"]: backend["weight"] for backend in backends}


def edits_on_record(kube: FakeKube, revision: str = "scorer-r1") -> list[tuple[str, str]]:
    """Kind and message of the records about hand edits."""
    found = live(kube, MODEL_REVISIONS, revision)["status"]["records"]
    return [(r["kind"], r["message"]) for r in found if r["kind"] in ("HandEdited", "Corrected")]


def condition(kube: FakeKube, kind: str, name: str = "scorer") -> Any:
    return next(c for c in status(kube, name)["conditions"] if c["type"] == kind)


async def run(engine: Engine, time: Time, seconds: float, step: float = 1) -> None:
    """Let time pass, settling at every step."""
    await engine.settle()
    for _ in range(int(seconds / step)):
        await asyncio.sleep(0)  # for what goes on beside
        time.pass_(step)
        await engine.settle()


async def released(engine: Engine, time: Time, version: str = "1") -> None:
    engine.kube.put(MODEL_DEPLOYMENTS, deployment(version))
    await run(engine, time, 60)
    assert status(engine.kube)["phase"] == "Healthy"
    engine.kube.writes.clear()
    engine.told.clear()


async def test_a_deployment_is_released_and_the_next_version_promoted(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    await run(engine, time, 60)
    assert status(kube)["stableRevision"] == "scorer-r2"
    assert kube.names(INFERENCE_SERVICES) == ["scorer-r1", "scorer-r2"]
    assert [reason for reason in engine.reasons if reason == "RevisionPromoted"] == ["RevisionPromoted"]


async def test_nothing_is_written_at_rest(engine: Engine, kube: FakeKube, time: Time) -> None:
    await released(engine, time)
    for _ in range(20):
        engine.queue.add(SCORER)
        await run(engine, time, 5)
    assert kube.writes == []


async def test_a_new_process_writes_each_object_at_most_once_and_changes_none(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    before = {address: item["metadata"]["resourceVersion"] for address, item in kube.objects.items()}
    engine.stop()
    await run(Engine(kube, time), time, 5)
    assert {address: item["metadata"]["resourceVersion"] for address, item in kube.objects.items()} == before
    assert sorted(kube.writes) == [("apply", "HTTPRoute", "scorer"), ("apply", "InferenceService", "scorer-r1")]


async def test_a_field_added_by_hand_is_removed_and_its_author_named(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    edit = {"metadata": {"name": "scorer-r1", "namespace": "risk"}, "spec": {"predictor": {"nodeSelector": {"a": "b"}}}}
    kube.put(INFERENCE_SERVICES, edit, manager="kubectl-edit")
    await engine.settle()
    assert "nodeSelector" not in live(kube, INFERENCE_SERVICES, "scorer-r1")["spec"]["predictor"]
    (event,) = engine.told
    assert event.reason == "WorkloadCorrected"
    assert "by kubectl-edit (spec.predictor.nodeSelector)" in event.message
    await run(engine, time, 5)
    evidence, status, workload = ("create", "GovernanceEvidence"), ("apply_status", "ModelRevision"), "InferenceService"
    # On record before it is undone, and when it is; then nothing.
    assert [write[:2] for write in kube.writes] == [evidence, status, ("merge_patch", workload), evidence, status]


async def test_an_edit_is_on_record_with_who_made_it_until_it_is_set_right(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    edit = {"metadata": {"name": "scorer-r1", "namespace": "risk"}, "spec": {"predictor": {"nodeSelector": {"a": "b"}}}}
    kube.put(INFERENCE_SERVICES, edit, manager="kubectl-edit")
    kube.put(HTTP_ROUTES, {"metadata": {"name": "scorer", "namespace": "risk"}, "spec": {"hostnames": ["x.example"]}})
    await engine.settle()
    route = "HTTPRoute scorer was changed by hand by kubectl-edit (spec.hostnames)"
    workload = "InferenceService scorer-r1 was changed by hand by kubectl-edit (spec.predictor.nodeSelector)"
    assert edits_on_record(kube) == [
        ("HandEdited", f"{route}; Sluice sets it right"),
        ("HandEdited", f"{workload}; Sluice sets it right"),
        ("Corrected", f"no longer: {route}"),
        ("Corrected", f"no longer: {workload}"),
    ]
    item = live(kube, MODEL_REVISIONS, "scorer-r1")
    spec, said = ModelRevisionSpec.model_validate(item["spec"]), ModelRevisionStatus.model_validate(item["status"])
    assert not said.hand_edits
    assert not records.chain_problem(spec, said)


async def test_an_edit_that_cannot_be_set_right_stays_on_record_once_and_in_the_status(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    kube.refuse[HTTP_ROUTES, "risk", "scorer"] = Forbidden(403, "no")
    kube.put(HTTP_ROUTES, {"metadata": {"name": "scorer", "namespace": "risk"}, "spec": {"hostnames": ["x.example"]}})
    await run(engine, time, 60)
    assert [kind for kind, _ in edits_on_record(kube)] == ["HandEdited"]
    assert len(live(kube, MODEL_REVISIONS, "scorer-r1")["status"]["handEdits"]) == 1
    kube.refuse.clear()
    await run(engine, time, 2 * LONGEST_BACKOFF)
    assert live(kube, HTTP_ROUTES, "scorer")["spec"]["hostnames"] == ["scorer.example"]
    assert [kind for kind, _ in edits_on_record(kube)] == ["HandEdited", "Corrected"]


async def test_our_own_write_whose_answer_was_lost_is_nobodys_edit(engine: Engine, kube: FakeKube, time: Time) -> None:
    await released(engine, time)
    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    kube.lose_answers_to.add((HTTP_ROUTES, "risk", "scorer"))
    await run(engine, time, 120)
    kube.lose_answers_to.clear()
    await run(engine, time, 2 * LONGEST_BACKOFF)
    assert status(kube)["stableRevision"] == "scorer-r2"
    assert edits_on_record(kube) == []


async def test_a_route_edited_by_hand_is_set_right(engine: Engine, kube: FakeKube, time: Time) -> None:
    await released(engine, time)
    kube.put(HTTP_ROUTES, {"metadata": {"name": "scorer", "namespace": "risk"}, "spec": {"hostnames": ["x.example"]}})
    await engine.settle()
    assert live(kube, HTTP_ROUTES, "scorer")["spec"]["hostnames"] == ["scorer.example"]
    assert engine.reasons == ["RouteCorrected"]


async def test_an_annotation_changed_by_hand_is_set_right_though_it_does_not_count_as_a_generation(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    annotations = {"serving.kserve.io/deploymentMode": "Knative"}
    kube.put(INFERENCE_SERVICES, {"metadata": {"name": "scorer-r1", "namespace": "risk", "annotations": annotations}})
    await engine.settle()
    mode = live(kube, INFERENCE_SERVICES, "scorer-r1")["metadata"]["annotations"]["serving.kserve.io/deploymentMode"]
    assert mode == "Standard"
    assert engine.reasons == ["WorkloadCorrected"]


async def test_an_inferenceservice_deleted_by_hand_is_made_again_and_said(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    kube.remove(INFERENCE_SERVICES, "risk", "scorer-r1")
    await engine.settle()
    assert kube.names(INFERENCE_SERVICES) == ["scorer-r1"]
    assert engine.reasons == ["WorkloadCorrected"]


async def test_a_deployment_deleted_in_mid_canary_is_not_written_for_any_more(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    await run(engine, time, 5)
    assert status(kube)["phase"] == "Progressing"
    kube.remove(MODEL_DEPLOYMENTS, "risk", "scorer")
    kube.writes.clear()
    await run(engine, time, 60)
    assert kube.writes == []
    assert kube.names(INFERENCE_SERVICES) == []
    assert kube.names(HTTP_ROUTES) == []


async def test_someone_elses_route_of_the_same_name_is_neither_deleted_nor_overwritten_and_said(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    theirs = {"kind": "HTTPRoute", "metadata": {"name": "scorer", "namespace": "risk"}, "spec": {"hostnames": ["own"]}}
    kube.put(HTTP_ROUTES, theirs)
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, 30)
    assert live(kube, HTTP_ROUTES, "scorer")["spec"] == {"hostnames": ["own"]}
    assert "kubectl delete httproutes scorer -n risk" in status(kube)["message"]
    kube.remove(HTTP_ROUTES, "risk", "scorer")
    engine.queue.add(SCORER)
    await run(engine, time, 30)
    assert status(kube)["phase"] == "Healthy"


async def test_someone_elses_inferenceservice_of_the_same_name_gets_no_traffic(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    kube.put(INFERENCE_SERVICES, {"kind": "InferenceService", "metadata": {"name": "scorer-r1", "namespace": "risk"}})
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, 30)
    assert kube.names(HTTP_ROUTES) == []
    assert "that Sluice did not make" in status(kube)["message"]


async def test_a_refused_inferenceservice_ends_the_release_with_kserves_own_words(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    before = live(kube, HTTP_ROUTES, "scorer")["metadata"]["generation"]
    kube.refuse[INFERENCE_SERVICES, "risk", "scorer-r2"] = Invalid(422, "denied: minReplicas cannot be negative")
    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    await run(engine, time, 5)
    assert status(kube)["phase"] == "Degraded"
    assert "minReplicas cannot be negative" in status(kube)["message"]
    assert condition(kube, "Ready")["status"] == "True"
    assert live(kube, HTTP_ROUTES, "scorer")["metadata"]["generation"] == before
    writes = len(kube.writes)
    await run(engine, time, 120)
    assert len(kube.writes) - writes <= 3, "a refusal is final: it is not asked for again"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unavailable(500, "failed calling webhook: connection refused"), id="webhook-away"),
        pytest.param(Forbidden(403, "exceeded quota"), id="quota"),
    ],
)
async def test_a_refusal_that_may_pass_is_said_and_tried_again(
    engine: Engine, kube: FakeKube, time: Time, error: KubeError
) -> None:
    kube.refuse[INFERENCE_SERVICES, "risk", "scorer-r1"] = error
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, 30)
    assert str(error) in status(kube)["message"]
    assert status(kube)["phase"] == "Progressing"
    kube.refuse.clear()
    await run(engine, time, LONGEST_BACKOFF + 30)
    assert status(kube)["phase"] == "Healthy"


async def test_traffic_is_taken_back_even_while_no_inferenceservice_can_be_written(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    await run(engine, time, 5)
    assert weights(kube)["scorer-r2-predictor"] == 500_000
    engine.stop()  # a new process knows of no apply of its own, and KServe's webhook is away
    for name in kube.names(INFERENCE_SERVICES):
        kube.refuse[INFERENCE_SERVICES, "risk", name] = Unavailable(500, "failed calling webhook")
    kube.put(MODEL_DEPLOYMENTS, deployment("1"))
    await run(Engine(kube, time), time, 5)
    assert weights(kube).get("scorer-r2-predictor", 0) <= 1
    assert status(kube)["phase"] == "Healthy"


async def test_an_object_that_something_else_keeps_changing_is_left_for_a_while_and_that_is_said(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    edit: Object = {"metadata": {"name": "scorer", "namespace": "risk"}, "spec": {"hostnames": ["theirs.example"]}}
    for _ in range(20):
        kube.put(HTTP_ROUTES, edit, manager="rival")
        await engine.settle()
    told = [event.message for event in engine.told if event.reason == "RouteCorrected"]
    assert len(told) == 6
    assert "is changed again and again" in told[-1]


async def test_a_refused_revision_is_not_told_as_created(engine: Engine, kube: FakeKube, time: Time) -> None:
    kube.refuse[MODEL_REVISIONS, "risk", "scorer-r1"] = Forbidden(403, "no")
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await run(engine, time, 30)
    assert engine.told == []
    kube.refuse.clear()
    await run(engine, time, LONGEST_BACKOFF)
    assert engine.reasons.count("RevisionCreated") == 1


async def test_a_write_onto_a_version_that_is_out_of_date_is_a_conflict_and_is_decided_again(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    await engine.settle()
    engine.stop()  # the watch is slow: the engine does not hear of the next change
    kube.put(MODEL_REVISIONS, {"metadata": {"name": "scorer-r2", "namespace": "risk", "labels": {"team": "a"}}})
    time.pass_(60)
    assert await engine.reconciler._try(SCORER) == "Conflict"
    assert await engine.reconciler._try(SCORER) == "Done"
    assert live(kube, MODEL_REVISIONS, "scorer-r2")["metadata"]["labels"]["team"] == "a"


async def test_revisions_of_a_deleted_deployment_of_the_same_name_are_not_taken_over(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    orphan = dict(live(kube, MODEL_REVISIONS, "scorer-r1"))
    kube.remove(MODEL_DEPLOYMENTS, "risk", "scorer")
    kube.put(MODEL_REVISIONS, orphan)  # the garbage collector has not come to it yet
    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    await run(engine, time, 5)
    assert "stableRevision" not in status(kube)
    kube.remove(MODEL_REVISIONS, "risk", "scorer-r1")
    engine.queue.add(SCORER)
    await run(engine, time, 120)
    assert status(kube)["stableRevision"] == "scorer-r1"
    assert live(kube, MODEL_REVISIONS, "scorer-r1")["spec"]["model"]["version"] == "2"


async def test_an_object_that_cannot_be_read_is_a_condition_said_once(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    kube.put(MODEL_DEPLOYMENTS, deployment(rollout={"steps": [{"weight": "half"}]}))
    await run(engine, time, 5)
    assert condition(kube, "Ready")["reason"] == "InvalidSpec"
    assert "ModelDeployment scorer, spec.rollout.steps.0.weight" in condition(kube, "Ready")["message"]
    assert len(kube.writes) == 1
    await run(engine, time, 120, step=10)
    assert len(kube.writes) == 1


async def test_a_monitor_that_cannot_be_read_is_named(engine: Engine, kube: FakeKube, time: Time) -> None:
    monitor = {"kind": "ClusterModelMonitor", "metadata": {"name": "latency"}, "spec": {"slo": {"total": 7}}}
    kube.put(CLUSTER_MODEL_MONITORS, monitor)
    kube.put(MODEL_DEPLOYMENTS, deployment(monitors=[{"name": "latency"}]))
    await engine.settle()
    assert "ClusterModelMonitor latency, spec.slo" in condition(kube, "Ready")["message"]


async def test_the_absence_of_kserve_is_a_condition(engine: Engine, kube: FakeKube, time: Time) -> None:
    engine.offers.kserve = False
    kube.put(MODEL_DEPLOYMENTS, deployment())
    await engine.settle()
    assert condition(kube, "Ready")["reason"] == "KServeNotInstalled"
    engine.offers.kserve = True
    engine.queue.add(SCORER)
    await run(engine, time, 30)
    assert status(kube)["phase"] == "Healthy"


async def test_two_deployments_with_one_hostname(engine: Engine, kube: FakeKube, time: Time) -> None:
    await released(engine, time)
    traffic = {"gateway": {"name": "models", "namespace": "gateways"}, "hostnames": ["scorer.example"]}
    kube.put(MODEL_DEPLOYMENTS, deployment(name="second", traffic=traffic))
    await run(engine, time, 5)
    assert condition(kube, "Ready", "second")["reason"] == "HostnameConflict"
    assert "risk/scorer" in condition(kube, "Ready", "second")["message"]


async def _scenario(kube: FakeKube, time: Time) -> list[int]:
    """Release, replace, and delete nothing; returns where a crash is possible: after each write."""
    engine = Engine(kube, time)
    kube.put(MODEL_DEPLOYMENTS, deployment("1"))
    await run(engine, time, 30)
    kube.put(MODEL_DEPLOYMENTS, deployment("2"))
    await run(engine, time, 60)
    return list(range(1, len(kube.writes) + 1))


def _end(kube: FakeKube) -> dict[str, object]:
    revisions = {name: live(kube, MODEL_REVISIONS, name)["status"]["phase"] for name in kube.names(MODEL_REVISIONS)}
    return {
        "phase": status(kube)["phase"],
        "stable": status(kube)["stableRevision"],
        "revisions": revisions,
        "weights": weights(kube),
        "services": kube.names(INFERENCE_SERVICES),
    }


async def test_a_crash_after_any_single_write_leads_to_the_same_end(time: Time) -> None:
    undisturbed = cluster(time)
    points = await _scenario(undisturbed, time)
    assert len(points) > 15
    for point in points:
        kube, clock = cluster(Time()), Time()
        kube.crash_after = point
        engine = Engine(kube, clock)
        kube.put(MODEL_DEPLOYMENTS, deployment("1"))
        for version, seconds in (("1", 40), ("2", 80)):
            kube.put(MODEL_DEPLOYMENTS, deployment(version))
            try:
                await run(engine, clock, seconds)
            except Crash:
                kube.crash_after = None
                engine.stop()
                engine = Engine(kube, clock)
                await run(engine, clock, seconds)
        assert _end(kube) == _end(undisturbed), f"crashed after write {point}"


async def test_a_replaced_revision_is_removed_after_its_window_and_forgotten_beyond_the_history(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    rollout = {"steps": [{"weight": 100}], "rollbackWindow": "1m", "revisionHistoryLimit": 1}
    for version in "1234":
        kube.put(MODEL_DEPLOYMENTS, deployment(version, rollout=rollout))
        await run(engine, time, 200, step=2)
    assert kube.names(INFERENCE_SERVICES) == ["scorer-r4"]
    assert "scorer-r1" not in kube.names(MODEL_REVISIONS)
    assert "RevisionRetired" in engine.reasons


async def test_a_revision_that_is_there_but_was_not_seen_is_learnt_from_the_refusal(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    kube.put(MODEL_DEPLOYMENTS, deployment())
    other = Engine(kube, time)  # a leader before us, just gone
    await other.reconciler.reconcile(SCORER)
    other.stop()
    engine.store.drop(MODEL_REVISIONS, live(kube, MODEL_REVISIONS, "scorer-r1"))
    engine.store._gone.clear()
    assert await engine.reconciler._try(SCORER) == "Conflict"
    await run(engine, time, 60)
    assert status(kube)["phase"] == "Healthy"
    assert kube.names(MODEL_REVISIONS) == ["scorer-r1"]


async def test_a_hook_is_told_once_and_only_what_is_on_record_whatever_the_api_server_refuses(
    engine: Engine, kube: FakeKube, time: Time
) -> None:
    await released(engine, time)
    watch = {"sustained": "10s", "hook": {"url": "https://allowed.example.com/train"}}
    kube.put(MODEL_DEPLOYMENTS, merged(deployment(), {"watch": watch}))
    revision = (MODEL_REVISIONS, "risk", "scorer-r1")
    answering(kube, 0)
    await run(engine, time, 5)
    kube.refuse[revision] = Unavailable(503, "away")
    await run(engine, time, 60)
    assert engine.post.letters == [], "what is not on record is told to nobody"
    kube.refuse.clear()
    engine.post.taken = lambda: kube.refuse.update({revision: Unavailable(503, "away again")})
    await run(engine, time, 120)
    assert [notice["kind"] for notice in notices(kube)] == ["Breached"]
    assert len(engine.post.letters) == 1, "that it was told cannot be written, and is known all the same"
    engine.post.taken = lambda: None
    kube.refuse.clear()
    await run(engine, time, 90)
    answering(kube, 1)
    await run(engine, time, 10)
    told = [json.loads(letter.body)["type"].rpartition(".")[2] for letter in engine.post.letters]
    assert (told, notices(kube)) == (["breached", "recovered"], [])


def merged(item: Object, spec: Object) -> Object:
    return item | {"spec": item["spec"] | spec}


def answering(kube: FakeKube, pods: int) -> None:
    """So many pods of the revision answer."""
    counts = dict.fromkeys(("readyReplicas", "availableReplicas"), pods)
    metadata = {"name": "scorer-r1-predictor", "namespace": "risk"}
    kube.put(DEPLOYMENTS, {"kind": "Deployment", "metadata": metadata, "status": counts}, "kubelet")


def notices(kube: FakeKube) -> Any:
    return live(kube, MODEL_REVISIONS, "scorer-r1")["status"].get("notices", [])
