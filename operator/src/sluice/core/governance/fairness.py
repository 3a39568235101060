"""Fairness (GOV-FAIR): limits by group, features that must not be there, and reasons for those who are refused."""

from __future__ import annotations

from sluice.api.governance import Assurance
from sluice.api.governancepolicy import Severity
from sluice.core.governance.checks import RELEASED, listed, mentions, reference, unread
from sluice.core.governance.control import (
    Control,
    Finding,
    Parameter,
    ParameterError,
    Parameters,
    failed,
    passed,
    skipped,
)
from sluice.core.governance.facts import Facts
from sluice.core.governance.parameters import integer, measured, thresholds, unmet, words

_CONCERNED = {
    "useCases": Parameter(
        "credit, lending, loan, mortgage, insurance",
        "It concerns use cases with one of these words in them; one that is not stated is concerned. * for all.",
    ),
    "jurisdictions": Parameter("", "It concerns deployments that state one of these, too, such as EU."),
}


def _unconcerned(facts: Facts, values: Parameters) -> str:
    """Why it does not concern this release; empty if it does."""
    use_case = (facts.stated.use_case or "").strip()
    words_ = words(values, "useCases")
    wanted = {name.casefold() for name in words(values, "jurisdictions")}
    if not use_case or "*" in words_ or any(mentions(use_case, word) for word in words_):
        return ""
    if wanted & {name.casefold() for name in facts.stated.jurisdictions}:
        return ""
    return f"the use case {use_case} is none of {listed(words_, 8)}, and no jurisdiction asks for it"


def _groups(facts: Facts, values: Parameters) -> Finding:
    if why := _unconcerned(facts, values):
        return skipped(why)
    asked, least = thresholds(values, "metrics"), integer(values, "minSamples")
    if facts.evidence is None:
        return unread(facts)
    metrics = facts.evidence.metrics
    samples = measured(metrics.get(values["samplesMetric"]))
    if samples is None or samples < least:
        said = f"{samples:g}" if samples is not None else "not recorded"
        return failed(
            f"the smallest group's size, metric {values['samplesMetric']}, is {said}, and must be at least "
            f"{least}; the "
            "team evaluates on more data and logs it"
        )
    if outside := unmet(asked, metrics):
        return failed(f"{listed(outside)}; the team mends the model, or model risk decides on an exception")
    return passed(f"{listed([str(threshold) for threshold in asked])}, with at least {samples:g} in each group")


def _features(facts: Facts, values: Parameters) -> Finding:
    prohibited = words(values, "features")
    if not prohibited:
        raise ParameterError("features must list at least one, such as sex")
    if facts.evidence is None:
        return unread(facts)
    if not facts.evidence.inputs:
        return failed(
            "the model has no signature, so its features are not known; the team logs it with one "
            "(`mlflow.models.infer_signature`)"
        )
    names = [column.name for column in facts.evidence.inputs]
    if found := [name for name in names if any(mentions(name, word) for word in prohibited)]:
        return failed(f"it takes {listed(found)}; the team trains it without, or renames what is no such feature")
    return passed(f"none of {len(names)} inputs is named like a prohibited feature")


def _reasons(facts: Facts, values: Parameters) -> Finding:
    if why := _unconcerned(facts, values):
        return skipped(why)
    if facts.evidence is None:
        return unread(facts)
    if facts.evidence.reasons_digest is None:
        return failed(
            "nothing says which reasons a refusal is given; the team logs reason_codes.json, or an explainer, "
            "with this "
            "version"
        )
    return passed("reasons come with this version", reference("reason codes", facts.evidence.reasons_digest))


CONTROLS = (
    Control(
        id="GOV-FAIR-01",
        title="Fairness metrics are within their limits, and every group is large enough to tell",
        stages=RELEASED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="The team evaluates by group and logs the metrics with the run.",
        check=_groups,
        parameters={
            "metrics": Parameter("", "Limits such as `selection_rate_ratio_sex >= 0.8`, with commas; needed."),
            "samplesMetric": Parameter("fairness_min_samples", "The metric that holds the smallest group's size."),
            "minSamples": Parameter("1000", "The least size of the smallest group."),
            **_CONCERNED,
        },
    ),
    Control(
        id="GOV-FAIR-02",
        title="No input is named like a prohibited feature",
        stages=RELEASED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="The team trains the model without it.",
        check=_features,
        parameters={
            "features": Parameter(
                "sex, gender, race, color, colour, ethnicity, religion, national origin, nationality, marital status",
                "Words that no input's name may have in it.",
            )
        },
    ),
    Control(
        id="GOV-FAIR-03",
        title="What adverse-action reasons come from is bound to this version",
        stages=RELEASED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="The team logs reason_codes.json, or an explainer, as an artifact of the version.",
        check=_reasons,
        parameters=dict(_CONCERNED),
    ),
)
