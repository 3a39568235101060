"""The Job that asks golden data, and what is read of it and its pods."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sluice.api.modeldeployment import MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.modelrevision import Column, ResolvedModel
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import examination, promql, reasons, testimony
from sluice.core.examination import Equipment
from sluice.core.objects import Object
from sluice.core.plan import Evaluation
from tests.unit.core.examples import evaluation
from tests.unit.core.simulation import START

NOW = START + timedelta(hours=1)
UID = "u-r2"
PREFIX = "sluice-evaluation-token-"
DATA, RESULT = f"sha256:{'d' * 64}", f"sha256:{'e' * 64}"
EQUIPMENT = Equipment(
    operator_image="registry.example/sluice-operator:1",
    monitor_image="registry.example/sluice-monitor:1",
    environment=({"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow"},),
)


def model(version: str) -> ResolvedModel:
    columns = [Column(name="amount", type="double"), Column(name="country", type="string")]
    digest = f"sha256:{int(version):064x}"
    return ResolvedModel(name="fraud", version=version, digest=digest, run_id=f"run{version}", signature=columns)


def wanted(*, first: bool = False, name: str = "golden", **changes: Any) -> Evaluation:
    """An evaluation of fraud-r2 beside fraud-r1."""
    given: dict[str, Any] = {
        "data": {"uri": "s3://golden/fraud.parquet"},
        "metric": "Recall",
        "positive": "1",
        "threshold": "0.5",
        "label": "is_fraud",
        "slices": ["country"],
        "minRows": 50,
        "limits": {"min": "${least}"},
        "compare": {"maxDegradation": "0.02"},
    }
    spec = ModelMonitorSpec.model_validate({"parameters": {"least": "0.7"}, "evaluation": given | changes})
    beside = {"stable": None} if first else {"stable": "fraud-r1", "stable_model": model("6")}
    return evaluation(spec, use=MonitorUse(name=name, parameters={"least": "0.8"}), model=model("7"), **beside)


def job(of: Evaluation | None = None, equipment: Equipment = EQUIPMENT, **status: Any) -> Object:
    """The Job as it is found."""
    asked = of or wanted()
    made = examination.build(asked, examination.question(asked, PREFIX), equipment, UID)
    return made | {"status": status}


def complete() -> Object:
    return job(conditions=[{"type": "Complete", "status": "True"}, {"type": "SuccessCriteriaMet", "status": "True"}])


def failed(reason: str = "BackoffLimitExceeded", message: str = "too many tries") -> Object:
    return job(conditions=[{"type": "Failed", "status": "True", "reason": reason, "message": message}])


def ended(name: str, message: str | None = None, code: int = 1, at: str = "", **rest: Any) -> Object:
    """The status of a container that ended."""
    said = {"message": message} if message is not None else {}
    state = {"terminated": {"exitCode": code, "finishedAt": at, "reason": "Error"} | said | rest}
    return {"name": name, "state": state}


def pod(*containers: Object, **status: Any) -> Object:
    inits = [c for c in containers if c["name"] != "publish"]
    others = [c for c in containers if c["name"] == "publish"]
    return {"status": {"initContainerStatuses": inits, "containerStatuses": others} | status}


def summary(**changes: Any) -> str:
    given: dict[str, Any] = {
        "verdict": "Pass",
        "reason": "WithinLimits",
        "message": "Recall 0.83",
        "candidate": {"value": 0.83, "rows": 5000, "margin": 0.01},
        "stable": {"value": 0.82, "rows": 5000, "margin": 0.01},
        "slices": [],
        "data": DATA,
        "rows": 5000,
        "result": RESULT,
        "run": "0f" * 16,
    }
    return json.dumps(given | changes)


def read(found: Object, *pods: Object, of: Evaluation | None = None, uid: str = UID) -> MonitorResult:
    return testimony.read(of or wanted(), found, pods, uid, NOW)


def test_the_question_has_all_that_the_program_needs() -> None:
    asked = examination.question(wanted(), PREFIX)
    columns = [{"name": "amount", "type": "double"}, {"name": "country", "type": "string"}]
    assert asked == {
        "namespace": "risk",
        "deployment": "fraud",
        "monitor": "golden",
        "candidate": {
            "revision": "fraud-r2",
            "url": "http://fraud-r2-predictor.risk.svc",
            "model": {"name": "fraud", "version": "7", "digest": f"sha256:{7:064x}", "runId": "run7"},
            "columns": columns,
        },
        "stable": {
            "revision": "fraud-r1",
            "url": "http://fraud-r1-predictor.risk.svc",
            "model": {"name": "fraud", "version": "6", "digest": f"sha256:{6:064x}", "runId": "run6"},
            "columns": columns,
        },
        "modelName": "fraud",
        "metric": "Recall",
        "prediction": None,
        "positive": "1",
        "threshold": 0.5,
        "top": 10,
        "label": "is_fraud",
        "group": None,
        "slices": ["country"],
        "minRows": 50,
        "batch": 100,
        "minimum": 0.8,
        "maximum": None,
        "maxDegradation": 0.02,
        "confidence": 0.9999,
        "idPrefix": PREFIX,
        "data": {"uri": "s3://golden/fraud.parquet", "digest": None},
    }


def test_a_first_release_is_compared_with_nothing() -> None:
    asked = examination.question(wanted(first=True, limits={"max": "0.9", "min": "0.1"}, threshold=None), PREFIX)
    assert (asked["stable"], asked["maxDegradation"], asked["threshold"]) == (None, None, None)
    assert (asked["minimum"], asked["maximum"]) == (0.1, 0.9)
    only = examination.question(wanted(limits=None), PREFIX)
    assert (only["minimum"], only["maximum"], only["maxDegradation"]) == (None, None, 0.02)
    assert examination.question(wanted(compare=None), PREFIX)["maxDegradation"] is None


def test_a_limit_that_cannot_be_filled_in_is_told() -> None:
    with pytest.raises(promql.TemplateError, match="most"):
        examination.question(wanted(limits={"min": "${most}"}), PREFIX)


def test_the_job_is_the_revision_s_and_ends_in_time() -> None:
    made = job(wanted(timeout="15m"))
    metadata, spec = made["metadata"], made["spec"]
    assert metadata["name"].startswith("fraud-r2-eval-")
    assert metadata["namespace"] == "risk"
    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "sluice",
        "sluice.dev/deployment": "fraud",
        "sluice.dev/revision": "fraud-r2",
        "sluice.dev/evaluation": "golden",
    }
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("ModelRevision", "fraud-r2", UID, True)
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"], spec["ttlSecondsAfterFinished"]) == (3, 900, 86400)
    labels = spec["template"]["metadata"]["labels"]
    assert "sluice.dev/revision" not in labels, "Prometheus would look for a model server"
    assert labels["sluice.dev/evaluation"] == "golden"


def test_its_pod_may_do_nothing_but_its_work() -> None:
    template = job()["spec"]["template"]["spec"]
    assert template["restartPolicy"] == "Never"
    assert template["automountServiceAccountToken"] is False
    assert template["enableServiceLinks"] is False
    assert template["securityContext"]["runAsNonRoot"] is True
    for container in (*template["initContainers"], *template["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"] == {"memory": "1Gi"}
    assert "imagePullSecrets" not in template


def test_it_fetches_asks_and_publishes() -> None:
    digest = f"sha256:{'1' * 64}"
    template = job(wanted(data={"uri": "runs:/abc/golden.csv", "digest": digest}))["spec"]["template"]["spec"]
    data, ask = template["initContainers"]
    (publish,) = template["containers"]
    assert (data["name"], data["image"]) == ("data", EQUIPMENT.operator_image)
    assert data["command"] == publish["command"] == ["python", "-m", "sluice.storage"]
    assert data["args"] == ["fetch", "runs:/abc/golden.csv", "/golden/data", "--digest", digest]
    assert data["env"] == publish["env"] == [{"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow"}]
    assert (ask["name"], ask["image"]) == ("ask", EQUIPMENT.monitor_image)
    assert ask["command"] == ["python", "-m", "sluice.evaluation"]
    assert ask["args"] == ["/golden/data", "/golden/result.json"]
    ((variable,),) = [ask["env"]]
    assert variable["name"] == "SLUICE_EVALUATION"
    assert json.loads(variable["value"])["data"] == {"uri": "runs:/abc/golden.csv", "digest": digest}
    assert (publish["name"], publish["args"]) == ("publish", ["publish", "/golden/result.json"])
    assert "imagePullPolicy" not in ask


def test_images_are_pulled_as_the_operator_was_told() -> None:
    told = replace(EQUIPMENT, pull_policy="Always", pull_secrets=("registry",))
    template = job(equipment=told)["spec"]["template"]["spec"]
    assert template["imagePullSecrets"] == [{"name": "registry"}]
    assert {c["imagePullPolicy"] for c in (*template["initContainers"], *template["containers"])} == {"Always"}


def test_nothing_that_a_monitor_states_is_filled_in_from_the_environment() -> None:
    made = job(wanted(data={"uri": "s3://golden/$(AWS_SECRET_ACCESS_KEY)"}, label="$(SECRET)"))
    data, ask = made["spec"]["template"]["spec"]["initContainers"]
    assert data["args"][1] == "s3://golden/$$(AWS_SECRET_ACCESS_KEY)"
    assert '"label":"$$(SECRET)"' in ask["env"][0]["value"]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({}, True, id="nothing"),
        pytest.param({"name": "other"}, False, id="monitor"),
        pytest.param({"label": "other"}, False, id="spec"),
        pytest.param({"limits": {"min": "0.8"}}, True, id="the-same-in-other-words"),
        pytest.param({"first": True}, False, id="stable"),
        pytest.param({"timeout": "1h"}, False, id="timeout"),
    ],
)
def test_a_job_that_would_do_otherwise_has_another_name(change: dict[str, Any], same: bool) -> None:
    assert (job(wanted(**change))["metadata"]["name"] == job()["metadata"]["name"]) is same


def test_another_model_has_another_name() -> None:
    other = replace(wanted(), stable_model=model("5"))
    assert job(other)["metadata"]["name"] != job()["metadata"]["name"]
    assert job(replace(wanted(), model=model("8")))["metadata"]["name"] != job()["metadata"]["name"]


def test_names_and_labels_are_as_long_as_kubernetes_allows() -> None:
    long = replace(wanted(name="a" * 62 + ".b"), deployment="d" * 40, revision="d" * 40 + "-r99999")
    metadata = job(long)["metadata"]
    assert len(metadata["name"]) <= 63
    assert metadata["labels"]["sluice.dev/evaluation"] == "a" * 62


def test_a_job_that_runs_says_so() -> None:
    result = read(job(active=1), pod())
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, reasons.EVALUATING)
    assert result.message == f"Job {job()['metadata']['name']} asks golden data"
    assert read(job() | {"status": {}}).reason == reasons.EVALUATING


@pytest.mark.parametrize(
    ("found", "said"),
    [
        pytest.param(
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes"}]),
            "its pod finds no place: 0/3 nodes",
            id="unschedulable",
        ),
        pytest.param(
            pod({"name": "ask", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "denied\x1b[31m"}}}),
            "ask: ImagePullBackOff denied [31m",
            id="image",
        ),
        pytest.param(
            pod(ended("ask", "ServerUnavailable: fraud-r2 answers 503")),
            "it is tried again, for ask: ServerUnavailable: fraud-r2 answers 503",
            id="again",
        ),
    ],
)
def test_what_keeps_a_job_from_going_on_is_told(found: Object, said: str) -> None:
    starting = {"name": "data", "state": {"waiting": {"reason": "PodInitializing"}}}
    placed = pod(starting, conditions=[{"type": "PodScheduled", "status": "True"}])
    result = read(job(active=1), placed, found)
    assert result.message.endswith(f"; {said}")
    assert result.reason == reasons.EVALUATING


def test_a_job_that_is_being_deleted_is_waited_for() -> None:
    found = complete()
    found["metadata"]["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    assert read(found, pod(ended("publish", summary(), 0))).reason == reasons.EVALUATING


def test_a_job_that_ended_well_gives_its_verdict_with_figures() -> None:
    result = read(complete(), pod(ended("ask", "x")), pod(ended("data", "", 0), ended("publish", summary(), 0)))
    assert (result.name, result.verdict, result.reason) == ("golden", Verdict.PASS, "WithinLimits")
    assert (result.value, result.stable_value, result.samples) == ("0.83", "0.82", 5000)
    assert (result.message, result.observed_at, result.mode) == ("Recall 0.83", NOW, "Gate")
    assert result.evidence is not None
    assert (result.evidence.url, result.evidence.digest) == (f"runs:/{'0f' * 16}/evaluation.json", RESULT)


def test_the_worst_slices_are_named() -> None:
    slices = [
        {"column": "country", "value": "BR", "rows": 1200, "candidate": 0.61, "stable": 0.8, "verdict": "Fail"},
        {"column": "country", "value": "AR", "rows": 60, "candidate": None, "stable": None, "verdict": "Fail"},
        {"column": "country", "value": "CL", "rows": 60, "candidate": 0.9, "verdict": "Pass"},
    ]
    said = summary(verdict="Fail", reason="WorseThanStable", slices=slices, stable=None, newer="field")
    result = read(complete(), pod(ended("publish", said, 0)))
    assert result.message == "Recall 0.83; country=BR: 0.61, stable 0.8, 1,200 rows; country=AR: 60 rows"
    assert (result.verdict, result.stable_value) == (Verdict.FAIL, None)


def test_too_few_rows_are_inconclusive_without_figures() -> None:
    said = summary(verdict="Inconclusive", reason="TooFewLabels", candidate=None, stable=None)
    result = read(complete(), pod(ended("publish", said, 0)))
    assert (result.verdict, result.value, result.samples) == (Verdict.INCONCLUSIVE, None, None)


COMMAND = f"kubectl -n risk delete job {job()['metadata']['name']}"


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("", id="nothing"),
        pytest.param("Pass", id="no-json"),
        pytest.param("[]", id="no-object"),
        pytest.param(summary()[:-1], id="cut"),
        pytest.param(summary(verdict="Error"), id="a-word-that-it-may-not-say"),
        pytest.param(summary(verdict="pass"), id="another-word"),
        pytest.param(summary(reason="within limits"), id="a-reason-that-is-no-word"),
        pytest.param(summary(reason="Evaluating"), id="not-ready-for-ever"),
        pytest.param(summary(message=""), id="no-message"),
        pytest.param(summary(candidate=None), id="a-pass-of-nothing"),
        pytest.param(summary(candidate={"value": "0.83", "rows": 5000}), id="a-figure-that-is-text"),
        pytest.param(summary(candidate={"value": float("nan"), "rows": 5000}), id="nan"),
        pytest.param(summary(candidate={"value": 0.83, "rows": -1}), id="negative-rows"),
        pytest.param(summary(slices={"country": "BR"}), id="slices-that-are-none"),
        pytest.param(summary(data="sha256:abc"), id="a-digest-that-is-none"),
        pytest.param(summary(result=None), id="no-digest"),
        pytest.param(summary(run="../../x"), id="a-run-that-is-a-path"),
    ],
)
def test_what_is_no_result_is_an_error_that_holds(said: str) -> None:
    result = read(complete(), pod(ended("publish", said, 0)))
    assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.EVALUATION_NOT_MADE)
    assert result.message.endswith(f"; to make it anew: {COMMAND}")


def test_other_data_than_the_monitor_states_is_an_error() -> None:
    stated = wanted(data={"uri": "s3://golden/fraud.parquet", "digest": f"sha256:{'1' * 64}"})
    result = read(complete(), pod(ended("publish", summary(), 0)), of=stated)
    assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.EVALUATION_NOT_MADE)
    same = wanted(data={"uri": "s3://golden/fraud.parquet", "digest": DATA})
    assert read(complete(), pod(ended("publish", summary(), 0)), of=same).verdict is Verdict.PASS


def test_a_result_whose_pod_is_gone_is_an_error() -> None:
    for pods in ((), (pod(ended("publish", summary(), 1)),), (pod({"name": "publish", "state": {"running": {}}}),)):
        result = read(complete(), *pods)
        assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.EVALUATION_NOT_MADE)
        assert "its pod is gone" in result.message


@pytest.mark.parametrize(
    "owners",
    [
        pytest.param([], id="nobody-s"),
        pytest.param([{"uid": UID}], id="not-its-controller"),
        pytest.param([{"uid": "u-old", "controller": True}], id="an-earlier-revision-s"),
    ],
)
def test_a_job_that_somebody_made_by_hand_counts_for_nothing(owners: list[Object]) -> None:
    found = complete()
    found["metadata"]["ownerReferences"] = owners
    result = read(found, pod(ended("publish", summary(), 0)))
    assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.EVALUATION_NOT_MADE)
    assert "that Sluice did not make for this revision" in result.message
    assert result.message.endswith(COMMAND)


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        pytest.param(
            [pod(ended("ask", "InvalidData: no column is_fraud", at="2")), pod(ended("ask", "Old: x", at="1"))],
            "ask: InvalidData: no column is_fraud",
            id="a-refusal",
        ),
        pytest.param(
            [pod(ended("ask", "Killed", 137, reason="OOMKilled"))], "ask: it used more memory", id="out-of-memory"
        ),
        pytest.param(
            [pod(ended("data", f"{'x' * 2000} Traceback: last line"))],
            f"data: it ended with exit code 1 (Error): {'x' * 279} Traceback: last line;",
            id="a-crash",
        ),
        pytest.param([pod(ended("data"))], "data: it ended with exit code 1 (Error); ", id="without-a-word"),
        pytest.param([pod(ended("data", "", 0))], "its Job failed: BackoffLimitExceeded too many tries", id="no-pods"),
    ],
)
def test_a_job_that_failed_says_why_and_how_to_make_it_anew(pods: list[Object], said: str) -> None:
    result = read(failed(), *pods)
    assert (result.verdict, result.reason) == (Verdict.ERROR, reasons.EVALUATION_NOT_MADE)
    assert result.message.startswith(said)
    assert result.message.endswith(f"; to make it anew: {COMMAND}")


def test_one_that_took_too_long_says_how_long_it_may_take() -> None:
    slow = failed("DeadlineExceeded")
    assert read(slow).message.startswith("the evaluation took longer than 10m (evaluation.timeout); to make")
    found = read(slow, pod(ended("ask", "ServerUnavailable: no answer"))).message
    assert found.startswith(
        "the evaluation took longer than 10m (evaluation.timeout); ask: ServerUnavailable: no answer"
    )


def test_a_message_has_room_for_what_to_do() -> None:
    result = read(failed(), pod(ended("ask", f"InvalidData: {'x' * 4000}")))
    assert len(result.message) <= 1024
    assert result.message.endswith(COMMAND)
