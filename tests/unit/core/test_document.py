"""Documents and the objects that keep them: the same value gives the same bytes, and nothing else passes for it."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from sluice.api.governanceevidence import EvidenceKind
from sluice.core import document, evidence
from sluice.core.objects import Object
from sluice.core.plan import NewEvidence


@dataclass(frozen=True)
class Here:
    at: datetime


@dataclass(frozen=True)
class There:
    places: tuple[str, ...]
    pair: tuple[str, int] = ("", 0)


@dataclass(frozen=True)
class Trip:
    where: Here | There | None
    by_pair: dict[tuple[str, str], int]


TRIP = Trip(There(("a", "b"), ("c", 3)), {("x", "y"): 1, ("a", "z"): 2})


@pytest.mark.parametrize(
    "trip",
    [TRIP, Trip(Here(datetime(2026, 11, 25, 12, 0, 0, 5, tzinfo=UTC)), {}), Trip(None, {})],
    ids=["one of two kinds", "the other", "neither"],
)
def test_a_value_survives_being_written_down(trip: Trip) -> None:
    assert document.decode(Trip, document.text(trip)) == trip


def test_equal_values_give_the_same_bytes_whatever_the_order_of_their_keys() -> None:
    other = Trip(TRIP.where, {("a", "z"): 2, ("x", "y"): 1})
    assert document.text(other) == document.text(TRIP)
    assert document.digest(document.text(other)) == document.digest(document.text(TRIP))


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes"], ids=["an object", "a set", "bytes"])
def test_what_has_no_form_is_refused_rather_than_kept_in_some(value: object) -> None:
    with pytest.raises(TypeError, match="has no place in a document"):
        document.text(value)


@pytest.mark.parametrize(
    "text", ["3", "{}", '{"where": {"is": "Nowhere"}, "by_pair": []}', '{"where": null, "by_pair": 3}', "not JSON"]
)
def test_what_is_no_such_value_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError):
        document.decode(Trip, text)


def kept(content: str = "what was looked at") -> Object:
    """A document as the object that keeps it."""
    wanted = NewEvidence("scorer-r1", EvidenceKind.INPUTS, document.digest(content), content)
    return evidence.build("ns", "scorer", wanted, "uid-of-r1", governed=False)


def test_a_document_is_kept_under_its_digest_and_belongs_to_its_revision() -> None:
    made = kept()
    (owner,) = made["metadata"]["ownerReferences"]
    assert made["metadata"]["name"].startswith("scorer-r1-inputs-")
    assert (owner["kind"], owner["uid"]) == ("ModelRevision", "uid-of-r1")
    assert evidence.decode(made) == "what was looked at"
    assert kept() == made
    assert kept("something else")["metadata"]["name"] != made["metadata"]["name"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("%%%", "cannot be read", id="no base64"),
        pytest.param(base64.b64encode(b"plain").decode(), "cannot be read", id="not compressed"),
        pytest.param(base64.b64encode(gzip.compress(b"some text")[:-9]).decode(), "is cut off", id="cut off"),
        pytest.param(base64.b64encode(gzip.compress(b"\xff\xfe")).decode(), "cannot be read", id="no text"),
        pytest.param(evidence.encode("other words"), "is not what its digest says", id="another document"),
    ],
)
def test_a_document_that_was_altered_is_not_given_out(content: str, said: str) -> None:
    item = kept()
    item["spec"]["content"] = content
    with pytest.raises(ValueError, match=said):
        evidence.decode(item)
