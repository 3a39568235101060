"""MLmodel files, as MLflow writes them and as nobody should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sluice.storage import mlmodel
from sluice.storage.mlmodel import MLmodel


def read(tmp_path: Path, content: str | bytes) -> MLmodel:
    path = tmp_path / "MLmodel"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return mlmodel.read(path)


def test_flavours_and_signature(tmp_path: Path) -> None:
    columns = [{"name": "a", "type": "double"}, {"type": "tensor"}]
    found = read(tmp_path, json.dumps({"flavors": {"b": {}, "a": {}}, "signature": {"inputs": json.dumps(columns)}}))
    assert found.flavors == ("a", "b")
    assert found.inputs == ({"name": "a", "type": "double"}, {"name": "input1", "type": "tensor"})
    assert found.outputs == ()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("[1, 2]", id="a-list"),
        pytest.param("flavors: 7\nsignature: x", id="other-types"),
        pytest.param('signature: {inputs: "{", outputs: "7"}', id="no-columns"),
        pytest.param('signature: {inputs: "[1]"}', id="no-objects"),
        pytest.param("flavors: !!python/object/apply:os.system [id]", id="code"),
        pytest.param("[" * 5000, id="too-deep"),
        pytest.param("a: " + "x" * (5 << 20), id="too-large"),
        pytest.param(b"\xff\xfe\x00", id="no-text"),
        pytest.param("", id="nothing"),
    ],
)
def test_junk_says_nothing(tmp_path: Path, content: str | bytes) -> None:
    assert read(tmp_path, content) == MLmodel()


@given(
    st.text()
    | st.lists(st.sampled_from(["flavors:", "signature:", " inputs:", "- a", "&a", "*a", "?", "{", "0b_"])).map(
        "\n".join
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_read(tmp_path: Path, content: str) -> None:
    assert isinstance(read(tmp_path, content), MLmodel)


def test_none_is_read_as_nothing(tmp_path: Path) -> None:
    assert mlmodel.read(tmp_path / "MLmodel") == MLmodel()
