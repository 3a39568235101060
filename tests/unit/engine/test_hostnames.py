"""Who has a hostname, and who gets it next."""

from __future__ import annotations

from sluice.core.objects import Object
from sluice.engine.hostnames import Hostnames
from sluice.engine.store import Key

OLD, YOUNG = Key("risk", "old"), Key("risk", "young")


def item(key: Key, hostnames: object, second: int) -> Object:
    metadata = {
        "name": key.name,
        "namespace": key.namespace,
        "creationTimestamp": f"2026-11-24T12:00:{second:02}Z",
    }
    return {"metadata": metadata, "spec": {"traffic": {"hostnames": hostnames}}}


def two() -> Hostnames:
    hostnames = Hostnames()
    hostnames.take_in(item(YOUNG, ["a.example", "b.example"], 9), gone=False)
    hostnames.take_in(item(OLD, ["a.example"], 1), gone=False)
    return hostnames


def test_the_older_deployment_has_it() -> None:
    assert two().conflicts(YOUNG) == (("a.example", "risk/old"),)
    assert two().conflicts(OLD) == ()


def test_of_two_as_old_the_first_by_name_has_it() -> None:
    hostnames = Hostnames()
    for key in (YOUNG, OLD):
        hostnames.take_in(item(key, ["a.example"], 1), gone=False)
    assert hostnames.conflicts(OLD) == ()
    assert hostnames.conflicts(YOUNG) == (("a.example", "risk/old"),)


def test_the_heir_is_named_when_the_older_is_deleted() -> None:
    hostnames = two()
    assert hostnames.take_in(item(OLD, ["a.example"], 1), gone=True) == {YOUNG}
    assert hostnames.conflicts(YOUNG) == ()


def test_the_heir_is_named_when_the_older_states_another() -> None:
    hostnames = two()
    assert hostnames.take_in(item(OLD, ["c.example"], 1), gone=False) == {YOUNG}
    assert hostnames.conflicts(YOUNG) == ()


def test_nobody_is_woken_by_a_status_update() -> None:
    assert two().take_in(item(OLD, ["a.example"], 1), gone=False) == set()


def test_a_spec_that_makes_no_sense_claims_nothing() -> None:
    hostnames = Hostnames()
    hostnames.take_in(item(OLD, [7], 1), gone=False)
    hostnames.take_in({"metadata": item(OLD, [], 1)["metadata"], "spec": {}}, gone=False)
    assert hostnames.conflicts(OLD) == ()
