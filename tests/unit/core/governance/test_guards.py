"""Guards are intact if they are at least as strict as the chart installed them; else it is said what changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.core.governance import guards
from sluice.core.objects import Object

RULE = {"apiGroups": ["sluice.dev"], "apiVersions": ["*"], "operations": ["CREATE"], "resources": ["modeldecisions"]}
VALIDATION = {"expression": "object.spec.actor == request.userInfo.username", "message": "the actor is who asks"}
POLICY: Object = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": "sluice-decisions"},
    "spec": {
        "matchConstraints": {"resourceRules": [RULE], "excludeResourceRules": [RULE | {"operations": ["DELETE"]}]},
        "validations": [VALIDATION],
        "auditAnnotations": [{"key": "who", "valueExpression": "'x'"}],
        "matchConditions": [{"name": "people", "expression": "true"}],
    },
}
BINDING: Object = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingAdmissionPolicyBinding",
    "metadata": {"name": "sluice-decisions"},
    "spec": {
        "policyName": "sluice-decisions",
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": {"matchLabels": {"governed": "yes"}}},
    },
}
SINCE = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def served(item: Object) -> Object:
    """What the API server makes of it: defaults, and what every object has."""
    live = copy.deepcopy(item)
    live["metadata"]["creationTimestamp"] = "2026-11-01T12:00:00Z"
    spec = live["spec"]
    if item is POLICY:
        spec |= {"failurePolicy": "Fail", "variables": []}
        spec["matchConstraints"] |= {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
        for rules in ("resourceRules", "excludeResourceRules"):
            spec["matchConstraints"][rules] = [{**rule, "scope": "*"} for rule in spec["matchConstraints"][rules]]
    else:
        spec["matchResources"] |= {"matchPolicy": "Equivalent", "objectSelector": {}}
    return live


Change = Callable[[Any], object]


@pytest.mark.parametrize("item", [POLICY, BINDING], ids=["policy", "binding"])
def test_what_the_api_server_fills_in_is_no_change(item: Object) -> None:
    (found,) = guards.compare([item], [served(item)])
    assert (found.intact, found.since, found.message) == (True, SINCE, "")


@pytest.mark.parametrize(
    ("item", "change"),
    [
        pytest.param(POLICY, lambda s: s["validations"].append({"expression": "false"}), id="a validation more"),
        pytest.param(POLICY, lambda s: s["auditAnnotations"].append({"key": "more"}), id="a note more"),
        pytest.param(POLICY, lambda s: s["matchConstraints"]["resourceRules"].append(RULE), id="a resource more"),
        pytest.param(BINDING, lambda s: s["validationActions"].append("Audit"), id="an action more"),
    ],
)
def test_what_makes_a_guard_stricter_is_no_change(item: Object, change: Change) -> None:
    live = served(item)
    change(live["spec"])
    (found,) = guards.compare([item], [live])
    assert (found.intact, found.message) == (True, "")


def test_a_list_that_the_chart_left_out_may_be_given_if_it_asks_for_more() -> None:
    expected = copy.deepcopy(POLICY)
    del expected["spec"]["auditAnnotations"]
    (found,) = guards.compare([expected], [served(POLICY)])
    assert found.intact


@pytest.mark.parametrize(
    ("item", "change", "said"),
    [
        pytest.param(
            POLICY,
            lambda s: s["validations"].clear(),
            "spec.validations lacks the actor is who asks",
            id="a validation removed",
        ),
        pytest.param(
            POLICY,
            lambda s: s["validations"][0].update(message="something else"),
            "spec.validations lacks the actor is who asks",
            id="a validation changed",
        ),
        pytest.param(
            POLICY, lambda s: s["auditAnnotations"].clear(), "spec.auditAnnotations lacks who", id="a note removed"
        ),
        pytest.param(
            POLICY,
            lambda s: s["matchConstraints"]["resourceRules"][0].update(resources=["pods"]),
            "spec.matchConstraints.resourceRules lacks modeldecisions",
            id="other resources",
        ),
        pytest.param(
            POLICY, lambda s: s.update(failurePolicy="Ignore"), "spec.failurePolicy is Ignore, not Fail", id="ignored"
        ),
        pytest.param(
            POLICY,
            lambda s: s["matchConditions"].append({"name": "never", "expression": "false"}),
            "spec.matchConditions differs",
            id="a condition more",
        ),
        pytest.param(
            POLICY,
            lambda s: s["matchConstraints"]["excludeResourceRules"].append(RULE),
            "spec.matchConstraints.excludeResourceRules differs",
            id="a resource left out",
        ),
        pytest.param(
            POLICY,
            lambda s: s["matchConstraints"].update(objectSelector={"matchLabels": {"a": "b"}}),
            "spec.matchConstraints.objectSelector differs",
            id="some objects only",
        ),
        pytest.param(POLICY, lambda s: s.update(paramKind={"kind": "X"}), "spec.paramKind was added", id="parameters"),
        pytest.param(POLICY, lambda s: s.pop("matchConditions"), "spec.matchConditions is gone", id="a part removed"),
        pytest.param(
            BINDING,
            lambda s: s.update(validationActions=["Warn"]),
            "spec.validationActions lacks Deny",
            id="a warning only",
        ),
        pytest.param(
            BINDING, lambda s: s.pop("validationActions"), "spec.validationActions lacks Deny", id="no action at all"
        ),
        pytest.param(
            BINDING,
            lambda s: s.update(policyName="mine"),
            "spec.policyName is mine, not sluice-decisions",
            id="another",
        ),
    ],
)
def test_what_makes_a_guard_laxer_is_said_with_what_to_do(item: Object, change: Change, said: str) -> None:
    live = served(item)
    change(live["spec"])
    (found,) = guards.compare([item], [live])
    assert (found.intact, found.since) == (False, SINCE)
    assert said in found.message
    assert found.message.startswith(f"{item['kind']}/sluice-decisions was changed: ")
    assert found.message.endswith(guards.ROUTE)


def test_a_long_entry_is_told_in_its_first_words() -> None:
    long = copy.deepcopy(POLICY)
    long["spec"]["validations"] = [{"expression": "true", "message": "because " * 40}]
    (found,) = guards.compare([long], [served(POLICY)])
    assert "lacks because because" in found.message
    assert "…" in found.message
    assert len(found.message) < 400


def test_a_guard_that_is_not_there_is_said_to_be_missing() -> None:
    one, other = guards.compare([POLICY, BINDING], [served(BINDING)])
    assert (one.intact, one.since) == (False, None)
    assert one.message == f"ValidatingAdmissionPolicy/sluice-decisions is missing; {guards.ROUTE}"
    assert other.intact
