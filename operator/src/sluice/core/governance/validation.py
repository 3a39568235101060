"""Validation (GOV-VAL): somebody else looked at the model, recently, and it was good enough."""

from __future__ import annotations

from sluice.api.base import format_duration, format_time
from sluice.api.evidence import ValidationReport
from sluice.api.governance import Assurance
from sluice.api.governancepolicy import Severity
from sluice.core.governance.checks import RELEASED, SERVED, differences, listed, reference, unread
from sluice.core.governance.control import (
    Control,
    Finding,
    Parameter,
    ParameterError,
    Parameters,
    error,
    failed,
    passed,
    skipped,
)
from sluice.core.governance.facts import Facts
from sluice.core.governance.parameters import duration, measured, number, switch, thresholds, unmet, words
from sluice.core.governance.people import developers, person

_NO_REPORT = "there is no validation report; the validator logs validation.json with the version or its run"


def _report(facts: Facts, values: Parameters) -> Finding:
    results = {word.casefold() for word in words(values, "results")}
    independent = switch(values, "independent")
    if facts.evidence is None:
        return unread(facts)
    report = facts.evidence.validation
    if report is None:
        return failed(_NO_REPORT)
    where = reference(report.source, report.digest)
    if facts.model is None:
        return failed("the model is not resolved yet, so the report may be about other files", where)
    if report.model_digest != facts.model.digest:
        about = report.model_digest or "no files in particular"
        return failed(
            f"the validation report is about {about}, and this model's files are {facts.model.digest}; it is validated "
            "anew, and the report names this digest as model_digest",
            where,
        )
    if report.result.strip().casefold() not in results:
        return failed(
            f"the validation's result is {report.result.strip() or 'not stated'}; it must be {listed(sorted(results))}",
            where,
        )
    if independent and (finding := _dependence(facts, report)):
        return finding
    return passed(f"validated by {report.validator or 'somebody'}", where)


def _dependence(facts: Facts, report: ValidationReport) -> Finding | None:
    """Why the validator may be one of the developers."""
    where = reference(report.source, report.digest)
    validator = report.validator.strip()
    if not validator:
        return failed("the validation report does not say who validated; its field validator must", where)
    developed = developers(facts)
    user = facts.identities.get(validator, "").strip()
    named = (
        {person(name) for name in (facts.evidence.registered_by, facts.evidence.trained_by)}
        if facts.evidence
        else set()
    )
    if person(validator) in named | developed.known or person(user) in developed.known:
        return failed(f"{validator} validated the model and developed it; somebody else must validate it", where)
    if developed.unsure:
        return error(f"it cannot be told whether {validator} developed the model: {developed.unsure}", where)
    if not user:
        return error(
            f"it cannot be told whether {validator} developed the model: the identity map does not have them; "
            "the platform "
            "team adds registry name: username",
            where,
        )
    return None


def _age(facts: Facts, values: Parameters) -> Finding:
    most, due_needed = duration(values, "maxAge"), switch(values, "nextDue")
    if facts.evidence is None:
        return unread(facts)
    report = facts.evidence.validation
    if report is None:
        return failed(_NO_REPORT)
    where = reference(report.source, report.digest)
    if report.performed_at is None:
        return failed("the validation report does not say when it was made; its field performed_at must", where)
    if report.performed_at > facts.now:
        return failed(f"the validation is dated {format_time(report.performed_at)}, which is yet to come", where)
    if facts.now - report.performed_at > most:
        return failed(
            f"it was validated at {format_time(report.performed_at)}, longer ago than {format_duration(most)}; it is "
            "validated anew",
            where,
        )
    if due_needed and report.next_due_at is None:
        return failed("the validation report does not say when the next is due; its field next_due_at must", where)
    if report.next_due_at is not None and report.next_due_at <= facts.now:
        return failed(f"the next validation was due at {format_time(report.next_due_at)}; it is validated anew", where)
    return passed(f"validated at {format_time(report.performed_at)}", where)


def _metrics(facts: Facts, values: Parameters) -> Finding:
    asked, fixed = thresholds(values, "metrics"), switch(values, "fixedBefore")
    if facts.evidence is None:
        return unread(facts)
    if outside := unmet(asked, facts.evidence.metrics):
        return failed(f"{listed(outside)}; the team mends the model and logs the metrics with its run")
    if fixed:
        trained = facts.evidence.run_started_at
        if trained is None:
            return failed("the registry does not say when the run began, so the limits may be younger than it")
        if facts.policies_since is None:
            return error("it is not known since when the policies stand, so the limits may be younger than the run")
        if facts.policies_since > trained:
            return failed(
                f"the policies were changed at {format_time(facts.policies_since)}, after the run began "
                f"({format_time(trained)}): limits must be fixed before the model is measured; train it again, "
                "or ask for "
                "an exception"
            )
    return passed(f"{listed([str(threshold) for threshold in asked])}")


