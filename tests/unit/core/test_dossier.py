"""A dossier as a file: written and read again it is the same, and a file that is not whole is refused with why."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from sluice.core import dossier
from sluice.core.dossier import Dossier
from sluice.core.objects import Object


def item(kind: str, name: str, **spec: object) -> Object:
    return {"apiVersion": "sluice.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


KEPT = Dossier(
    "risk",
    "fraud",
    datetime(2026, 11, 25, 12, 0, 0, 123456, tzinfo=UTC),
    (
        item("ModelDeployment", "fraud", owner="Zoë"),
        item("ModelRevision", "fraud-r10", revision=10),
        item("ModelRevision", "fraud-r9", revision=9),
        item("ModelDecision", "approve-1"),
    ),
)


def changed(**header: object) -> list[str]:
    """The file with another first line."""
    first, *rest = dossier.lines(KEPT)
    return [json.dumps(json.loads(first) | header), *rest]


def test_what_was_written_is_read_again() -> None:
    assert dossier.parse(dossier.lines(KEPT)) == KEPT


def test_empty_lines_say_nothing() -> None:
    assert dossier.parse([*(f"{line}\n" for line in dossier.lines(KEPT)), "\n", ""]) == KEPT


def test_revisions_are_in_the_order_of_their_numbers_not_of_their_names() -> None:
    assert [each["metadata"]["name"] for each in KEPT.revisions] == ["fraud-r9", "fraud-r10"]


def test_objects_are_found_by_kind() -> None:
    assert [each["metadata"]["name"] for each in KEPT.of("ModelDecision")] == ["approve-1"]
    assert KEPT.of("GovernanceEvidence") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param([], "does not begin with a RecordExport; make one with `kubectl sluice export`", id="empty"),
        pytest.param(list(dossier.lines(KEPT))[1:], "does not begin with a RecordExport", id="without its header"),
        pytest.param(
            changed(metadata={"name": "fraud"}), "no header of ours: KeyError('namespace')", id="no namespace"
        ),
        pytest.param(changed(metadata="fraud"), "no header of ours: TypeError", id="metadata that is a word"),
        pytest.param(changed(takenAt="yesterday"), "no header of ours: ValueError", id="a time in words"),
        pytest.param(
            list(dossier.lines(KEPT))[:-1], "should hold 4 objects and holds 3: lines were lost", id="cut off"
        ),
        pytest.param(
            [*dossier.lines(KEPT), '{"kind": "ModelDecision"}'], "holds 5: lines were lost or added", id="longer"
        ),
        pytest.param([*dossier.lines(KEPT), '{"kind": "Mod'], "line 6 is no JSON", id="half a line"),
        pytest.param(["[1]"], "line 1 is no object", id="a list"),
        pytest.param(['{"kind": 3}'], "line 1 is no object", id="a kind that is a number"),
    ],
)
def test_what_is_no_whole_file_is_refused_and_told_why(text: list[str], said: str) -> None:
    with pytest.raises(ValueError) as refused:
        dossier.parse(text)
    assert said in str(refused.value)
