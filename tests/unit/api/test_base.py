"""Durations, times and text that people write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sluice.api.base import MAX_DURATION, Resource, format_duration, format_time, parse_duration, parse_time
from sluice.api.measure import Limits
from sluice.api.modeldeployment import ModelReference, Resources, Traffic

seconds = st.integers(0, int(MAX_DURATION.total_seconds())).map(lambda number: timedelta(seconds=number))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("30s", timedelta(seconds=30), id="seconds"),
        pytest.param("10m", timedelta(minutes=10), id="minutes"),
        pytest.param("1h30m", timedelta(minutes=90), id="hours-and-minutes"),
        pytest.param("1h2m3s", timedelta(hours=1, minutes=2, seconds=3), id="all-three"),
        pytest.param("90m", timedelta(minutes=90), id="more-minutes-than-an-hour-has"),
        pytest.param("0s", timedelta(0), id="nothing"),
        pytest.param("8760h", MAX_DURATION, id="a-year"),
    ],
)
def test_a_duration_is_read(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "10", "m", "10 m", "1.5h", "-5m", "30m1h", "10m\n", "1d", "ten minutes", "PT10M"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write it like 30s, 10m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["8761h", "8760h1s", "99999h"])
def test_a_duration_of_more_than_a_year_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is longer than 8760h"):
        parse_duration(text)


@given(seconds)
def test_a_duration_survives_writing_and_reading(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@pytest.mark.parametrize(("text", "shortest"), [("90s", "1m30s"), ("60m", "1h"), ("0h0m5s", "5s"), ("0m", "0s")])
def test_a_duration_is_written_in_its_shortest_form(text: str, shortest: str) -> None:
    assert format_duration(parse_duration(text)) == shortest


@given(st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)))  # noqa: DTZ001
def test_a_time_survives_writing_and_reading_to_the_microsecond(value: datetime) -> None:
    assert parse_time(format_time(value)) == value


def test_a_time_is_written_in_utc() -> None:
    there = datetime(2026, 11, 24, 12, 0, tzinfo=timezone(timedelta(hours=2)))

    assert format_time(there) == "2026-11-24T10:00:00Z"


def test_a_time_without_a_zone_is_taken_as_utc() -> None:
    assert parse_time("2026-11-24T10:00:00") == datetime(2026, 11, 24, 10, tzinfo=UTC)


class Gate(Resource):
    """A resource for these tests."""

    open_for: int | None = None
    """How long."""


def test_fields_are_camel_case_on_the_wire_and_absent_when_unset() -> None:
    assert Gate(open_for=3).dump() == {"openFor": 3}
    assert Gate().dump() == {}


def test_fields_of_a_newer_release_are_passed_over() -> None:
    assert Gate.model_validate({"openFor": 3, "colour": "red"}) == Gate(open_for=3)


def test_resources_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Gate(open_for=1).open_for = 2  # type: ignore[misc]


def test_quantities_keep_the_type_they_were_written_in() -> None:
    stated = {"requests": {"cpu": 2, "memory": "1Gi"}}

    assert Resources.model_validate(stated).dump() == stated


@pytest.mark.parametrize("quantity", [0.5, True, None])
def test_a_quantity_is_an_integer_or_text(quantity: object) -> None:
    with pytest.raises(ValidationError):
        Resources.model_validate({"requests": {"cpu": quantity}})


@pytest.mark.parametrize("version", ["v7", "0", "7.1", "latest", "7\n"])
def test_a_model_version_is_a_number(version: str) -> None:
    with pytest.raises(ValidationError, match='must be the number of an MLflow model version, such as "7"'):
        ModelReference(name="fraud", version=version)


@pytest.mark.parametrize("hostname", ["https://a.b", "A.b", "*.a.b", "a.b:80", "a.b/c", "a..b", "-a.b"])
def test_a_hostname_is_a_name_and_nothing_else(hostname: str) -> None:
    with pytest.raises(ValidationError, match="must be a host name in lower case"):
        Traffic.model_validate({"gateway": {"name": "g", "namespace": "g"}, "hostnames": [hostname]})


@pytest.mark.parametrize("limit", ["0.05", "-1", "1e-3", "80", "${maxMs}"])
def test_a_limit_is_a_number_or_a_parameter(limit: str) -> None:
    assert Limits(max=limit).max == limit


@pytest.mark.parametrize("limit", ["80ms", "${}", "${max-ms}", "maxMs", "NaN", "1e5x"])
def test_other_limits_are_refused(limit: str) -> None:
    with pytest.raises(ValidationError, match="must be a number in quotes"):
        Limits(max=limit)
