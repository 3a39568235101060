"""The statement of a record's head: written one way, and read back or refused."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice.api.record import ChainLink, Seal
from sluice.core import seal
from sluice.core.records import Head
from sluice.core.seal import Statement

HASH = "sha256:" + "ab" * 32
STATEMENT = Statement(
    namespace="risk",
    deployment="fraud",
    deployment_uid="d-1",
    revision="fraud-r7",
    uid="r-7",
    head=Head(12, HASH),
    sealed_at=datetime(2026, 11, 24, 12, 0, 1, 500, tzinfo=UTC),
    previous=ChainLink(revision="fraud-r6", sequence=9, hash="sha256:" + "cd" * 32),
    anchor="s3://records/sluice/risk/fraud/fraud-r7/000012-abababababababab.json",
)


def said(**changes: Any) -> bytes:
    """The statement with top-level fields changed; None removes one."""
    data = json.loads(seal.payload(STATEMENT)) | changes
    return json.dumps({k: v for k, v in data.items() if v is not None}, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "statement",
    [
        STATEMENT,
        replace(STATEMENT, previous=None),
        replace(STATEMENT, anchor=None),
        replace(STATEMENT, previous=None, anchor=None, deployment_uid=""),
    ],
)
def test_a_statement_is_read_back_as_it_was(statement: Statement) -> None:
    assert seal.parse(seal.payload(statement)) == statement


def test_it_is_an_in_toto_statement_about_the_revision() -> None:
    data = json.loads(seal.payload(STATEMENT))
    assert data["_type"] == "https://in-toto.io/Statement/v1"
    assert data["predicateType"] == "https://sluice.dev/record-head/v1"
    assert data["subject"] == [
        {"name": "risk/fraud-r7", "digest": {"sha256": "ab" * 32}, "annotations": {"uid": "r-7"}}
    ]
    assert data["predicate"] == {
        "deployment": "fraud",
        "deploymentUid": "d-1",
        "revision": "fraud-r7",
        "sequence": 12,
        "sealedAt": "2026-11-24T12:00:01.000500Z",
        "previous": {"revision": "fraud-r6", "sequence": 9, "hash": "sha256:" + "cd" * 32},
        "anchor": "s3://records/sluice/risk/fraud/fraud-r7/000012-abababababababab.json",
    }


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="no-text"),
        pytest.param(b"[]", id="a-list"),
        pytest.param(said(_type="https://in-toto.io/Statement/v0.1"), id="another-version"),
        pytest.param(said(predicateType="https://slsa.dev/provenance/v1"), id="about-something-else"),
        pytest.param(said(subject=[]), id="no-subject"),
        pytest.param(said(subject=json.loads(said())["subject"] * 2), id="two-subjects"),
        pytest.param(said(predicate=None), id="no-predicate"),
        pytest.param(said(predicate={"deployment": "fraud"}), id="half-a-predicate"),
        pytest.param(said(more="than we know"), id="an-unknown-field"),
        pytest.param(json.dumps(json.loads(said()), indent=1).encode(), id="written-another-way"),
    ],
)
def test_what_is_no_statement_of_ours_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"statement|not a"):
        seal.parse(content)


def test_its_name_in_a_store_sorts_as_the_records_do_and_two_heads_of_one_number_have_two() -> None:
    assert STATEMENT.name == "risk/fraud/fraud-r7/000012-abababababababab.json"
    later = replace(STATEMENT, head=Head(130, HASH))
    rewritten = replace(STATEMENT, head=Head(12, "sha256:" + "ef" * 32))
    assert STATEMENT.name < later.name
    assert rewritten.name != STATEMENT.name


def test_two_statements_of_one_head_say_the_same_whenever_they_were_made() -> None:
    assert STATEMENT.says_the_same(replace(STATEMENT, sealed_at=datetime(2027, 1, 1, tzinfo=UTC), anchor=None))
    assert not STATEMENT.says_the_same(replace(STATEMENT, uid="another"))
    assert not STATEMENT.says_the_same(replace(STATEMENT, head=Head(13, HASH)))


def made(sequence: int, key: str | None = None, anchor: str | None = None) -> Seal:
    return Seal(sequence=sequence, hash=HASH, sealed_at=STATEMENT.sealed_at, key_id=key, anchor=anchor)


@pytest.mark.parametrize(
    ("new", "old", "better"),
    [
        pytest.param(made(1), None, True, id="the-first"),
        pytest.param(made(2), made(1, "k", "s3://x"), True, id="goes-further"),
        pytest.param(made(1), made(2), False, id="does-not-go-as-far"),
        pytest.param(made(1, "k", "s3://x"), made(1, "k"), True, id="anchored-now"),
        pytest.param(made(1, "k"), made(1), True, id="signed-now"),
        pytest.param(made(1, "k"), made(1, None, "s3://x"), False, id="signed-but-not-anchored-any-more"),
        pytest.param(made(1, "k"), made(1, "other"), False, id="as-good-as-before"),
    ],
)
def test_a_seal_replaces_another_only_if_it_proves_more(new: Seal, old: Seal | None, better: bool) -> None:
    assert seal.better(new, old) is better
