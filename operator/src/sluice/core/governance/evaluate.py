"""Evaluate: what all controls of the policies say of a release, with what is waived."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sluice.api.base import format_time
from sluice.api.governance import Assurance, ControlResult, ControlVerdict
from sluice.api.governanceexception import MAX_DAYS
from sluice.api.governancepolicy import Mode, RiskTier, Severity
from sluice.core import reasons
from sluice.core.governance.catalogue import CATALOGUE
from sluice.core.governance.control import Control, Finding, error
from sluice.core.governance.facts import Facts, Policy, Waiver
from sluice.core.governance.people import Developers, dependent, developers, unguarded
from sluice.core.governance.policy import MergedControl, merged_controls

SEVERITIES = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)
"""Worst first."""
_WORST_FIRST = (
    ControlVerdict.FAIL,
    ControlVerdict.ERROR,
    ControlVerdict.WAIVED,
    ControlVerdict.SKIPPED,
    ControlVerdict.PASS,
)
_STEPS_DOWN = {None: 0, RiskTier.HIGH: 0, RiskTier.MEDIUM: 1, RiskTier.LOW: 2}
_UNWAIVABLE = ("GOV-APP-", "GOV-AUD-")


def evaluate(
    facts: Facts, policies: Sequence[Policy], custom: Iterable[ControlResult] = ()
) -> tuple[ControlResult, ...]:
    """Every control that the policies name and that is asked at this stage, by id, then the results of custom rules.

    A control that does not pass is shown as Waived where an exception is in force; it was evaluated all the same.
    """
    waived = _Waivers(facts)
    results = [_result(facts, asked) for asked in merged_controls(policies) if _is_asked(facts, asked)]
    return tuple(waived.over(result) for result in [*results, *custom])


def blocking(results: Iterable[ControlResult]) -> tuple[ControlResult, ...]:
    """The enforced results that fail or could not be told: worst severity first, then failures, then by id."""
    held = (
        result
        for result in results
        if result.mode is Mode.ENFORCE and result.verdict in (ControlVerdict.FAIL, ControlVerdict.ERROR)
    )
    return tuple(
        sorted(
            held,
            key=lambda result: (
                SEVERITIES.index(result.severity),
                result.verdict is not ControlVerdict.FAIL,
                result.id,
            ),
        )
    )


def severity_for(severity: Severity, tier: RiskTier | None) -> Severity:
    """The catalogue's severity is that of tier High, and of one that is not stated; each lower tier is a step less."""
    return SEVERITIES[min(SEVERITIES.index(severity) + _STEPS_DOWN[tier], len(SEVERITIES) - 1)]


@dataclass(frozen=True)
class Refused:
    """Why an exception waives nothing: one of ``reasons``, and in a sentence, with what to do."""

    reason: str
    message: str


def refused(facts: Facts, waiver: Waiver, developed: Developers | None = None) -> Refused | None:
    """Why an exception waives nothing of a release; None if it is in force."""
    spec, model = waiver.spec, facts.model
    subject = (spec.subject.model, spec.subject.version, spec.subject.digest)
    if (spec.target.deployment, spec.target.uid) != (facts.deployment, facts.uid):
        why = f"it is for another ModelDeployment (uid {spec.target.uid}); make one for uid {facts.uid}"
        return Refused(reasons.OTHER_TARGET, why)
    if spec.control.startswith(_UNWAIVABLE):
        return Refused(reasons.NOT_WAIVABLE, f"{spec.control} cannot be waived; get the approval, or mend the record")
    if model is None:
        why = "the model is not resolved yet, so it cannot be told whether it is the one waived for"
        return Refused(reasons.MODEL_RESOLVING, why)
    if subject != (model.name, model.version, model.digest):
        why = f"it is for {spec.subject.model} {spec.subject.version}, {spec.subject.digest}; make one for this model"
        return Refused(reasons.OTHER_MODEL, why)
    if facts.now >= spec.expires_at:
        why = f"it expired at {format_time(spec.expires_at)}; mend what it waives, or have it made anew"
        return Refused(reasons.DECISION_EXPIRED, why)
    if (spec.expires_at - waiver.created_at).total_seconds() > MAX_DAYS * 86400:
        return Refused(reasons.LASTS_TOO_LONG, f"it lasts longer than {MAX_DAYS} days; make a shorter one")
    if not spec.reason.strip() or not spec.ticket.strip():
        return Refused(reasons.NOT_JUSTIFIED, "it has no reason or no ticket; make one with both")
    if why := unguarded(facts, waiver.created_at):
        return Refused(reasons.NOT_GUARDED, f"nothing proves that {spec.approver.username} made it: {why}")
    if why := dependent(facts, spec.approver.username, developed or developers(facts)):
        return Refused(reasons.NOT_INDEPENDENT, why)
    return None


def _is_asked(facts: Facts, asked: MergedControl) -> bool:
    control = CATALOGUE.get(asked.id)
    return control is None or facts.stage in control.stages


def _result(facts: Facts, asked: MergedControl) -> ControlResult:
    control = CATALOGUE.get(asked.id)
    if control is None:
        finding = error(
            f"a policy names {asked.id}, which is not in the catalogue of this version "
            "(docs/reference/controls.md); whoever "
            "writes policies corrects it"
        )
        return _told(facts, asked, finding, Severity.HIGH, None)
    findings = [control.find(facts, parameters) for parameters in asked.variants]
    worst = min(findings, key=lambda finding: _WORST_FIRST.index(finding.verdict))
    return _told(facts, asked, worst, control.severity, control)


def _told(
    facts: Facts, asked: MergedControl, finding: Finding, severity: Severity, control: Control | None
) -> ControlResult:
    assurance = finding.assurance or (control.assurance if control else None)
    return ControlResult(
        id=asked.id,
        verdict=finding.verdict,
        mode=asked.mode,
        severity=severity_for(severity, facts.stated.risk_tier),
        assurance=assurance or Assurance.DERIVED,
        message=finding.message[:1024],
        evidence=list(finding.evidence[:8]),
    )


class _Waivers:
    """The exceptions in force, worked out once, and only if something does not pass."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._in_force: dict[str, str] | None = None

    def over(self, result: ControlResult) -> ControlResult:
        """The result, Waived where it does not pass and an exception says that this is acceptable."""
        if result.verdict not in (ControlVerdict.FAIL, ControlVerdict.ERROR) or result.id.startswith(_UNWAIVABLE):
            return result
        name = self._names().get(result.id)
        if name is None:
            return result
        return result.model_copy(update={"verdict": ControlVerdict.WAIVED, "waiver": name})

    def _names(self) -> dict[str, str]:
        if self._in_force is None:
            developed = developers(self._facts)
            # Of several the one that lasts longest is named.
            waivers = sorted(self._facts.waivers, key=lambda waiver: (waiver.spec.expires_at, waiver.name))
            found = (waiver for waiver in waivers if refused(self._facts, waiver, developed) is None)
            self._in_force = {waiver.spec.control: waiver.name for waiver in found}
        return self._in_force
