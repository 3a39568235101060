"""Merge patches: the least that turns one object into another."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core import mergepatch

scalars = st.integers(-3, 3) | st.text(max_size=3) | st.booleans()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner), max_leaves=12
)
objects = st.dictionaries(st.sampled_from("abcd"), values)


@given(objects, objects)
def test_the_patch_turns_the_one_into_the_other(live: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert mergepatch.apply(mergepatch.diff(live, wanted), live) == wanted


@given(objects)
def test_equal_objects_need_no_patch(item: dict[str, Any]) -> None:
    assert mergepatch.diff(item, item) == {}


@given(objects, objects)
def test_neither_side_is_touched(live: dict[str, Any], wanted: dict[str, Any]) -> None:
    before = repr(live), repr(wanted)
    mergepatch.apply(mergepatch.diff(live, wanted), live)
    assert (repr(live), repr(wanted)) == before


@pytest.mark.parametrize(
    ("patch", "target", "expected"),
    [
        # RFC 7386, appendix A, as far as it is about objects.
        pytest.param({"a": "c"}, {"a": "b"}, {"a": "c"}, id="replace"),
        pytest.param({"b": "c"}, {"a": "b"}, {"a": "b", "b": "c"}, id="add"),
        pytest.param({"a": None}, {"a": "b"}, {}, id="remove"),
        pytest.param({"a": None}, {"a": "b", "b": "c"}, {"b": "c"}, id="remove-one-of-two"),
        pytest.param({"a": "c"}, {"a": ["b"]}, {"a": "c"}, id="list-to-scalar"),
        pytest.param({"a": ["b"]}, {"a": "c"}, {"a": ["b"]}, id="scalar-to-list"),
        pytest.param({"a": {"b": "d", "c": None}}, {"a": {"b": "c"}}, {"a": {"b": "d"}}, id="nested"),
        pytest.param({"a": [1]}, {"a": [{"b": "c"}]}, {"a": [1]}, id="lists-are-replaced-whole"),
        pytest.param({"a": {"bb": {"ccc": None}}}, {}, {"a": {"bb": {}}}, id="nulls-in-what-is-new-are-dropped"),
    ],
)
def test_a_patch_is_applied_as_the_standard_says(
    patch: dict[str, Any], target: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert mergepatch.apply(patch, target) == expected


def test_the_changed_fields_are_named_for_people() -> None:
    patch = {"rules": [1], "traffic": {"gateway": {"name": "x"}, "hostnames": None}, "empty": {}}
    expected = ["spec.rules", "spec.traffic.gateway.name", "spec.traffic.hostnames", "spec.empty"]
    assert mergepatch.paths(patch, "spec.") == expected
