"""Who wrote an object."""

from __future__ import annotations

from typing import Any

import pytest

from sluice.core.ownership import author, slim

SLUICE: dict[str, Any] = {"manager": "sluice", "time": "2026-11-24T12:00:09Z", "fieldsV1": {"f:spec": {}}}
EARLY: dict[str, Any] = {"manager": "kubectl-edit", "time": "2026-11-24T12:00:01Z", "fieldsV1": {"f:spec": {}}}
LATE: dict[str, Any] = {"manager": "helm", "time": "2026-11-24T12:00:05Z", "fieldsV1": {"f:spec": {}, "f:metadata": {}}}
STATUS: dict[str, Any] = {
    "manager": "kserve",
    "time": "2026-11-24T12:00:07Z",
    "subresource": "status",
    "fieldsV1": {"f:spec": {}},
}


@pytest.mark.parametrize(
    ("entries", "part", "who"),
    [
        pytest.param([], "f:spec", "", id="nobody"),
        pytest.param([SLUICE], "f:spec", "", id="sluice-alone"),
        pytest.param([SLUICE, LATE, EARLY], "f:spec", "helm", id="the-last"),
        pytest.param([SLUICE, EARLY], "f:metadata", "", id="another-part"),
        pytest.param([EARLY, STATUS], "f:spec", "kubectl-edit", id="not-through-the-status"),
        pytest.param([{"manager": "old", "fieldsV1": {"f:spec": {}}}, EARLY], "f:spec", "kubectl-edit", id="no-time"),
    ],
)
def test_the_author_is_who_set_fields_of_the_part_last(entries: list[dict[str, Any]], part: str, who: str) -> None:
    assert author(entries, "sluice", part) == who


def test_what_is_kept_of_the_account_says_the_same() -> None:
    full = {**LATE, "operation": "Apply", "fieldsV1": {"f:spec": {"f:rules": {}}, "f:metadata": {"f:labels": {}}}}
    kept = slim([full, STATUS])
    assert kept == [LATE, STATUS]
