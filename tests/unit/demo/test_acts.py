"""The acts' manifests are what a user would write, and what the operator would take."""

from __future__ import annotations

from datetime import timedelta

import pytest
import yaml

from hack.demo import train
from hack.demo.acts import ACTS, NAME, NAMESPACE, SHIPPED, Act, drift_gauge, gauges
from hack.demo.referee import limits
from sluice.api.modeldeployment import ModelDeploymentSpec
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.core import reasons


@pytest.mark.parametrize("act", ACTS, ids=lambda act: str(act.number))
def test_a_manifest_is_a_modeldeployment_of_a_version_that_is_trained(act: Act) -> None:
    document = act.document("gateways/models")
    assert (document["kind"], document["metadata"]["name"]) == ("ModelDeployment", NAME)
    spec = ModelDeploymentSpec.model_validate(document["spec"])
    assert (spec.model.name, spec.model.version) == (train.MODEL, str(act.number))
    assert spec.model.version in {recipe.version for recipe in train.RECIPES}


@pytest.mark.parametrize("act", ACTS, ids=lambda act: str(act.number))
def test_a_manifest_is_released_by_weights_that_end_at_all_in_less_than_the_deadline(act: Act) -> None:
    rollout = ModelDeploymentSpec.model_validate(act.document("a/b")["spec"]).rollout
    assert act.steps()[-1] == "100 %"
    holds = [step.hold or (step.shadow and step.shadow.hold) or timedelta(0) for step in rollout.steps]
    assert sum(holds, timedelta(0)) < rollout.progress_deadline


def test_a_manifest_goes_to_the_gateway_that_is_given() -> None:
    traffic = ACTS[0].document("edge/public")["spec"]["traffic"]
    assert traffic["gateway"] == {"namespace": "edge", "name": "public"}


def test_the_expected_ends_are_reasons_that_the_operator_gives() -> None:
    known = {value for name, value in vars(reasons).items() if name.isupper()}
    assert {act.expected for act in ACTS} <= known


def test_the_outage_is_longer_than_the_hold_that_it_falls_into() -> None:
    (act,) = [act for act in ACTS if act.outage is not None]
    assert act.outage is not None
    steps = ModelDeploymentSpec.model_validate(act.document("a/b")["spec"]).rollout.steps
    (step,) = [step for step in steps if step.weight == act.outage.at_weight]
    assert step.hold is not None
    assert act.outage.seconds > step.hold.total_seconds()


def test_the_gauges_are_the_shipped_ones_with_a_shorter_window() -> None:
    for monitor in gauges():
        assert (monitor["kind"], monitor["metadata"]["namespace"]) == ("ModelMonitor", NAMESPACE)
        spec = ModelMonitorSpec.model_validate(monitor["spec"])
        assert spec.slo is not None
        assert spec.slo.window == timedelta(seconds=15)


def test_the_drift_gauge_is_the_shipped_one_but_for_its_budget() -> None:
    shipped = yaml.safe_load((SHIPPED / "prediction-drift.yaml").read_text())["spec"]
    spec = drift_gauge()["spec"]
    assert float(spec["drift"]["alpha"]) == float(shipped["drift"]["alpha"]) / 100
    shipped["drift"]["alpha"] = spec["drift"]["alpha"]
    assert spec == shipped
    uses = [use for act in ACTS for use in act.document("a/b")["spec"]["monitors"] if use["name"] == "prediction-drift"]
    assert [use.get("kind") for use in uses] == ["ModelMonitor"] * len(ACTS)


def test_every_gauge_that_an_act_names_is_there_and_its_parameters_too() -> None:
    own = {monitor["metadata"]["name"]: monitor["spec"].get("parameters", {}) for monitor in [*gauges(), drift_gauge()]}
    for act in ACTS:
        for use in act.document("a/b")["spec"]["monitors"]:
            if use.get("kind") == "ModelMonitor":
                assert use.get("parameters", {}).keys() <= own[use["name"]].keys()


def test_the_referee_judges_by_the_limits_of_the_gauges_and_of_the_act() -> None:
    uses = ACTS[2].document("a/b")["spec"]["monitors"]
    found = limits([*gauges(), drift_gauge()], uses)
    assert found.seconds == 1.0
    assert 0 < found.errors < 0.2
    assert 0 < found.effect < 0.3
    assert found.latency_samples > 0
