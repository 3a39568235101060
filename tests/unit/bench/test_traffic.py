"""The releases that the traffic is measured by are ones that Sluice takes, and are judged by its own limits."""

from __future__ import annotations

import numpy as np
import pytest

from bench import models
from bench.traffic import MAX_MS, NAME, NAMESPACE, WEIGHTS, deployment, limits
from hack.demo.models import Slow
from sluice.api.modeldeployment import ModelDeploymentSpec
from sluice.core.steps import planned


def test_a_release_goes_by_several_weights_up_to_all() -> None:
    item = deployment("2", "bench-traffic-1", "gateways/models")
    spec = ModelDeploymentSpec.model_validate(item["spec"])
    assert (item["metadata"]["name"], item["metadata"]["namespace"]) == (NAME, NAMESPACE)
    assert (spec.traffic.gateway.namespace, spec.traffic.gateway.name) == ("gateways", "models")
    assert [step.weight for step in planned(spec.rollout.steps)] == [*WEIGHTS, 100]


def test_the_client_judges_by_the_gauges_own_limits_and_not_by_drift() -> None:
    judged = limits()
    assert judged.seconds == float(MAX_MS) / 1000
    assert judged.errors == 0.01
    assert judged.effect_samples > 10**9


def test_the_bad_model_is_slower_than_its_gate_allows_and_fails_in_the_words_that_it_is_known_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert float(MAX_MS) / 1000 < models.SECONDS < 10
    monkeypatch.setattr("time.sleep", lambda _: None)
    rows = np.arange(80.0).reshape(10, 8)
    with pytest.raises(ValueError, match=models.WORDS.decode()):
        Slow(None, models.SECONDS, failing=1.0).predict(rows)  # type: ignore[arg-type]
