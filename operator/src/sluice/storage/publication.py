"""Publication: the result of an evaluation as a run in MLflow, beside the run that trained the model; and in short."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from requests.exceptions import RequestException

from sluice.storage import bounds

EXPERIMENT = "sluice evaluations"
"""Where runs go of models that name no run of their own."""
ARTIFACT = "evaluation.json"
BYTES = 1_500
"""Of the summary. Kubernetes keeps 12 KiB of termination messages of a pod, an equal part for each container: with
injected sidecars there may be eight, the two that come before this one included. JSON that is cut is none."""
_LONGEST_KEY = 250
_LONGEST_PARAM = 500
_LONGEST_MESSAGE = 800
_A_BATCH = 100
"""Parameters, and metrics, that MLflow takes at a time; of metrics it would take more."""
_UNFIT = re.compile(r"[^\w.\- :]")
"""What a part of a metric's name may not have; a slash would make two parts of it."""
_FIGURES = ("value", "rows", "margin")
_OF_A_SLICE = ("column", "value", "rows", "candidate", "stable", "verdict")
_ABSENT = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "NOT_FOUND"}

Result = Mapping[str, Any]


class PublicationError(Exception):
    """Why the result is not in MLflow. ``reason`` is one CamelCase word; the message says what to do."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def publish(path: Path, tracking_uri: str) -> str:
    """Log what ``python -m sluice.evaluation`` wrote, and return its :func:`summary`.

    A result that is there already, as of a pod that was killed when it had just logged it, is not logged again.

    Raises:
        PublicationError: InvalidResult, or MlflowUnavailable.
    """
    try:
        content = path.read_bytes()
        result = json.loads(content)
        result["verdict"], result["question"]["candidate"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise PublicationError("InvalidResult", f"{path} is no result of an evaluation: {error}") from error
    if not tracking_uri:
        what = "no MLflow server is configured; set MLFLOW_TRACKING_URI to its address"
        raise PublicationError("MlflowUnavailable", what)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    try:
        run = _log(MlflowClient(tracking_uri, tracking_uri), result, content, digest)
    except (MlflowException, RequestException, OSError, ImportError) as error:
        said = " ".join(str(error).split())
        message = f"the result could not be logged in MLflow: {said}; check its address and that it runs"
        raise PublicationError("MlflowUnavailable", message) from error
    return summary(result, digest, run)


def summary(result: Result, digest: str, run: str) -> str:
    """The result in JSON of at most 1,500 bytes, as a termination message: of slices, as many of the worst as fit."""
    slices, length = [_cut(one, _OF_A_SLICE) for one in result.get("slices") or []], _LONGEST_MESSAGE
    while True:
        document = {
            "verdict": result["verdict"],
            "reason": result.get("reason"),
            "message": bounds.word(result.get("message"), length),
            "candidate": _cut(result.get("candidate"), _FIGURES),
            "stable": _cut(result.get("stable"), _FIGURES),
            "slices": slices,
            "data": result.get("data"),
            "rows": result.get("rows"),
            "result": digest,
            "run": run,
        }
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        if len(text.encode()) <= BYTES or not length:
            return text
        if slices:
            slices = slices[:-1]
        else:  # a message in another script may have four bytes for each letter
            length = length * 3 // 4


def _cut(figures: Result | None, names: tuple[str, ...]) -> dict[str, Any] | None:
    """Some of the fields; numbers to six digits, which a verdict's are not sure to anyway."""
    if figures is None:
        return None
    return {name: _short(figures.get(name)) for name in names}


def _short(value: Any) -> Any:
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _log(client: MlflowClient, result: Result, content: bytes, digest: str) -> str:
    question = result["question"]
    candidate = question["candidate"]
    experiment, parent = _home(client, candidate["model"].get("runId"))
    logged = client.search_runs([experiment], f"tags.`sluice.result` = '{digest}' AND attributes.status = 'FINISHED'")
    if logged:
        return str(logged[0].info.run_id)
    deployment, revision = question["deployment"], candidate["revision"]
    name = f"{deployment}/{question['monitor']} {revision.removeprefix(f'{deployment}-')}"
    tags = _tags(result, digest) | ({"mlflow.parentRunId": parent} if parent else {})
    run = str(client.create_run(experiment, run_name=name, tags=tags).info.run_id)
    try:
        now = int(time.time() * 1000)
        measured = [Metric(key, value, now, 0) for key, value in metrics(result).items()]
        stated = [Param(key, value) for key, value in _params(result).items()]
        for start in range(0, max(len(measured), len(stated)), _A_BATCH):
            part = slice(start, start + _A_BATCH)
            client.log_batch(run, metrics=measured[part], params=stated[part])
        client.log_text(run, content.decode(), ARTIFACT)
        client.set_terminated(run)
    except BaseException:
        with suppress(MlflowException, RequestException, OSError):
            client.set_terminated(run, "FAILED")
        raise
    return run


