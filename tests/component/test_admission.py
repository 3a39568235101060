"""Bad input is refused by the API server itself, in words that say what to do; good input is not."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.api.crds import KINDS
from sluice.api.markers import VALIDATIONS
from sluice.api.modeldeployment import MAX_NAME, ModelDeploymentSpec
from tests.component.examples import (
    ALL,
    APPROVAL,
    FULL,
    deployment,
    merged,
    monitor,
    revision,
    rollout,
    shadow,
    weight,
)
from tests.component.kube import Api, Manifest, Refused
from tests.unit.api.structural import walk

pytestmark = pytest.mark.component

OF_PEOPLE = {"GovernancePolicy", "ModelDecision", "GovernanceException", "GovernanceEvidence"}
"""The kinds of governance, whose rules are broken beside its other tests."""

MODEL = 'give either version (such as "7") or alias (such as champion), not both and not neither'
VERSION = 'must be the number of an MLflow model version, such as "7"; for a name use alias'
SERVING = (
    "give either modelFormat (such as sklearn) or predictor (a full KServe PredictorSpec), not both and not neither"
)
RUNTIME = "runtime goes with modelFormat; in a predictor, set predictor.model.runtime"
RESOURCES = "resources go with modelFormat; in a predictor, set them on its container or model"
REPLICAS = "max must be at least min"
HOSTNAME = "must be a host name in lower case without scheme, port, path or wildcard, such as fraud.models.example.com"
ONE_OF_STEP = "a step is exactly one of shadow, weight or approval; write the others as steps of their own"
STRAY_HOLD = "hold goes with weight; a shadow step has shadow.hold, an approval waits for a person"
NO_HOLD = "a weight below 100 needs a hold, such as 10m: how long it is watched before the next step"
NOT_100 = "the last step must be `weight: 100`: a rollout ends with all the traffic"
LATE_SHADOW = "shadow steps must come before the first weight: a model that takes live traffic is beyond shadowing"
NOT_RISING = "weights must rise from step to step"
DEADLINE = (
    "must be longer than all holds together, or the rollout could never end well in time; raise it, or "
    "shorten the holds"
)
UNWATCHED = (
    "a monitor with mode Watch decides after the promotion only: give watch, too, such as watch: {onBreach: Alert}"
)
DURATION = "must be a duration such as 30s, 10m or 1h30m, and at most 8760h (one year)"
LONG_NAME = "must be at most 40 characters, for the names of Services and labels derived from it are limited to 63"
NAME = (
    "must be lower-case letters, digits and dashes, begin with a letter and not end with a dash, for it becomes part "
    "of the names of Services"
)
ROLE = "must be lower-case letters, digits and dashes, such as model-validator: it becomes the verb approve-<role>"
IMMUTABLE = "a ModelRevision's spec never changes; change the ModelDeployment, and Sluice makes a new revision"
ONE_OF_MONITOR = (
    "a monitor is exactly one of slo, drift, workload, webhook, performance or evaluation; make one monitor for each"
)
PARAMETER = "must have names of letters, digits and underscores that begin with a letter, such as maxMs"
WEBHOOK_URL = "must be an http or https URL without a user or a fragment"
HOOK_TIMEOUT = "must be between 1s and 60s; what takes longer is begun, and answered at once"
WEBHOOK_TIMEOUT = "must be between 1s and 60s; a service that takes longer answers Inconclusive until it knows"
WEBHOOK_INTERVAL = "must be between 5s and 1h"
POSITIVE = 'give the positive class, such as positive: "1": this metric is of one class'
THRESHOLD = "a threshold is for a probability of the positive class: give positive, too"
PROBABILITY = 'must be between "0" and "1", such as "0.5"'
GROUP = "give group, the column whose value the rows of one request share: a ranking is of the rows of a request"
OTHER_THAN_LABEL = "must be another column than the label"
NO_LABEL = "must not hold the label: rows that share their truth have no metric of their own"
EVALUATION_TIMEOUT = "must be between 1m and 6h"
GOLDEN_URI = (
    "must be a file such as s3://golden/fraud.parquet, runs:/<run id>/golden.parquet, "
    "mlflow-artifacts:/<path>.csv or models:/<name>/<version>/golden.parquet, without ? and #"
)
LABELS_WINDOW = "must be between 1m and 2160h"
WINDOW_PARAMETER = "must not have one named window, which slo.window sets; choose another name"
QUERY = "give exactly one of query (the value itself), bad (of total) and histogram (whose quantile is the value)"
TOTAL = "give total with query and with bad; a histogram counts its requests itself"
TOOTHLESS = "give limits, compare or both: without one nothing can fail"
WINDOW = "must be between 1s and 24h"
LIMITS = "give max, min or both"
LIMIT = 'must be a number in quotes, such as "0.05", or a parameter, such as "${maxMs}"'
COMPARE = "give maxRatio, maxDifference or both"
CONFIDENCE = 'must be at least "0.5" and below "1", such as "0.99"'
EFFECT = 'must be between "0" and "1", such as "0.1"'
GUARD = 'must be between "0" and "1", such as "0.3"'
ALPHA = 'must be above "0" and at most "0.5", such as "0.01"'
REFERENCE = "must be between 10m and 168h: whole days where traffic has a daily rhythm"
EVERY = "must be between 5m and 24h: a look sees the rows of as long a time"
ALONE = "goes with subject Prediction or Inputs: a Ranking needs two revisions that answer the same requests"

PREDICTOR = {"modelFormat": None, "predictor": {"model": {"modelFormat": {"name": "sklearn"}}}}
STEPS = "spec.rollout.steps"

DEPLOYMENTS_REFUSED = [
    pytest.param(
        {"monitors": [{"name": "accuracy", "mode": "Watch"}]}, "spec.monitors", UNWATCHED, id="to-watch-without-watch"
    ),
    pytest.param(
        {"watch": {"hook": {"url": "https://a/b", "timeout": "1h"}}},
        "spec.watch.hook.timeout",
        HOOK_TIMEOUT,
        id="a-hook-that-takes-long",
    ),
    pytest.param({"model": {"alias": "champion"}}, "spec.model", MODEL, id="version-and-alias"),
    pytest.param({"model": {"version": None}}, "spec.model", MODEL, id="neither-version-nor-alias"),
    pytest.param({"model": {"version": "v7"}}, "spec.model.version", VERSION, id="a-version-that-is-no-number"),
    pytest.param({"model": {"version": "0"}}, "spec.model.version", VERSION, id="version-zero"),
    pytest.param(
        {"serving": {"predictor": {"containers": []}}}, "spec.serving", SERVING, id="model-format-and-predictor"
    ),
    pytest.param({"serving": {"modelFormat": None}}, "spec.serving", SERVING, id="neither-format-nor-predictor"),
    pytest.param({"serving": PREDICTOR | {"runtime": "mine"}}, "spec.serving", RUNTIME, id="runtime-with-predictor"),
    pytest.param(
        {"serving": PREDICTOR | {"resources": {"requests": {"cpu": 1}}}},
        "spec.serving",
        RESOURCES,
        id="resources-with-predictor",
    ),
    pytest.param(
        {"serving": {"replicas": {"min": 3, "max": 2}}},
        "spec.serving.replicas",
        REPLICAS,
        id="fewer-at-most-than-least",
    ),
    pytest.param({"traffic": {"hostnames": ["https://a.b"]}}, "spec.traffic.hostnames[0]", HOSTNAME, id="a-url"),
    pytest.param({"traffic": {"hostnames": ["a.b", "*.b"]}}, "spec.traffic.hostnames[1]", HOSTNAME, id="a-wildcard"),
    pytest.param({"traffic": {"hostnames": ["A.b"]}}, "spec.traffic.hostnames[0]", HOSTNAME, id="an-upper-case-host"),
    pytest.param(rollout({**weight(5), **APPROVAL}, ALL), f"{STEPS}[0]", ONE_OF_STEP, id="weight-and-approval-in-one"),
    pytest.param(rollout({**weight(5), **shadow()}, ALL), f"{STEPS}[0]", ONE_OF_STEP, id="weight-and-shadow"),
    pytest.param(rollout({}, ALL), f"{STEPS}[0]", ONE_OF_STEP, id="a-step-of-nothing"),
    pytest.param(rollout({**shadow(), "hold": "5m"}, ALL), f"{STEPS}[0]", STRAY_HOLD, id="hold-beside-a-shadow"),
    pytest.param(rollout({**APPROVAL, "hold": "5m"}, ALL), f"{STEPS}[0]", STRAY_HOLD, id="hold-beside-an-approval"),
    pytest.param(rollout(weight(5, hold=None), ALL), f"{STEPS}[0]", NO_HOLD, id="a-weight-without-hold"),
    pytest.param(rollout(weight(5), weight(99)), STEPS, NOT_100, id="ending-at-99"),
    pytest.param(
        rollout({"approval": {"role": "The Boss"}}, ALL), f"{STEPS}[0].approval.role", ROLE, id="a-role-with-a-blank"
    ),
    pytest.param(rollout(ALL, APPROVAL), STEPS, NOT_100, id="ending-with-an-approval"),
    pytest.param(rollout(shadow()), STEPS, NOT_100, id="ending-with-a-shadow"),
    pytest.param(rollout(weight(5), shadow(), ALL), STEPS, LATE_SHADOW, id="a-shadow-after-a-weight"),
    pytest.param(
        rollout(weight(5), APPROVAL, shadow(), ALL), STEPS, LATE_SHADOW, id="a-shadow-after-weight-and-approval"
    ),
    pytest.param(rollout(weight(50), weight(25), ALL), STEPS, NOT_RISING, id="a-weight-that-falls"),
    pytest.param(rollout(weight(50), weight(50), ALL), STEPS, NOT_RISING, id="the-same-weight-twice"),
    pytest.param(rollout(ALL, ALL), STEPS, NOT_RISING, id="arriving-twice"),
    pytest.param(
        rollout(shadow("1h"), weight(5, "1h"), weight(50, "2h"), ALL),
        "spec.rollout.progressDeadline",
        DEADLINE,
        id="holds-as-long-as-the-deadline-by-default",
    ),
    pytest.param(
        rollout(weight(5, "10m"), weight(100), progressDeadline="20m"),
        "spec.rollout.progressDeadline",
        DEADLINE,
        id="a-deadline-that-leaves-no-time",
    ),
    pytest.param(rollout(weight(5, "10 minutes"), ALL), f"{STEPS}[0].hold", DURATION, id="a-hold-in-words"),
    pytest.param(rollout(weight(5, "1.5h"), ALL), f"{STEPS}[0].hold", DURATION, id="a-hold-with-a-fraction"),
    pytest.param(rollout(shadow("-5m"), ALL), f"{STEPS}[0].shadow.hold", DURATION, id="a-negative-hold"),
    pytest.param({"rollout": {"rollbackWindow": "8761h"}}, "spec.rollout.rollbackWindow", DURATION, id="over-a-year"),
    pytest.param({"rollout": {"rollbackWindow": "1d"}}, "spec.rollout.rollbackWindow", DURATION, id="days"),
]

NAMES_REFUSED = [
    pytest.param("a" * (MAX_NAME + 1), LONG_NAME, id="41-characters"),
    pytest.param("2nd-model", NAME, id="beginning-with-a-digit"),
    pytest.param("fraud.v2", NAME, id="with-a-dot"),
]


def webhook(url: str = "https://checks.risk.svc:8443/fraud?x=1", **said: str) -> dict[str, Any]:
    """What makes a webhook of the monitor."""
    return {"slo": None, "webhook": {"url": url, **said}}


def watching(**said: str) -> dict[str, Any]:
    """What makes it a monitor of drift that looks on after the promotion."""
    return {"slo": None, "drift": {"watch": said}}


def performance(metric: str = "MAE", **said: Any) -> dict[str, Any]:
    """What makes it a monitor of performance."""
    return {"slo": None, "performance": {"metric": metric, "limits": {"max": "0.5"}} | said}


def evaluation(metric: str = "MAE", **said: Any) -> dict[str, Any]:
    """What makes it an evaluation."""
    stated = {"data": {"uri": "s3://golden/fraud.parquet"}, "label": "truth", "limits": {"max": "0.5"}}
    return {"slo": None, "evaluation": {"metric": metric} | stated | said}


MONITORS_REFUSED = [
    pytest.param(evaluation(limits=None), "spec.evaluation", TOOTHLESS, id="an-evaluation-that-cannot-fail"),
    pytest.param(evaluation("Recall"), "spec.evaluation", POSITIVE, id="an-evaluation-of-no-class"),
    pytest.param(evaluation(threshold="0.5"), "spec.evaluation", THRESHOLD, id="an-evaluation-s-threshold-of-no-class"),
    pytest.param(
        evaluation("F1", positive="1", threshold="50"),
        "spec.evaluation.threshold",
        PROBABILITY,
        id="an-evaluation-s-threshold-in-percent",
    ),
    pytest.param(
        evaluation(confidence="99"), "spec.evaluation.confidence", CONFIDENCE, id="an-evaluation-sure-in-percent"
    ),
    pytest.param(evaluation("NDCG"), "spec.evaluation", GROUP, id="a-ranking-of-single-rows"),
    pytest.param(evaluation(group="truth"), "spec.evaluation.group", OTHER_THAN_LABEL, id="grouped-by-the-truth"),
    pytest.param(evaluation(slices=["a", "truth"]), "spec.evaluation.slices", NO_LABEL, id="sliced-by-the-truth"),
    pytest.param(evaluation(timeout="59s"), "spec.evaluation.timeout", EVALUATION_TIMEOUT, id="too-little-time"),
    pytest.param(evaluation(timeout="7h"), "spec.evaluation.timeout", EVALUATION_TIMEOUT, id="too-much-time"),
    *(
        pytest.param(evaluation(data={"uri": uri}), "spec.evaluation.data.uri", GOLDEN_URI, id=f"golden-{name}")
        for name, uri in {
            "of-this-container": "file:///etc/passwd",
            "of-any-server": "http://golden.example/a.csv",
            "without-a-bucket": "s3:///a.csv",
            "of-two-words": "s3://golden/a b.csv",
            "of-an-endpoint": "s3://latest/meta-data/x?endpoint=http://169.254.169.254",
            "with-a-fragment": "runs:/abc/a.csv#x",
        }.items()
    ),
    pytest.param(performance() | evaluation(), "spec", ONE_OF_MONITOR, id="performance-and-evaluation"),
    pytest.param(performance(limits=None), "spec.performance", TOOTHLESS, id="performance-that-cannot-fail"),
    pytest.param(performance("Recall"), "spec.performance", POSITIVE, id="recall-of-no-class"),
    pytest.param(performance(threshold="0.5"), "spec.performance", THRESHOLD, id="a-threshold-of-no-class"),
    pytest.param(
        performance("F1", positive="1", threshold="50"),
        "spec.performance.threshold",
        PROBABILITY,
        id="a-threshold-in-percent",
    ),
    pytest.param(performance(confidence="99"), "spec.performance.confidence", CONFIDENCE, id="sure-in-percent"),
    pytest.param(performance(window="5s"), "spec.performance.window", LABELS_WINDOW, id="labels-of-five-seconds"),
    pytest.param(
        performance(interval="1s"), "spec.performance.interval", WEBHOOK_INTERVAL, id="performance-asked-too-often"
    ),
    pytest.param({"drift": {}}, "spec", ONE_OF_MONITOR, id="slo-and-drift"),
    pytest.param({"slo": None}, "spec", ONE_OF_MONITOR, id="none-of-the-three"),
    pytest.param({"slo": None, "drift": {}, "workload": {}}, "spec", ONE_OF_MONITOR, id="drift-and-workload"),
    pytest.param({"parameters": {"max-ms": "80"}}, "spec.parameters", PARAMETER, id="a-parameter-with-a-dash"),
    pytest.param({"parameters": {"": "80"}}, "spec.parameters", PARAMETER, id="a-parameter-without-a-name"),
    pytest.param({"parameters": {"window": "5m"}}, "spec.parameters", WINDOW_PARAMETER, id="a-parameter-window"),
    pytest.param({"slo": {"query": "up"}}, "spec.slo", QUERY, id="query-and-bad"),
    pytest.param({"slo": {"bad": None}}, "spec.slo", QUERY, id="neither-query-nor-bad"),
    pytest.param({"slo": {"histogram": "up"}}, "spec.slo", QUERY, id="histogram-and-bad"),
    pytest.param({"slo": {"bad": None, "histogram": "up"}}, "spec.slo", TOTAL, id="histogram-and-total"),
    pytest.param({"slo": {"total": None}}, "spec.slo", TOTAL, id="bad-of-nothing"),
    pytest.param({"slo": {"quantile": "p99"}}, "spec.slo.quantile", LIMIT, id="a-quantile-that-is-a-name"),
    pytest.param({"slo": {"limits": None}}, "spec.slo", TOOTHLESS, id="neither-limits-nor-compare"),
    pytest.param({"slo": {"window": "0s"}}, "spec.slo.window", WINDOW, id="a-window-of-nothing"),
    pytest.param({"slo": {"window": "25h"}}, "spec.slo.window", WINDOW, id="a-window-of-more-than-a-day"),
    pytest.param({"slo": {"limits": {"max": None}}}, "spec.slo.limits", LIMITS, id="limits-without-a-limit"),
    pytest.param({"slo": {"limits": {"max": "80ms"}}}, "spec.slo.limits.max", LIMIT, id="a-limit-with-a-unit"),
    pytest.param({"slo": {"limits": {"min": "${}"}}}, "spec.slo.limits.min", LIMIT, id="a-parameter-of-no-name"),
    pytest.param({"slo": {"compare": {}}}, "spec.slo.compare", COMPARE, id="a-comparison-without-a-limit"),
    pytest.param(
        {"slo": {"compare": {"maxRatio": "2", "confidence": "1"}}},
        "spec.slo.compare.confidence",
        CONFIDENCE,
        id="absolute-confidence",
    ),
    pytest.param(
        {"slo": {"compare": {"maxRatio": "2", "confidence": "0.4"}}},
        "spec.slo.compare.confidence",
        CONFIDENCE,
        id="less-confidence-than-a-coin",
    ),
    pytest.param({"slo": None, "drift": {"minEffect": "1.1"}}, "spec.drift.minEffect", EFFECT, id="an-effect-above-1"),
    pytest.param({"slo": None, "drift": {"minEffect": "-1"}}, "spec.drift.minEffect", EFFECT, id="a-negative-effect"),
    pytest.param(webhook("ftp://checks.risk.svc/x"), "spec.webhook.url", WEBHOOK_URL, id="a-webhook-by-ftp"),
    pytest.param(webhook("http://user:word@a/b"), "spec.webhook.url", WEBHOOK_URL, id="a-webhook-with-a-user"),
    pytest.param(webhook(timeout="5m"), "spec.webhook.timeout", WEBHOOK_TIMEOUT, id="a-webhook-that-takes-long"),
    pytest.param(webhook(interval="1s"), "spec.webhook.interval", WEBHOOK_INTERVAL, id="a-webhook-asked-too-often"),
    pytest.param({"slo": None, "drift": {"guardEffect": "2"}}, "spec.drift.guardEffect", GUARD, id="a-guard-above-1"),
    pytest.param({"slo": None, "drift": {"alpha": "0"}}, "spec.drift.alpha", ALPHA, id="no-false-alarm-budget"),
    pytest.param({"slo": None, "drift": {"alpha": "0.6"}}, "spec.drift.alpha", ALPHA, id="more-false-alarms-than-not"),
    pytest.param(watching(alpha="1"), "spec.drift.watch.alpha", ALPHA, id="a-false-alarm-every-day"),
    pytest.param(watching(reference="5m"), "spec.drift.watch.reference", REFERENCE, id="a-reference-of-minutes"),
    pytest.param(watching(reference="200h"), "spec.drift.watch.reference", REFERENCE, id="a-reference-of-weeks"),
    pytest.param(watching(every="1m"), "spec.drift.watch.every", EVERY, id="a-look-a-minute"),
    pytest.param(watching(every="48h"), "spec.drift.watch.every", EVERY, id="a-look-every-other-day"),
    pytest.param(
        {"slo": None, "drift": {"subject": "Ranking", "watch": {}}},
        "spec.drift.watch",
        ALONE,
        id="a-ranking-that-is-compared-with-itself",
    ),
]

DEPLOYMENTS_ADMITTED = [
    pytest.param({"model": {"version": None, "alias": "champion"}}, id="by-alias"),
    pytest.param({"serving": {"runtime": "mine", "resources": {"limits": {"cpu": 2, "memory": "1Gi"}}}}, id="runtime"),
    pytest.param({"serving": PREDICTOR}, id="a-full-predictor"),
    pytest.param({"serving": {"replicas": {"min": 2, "max": 2}}}, id="as-many-at-most-as-least"),
    pytest.param({"traffic": {"hostnames": ["fraud", "a-1.b.c"]}}, id="two-hostnames"),
    pytest.param(rollout(ALL), id="all-at-once"),
    pytest.param(rollout(weight(1), ALL), id="the-least-weight"),
    pytest.param(rollout(weight(5), weight(100)), id="a-hold-at-100"),
    pytest.param(rollout(shadow(), APPROVAL, shadow(), weight(5), APPROVAL, ALL), id="every-kind-of-step"),
    pytest.param(
        rollout(shadow("1h"), weight(5, "1h"), weight(50, "1h59m59s"), ALL), id="a-second-left-at-the-deadline"
    ),
    pytest.param(rollout(*(weight(n, "1m") for n in range(1, 20)), ALL), id="twenty-steps"),
    pytest.param({"rollout": {"rollbackWindow": "0s", "progressDeadline": "8760h"}}, id="durations-at-their-bounds"),
]

MONITORS_ADMITTED = [
    pytest.param({"slo": {"bad": None, "query": "up"}}, id="a-value"),
    pytest.param({"slo": {"limits": {"max": "${maxMs}"}}, "parameters": {"maxMs": "80"}}, id="a-limit-by-parameter"),
    pytest.param({"slo": {"limits": None, "compare": {"maxRatio": "1.5"}}}, id="compared-only"),
    pytest.param({"slo": {"compare": {"maxDifference": "1e-3", "confidence": "0.5"}}}, id="limits-and-compare"),
    pytest.param(performance(), id="performance"),
    pytest.param(
        performance(
            "ROCAUC", positive="yes", limits={"min": "${least}"}, compare={"maxDegradation": "0.02"}, window="2160h"
        ),
        id="performance-in-full",
    ),
    pytest.param(evaluation(), id="evaluation-by-default"),
    pytest.param(
        evaluation(
            "NDCG",
            data={"uri": "models:/fraud@champion/golden.parquet", "digest": f"sha256:{'0' * 64}"},
            limits={"min": "${least}"},
            compare={"maxDegradation": "0.02"},
            group="query",
            slices=["country", "channel"],
            top=5,
            timeout="6h",
        ),
        id="evaluation-in-full",
    ),
    pytest.param(
        evaluation(data={"uri": "runs:/abc/golden/a.csv"}, batch=1000, timeout="1m"), id="evaluation-of-a-run"
    ),
    pytest.param(evaluation(data={"uri": "mlflow-artifacts:/7/a.jsonl"}), id="evaluation-of-an-artifact"),
    pytest.param(webhook(), id="webhook-by-default"),
    pytest.param(webhook("http://a", timeout="60s", interval="1h"), id="webhook"),
    pytest.param({"slo": {"window": "1s"}}, id="the-shortest-window"),
    pytest.param({"slo": {"window": "24h"}}, id="the-longest-window"),
    pytest.param({"slo": None, "drift": {}}, id="drift-by-default"),
    pytest.param({"slo": None, "drift": {"minEffect": "0", "alpha": "0.5", "columns": ["a", "b"]}}, id="drift"),
    pytest.param(watching(), id="drift-that-looks-on-by-default"),
    pytest.param(watching(reference="168h", every="24h", alpha="0.05"), id="drift-that-looks-on"),
    pytest.param({"slo": None, "workload": {"maxRestarts": 0}}, id="workload"),
]


def refusal(api: Api, manifest: Manifest) -> Refused:
    """How the API server refuses a manifest."""
    with pytest.raises(Refused) as caught:
        api.create(manifest, dryRun="All", fieldValidation="Strict")
    assert caught.value.status in {400, 422}
    return caught.value


@pytest.mark.parametrize(("change", "field", "message"), DEPLOYMENTS_REFUSED)
def test_a_wrong_deployment_is_refused_and_told_why(api: Api, change: Manifest, field: str, message: str) -> None:
    assert message in refusal(api, deployment("default", change)).complaints.get(field, [])


@pytest.mark.parametrize(("name", "message"), NAMES_REFUSED)
def test_a_name_that_kserve_could_not_carry_is_refused(api: Api, name: str, message: str) -> None:
    assert refusal(api, deployment("default", name=name)).complaints == {"metadata.name": [message]}


@pytest.mark.parametrize("kind", ["ModelMonitor", "ClusterModelMonitor"])
@pytest.mark.parametrize(("change", "field", "message"), MONITORS_REFUSED)
def test_a_wrong_monitor_is_refused_and_told_why(
    api: Api, kind: str, change: Manifest, field: str, message: str
) -> None:
    assert message in refusal(api, _of_kind(kind, monitor("default", change))).complaints.get(field, [])


def test_every_rule_has_been_broken_by_a_test_of_this_module() -> None:
    broken = {param.values[-1] for param in (*DEPLOYMENTS_REFUSED, *NAMES_REFUSED, *MONITORS_REFUSED)} | {IMMUTABLE}
    rules = {
        rule["message"]
        for kind in KINDS
        if kind.name not in OF_PEOPLE
        for _, schema in walk(kind.schema(), "")
        for rule in schema.get(VALIDATIONS, ())
    }

    assert broken == rules


@pytest.mark.parametrize("change", DEPLOYMENTS_ADMITTED)
def test_a_right_deployment_is_admitted(api: Api, change: Manifest) -> None:
    api.create(deployment("default", change), dryRun="All", fieldValidation="Strict")


@pytest.mark.parametrize("name", ["a", "fraud-2", "a" * MAX_NAME])
def test_a_name_of_up_to_40_characters_is_admitted(api: Api, name: str) -> None:
    api.create(deployment("default", name=name), dryRun="All", fieldValidation="Strict")


@pytest.mark.parametrize("kind", ["ModelMonitor", "ClusterModelMonitor"])
@pytest.mark.parametrize("change", MONITORS_ADMITTED)
def test_a_right_monitor_is_admitted(api: Api, kind: str, change: Manifest) -> None:
    # Another test may have installed the shipped monitors, which are of the cluster, not of a namespace.
    wanted = _of_kind(kind, monitor("default", change, name="only-here"))
    api.create(wanted, dryRun="All", fieldValidation="Strict")


def test_the_example_of_the_design_is_admitted_and_understood(api: Api) -> None:
    stored = api.create(merged(FULL, {"metadata": {"namespace": "default"}}), dryRun="All", fieldValidation="Strict")

    assert stored["spec"]["governance"] == FULL["spec"]["governance"]
    assert stored["spec"]["rollout"]["steps"] == FULL["spec"]["rollout"]["steps"]
    assert ModelDeploymentSpec.model_validate(stored["spec"]) == ModelDeploymentSpec.model_validate(FULL["spec"])


@pytest.mark.parametrize("share", [101, 0, -5])
def test_a_weight_that_is_no_percentage_is_refused(api: Api, share: int) -> None:
    complaints = refusal(api, deployment("default", rollout(weight(share), ALL))).complaints

    bound = "less than or equal to 100" if share > 100 else "greater than or equal to 1"
    assert any(said.endswith(f"should be {bound}") for said in complaints[f"{STEPS}[0].weight"])


def test_the_same_monitor_twice_is_refused(api: Api) -> None:
    twice = {"monitors": [{"name": "error-rate"}, {"name": "error-rate", "mode": "Observe"}]}

    refused = refusal(api, deployment("default", twice))

    assert 'spec.monitors[1]: Duplicate value: {"name":"error-rate"}' in refused.message


def test_the_same_hostname_twice_is_refused(api: Api) -> None:
    refused = refusal(api, deployment("default", {"traffic": {"hostnames": ["a.b", "a.b"]}}))

    assert 'spec.traffic.hostnames[1]: Duplicate value: "a.b"' in refused.message


def test_more_than_one_mistake_is_told_at_once(api: Api) -> None:
    change = {"model": {"version": "latest"}, **rollout(weight(50, hold=None), weight(25), weight(99))}

    complaints = refusal(api, deployment("default", change)).complaints

    assert complaints == {
        "spec.model.version": [VERSION],
        f"{STEPS}[0]": [NO_HOLD],
        STEPS: [NOT_100, NOT_RISING],
    }


@pytest.mark.parametrize("field", ["model", "serving", "traffic"])
def test_what_must_be_given_is_asked_for(api: Api, field: str) -> None:
    assert f"spec.{field}" in refusal(api, deployment("default", {field: None})).complaints


def test_an_unknown_word_is_answered_with_those_there_are(api: Api) -> None:
    refused = refusal(api, deployment("default", {"rollout": {"onDeadline": "Abort"}}))

    assert 'Unsupported value: "Abort": supported values: "Rollback", "Pause"' in refused.message


def test_a_misspelt_field_is_refused_as_kubectl_asks(api: Api) -> None:
    refused = refusal(api, deployment("default", {"rollout": {"stepz": []}, "model": {"stage": "Production"}}))

    assert 'unknown field "spec.rollout.stepz"' in refused.message
    assert 'unknown field "spec.model.stage"' in refused.message


def test_a_misspelt_field_is_dropped_for_clients_that_do_not_ask(api: Api) -> None:
    stored = api.create(deployment("default", {"rollout": {"stepz": []}}), dryRun="All", fieldValidation="Ignore")

    assert "stepz" not in stored["spec"]["rollout"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"model": {"digest": "sha256:" + "cd" * 32}}, id="the-model"),
        pytest.param({"rollout": {"progressDeadline": "8h"}}, id="the-plan"),
        pytest.param({"serving": {"predictor": {"model": {"runtime": "mine"}}}}, id="inside-the-predictor"),
        pytest.param({"governance": {"ticket": "CHG-1"}}, id="something-added"),
    ],
)
def test_the_spec_of_a_revision_never_changes(api: Api, namespace: str, change: Manifest) -> None:
    made = api.create(revision(namespace))

    with pytest.raises(Refused) as caught:
        api.patch(made, {"spec": change})

    assert caught.value.complaints == {"spec": [IMMUTABLE]}
    assert api.get(made)["spec"] == made["spec"]


def test_the_spec_of_a_revision_cannot_be_taken_away(api: Api, namespace: str) -> None:
    made = api.create(revision(namespace))

    with pytest.raises(Refused, match="spec: Required value"):
        api.patch(made, {"spec": None})


def test_a_revision_may_be_labelled_and_written_again_as_it_is(api: Api, namespace: str) -> None:
    made = api.create(revision(namespace))

    labelled = api.patch(made, {"metadata": {"labels": {"team": "risk"}}, "spec": made["spec"]})

    assert labelled["metadata"]["labels"] == {"team": "risk"}
    assert labelled["metadata"]["generation"] == 1


def _of_kind(kind: str, manifest: Manifest) -> Manifest:
    metadata = {"name": manifest["metadata"]["name"]} if kind.startswith("Cluster") else manifest["metadata"]
    return manifest | {"kind": kind, "metadata": metadata}
