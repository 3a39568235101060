"""The InferenceService of a revision."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.api.sender import sender_token
from sluice.core import inferenceservice
from sluice.core.objects import Object
from sluice.core.sink import Sink
from sluice.core.world import Revision
from sluice.storage import uri
from tests.unit.core.examples import DIGEST, revision

COLLECTOR = "http://sluice-monitor.sluice-system/"


def build(what: Revision | None = None, logger: str | None = None, key: bytes | None = None) -> Object:
    return inferenceservice.build("risk", what or revision(), "u-2", Sink(logger, key) if logger else None)


def predictor(logger: str | None = None, **serving: Any) -> Object:
    found: Object = build(revision(**serving), logger)["spec"]["predictor"]
    return found


def test_it_is_named_like_its_revision_and_goes_with_it() -> None:
    metadata = build()["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert (metadata["namespace"], metadata["name"]) == ("risk", "fraud-r2")
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("ModelRevision", "u-2", True)


def test_kserve_runs_it_as_a_deployment_and_makes_no_route_of_its_own() -> None:
    metadata = build()["metadata"]
    assert metadata["annotations"]["serving.kserve.io/deploymentMode"] == "Standard"
    assert metadata["labels"]["networking.kserve.io/visibility"] == "cluster-local"


def test_its_pods_can_be_told_apart_by_prometheus_and_by_the_logger() -> None:
    assert predictor()["labels"] == {
        "app.kubernetes.io/managed-by": "sluice",
        "sluice.dev/deployment": "fraud",
        "sluice.dev/revision": "fraud-r2",
        "endpoint": "fraud-r2",
    }


@pytest.mark.parametrize(
    ("replicas", "autoscaler", "expected"),
    [
        pytest.param({}, "none", (1, None), id="one-unless-stated"),
        pytest.param({"min": 3}, "none", (3, None), id="a-fixed-number"),
        pytest.param({"min": 2, "max": 6}, "hpa", (2, 6), id="autoscaled"),
    ],
)
def test_the_replicas_are_always_explicit(
    replicas: dict[str, int], autoscaler: str, expected: tuple[int, int | None]
) -> None:
    made = build(revision(model_format="sklearn", replicas=replicas))
    assert made["metadata"]["annotations"]["serving.kserve.io/autoscalerClass"] == autoscaler
    found = made["spec"]["predictor"]
    assert (found["minReplicas"], found.get("maxReplicas")) == expected


def test_a_rolling_update_never_takes_a_pod_before_it_has_another() -> None:
    assert predictor()["deploymentStrategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_model_is_the_pinned_version_and_keeps_the_deployments_name_in_its_urls() -> None:
    resources = {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi"}}
    found = predictor(model_format="sklearn", runtime="kserve-sklearnserver", resources=resources)["model"]
    assert found == {
        "modelFormat": {"name": "sklearn"},
        "runtime": "kserve-sklearnserver",
        "storageUri": f"mlflow://fraud-scorer/7?digest={DIGEST}",
        "resources": resources,
        "args": ["--model_name=fraud"],
    }


@given(st.text(min_size=1, max_size=250))
def test_the_storage_initializer_reads_back_what_is_written(name: str) -> None:
    found = uri.parse(inferenceservice.storage_uri(revision(model=name)))
    assert (found.name, found.version, found.digest) == (name, "7", DIGEST)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        pytest.param({"modelFormat": {"name": "xgboost"}}, {"args": ["--model_name=fraud"]}, id="kserve"),
        pytest.param({"modelFormat": {"name": "tensorflow"}}, {"args": ["--model_name=fraud"]}, id="tf-serving"),
        pytest.param({"modelFormat": {"name": "vLLM"}}, {"args": ["--served-model-name=fraud"]}, id="vllm"),
        pytest.param(
            {"modelFormat": {"name": "mlflow"}},
            {"env": [{"name": "MLSERVER_MODEL_NAME", "value": "fraud"}]},
            id="mlflow-means-mlserver",
        ),
        pytest.param(
            {
                "modelFormat": {"name": "sklearn"},
                "runtime": "kserve-mlserver",
                "env": [{"name": "MLSERVER_MODEL_NAME", "value": "x"}, {"name": "A", "value": "b"}],
            },
            {"env": [{"name": "A", "value": "b"}, {"name": "MLSERVER_MODEL_NAME", "value": "fraud"}]},
            id="a-name-of-their-own-gives-way",
        ),
        pytest.param(
            {"modelFormat": {"name": "mlflow"}, "runtime": "ours"}, {"args": ["--model_name=fraud"]}, id="ours"
        ),
        pytest.param({"modelFormat": {"name": "triton"}}, {}, id="triton-names-models-by-its-repository"),
        pytest.param({"modelFormat": {"name": "onnx"}}, {}, id="onnx-is-tritons"),
        pytest.param(
            {"modelFormat": {"name": "sklearn"}, "args": ["--workers=2", "--model_name=x"]},
            {"args": ["--workers=2", "--model_name=x", "--model_name=fraud"]},
            id="the-last-argument-wins",
        ),
    ],
)
def test_each_server_learns_its_models_name_as_it_expects_to(model: Object, expected: Object) -> None:
    found = predictor(predictor={"model": model})["model"]
    assert found == model | expected


def test_a_whole_predictor_is_passed_through_with_what_is_ours_on_top() -> None:
    theirs = {
        "containers": [{"name": "kserve-container", "image": "registry.example/server:1"}],
        "labels": {"team": "risk", "endpoint": "theirs"},
        "deploymentStrategy": {"type": "Recreate"},
        "timeout": 5,
    }
    found = predictor(predictor=theirs, replicas={"min": 2}, logger=COLLECTOR)
    assert {key: found[key] for key in ("containers", "timeout", "deploymentStrategy")} == {
        key: theirs[key] for key in ("containers", "timeout", "deploymentStrategy")
    }
    assert found["labels"]["team"] == "risk"
    assert found["labels"]["endpoint"] == "fraud-r2"
    assert found["minReplicas"] == 2
    assert "model" not in found


def test_the_logger_copies_everything_with_the_id_that_joins_requests_with_their_copies() -> None:
    logger = {"mode": "all", "url": COLLECTOR, "metadataHeaders": ["X-Request-Id"]}
    assert predictor(COLLECTOR, model_format="sklearn")["logger"] == logger


def test_with_a_key_the_logger_s_url_bears_the_revision_s_own_token() -> None:
    urls = {
        build(revision(number=number), url, b"k" * 32)["spec"]["predictor"]["logger"]["url"]
        for number in (2, 3)
        for url in ("http://monitor/events", "http://monitor/events/")
    }
    assert urls == {
        f"http://monitor/events/{sender_token(b'k' * 32, 'risk', name)}" for name in ("fraud-r2", "fraud-r3")
    }
    assert "logger" not in predictor(None, model_format="sklearn")


def test_nothing_given_is_changed() -> None:
    theirs = {"model": {"modelFormat": {"name": "sklearn"}, "args": ["--x"]}, "labels": {"team": "risk"}}
    what = revision(predictor=theirs)
    before = what.spec.model_dump_json()
    build(what, COLLECTOR)
    assert what.spec.model_dump_json() == before
