"""Checks: what several controls ask alike."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from sluice.api.governance import EvidenceReference
from sluice.api.modelrevision import Column
from sluice.core.governance.control import Finding, error
from sluice.core.governance.facts import Facts, Stage

ADMITTED = frozenset({Stage.ADMISSION, Stage.ROLLOUT})
"""What the object alone shows is asked when it is applied, and again before its release: policies may be newer."""
RELEASED = frozenset({Stage.ROLLOUT})
SERVED = frozenset({Stage.ROLLOUT, Stage.CONTINUOUS})
RUNNING = frozenset({Stage.CONTINUOUS})
ALWAYS = frozenset(Stage)

INVENTORY_TAG = "sluice.inventory.id"
TIER_TAG = "sluice.risk.tier"
LICENSE_TAG = "sluice.license"
VENDOR_TAG = "sluice.vendor"
VENDOR_REVIEW_TAG = "sluice.vendor.review"
REFERENCE_TAG = "sluice.reference.digest"

TAGS = {
    INVENTORY_TAG: "GOV-INV-01: the model's id in the inventory; must be that of spec.governance.inventoryId",
    TIER_TAG: "GOV-INV-02: the registry's risk tier, below which the stated one must not be",
    LICENSE_TAG: "GOV-DOC-04: the model's licence, such as Apache-2.0",
    VENDOR_TAG: "GOV-DOC-04: who made the model, if not this bank",
    VENDOR_REVIEW_TAG: "GOV-DOC-04: the ticket of the review of a model made elsewhere",
    REFERENCE_TAG: "GOV-DAT-03: sha256:<hex> of the training reference, where that is what is compared with",
}
"""Tags of the model version that controls read, beside those that the evidence itself consists of."""


def unread(facts: Facts) -> Finding:
    """The registry was not read."""
    why = facts.evidence_problem or "it was not read yet"
    return error(
        f"what the registry says of this version could not be read: {why}; it is asked again by itself, and if it "
        "stays so, the platform team looks after MLflow"
    )


def started(facts: Facts) -> bool:
    """Whether its workload was ever asked for: from then on its data must be there."""
    return facts.started or facts.stage is Stage.CONTINUOUS


def taking_traffic(facts: Facts) -> bool:
    """Whether it was ever given a step, live or shadow."""
    return facts.stepped or facts.stage is Stage.CONTINUOUS


def plain(text: str) -> str:
    """Words in lower case with single spaces: ``Card-fraud_Detection`` and ``cardFraud detection`` are alike."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return " ".join(re.findall(r"\w+", spaced.casefold().replace("_", " ")))


def mentions(text: str, phrase: str) -> bool:
    """Whether the phrase's words are in the text, one after another."""
    return bool(plain(phrase)) and f" {plain(phrase)} " in f" {plain(text)} "


def names(item: str, phrase: str) -> bool:
    """Whether an item of a list is the phrase, or the phrase and an explanation after a mark such as a colon."""
    return bool(plain(phrase)) and plain(re.split(r"[:;,.(]| [-–—] ", item, maxsplit=1)[0]) == plain(phrase)


def is_any(text: str, patterns: Iterable[str]) -> bool:
    """Whether a text is one of the patterns, in which ``*`` stands for anything."""
    return any(fnmatchcase(text, pattern) for pattern in patterns)


def listed(items: Sequence[str], most: int = 5) -> str:
    """Items with commas, the last of many left out."""
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest} more" if rest > 0 else "")


def differences(mine: Sequence[Column], theirs: Sequence[Column], *, both_ways: bool) -> tuple[str, ...]:
    """How columns differ: those that only one side has, and those of another type."""
    mine_by, theirs_by = ({column.name: column.type for column in side} for side in (mine, theirs))
    found = [f"{name} is new" for name in mine_by if name not in theirs_by]
    if both_ways:
        found += [f"{name} is gone" for name in theirs_by if name not in mine_by]
    found += [
        f"{name} is {type_} and was {theirs_by[name]}"
        for name, type_ in mine_by.items()
        if name in theirs_by and theirs_by[name] != type_
    ]
    return tuple(found)


def reference(name: str, digest: str | None = None) -> EvidenceReference:
    """Where something can be found."""
    return EvidenceReference(name=name[:256], digest=digest)
