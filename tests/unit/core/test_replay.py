"""Deciding again: what a reviewer is told when a record cannot be decided again, or comes out otherwise."""

from __future__ import annotations

import pytest

from sluice.api.governance import EvidenceReference
from sluice.api.record import Record, RecordKind
from sluice.core import document, records, replay
from sluice.core.records import Entry, Head
from tests.unit.core.simulation import Cluster
from tests.unit.core.test_invariants import scenario, tell

GONE = "what it was decided on is not there"


@pytest.fixture
def told() -> Cluster:
    """A release that was rolled back."""
    cluster = scenario("rolled back")
    tell(cluster, "rolled back")
    return cluster


def ended(cluster: Cluster) -> Record:
    """The record of the end."""
    return next(r for r in cluster.revisions["scorer-r2"].status.records if r.kind is RecordKind.ROLLED_BACK)


def based_on(record: Record, digest: str) -> Record:
    """The record, as if it had been decided on another document."""
    return record.model_copy(update={"evidence": [EvidenceReference(name="inputs", digest=digest)]})


def messages(cluster: Cluster, record: Record, kept: dict[str, str] | None = None) -> list[str]:
    """What deciding again says of one record."""
    found = replay.replay("scorer-r2", [record], (cluster.evidence if kept is None else kept).get)
    return [difference.message for difference in found]


def test_a_record_whose_basis_was_removed_says_so(told: Cluster) -> None:
    assert messages(told, ended(told), kept={}) == [GONE]


def test_a_record_that_names_no_basis_says_so(told: Cluster) -> None:
    assert messages(told, ended(told).model_copy(update={"evidence": []})) == [GONE]


def test_a_basis_of_another_version_of_sluice_is_said_to_be_unreadable(told: Cluster) -> None:
    text = '{"is": "World"}'
    digest = document.digest(text)
    (said,) = messages(told, based_on(ended(told), digest), told.evidence | {digest: text})
    assert said.startswith("what it was decided on cannot be read: not a World as this version of Sluice writes it")


def test_a_decision_that_comes_out_otherwise_is_told_with_what_comes_out(told: Cluster) -> None:
    record = ended(told)
    before = Head(record.sequence - 1, record.previous_hash)
    promoted = Entry(RecordKind.PROMOTED, "RevisionPromoted", "every gate passed", evidence=tuple(record.evidence))
    (forged,) = records.chained(before, [promoted], record.time)
    (said,) = messages(told, forged)
    assert "deciding again gives " in said
    assert "RolledBack: error-rate" in said


def test_a_decision_that_was_none_is_told_to_give_nothing(told: Cluster) -> None:
    # At rest, with everything done: nothing is decided any more.
    text = document.text(records.inputs(told.world()))
    digest = document.digest(text)
    late = based_on(ended(told), digest).model_copy(update={"time": told.now})
    assert messages(told, late, told.evidence | {digest: text}) == ["deciding again gives nothing"]


def test_a_chain_is_told_in_lines_of_number_time_kind_and_actor(told: Cluster) -> None:
    lines = records.story(told.revisions["scorer-r2"].status.records).splitlines()
    assert len(lines) == len(told.revisions["scorer-r2"].status.records)
    assert lines[0].startswith("  0 2026-11-24T12:")
    assert " Created by sluice: scorer-r2: model scorer version 2" in lines[0]
