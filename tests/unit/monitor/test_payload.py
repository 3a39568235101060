"""Bodies of both protocols as rows; and everything that is neither."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.monitor.payload import MAX_COLUMNS, Cell, UnreadableBodyError, read_request, read_response


def v2(**tensor: object) -> bytes:
    return json.dumps({"inputs": [{"datatype": "FP64", **tensor}]}).encode()


@pytest.mark.parametrize(
    ("body", "names", "rows"),
    [
        pytest.param(b'{"instances":[[5.1,3.5],[1,2]]}', ("x0", "x1"), [[5.1, 3.5], [1, 2]], id="V1 lists"),
        pytest.param(b'{"instances":[[[1,2],[3,4]]]}', ("x0", "x1", "x2", "x3"), [[1, 2, 3, 4]], id="V1 nested"),
        pytest.param(b'{"instances":[1.5,2.5]}', ("x0",), [[1.5], [2.5]], id="V1 scalars"),
        pytest.param(
            b'{"instances":[{"age":3,"city":"Ulm"},{"age":4,"vip":true}]}',
            ("age", "city", "vip"),
            [[3, "Ulm", None], [4, None, True]],
            id="V1 objects with differing keys",
        ),
        pytest.param(
            b'{"instances":[{"a":{"b":1},"c":[2,3]}]}', ("a.b", "c[0]", "c[1]"), [[1, 2, 3]], id="V1 nested objects"
        ),
        pytest.param(
            v2(name="x", shape=[2, 2], data=[1, 2, 3, 4]), ("x[0]", "x[1]"), [[1, 2], [3, 4]], id="V2 flat data"
        ),
        pytest.param(
            v2(name="x", shape=[2, 2], data=[[1, 2], [3, 4]]), ("x[0]", "x[1]"), [[1, 2], [3, 4]], id="V2 nested data"
        ),
        pytest.param(v2(name="age", shape=[2, 1], data=[1, 2]), ("age",), [[1], [2]], id="V2 one column"),
        pytest.param(v2(name="age", shape=[2], data=[1, 2]), ("age",), [[1], [2]], id="V2 vector"),
        pytest.param(
            v2(name="input-0", shape=[1, 2], data=[1, 2]), ("x0", "x1"), [[1, 2]], id="V2 without a name, as V1"
        ),
        pytest.param(v2(name="input-0", shape=[1, 1], data=[1]), ("x0",), [[1]], id="V2 scalar without a name"),
        pytest.param(b'{"instances":[[true,2],[3,null]]}', ("x0", "x1"), [[True, 2], [3, None]], id="V1 mixed"),
    ],
)
def test_requests_become_one_row_per_instance(body: bytes, names: tuple[str, ...], rows: list[list[Cell]]) -> None:
    assert read_request(body)[:2] == (names, rows)


@pytest.mark.parametrize(
    ("body", "names", "rows"),
    [
        pytest.param(b'{"predictions":[0,2]}', ("prediction",), [[0], [2]], id="V1 classes"),
        pytest.param(
            b'{"predictions":[[0.1,0.9]]}', ("prediction[0]", "prediction[1]"), [[0.1, 0.9]], id="V1 probabilities"
        ),
        pytest.param(
            b'{"predictions":[{"label":"no","score":0.1}]}', ("label", "score"), [["no", 0.1]], id="V1 objects"
        ),
        pytest.param(b'{"predictions":[null]}', ("prediction",), [[None]], id="V1 null"),
        pytest.param(
            b'{"outputs":[{"name":"y","shape":[2],"datatype":"BYTES","data":["a","b"]},'
            b'{"name":"p","shape":[2,1],"datatype":"FP32","data":[0.5,0.25]}]}',
            ("y", "p"),
            [["a", 0.5], ["b", 0.25]],
            id="V2 two outputs",
        ),
        pytest.param(
            b'{"outputs":[{"name":"output-0","shape":[2],"datatype":"FP32","data":[0.5,0.25]}]}',
            ("prediction",),
            [[0.5], [0.25]],
            id="V2 without a name, as V1",
        ),
        pytest.param(
            b'{"outputs":[{"name":"predict","shape":[1,2],"datatype":"FP32","data":[0.5,0.25]}]}',
            ("prediction[0]", "prediction[1]"),
            [[0.5, 0.25]],
            id="V2 probabilities without a name",
        ),
    ],
)
def test_responses_become_one_row_per_answer(body: bytes, names: tuple[str, ...], rows: list[list[Cell]]) -> None:
    assert read_response(body)[:2] == (names, rows)


def test_only_bodies_that_hold_nothing_but_numbers_are_marked_so() -> None:
    assert read_request(b'{"instances":[[1,2.5]]}').numeric
    assert read_response(b'{"predictions":[1,2.5]}').numeric
    for body in (b'{"instances":[[1,"a"]]}', b'{"instances":[[1,null]]}', b'{"instances":[[true]]}'):
        assert not read_request(body).numeric


def test_a_score_of_nan_is_seen_although_json_does_not_know_it() -> None:
    [[first], [second]] = read_response(b'{"predictions":[NaN, Infinity]}').rows
    assert isinstance(first, float)
    assert math.isnan(first)
    assert second == math.inf


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not json", id="not JSON"),
        pytest.param(b"NaN", id="NaN alone"),
        pytest.param(b"[1]", id="no object"),
        pytest.param(b"{}", id="neither protocol"),
        pytest.param(b'{"instances":[]}', id="no instances"),
        pytest.param(b'{"instances":[[]]}', id="no columns"),
        pytest.param(b'{"instances":[[1,2],[3]]}', id="ragged"),
        pytest.param(b'{"instances":[[1],{"a":1}]}', id="a list, then an object"),
        pytest.param(b'{"instances":[{"a":1},[1]]}', id="an object, then a list"),
        pytest.param(b'{"instances":[1,[2]]}', id="a scalar, then a list"),
        pytest.param(b'{"instances":7}', id="a number"),
        pytest.param(b'{"inputs":[{"name":"x","shape":[2,2],"data":[1,2,3]}]}', id="too little data"),
        pytest.param(b'{"inputs":[{"name":"x","shape":[9],"data":[1,2,3]}]}', id="another shape"),
        pytest.param(b'{"inputs":[{"name":"x","shape":[],"data":[1]}]}', id="no shape"),
        pytest.param(b'{"inputs":[{"name":"x","shape":[-1],"data":[1]}]}', id="negative shape"),
        pytest.param(
            b'{"inputs":[{"name":"x","shape":[1],"data":[1]},{"name":"x","shape":[1],"data":[2]}]}', id="same name"
        ),
        pytest.param(b'{"inputs":[{"name":"x","shape":[1000000000000],"data":[1]}]}', id="a shape that lies"),
        pytest.param(b'{"instances":' + b"[" * 5000 + b"]" * 5000 + b"}", id="deeply nested"),
        pytest.param(b"[" * 5000 + b"NaN" + b"]" * 5000, id="deeply nested NaN"),
        pytest.param(json.dumps({"instances": [[0] * (MAX_COLUMNS + 1)]}).encode(), id="too wide"),
        pytest.param(json.dumps({"instances": [["a"] * (MAX_COLUMNS + 1)]}).encode(), id="too wide, of text"),
        pytest.param(v2(name="input-0", shape=[1, 1000], data=[0] * 1000), id="too wide, V2"),
        pytest.param(b'{"instances":["\xff"]}', id="not UTF-8"),
        pytest.param(b'{"instances":["\\ud800"]}', id="half a character"),
        pytest.param(b'{"instances":["\\ud800",NaN]}', id="half a character beside NaN"),
    ],
)
def test_what_is_not_a_table_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableBodyError):
        read_request(body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["instances", "inputs"]), json_values, min_size=1))
def test_any_json_is_either_a_table_or_refused(value: object) -> None:
    try:
        table = read_request(json.dumps(value).encode())
    except UnreadableBodyError:
        return
    assert table.rows
    assert all(len(row) == len(table.names) for row in table.rows)
