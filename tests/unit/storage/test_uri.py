"""Model URIs survive the way into an InferenceService and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.storage.uri import ModelUri, parse

DIGEST = "sha256:" + "0123456789abcdef" * 4


@given(st.text(min_size=1, max_size=40), st.integers(1, 10**9))
def test_what_is_written_is_read_back(name: str, version: int) -> None:
    uri = ModelUri(name, str(version), DIGEST)
    assert parse(str(uri)) == uri


def test_a_name_with_slashes_and_spaces_is_one_path_segment() -> None:
    assert str(ModelUri("team/fraud scorer", "7", DIGEST)) == f"mlflow://team%2Ffraud%20scorer/7?digest={DIGEST}"


@pytest.mark.parametrize(
    "text",
    ["", "s3://bucket/model", "mlflow://m/1", f"mlflow://m/0?digest={DIGEST}", f"mlflow://m/1?digest={DIGEST[:-1]}"],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a model URI"):
        parse(text)