def _schema(facts: Facts, values: Parameters) -> Finding:
    compatible = switch(values, "compatible")
    if facts.evidence is None:
        return unread(facts)
    if not facts.evidence.inputs or not facts.evidence.outputs:
        which = "inputs" if not facts.evidence.inputs else "outputs"
        return failed(
            f"the model's signature has no {which}; the team logs it with one (`mlflow.models.infer_signature`)"
        )
    if compatible and facts.stable is not None:
        theirs = facts.stable.model.signature
        if not theirs:
            return error(
                f"it cannot be told whether it takes the requests of {facts.stable.revision}, which has no signature; "
                "compare them by hand, and ask for an exception"
            )
        if found := differences(facts.evidence.inputs, theirs, both_ways=False):
            return failed(
                f"requests made for {facts.stable.revision} do not fit it: {listed(found)}; clients change "
                "first, or it "
                "becomes another ModelDeployment"
            )
    return passed(f"{len(facts.evidence.inputs)} inputs and {len(facts.evidence.outputs)} outputs")


def _champion(facts: Facts, values: Parameters) -> Finding:
    better, margin = _directions(values), number(values, "margin")
    if facts.stable is None:
        return skipped("nothing is in service yet to compare it with")
    if facts.evidence is None:
        return unread(facts)
    if facts.stable_evidence is None:
        return error(f"what the registry says of {facts.stable.revision}, in service, could not be read")
    found = []
    for metric, sign in better.items():
        mine = measured(facts.evidence.metrics.get(metric))
        theirs = measured(facts.stable_evidence.metrics.get(metric))
        if mine is None or theirs is None:
            which = "this version" if mine is None else facts.stable.revision
            found.append(f"{metric} of {which} is not recorded as a number")
        elif (theirs - mine) * sign > margin:
            found.append(f"{metric} is {mine:g}, and {theirs:g} in service")
    if found:
        return failed(f"{listed(found)}; the team logs the same metrics for both, and releases what is no worse")
    return passed(f"no worse than {facts.stable.revision} in {listed(list(better))}")


def _directions(values: Parameters) -> dict[str, int]:
    higher, lower = words(values, "higherIsBetter"), words(values, "lowerIsBetter")
    if not higher and not lower:
        raise ParameterError("higherIsBetter or lowerIsBetter must list at least one metric, such as auc")
    return dict.fromkeys(higher, 1) | dict.fromkeys(lower, -1)


CONTROLS = (
    Control(
        id="GOV-VAL-01",
        title="Somebody other than its developers validated exactly these files, and they passed",
        stages=RELEASED,
        severity=Severity.CRITICAL,
        assurance=Assurance.DECLARED,
        remedy="A validator logs validation.json with model_digest, result and validator; "
        "`kubectl get mrev NAME -o jsonpath={.spec.model.digest}` shows the digest.",
        check=_report,
        parameters={
            "results": Parameter("pass, passed", "Results that are good enough."),
            "independent": Parameter("true", "Whether the validator must be none of the developers."),
        },
    ),
    Control(
        id="GOV-VAL-02",
        title="The validation is recent, and the next one is not overdue",
        stages=SERVED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="A validator validates the model anew and logs validation.json with performed_at and next_due_at.",
        check=_age,
        parameters={
            "maxAge": Parameter("8760h", "How old the validation may be."),
            "nextDue": Parameter("true", "Whether the report must say when the next validation is due."),
        },
    ),
    Control(
        id="GOV-VAL-03",
        title="The metrics meet limits that were fixed before the model was made",
        stages=RELEASED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="The team mends the model; who changes limits does so before the next training.",
        check=_metrics,
        parameters={
            "metrics": Parameter("", "Limits such as `auc >= 0.8, brier <= 0.2`; needed."),
            "fixedBefore": Parameter("true", "Whether the policies must be older than the run."),
        },
    ),
    Control(
        id="GOV-VAL-04",
        title="The model has a signature, and takes the requests that the model in service takes",
        stages=RELEASED,
        severity=Severity.HIGH,
        assurance=Assurance.DERIVED,
        remedy="The team logs the model with a signature (`mlflow.models.infer_signature`).",
        check=_schema,
        parameters={"compatible": Parameter("true", "Whether it must take the requests of the model in service.")},
    ),
    Control(
        id="GOV-VAL-05",
        title="It is no worse than the model in service",
        stages=RELEASED,
        severity=Severity.MEDIUM,
        assurance=Assurance.DECLARED,
        remedy="The team logs the same metrics, on the same data, for both versions.",
        check=_champion,
        parameters={
            "higherIsBetter": Parameter(
                "", "Metrics of which more is better, such as `auc`; this or the other is needed."
            ),
            "lowerIsBetter": Parameter("", "Metrics of which less is better, such as `brier`."),
            "margin": Parameter("0", "How much worse is still no worse, in the metric's own unit."),
        },
    ),
)
