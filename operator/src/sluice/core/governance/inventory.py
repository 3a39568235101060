"""Inventory (GOV-INV): the model is known, rated and somebody's."""

from __future__ import annotations

from sluice.api.governance import Assurance
from sluice.api.governancepolicy import RiskTier, Severity
from sluice.core.governance.checks import (
    ADMITTED,
    INVENTORY_TAG,
    RUNNING,
    TIER_TAG,
    is_any,
    listed,
    unread,
)
from sluice.core.governance.control import (
    Control,
    Finding,
    Parameter,
    ParameterError,
    Parameters,
    error,
    failed,
    passed,
)
from sluice.core.governance.facts import Facts, Stage
from sluice.core.governance.parameters import words
from sluice.core.governance.people import developers

_TIERS = (RiskTier.LOW, RiskTier.MEDIUM, RiskTier.HIGH)


def _inventory_id(facts: Facts, values: Parameters) -> Finding:
    given = (facts.stated.inventory_id or "").strip()
    patterns = words(values, "patterns")
    if not given:
        return failed("no inventory id is stated; the team sets spec.governance.inventoryId")
    if not is_any(given, patterns):
        return failed(
            f"{given} is not an id of the inventory ({listed(patterns)}); the team corrects spec.governance.inventoryId"
        )
    if facts.inventory_elsewhere:
        return failed(
            f"{given} is also stated by {listed(facts.inventory_elsewhere)}; one of them corrects "
            "spec.governance.inventoryId, or the inventory gets an entry for each"
        )
    if facts.stage is not Stage.ADMISSION:
        if facts.evidence is None:
            return unread(facts)
        tag = facts.evidence.tags.get(INVENTORY_TAG, given).strip()
        if tag != given:
            return failed(
                f"the registry says {tag} ({INVENTORY_TAG}) and the spec {given}; the team corrects the wrong one"
            )
    return passed(f"inventory id {given}")


def _tier(facts: Facts, values: Parameters) -> Finding:
    allowed = words(values, "allowed")
    if not allowed or set(allowed) - set(_TIERS):
        raise ParameterError(f"allowed: must list some of {', '.join(_TIERS)}")
    tier = facts.stated.risk_tier
    if tier is None:
        return failed(f"no risk tier is stated; the team sets spec.governance.riskTier to one of {', '.join(allowed)}")
    if tier not in allowed:
        return failed(f"risk tier {tier} is not allowed here; allowed are {', '.join(allowed)}")
    if facts.stage is not Stage.ADMISSION:
        if facts.evidence is None:
            return unread(facts)
        tag = facts.evidence.tags.get(TIER_TAG)
        if tag is not None:
            rated = next((known for known in _TIERS if known.casefold() == tag.strip().casefold()), None)
            if rated is None:
                return error(f"the registry's tag {TIER_TAG} is {tag!r}; model risk sets it to {', '.join(_TIERS)}")
            if _TIERS.index(tier) < _TIERS.index(rated):
                return failed(
                    f"the stated tier {tier} is below {rated}, which the registry has ({TIER_TAG}); the team sets "
                    f"spec.governance.riskTier to {rated}"
                )
    return passed(f"risk tier {tier}")


def _named(facts: Facts, _: Parameters) -> Finding:
    stated = facts.stated
    fields = {"owner": stated.owner, "useCase": stated.use_case}
    if lacking := [f"spec.governance.{name}" for name, value in fields.items() if not (value or "").strip()]:
        return failed(f"{' and '.join(lacking)} is not stated; the team sets it")
    if facts.stage is Stage.ADMISSION:
        return passed(f"{stated.owner} answers for it")
    developed = developers(facts)
    if facts.evidence is None:
        return unread(facts)
    if developed.unmapped:
        return error(developed.unsure)
    if developed.problem:
        return failed(developed.problem)
    return passed(f"{stated.owner} answers for it; developed by {listed(sorted(developed.known))}")


def _shadows(facts: Facts, values: Parameters) -> Finding:
    allowed = words(values, "allowed")
    found = [name for name in facts.unmanaged if not is_any(name, allowed)]
    if found:
        return failed(
            f"InferenceService {listed(found)} in {facts.namespace} belongs to no ModelDeployment; its owner brings it "
            f"under one or deletes it (`kubectl get inferenceservices -n {facts.namespace}`)"
        )
    return passed(f"every InferenceService in {facts.namespace} belongs to a ModelDeployment, or is allowed for")


CONTROLS = (
    Control(
        id="GOV-INV-01",
        title="The model has an id in the inventory, and no other deployment uses it",
        stages=ADMITTED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="The team sets spec.governance.inventoryId to the id that the model inventory gave the model.",
        check=_inventory_id,
        parameters={
            "patterns": Parameter(
                "*", "What an id looks like, with * for anything, such as `MRM-*`; several with commas."
            )
        },
    ),
    Control(
        id="GOV-INV-02",
        title="The risk tier is stated, allowed, and not below the registry's",
        stages=ADMITTED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy=f"The team sets spec.governance.riskTier; model risk sets the tag `{TIER_TAG}` in MLflow.",
        check=_tier,
        parameters={"allowed": Parameter("Low, Medium, High", "The tiers that may be released.")},
    ),
    Control(
        id="GOV-INV-03",
        title="Owner, developers and use case are named, and each developer is a known user",
        stages=ADMITTED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="The team sets owner, useCase and developers in spec.governance; the platform team adds registry "
        "names to "
        "the identity map.",
        check=_named,
        parameters={},
    ),
    Control(
        id="GOV-INV-04",
        title="No InferenceService in the namespace is outside of Sluice",
        stages=RUNNING,
        severity=Severity.MEDIUM,
        assurance=Assurance.DERIVED,
        remedy="Its owner brings it under a ModelDeployment or deletes it (`kubectl get inferenceservices -n "
        "NAMESPACE`).",
        check=_shadows,
        parameters={"allowed": Parameter("", "Names that may be there, with * for anything.")},
    ),
)
