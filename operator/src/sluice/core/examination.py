"""Examination: the Job that asks golden data of a candidate and of stable.

Whatever a Job would do differently has another name, so a Job found under its name is the one that was meant, and what
it found out long ago still holds: see ``testimony``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sluice.api.evaluation import Evaluation as Stated
from sluice.api.modelrevision import ResolvedModel
from sluice.core import identity, objects, promql
from sluice.core.inferenceservice import service_name
from sluice.core.objects import Object
from sluice.core.plan import Evaluation

LABEL = "sluice.dev/evaluation"
"""Which monitor a Job, and each of its pods, is for."""
JOB_UID = "batch.kubernetes.io/controller-uid"
"""The label by which Kubernetes marks the pods of a Job."""

_DATA, _RESULT = "/golden/data", "/golden/result.json"
_BACKOFF_LIMIT = 3
_KEPT_SECONDS = 24 * 3600
"""How long an ended Job is kept, with its pods and their logs."""
_DISK = "2Gi"
"""Room for the data, of at most 1 GiB, and as much for what is made of it."""
_USER = 65532
_LONGEST_NAME = 63


@dataclass(frozen=True, kw_only=True)
class Equipment:
    """What Jobs are made of."""

    operator_image: str
    """Fetches the data, and logs the run."""
    monitor_image: str
    """Asks and judges."""
    pull_policy: str = ""
    pull_secrets: tuple[str, ...] = ()
    """Names of Secrets in the namespace of the deployment."""
    environment: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """Variables, as a container states them, by which MLflow and the artifact store are reached."""


def question(wanted: Evaluation, id_prefix: str) -> Object:
    """What the Job is asked: ``sluice.evaluation.question.Question`` as JSON data.

    Args:
        wanted: the verdict to obtain.
        id_prefix: how the request ids begin, by which these requests are known to be no traffic.

    Raises:
        promql.TemplateError: a limit cannot be filled in.
    """
    evaluation, model = stated(wanted), wanted.model
    assert model is not None, "what is released is pinned"
    values = promql.parameters(wanted.monitor, wanted.use)
    limits, compare = evaluation.limits, evaluation.compare
    stable = wanted.stable_model
    return {
        "namespace": wanted.namespace,
        "deployment": wanted.deployment,
        "monitor": wanted.use.name,
        "candidate": _server(wanted.namespace, wanted.revision, model),
        "stable": _server(wanted.namespace, wanted.stable, stable) if wanted.stable and stable else None,
        "modelName": wanted.deployment,
        "metric": evaluation.metric.value,
        "prediction": evaluation.prediction,
        "positive": evaluation.positive,
        "threshold": float(evaluation.threshold) if evaluation.threshold is not None else None,
        "top": evaluation.top,
        "label": evaluation.label,
        "group": evaluation.group,
        "slices": evaluation.slices,
        "minRows": evaluation.min_rows,
        "batch": evaluation.batch,
        "minimum": promql.number(limits.min, values) if limits is not None else None,
        "maximum": promql.number(limits.max, values) if limits is not None else None,
        "maxDegradation": promql.number(compare.max_degradation, values) if compare is not None and stable else None,
        "confidence": float(evaluation.confidence),
        "idPrefix": id_prefix,
        "data": {"uri": evaluation.data.uri, "digest": evaluation.data.digest},
    }


def stated(wanted: Evaluation) -> Stated:
    """What the monitor asks for."""
    evaluation = wanted.monitor.evaluation
    assert evaluation is not None, "only of evaluations is there a Job"
    return evaluation


def _server(namespace: str, revision: str, model: ResolvedModel) -> Object:
    return {
        "revision": revision,
        "url": f"http://{service_name(revision)}.{namespace}.svc",
        "model": {"name": model.name, "version": model.version, "digest": model.digest, "runId": model.run_id},
        "columns": [{"name": column.name, "type": column.type} for column in model.signature],
    }


def build(wanted: Evaluation, asked: Object, equipment: Equipment, uid: str) -> Object:
    """The Job.

    Args:
        wanted: the verdict to obtain.
        asked: its :func:`question`.
        equipment: what Jobs are made of.
        uid: of the ModelRevision, which owns the Job.
    """
    spec = _spec(wanted, asked, equipment)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{wanted.revision}-eval-{identity.digest(spec).removeprefix('sha256:')[:8]}"[-_LONGEST_NAME:],
            "namespace": wanted.namespace,
            "labels": objects.labels(wanted.deployment, wanted.revision) | _label(wanted),
            "ownerReferences": objects.owned_by("ModelRevision", wanted.revision, uid),
        },
        "spec": spec,
    }


def _label(wanted: Evaluation) -> dict[str, str]:
    return {LABEL: wanted.use.name[:_LONGEST_NAME].rstrip("-.")}


def _spec(wanted: Evaluation, asked: Object, equipment: Equipment) -> Object:
    evaluation = stated(wanted)
    digest = ["--digest", evaluation.data.digest] if evaluation.data.digest else []
    given = json.dumps(asked, separators=(",", ":"), ensure_ascii=False)
    own, its = equipment.operator_image, equipment.monitor_image
    environment = [dict(variable) for variable in equipment.environment]
    storage, program = "sluice.storage", "sluice.evaluation"
    question_of_it = [{"name": "SLUICE_EVALUATION", "value": _literal(given)}]
    fetch = ["fetch", _literal(evaluation.data.uri), _DATA, *digest]
    pod: Object = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [{"name": name, "emptyDir": {"sizeLimit": _DISK}} for name in ("golden", "tmp")],
        "initContainers": [
            _container("data", own, equipment, storage, fetch, environment),
            _container("ask", its, equipment, program, [_DATA, _RESULT], question_of_it),
        ],
        "containers": [_container("publish", own, equipment, storage, ["publish", _RESULT], environment)],
    }
    if equipment.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in equipment.pull_secrets]
    # Not the revision's label: Prometheus would look for a model server in these pods.
    labels = objects.labels(wanted.deployment) | _label(wanted)
    return {
        "backoffLimit": _BACKOFF_LIMIT,
        "activeDeadlineSeconds": int(evaluation.timeout.total_seconds()),
        "ttlSecondsAfterFinished": _KEPT_SECONDS,
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }


def _container(
    name: str, image: str, equipment: Equipment, program: str, arguments: list[str], environment: list[Object]
) -> Object:
    container: Object = {
        "name": name,
        "image": image,
        "command": ["python", "-m", program],
        "args": arguments,
        "env": environment,
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": "golden", "mountPath": "/golden"}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - in the pod
    }
    return container | ({"imagePullPolicy": equipment.pull_policy} if equipment.pull_policy else {})


def _literal(text: str) -> str:
    """Text that the kubelet leaves alone. ``$(NAME)`` would put a variable of the container there, a secret perhaps."""
    return text.replace("$", "$$")
