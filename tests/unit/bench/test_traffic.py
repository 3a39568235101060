"""The releases that the traffic is measured by are ones that Sluice takes, and are judged by its own limits."""

from __future__ import annotations

import numpy as np
import pytest

from bench import models, shadow
from bench.ledger import BadModel, Demand, Ledger
from bench.stage import LATENCY, NAME, NAMESPACE, WEIGHTS, deployment
from bench.traffic import limits
from hack.demo.load import Answer
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
    assert judged.seconds == float(LATENCY["maxMs"]) / 1000
    assert judged.errors == 0.01
    assert judged.effect_samples > 10**9


def test_the_bad_model_is_slower_than_its_gate_allows_and_fails_in_the_words_that_it_is_known_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert float(LATENCY["maxMs"]) / 1000 < models.SECONDS < 10
    monkeypatch.setattr("time.sleep", lambda _: None)
    rows = np.arange(80.0).reshape(10, 8)
    with pytest.raises(ValueError, match=models.WORDS.decode()):
        Slow(None, models.SECONDS, failing=1.0).predict(rows)  # type: ignore[arg-type]


def test_the_shadow_that_hangs_is_all_that_is_released_beside_the_stable_model() -> None:
    item = deployment(shadow.HANGING, "bench-traffic-1", "gateways/models", shadow.SHADOW, shadow.DEADLINE)
    first, last = planned(ModelDeploymentSpec.model_validate(item["spec"]).rollout.steps)
    assert (first.mirror, first.weight, last.weight) == (100, 0, 100)
    assert models.HANGING > 60 * 10  # longer than the deadline, and than any gateway waits


@pytest.mark.parametrize(
    ("revision", "status", "words"),
    [
        pytest.param(shadow.STABLE, 200, [], id="stable-answers"),
        pytest.param(shadow.BAD, 200, [f"answers of {shadow.BAD}"], id="the-shadow-answers"),
        pytest.param(shadow.STABLE, 503, ["were lost"], id="lost"),
        pytest.param("none", 504, ["were lost"], id="lost-at-the-gateway"),
    ],
)
def test_one_lost_request_or_one_answer_of_the_shadow_is_a_complaint(
    revision: str, status: int, words: list[str]
) -> None:
    ledger = Ledger(BadModel(shadow.BAD, b""))
    ledger.begin("beside", 0.0)
    ledger.take(Answer(1.0, 1.1, shadow.STABLE, 200))
    ledger.take(Answer(1.0, 1.1, revision, status))
    ledger.end(2.0)
    complaints = shadow.judged(ledger, Demand(requests=0, rate=1))
    assert len(complaints) == len(words)
    assert all(word in complaint for word, complaint in zip(words, complaints, strict=True))
