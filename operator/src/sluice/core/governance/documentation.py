"""Documentation (GOV-DOC): what the model is for, what it is not for, and whose it is."""

from __future__ import annotations

from sluice.api.governance import Assurance
from sluice.api.governancepolicy import Severity
from sluice.core.governance.checks import (
    ADMITTED,
    LICENSE_TAG,
    RELEASED,
    VENDOR_REVIEW_TAG,
    VENDOR_TAG,
    listed,
    mentions,
    names,
    reference,
    unread,
)
from sluice.core.governance.control import Control, Finding, Parameter, ParameterError, Parameters, failed, passed
from sluice.core.governance.facts import Facts, Stage
from sluice.core.governance.parameters import words

_NO_CARD = (
    "there is no model card; the team logs MODEL_CARD.md with the version, or writes it into the version's description"
)


def _sections(facts: Facts, values: Parameters) -> Finding:
    asked = words(values, "sections")
    if not asked:
        raise ParameterError("sections must list at least one, such as limitations")
    if facts.evidence is None:
        return unread(facts)
    card = facts.evidence.card
    if card is None:
        return failed(_NO_CARD)
    where = reference(card.source, card.digest)
    if lacking := [section for section in asked if not any(mentions(heading, section) for heading in card.sections)]:
        return failed(
            f"the model card ({card.source}) has nothing under the heading {listed(lacking)}; the team writes it", where
        )
    return passed(f"the model card has {listed(asked)}", where)


def _intended(facts: Facts, _: Parameters) -> Finding:
    use_case = (facts.stated.use_case or "").strip()
    if not use_case:
        return failed("no use case is stated; the team sets spec.governance.useCase")
    if facts.stage is Stage.ADMISSION:
        return passed(f"use case {use_case}; the model card is read before the release")
    if facts.evidence is None:
        return unread(facts)
    card = facts.evidence.card
    if card is None:
        return failed(_NO_CARD)
    where = reference(card.source, card.digest)
    for title, uses in (("intended use", card.intended_uses), ("prohibited use", card.prohibited_uses)):
        if not uses:
            return failed(
                f"the model card lists no {title}; the team writes a list under a heading of that name", where
            )
    if prohibited := [use for use in card.prohibited_uses if mentions(use, use_case)]:
        return failed(
            f"the model card prohibits {use_case}: {prohibited[0]}; use another model, or review the card", where
        )
    if not any(names(use, use_case) for use in card.intended_uses):
        return failed(
            f"{use_case} is not among the intended uses ({listed(card.intended_uses)}); the team corrects "
            "spec.governance.useCase, or has the model's use reviewed and added to the card",
            where,
        )
    return passed(f"{use_case} is an intended use", where)


def _licence(facts: Facts, values: Parameters) -> Finding:
    allowed = words(values, "allowed")
    if facts.evidence is None:
        return unread(facts)
    tags = facts.evidence.tags
    licence = tags.get(LICENSE_TAG, "").strip()
    if not licence:
        return failed(f"no licence is recorded; the team sets the tag {LICENSE_TAG} on the version in MLflow")
    if licence.casefold() not in {name.casefold() for name in allowed}:
        return failed(f"licence {licence} is not allowed ({listed(allowed) or 'none is'}); ask for a review of it")
    vendor = tags.get(VENDOR_TAG, "").strip()
    if vendor and not tags.get(VENDOR_REVIEW_TAG, "").strip():
        return failed(
            f"the model was made by {vendor} and its review is not recorded; the team sets the tag {VENDOR_REVIEW_TAG} "
            "to the review's ticket"
        )
    return passed(f"licence {licence}" + (f"; made by {vendor}, reviewed" if vendor else ""))


CONTROLS = (
    Control(
        id="GOV-DOC-01",
        title="There is a model card with the sections that are asked for",
        stages=RELEASED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="The team logs MODEL_CARD.md as an artifact of the version, with something under each heading.",
        check=_sections,
        parameters={
            "sections": Parameter("intended use, limitations", "Words that a heading must have, one heading for each.")
        },
    ),
    Control(
        id="GOV-DOC-02",
        title="The use case is among the intended uses of the model card, and not prohibited by it",
        stages=ADMITTED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="The team sets spec.governance.useCase to an intended use, or has the new use reviewed and the "
        "card changed.",
        check=_intended,
        parameters={},
    ),
    Control(
        id="GOV-DOC-03",
        title="The model card says where the model is limited, and who oversees it",
        stages=RELEASED,
        severity=Severity.MEDIUM,
        assurance=Assurance.DECLARED,
        remedy="The team writes the sections into MODEL_CARD.md.",
        check=_sections,
        parameters={
            "sections": Parameter("limitations, oversight", "Words that a heading must have, one heading for each.")
        },
    ),
    Control(
        id="GOV-DOC-04",
        title="The licence is allowed, and a model made elsewhere was reviewed",
        stages=RELEASED,
        severity=Severity.MEDIUM,
        assurance=Assurance.DECLARED,
        remedy=f"The team sets the tags `{LICENSE_TAG}` and, for a model made elsewhere, `{VENDOR_TAG}` and "
        f"`{VENDOR_REVIEW_TAG}` in MLflow.",
        check=_licence,
        parameters={
            "allowed": Parameter("Internal, Apache-2.0, MIT, BSD-3-Clause", "Licences that need no further review.")
        },
    ),
)
