"""The models and the schemas made from them say the same."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.api.base import Resource
from sluice.api.crds import KINDS
from sluice.api.modeldeployment import ModelDeploymentSpec, ModelReference, Rollout, Serving
from sluice.api.modelmonitor import SLO
from sluice.api.modelrevision import ModelRevisionStatus
from sluice.api.schema import Schema, plain, structural
from tests.unit.api.structural import values, violations

MODELS = sorted({model for kind in KINDS for model in (kind.spec, kind.status)}, key=lambda model: model.__name__)


@functools.cache
def drawn(model: type[Resource]) -> tuple[Schema, st.SearchStrategy[Any]]:
    """A model's schema, and values that it admits: made once, which takes longer than to draw one."""
    schema = structural(model)
    return schema, values(schema)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much], deadline=None)
@given(data=st.data())
def test_what_the_schema_admits_the_model_reads_and_writes_back_unchanged(
    model: type[Resource], data: st.DataObject
) -> None:
    schema, admitted = drawn(model)
    stated = data.draw(admitted)
    assert not list(violations(schema, stated))

    read = model.model_validate(stated)
    written = read.dump()

    assert not list(violations(schema, written))
    assert model.model_validate(written) == read
    assert contains(written, stated)


def contains(whole: Any, part: Any) -> bool:
    """Whether nothing of ``part`` was lost; ``whole`` may add defaults."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and contains(whole[key], part[key]) for key in part)
    if isinstance(part, list):
        return len(whole) == len(part) and all(map(contains, whole, part))
    return bool(whole == part)


def test_the_validator_of_these_tests_notices_what_is_wrong() -> None:
    schema = structural(ModelDeploymentSpec)
    wrong = {
        "model": {"nam": "fraud", "version": 7},
        "serving": {"modelFormat": "", "replicas": {"min": 0}},
        "traffic": {"gateway": {"name": "g", "namespace": "g"}, "hostnames": [], "router": "Magic"},
    }

    assert sorted(violations(schema, wrong)) == [
        ".model.nam is unknown",
        ".model.name is required",
        ".model.version: 7 is not string",
        ".serving.modelFormat: 0 characters",
        ".serving.replicas.min: 0 is out of bounds",
        ".traffic.hostnames: 0 items",
        ".traffic.router: 'Magic' is none of ['GatewayAPI']",
    ]


def test_optional_fields_are_not_required_and_never_null() -> None:
    schema = structural(ModelReference)

    assert schema["required"] == ["name"]
    assert "anyOf" not in str(schema)
    assert "null" not in str(schema)


def test_references_are_replaced_by_what_they_refer_to() -> None:
    assert "$ref" not in str([kind.manifest() for kind in KINDS])
    assert structural(ModelDeploymentSpec)["properties"]["rollout"]["properties"] == structural(Rollout)["properties"]


def test_a_field_is_described_in_its_own_words_and_its_type_adds_only_what_goes_further() -> None:
    slo = structural(ModelDeploymentSpec)["properties"]["rollout"]
    assert slo["description"] == "How a new revision takes over."

    window = structural(SLO)
    assert window["description"].startswith("A service level read from Prometheus. Queries are grouped by identity")


def test_defaults_stand_as_they_look_on_the_wire() -> None:
    rollout = structural(Rollout)["properties"]

    assert rollout["progressDeadline"]["default"] == "4h"
    assert rollout["onDeadline"]["default"] == "Rollback"
    assert rollout["steps"]["default"][0] == {"weight": 5, "hold": "10m"}


def test_an_object_by_default_is_left_to_the_defaults_of_its_fields() -> None:
    assert structural(ModelDeploymentSpec)["properties"]["rollout"]["default"] == {}
    assert structural(Serving)["properties"]["replicas"]["default"] == {}


def test_lists_and_maps_that_are_empty_by_default_are_left_absent() -> None:
    assert "default" not in structural(ModelDeploymentSpec)["properties"]["monitors"]


def test_a_status_has_no_defaults_for_only_its_writer_knows_what_is_true() -> None:
    assert "default" not in str(structural(ModelRevisionStatus, defaults=False))


def test_a_full_predictor_is_passed_through() -> None:
    predictor = {"model": {"modelFormat": {"name": "sklearn"}, "args": ["--workers", 2, None]}}

    assert Serving.model_validate({"predictor": predictor}).dump()["predictor"] == predictor
    assert structural(Serving)["properties"]["predictor"]["x-kubernetes-preserve-unknown-fields"] is True


def test_a_docstring_becomes_one_line_of_plain_prose() -> None:
    assert (
        plain("Grouped by\n    ``namespace, revision``.\n\n    And more.")
        == "Grouped by namespace, revision. And more."
    )