def _home(client: MlflowClient, run_id: str | None) -> tuple[str, str | None]:
    """The experiment that the run goes to, and the run that it is a child of, if any."""
    if run_id:
        try:
            return str(client.get_run(run_id).info.experiment_id), run_id
        except MlflowException as error:  # it was deleted for good
            if error.error_code not in _ABSENT:
                raise
    found = client.get_experiment_by_name(EXPERIMENT)
    if found is None:
        with suppress(MlflowException):  # another evaluation may have made it just now
            return str(client.create_experiment(EXPERIMENT)), None
        found = client.get_experiment_by_name(EXPERIMENT)
    if found is None or found.lifecycle_stage == "deleted":
        what = f"the experiment {EXPERIMENT!r} was deleted in MLflow, or cannot be made; restore it"
        raise PublicationError("MlflowUnavailable", what)
    return str(found.experiment_id), None


def metrics(result: Result) -> dict[str, float]:
    """By names that MLflow takes: ``Recall``, ``stable/Recall``, ``slice/country:BR/Recall``.

    A name that two slices would share gets a number: MLflow would take them for two measurements of one metric.
    """
    metric = str(result["question"]["metric"])
    found: dict[str, float] = {}
    for name, figure in ((metric, result.get("candidate")), (f"stable/{metric}", result.get("stable"))):
        if figure is not None:
            found[name] = float(figure["value"])
    for one in result.get("slices") or []:
        if one.get("candidate") is not None:
            key = next(name for name in _names(one, metric) if name not in found)
            found[key] = float(one["candidate"])
    return found


def _names(one: Result, metric: str) -> Iterator[str]:
    column, value = (_UNFIT.sub("_", str(one[part])) for part in ("column", "value"))
    room = (_LONGEST_KEY - len(metric) - len("slice/:/ 999")) // 2
    part = f"{column[:room]}:{value[:room]}"
    yield f"slice/{part}/{metric}"
    for number in range(2, 1_000):
        yield f"slice/{part} {number}/{metric}"


def _params(result: Result) -> dict[str, str]:
    """What was asked, for MLflow to compare runs by."""
    question = result["question"]
    model, data = question["candidate"]["model"], question["data"]
    stated = {
        **{name: question.get(name) for name in _QUESTION},
        "slices": ", ".join(question.get("slices") or ()) or None,
        "confidenceEach": result.get("confidence"),
        "rows": result.get("rows"),
        "data.uri": data.get("uri"),
        "data.digest": result.get("data"),
        **{f"model.{name}": model.get(name) for name in ("name", "version", "digest")},
        "stable": (question.get("stable") or {}).get("revision"),
    }
    return {key: bounds.text(value, _LONGEST_PARAM) for key, value in stated.items() if value is not None}


_QUESTION = (
    "metric",
    "prediction",
    "positive",
    "threshold",
    "top",
    "label",
    "group",
    "minRows",
    "minimum",
    "maximum",
    "maxDegradation",
    "confidence",
)


def _tags(result: Result, digest: str) -> dict[str, str]:
    question = result["question"]
    tags = {
        "mlflow.note.content": result.get("message"),
        "sluice.verdict": result["verdict"],
        "sluice.reason": result.get("reason"),
        "sluice.namespace": question["namespace"],
        "sluice.deployment": question["deployment"],
        "sluice.monitor": question["monitor"],
        "sluice.revision": question["candidate"]["revision"],
        "sluice.result": digest,
    }
    return {key: bounds.text(value, 1_000) for key, value in tags.items() if value is not None}
