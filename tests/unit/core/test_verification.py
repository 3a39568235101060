"""Nothing that somebody does to what is kept goes unnoticed, or it is said what does."""

from __future__ import annotations

import copy
import os
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import lru_cache
from types import ModuleType
from unittest import mock

import pytest

from sluice.core import archive, chronicle, verification
from sluice.core.dossier import Dossier
from sluice.core.verification import verify
from tests.unit.core.dossiers import STRANGER, Kept, governed_story
from tests.unit.core.tampering import WAYS, Tally, Tamperer, tamper

TAMPERINGS = int(os.environ.get("SLUICE_TAMPERINGS", "1500"))
"""How often somebody lays hands on what is kept. Ten thousand take a minute or two: ``SLUICE_TAMPERINGS=10000``."""
PROCESSES = 2


@lru_cache
def story(*, moving: bool) -> tuple[Kept, Dossier, Dossier]:
    """A release with its dossier, and one from the middle of it. ``moving``: records were moved out of the status."""
    most, kept_back = (8, 3) if moving else (archive.MOVE_ABOVE, archive.KEEP)
    with mock.patch.multiple(archive, MOVE_ABOVE=most, KEEP=kept_back):
        kept = governed_story()
    assert kept.earlier is not None
    return kept, kept.dossier(), kept.earlier


def laid_hands_on(
    seed: int, count: int, *, keys: bool = True, anchor: bool = True, ways: Sequence[str] = tuple(WAYS)
) -> Tally:
    """Tamper with both stories."""
    tally = Tally()
    for moving in (False, True):
        kept, dossier, earlier = story(moving=moving)
        trust = kept.trust(keys=keys, anchor=anchor)
        trust = replace(trust, open=lru_cache(maxsize=10_000)(trust.open))
        tamperer = Tamperer(dossier, earlier, random.Random(seed + moving), STRANGER)
        tally.add(tamper(tamperer, trust, count // 2, ways))
    return tally


@pytest.mark.parametrize("moving", [False, True], ids=["short", "with-moved-records"])
@pytest.mark.parametrize("keys", [False, True], ids=["no-key", "key"])
@pytest.mark.parametrize("anchor", [False, True], ids=["no-anchor", "anchor"])
def test_nothing_is_found_in_what_nobody_touched(moving: bool, keys: bool, anchor: bool) -> None:
    kept, dossier, _ = story(moving=moving)
    found = verify(dossier, kept.trust(keys=keys, anchor=anchor))
    assert found.findings == ()
    assert found.notes == ()
    for proof, revision in zip(found.proofs, kept.cluster.revisions.values(), strict=True):
        last = revision.status.records[-1]
        assert proof.whole
        assert proof.records == last.sequence + 1
        assert proof.head.hash == last.hash
        assert (proof.signed, proof.anchored) == (last.sequence if keys else None, last.sequence if anchor else None)
    assert (kept.cluster.revisions["scorer-r2"].status.archived is not None) is moving


def test_a_step_that_is_not_the_last_one_taken_is_found() -> None:
    kept, dossier, _ = story(moving=False)
    objects = copy.deepcopy(dossier.objects)
    changed = next(item for item in objects if item["kind"] == "ModelRevision" and item["status"]["steps"])
    changed["status"]["step"] += 1
    found = verify(replace(dossier, objects=objects), kept.trust())
    assert any("the last of status.steps is another" in finding.message for finding in found.findings)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_tampering_is_found(way: str) -> None:
    tally = laid_hands_on(3, 10, ways=[way])
    assert tally.done == {way: 10}
    assert tally.missed == {}, tally.examples


@pytest.mark.no_cover
def test_every_one_of_many_tamperings_is_found() -> None:
    tally = Tally()
    with ProcessPoolExecutor(PROCESSES) as pool:
        parts = pool.map(laid_hands_on, range(0, 100 * PROCESSES, 100), [TAMPERINGS // PROCESSES] * PROCESSES)
        for part in parts:
            tally.add(part)
    print("\n" + "\n".join(f"{count:>6} {what}" for what, count in tally.done.most_common()))
    assert tally.missed == {}, tally.examples
    assert tally.done.total() == TAMPERINGS
    assert min(tally.done.values()) >= TAMPERINGS / 1000


UNNOTICED_WITHOUT_ANCHOR = {"a revision put back", "revisions removed", "a seal forged"}
UNNOTICED_WITHOUT_KEY_AND_ANCHOR = UNNOTICED_WITHOUT_ANCHOR | {"a history written anew without contradiction"}


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("keys", "anchor", "unnoticed"),
    [
        pytest.param(True, False, UNNOTICED_WITHOUT_ANCHOR, id="a-key-and-no-anchor"),
        pytest.param(False, False, UNNOTICED_WITHOUT_KEY_AND_ANCHOR, id="neither"),
    ],
)
def test_what_goes_unnoticed_without_an_anchor_is_what_the_documents_say(
    keys: bool, anchor: bool, unnoticed: set[str]
) -> None:
    tally = laid_hands_on(7, 600, keys=keys, anchor=anchor)
    assert tally.missed
    assert set(tally.missed) <= unnoticed, tally.examples


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("module", "check", "missed"),
    [
        pytest.param(chronicle, "_chain", "a record forged with its hash", id="the-chain"),
        pytest.param(chronicle, "_acts", "people's acts exchanged", id="what-people-did"),
        pytest.param(chronicle, "_bases", "a document removed", id="documents"),
        pytest.param(verification, "_unsealed", "the latest seal removed", id="seals"),
    ],
)
def test_a_check_that_is_left_out_is_missed(module: ModuleType, check: str, missed: str) -> None:
    with mock.patch.object(module, check, return_value=()):
        tally = laid_hands_on(9, 40, ways=[missed])
    assert missed in tally.missed
