"""What the operator is told about the Jobs of evaluations."""

from __future__ import annotations

import pytest

from sluice.__main__ import equipment_of, parser
from sluice.core.examination import Equipment

IMAGES = ["--operator-image", "registry.example/operator:1", "--monitor-image", "registry.example/monitor:1"]


def told(*more: str) -> Equipment | None:
    return equipment_of(parser().parse_args([*more, "--tracking-uri", "http://mlflow"]))


def test_without_images_there_are_no_evaluations() -> None:
    assert told() is None
    assert told(*IMAGES[:2]) is None


def test_images_secrets_and_environment_are_taken_as_they_are() -> None:
    given = '[{"name": "AWS_REGION", "value": "eu-1"}]'
    found = told(*IMAGES, "--image-pull-policy", "Always", "--image-pull-secrets", "one,two", "--storage-env", given)
    assert found == Equipment(
        operator_image="registry.example/operator:1",
        monitor_image="registry.example/monitor:1",
        pull_policy="Always",
        pull_secrets=("one", "two"),
        environment=(
            {"name": "MLFLOW_TRACKING_URI", "value": "http://mlflow"},
            {"name": "AWS_REGION", "value": "eu-1"},
        ),
    )
    assert "mlflow" not in repr(found)


def test_nothing_more_is_needed() -> None:
    found = told(*IMAGES)
    assert found is not None
    assert (found.pull_policy, found.pull_secrets, len(found.environment)) == ("", (), 1)


@pytest.mark.parametrize("given", ["{", '{"name": "A"}', '["A"]', '[{"value": "1"}]', '[{"name": 1}]', "7"])
def test_an_environment_that_is_none_ends_the_process(given: str) -> None:
    with pytest.raises(SystemExit, match="storage environment"):
        told(*IMAGES, "--storage-env", given)
