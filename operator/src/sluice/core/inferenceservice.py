"""InferenceService: the KServe object that runs one revision, in Standard mode."""

from __future__ import annotations

from urllib.parse import quote

from sluice.core import objects
from sluice.core.objects import Object
from sluice.core.sink import Sink
from sluice.core.world import Revision

# How a model server learns its model's name is the server's own affair. The words are those of KServe's shipped
# runtimes and of the formats that lead to them; every other shipped server takes `--model_name`. An argument
# that a server does not know keeps it from starting.
_NAMED_BY_VARIABLE = ("mlserver", "mlflow")
_NAMED_BY_REPOSITORY = ("triton", "torchserve", "pytorch", "tensorrt", "onnx")
MLSERVER_NAME = "MLSERVER_MODEL_NAME"


def service_name(revision: str) -> str:
    """The Service that KServe makes for a revision's predictor."""
    return f"{revision}-predictor"


def storage_uri(revision: Revision) -> str:
    """``mlflow://<name>/<version>?digest=sha256:<hex>``, read by ``sluice.storage.uri``."""
    model = revision.spec.model
    return f"mlflow://{quote(model.name, safe='')}/{model.version}?digest={model.digest}"


def build(namespace: str, revision: Revision, uid: str, sink: Sink | None) -> Object:
    """The InferenceService of a revision.

    Args:
        namespace: the deployment's namespace.
        revision: what to run.
        uid: of the ModelRevision, which owns the InferenceService.
        sink: where KServe sends requests and responses for drift detection; None for nowhere.
    """
    name, deployment = revision.name, revision.spec.deployment
    replicas = revision.spec.serving.replicas
    return {
        "apiVersion": objects.KSERVE,
        "kind": "InferenceService",
        "metadata": {
            "name": name,
            "namespace": namespace,
            # cluster-local: no route of KServe's own; requests come through the deployment's HTTPRoute only.
            "labels": objects.labels(deployment, name) | {"networking.kserve.io/visibility": "cluster-local"},
            "annotations": {
                "serving.kserve.io/deploymentMode": "Standard",
                # Without an autoscaler KServe sets the replicas that are stated here, and nothing else does.
                "serving.kserve.io/autoscalerClass": "hpa" if replicas.max else "none",
            },
            "ownerReferences": objects.owned_by("ModelRevision", name, uid),
        },
        "spec": {"predictor": _predictor(revision, sink.url_for(namespace, name) if sink else None)},
    }


def _predictor(revision: Revision, logger_url: str | None) -> Object:
    serving = revision.spec.serving
    given = dict(serving.predictor or {"model": _model(revision)})
    if isinstance(given.get("model"), dict):
        given["model"] = _with_stable_name(given["model"], revision.spec.deployment)
    # KServe's logger copies the pod label `endpoint` into every event; Prometheus reads the other two.
    mine = objects.labels(revision.spec.deployment, revision.name) | {"endpoint": revision.name}
    given["labels"] = {**given.get("labels", {}), **mine}
    given["minReplicas"] = serving.replicas.min
    if serving.replicas.max:
        given["maxReplicas"] = serving.replicas.max
    given.setdefault(
        "deploymentStrategy",
        {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
    )
    if logger_url:
        # The request id is what joins the answers of two revisions to one mirrored request.
        given["logger"] = {"mode": "all", "url": logger_url, "metadataHeaders": ["X-Request-Id"]}
    return given


def _model(revision: Revision) -> Object:
    serving = revision.spec.serving
    model: Object = {"modelFormat": {"name": serving.model_format}, "storageUri": storage_uri(revision)}
    if serving.runtime:
        model["runtime"] = serving.runtime
    if serving.resources:
        model["resources"] = serving.resources.dump()
    return model


def _with_stable_name(model: Object, name: str) -> Object:
    """The model under the deployment's name, so that its URLs are the same in every revision."""
    server = str(model.get("runtime") or model.get("modelFormat", {}).get("name", "")).lower()
    if any(word in server for word in _NAMED_BY_REPOSITORY):
        return model
    if any(word in server for word in _NAMED_BY_VARIABLE):
        others = [variable for variable in model.get("env", []) if variable.get("name") != MLSERVER_NAME]
        return {**model, "env": [*others, {"name": MLSERVER_NAME, "value": name}]}
    option = "--served-model-name" if "vllm" in server else "--model_name"
    # KServe puts these after the runtime's own arguments, and the last one wins.
    return {**model, "args": [*model.get("args", []), f"{option}={name}"]}
