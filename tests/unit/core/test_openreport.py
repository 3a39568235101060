"""The Report of a deployment: what governance says, in the words of openreports.io."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core import openreport
from sluice.core.objects import Object


def control(**said: Any) -> Object:
    return {
        "id": "GOV-VAL-01",
        "verdict": "Pass",
        "mode": "Enforce",
        "severity": "High",
        "assurance": "Verified",
        "message": "it was validated",
    } | said


def deployment(*controls: Object, **governance: Any) -> Object:
    said = {"revision": "fraud-r2", "controls": list(controls)} | governance
    metadata = {"name": "fraud", "namespace": "risk", "uid": "u1"}
    return {"metadata": metadata, "status": {"governance": said}}


def built(*controls: Object, **governance: Any) -> Object:
    report = openreport.build(deployment(*controls, **governance))
    assert report is not None
    return report


def test_it_is_named_after_the_deployment_about_it_and_owned_by_it() -> None:
    report = built(control())
    assert (report["metadata"]["name"], report["metadata"]["namespace"]) == ("sluice-fraud", "risk")
    (owner,) = report["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("ModelDeployment", "fraud", "u1")
    assert (report["scope"]["kind"], report["scope"]["name"]) == ("ModelDeployment", "fraud")


@pytest.mark.parametrize("item", [{}, {"status": {}}, {"status": {"phase": "Healthy"}}])
def test_what_nothing_governs_has_none(item: Object) -> None:
    assert openreport.build({"metadata": {"name": "fraud", "namespace": "risk", "uid": "u1"}} | item) is None


@pytest.mark.parametrize(
    ("verdict", "mode", "result", "scored"),
    [
        ("Pass", "Enforce", "pass", True),
        ("Fail", "Enforce", "fail", True),
        ("Fail", "Warn", "warn", True),
        ("Fail", "Audit", "warn", True),
        ("Error", "Audit", "error", True),
        ("Skipped", "Enforce", "skip", False),
        ("Waived", "Enforce", "skip", True),
    ],
)
def test_a_verdict_in_their_words(verdict: str, mode: str, result: str, scored: bool) -> None:
    report = built(control(verdict=verdict, mode=mode))
    (found,) = report["results"]
    assert (found["result"], found["scored"], found["severity"]) == (result, scored, "high")
    assert found["properties"]["verdict"] == verdict
    assert report["summary"] == {**dict.fromkeys(("pass", "fail", "warn", "error", "skip"), 0), result: 1}


def test_a_waiver_and_the_revision_are_named_and_controls_are_grouped_by_their_family() -> None:
    report = built(control(verdict="Waived", waiver="until-friday"), control(id="CUSTOM-ours"))
    waived, own = report["results"]
    assert waived["properties"] == {
        "verdict": "Waived",
        "mode": "Enforce",
        "assurance": "Verified",
        "waiver": "until-friday",
        "revision": "fraud-r2",
    }
    assert (waived["category"], own["category"]) == ("GOV-VAL", "CUSTOM")


def test_approvals_are_results_too() -> None:
    states = [
        {"role": "validator", "required": 2, "given": 1, "before": "Start"},
        {"role": "owner", "required": 1, "given": 1, "before": "Promotion"},
    ]
    report = built(approvals=states)
    assert [(r["policy"], r["result"]) for r in report["results"]] == [
        ("approval:validator", "fail"),
        ("approval:owner", "pass"),
    ]
    assert report["results"][0]["message"] == "1 of 2 people have approved as validator"


def test_before_there_is_a_revision_results_name_none() -> None:
    (result,) = built(control(), revision=None)["results"]
    assert "revision" not in result["properties"]
