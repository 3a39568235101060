"""Monitoring (GOV-MON): it is watched, the gauges answer, and somebody is told."""

from __future__ import annotations

from datetime import timedelta

from sluice.api.base import format_duration
from sluice.api.governance import Assurance
from sluice.api.governancepolicy import Severity
from sluice.api.modeldeployment import MonitorMode
from sluice.api.modelmonitor import Drift
from sluice.api.verdict import Verdict
from sluice.core import reasons
from sluice.core.governance.checks import ADMITTED, ALWAYS, RUNNING, SERVED, listed, taking_traffic
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
from sluice.core.governance.facts import Facts, Gauge, Stage
from sluice.core.governance.parameters import duration, integer, measured, number, words

_ANSWERED = (reasons.TOO_FEW_SAMPLES, reasons.WINDOW_NOT_FULL, reasons.NO_STABLE_DATA)
"""Why a gauge that has data may still be inconclusive."""


def _unknown(facts: Facts) -> list[str]:
    return [gauge.use.name for gauge in facts.gauges if gauge.definition is None]


def _undefined(names: list[str]) -> Finding:
    return error(
        f"monitor {listed(names)} does not exist, so it cannot be told what it is; create it or correct spec.monitors "
        "(`kubectl get mmon,cmmon`)"
    )


def _drift(facts: Facts, values: Parameters) -> Finding:
    subjects, alpha, effect = words(values, "subjects"), number(values, "maxAlpha"), number(values, "maxMinEffect")
    if set(subjects) - {"Prediction", "Inputs"} or not subjects:
        raise ParameterError("subjects: must list Prediction, Inputs or both")
    gates = [gauge for gauge in facts.gauges if gauge.use.mode is MonitorMode.GATE]
    for subject in subjects:
        drifts = {g.use.name: g.definition.drift for g in gates if g.definition and g.definition.drift}
        found = {name: drift for name, drift in drifts.items() if drift.subject == subject}
        if not found:
            if unknown := _unknown(facts):
                return _undefined(unknown)
            return failed(
                f"no gate compares {subject.lower()} drift; the team adds a monitor such as prediction-drift to "
                "spec.monitors, "
                "with mode Gate (`kubectl get cmmon`)"
            )
        if not any(_sensitive(drift, alpha, effect) for drift in found.values()):
            return failed(
                f"{listed(list(found))} notices too little: alpha must be at most "
                f"{alpha:g} and "
                f"minEffect at most {effect:g}; the platform team changes the monitor, or the team uses another"
            )
    return passed(f"{listed(list(subjects))} drift is a gate")


def _sensitive(drift: Drift, alpha: float, effect: float) -> bool:
    stated, least = measured(drift.alpha), measured(drift.min_effect)
    return stated is not None and least is not None and stated <= alpha and least <= effect


def _levels(facts: Facts, values: Parameters) -> Finding:
    least = integer(values, "minGates")
    gates = [
        gauge
        for gauge in facts.gauges
        if gauge.use.mode is MonitorMode.GATE and gauge.definition is not None and gauge.definition.slo is not None
    ]
    if not gates or len(gates) < least:
        if unknown := _unknown(facts):
            return _undefined(unknown)
        return failed(
            f"{len(gates)} service levels are gates, and {max(least, 1)} must be; the team adds a monitor such "
            "as error-rate "
            "to spec.monitors (`kubectl get cmmon`)"
        )
    if not taking_traffic(facts):
        return passed(
            f"{listed([gauge.use.name for gauge in gates])} will be read at each step", assurance=Assurance.DECLARED
        )
    asked = [gauge for gauge in gates if facts.stable is not None or not _only_compares(gauge)]
    if not asked:
        return skipped("its service levels only compare, and nothing is in service yet to compare with")
    if unanswered := [g.use.name for g in asked if g.result is not None and g.result.verdict is Verdict.ERROR]:
        return error(f"{listed(unanswered)} could not be asked; the platform team looks after Prometheus")
    if silent := [gauge.use.name for gauge in asked if not _has_data(gauge)]:
        return failed(
            f"{listed(silent)} has no data; see that requests arrive and that Prometheus scrapes the gateway "
            "and the model "
            "(docs/troubleshooting.md, NoData)"
        )
    return passed(f"{listed([gauge.use.name for gauge in asked])} has data")


def _only_compares(gauge: Gauge) -> bool:
    return gauge.definition is not None and gauge.definition.slo is not None and gauge.definition.slo.limits is None


def _has_data(gauge: Gauge) -> bool:
    result = gauge.result
    if result is None:
        return False
    return result.verdict in (Verdict.PASS, Verdict.FAIL) or (
        result.verdict is Verdict.INCONCLUSIVE and result.reason in _ANSWERED
    )


def _fresh(facts: Facts, values: Parameters) -> Finding:
    most = duration(values, "maxAge")
    if unknown := _unknown(facts):
        return _undefined(unknown)
    gauges = [gauge for gauge in facts.gauges if gauge.definition and (gauge.definition.slo or gauge.definition.drift)]
    if not gauges:
        return failed("no service level and no drift is measured; the team adds monitors to spec.monitors")
    late = []
    for gauge in gauges:
        measured_at = gauge.result.observed_at if gauge.result is not None else None
        if measured_at is None:
            late.append(f"{gauge.use.name} never spoke")
        elif facts.now - measured_at > most:
            age = facts.now - measured_at
            late.append(f"{gauge.use.name} spoke {format_duration(timedelta(seconds=int(age.total_seconds())))} ago")
    if late:
        return failed(
            f"{listed(late)}, {format_duration(most)} are allowed; see that requests arrive, and that Prometheus and "
            "sluice-monitor answer"
        )
    return passed(f"{listed([gauge.use.name for gauge in gauges])} spoke within {format_duration(most)}")


def _logged(facts: Facts, values: Parameters) -> Finding:
    least = duration(values, "minRetention")
    kept = facts.stated.log_retention
    if kept is None:
        return failed(
            "it is not stated how long requests and answers are kept; the team sets spec.governance.logRetention"
        )
    if kept < least:
        return failed(
            f"requests and answers are kept for {format_duration(kept)}, and must be for "
            f"{format_duration(least)}; the team "
            "sees to it that they are, and sets spec.governance.logRetention"
        )
    if facts.stage is not Stage.ADMISSION and not facts.logging:
        return failed(
            "requests and answers are not logged; the platform team enables sluice-monitor in the chart's values"
        )
    return passed(f"requests and answers are logged, and said to be kept for {format_duration(kept)}")


def _escalated(facts: Facts, _: Parameters) -> Finding:
    fields = {"owner": facts.stated.owner, "escalation": facts.stated.escalation}
    if lacking := [f"spec.governance.{name}" for name, value in fields.items() if not (value or "").strip()]:
        return failed(f"{' and '.join(lacking)} is not stated: who is told when a gauge fails; the team sets it")
    return passed(f"{facts.stated.escalation} is told, and {facts.stated.owner} answers for it")


CONTROLS = (
    Control(
        id="GOV-MON-01",
        title="Drift is a gate of the release, and notices what matters",
        stages=ADMITTED,
        severity=Severity.HIGH,
        assurance=Assurance.DERIVED,
        remedy="The team adds a drift monitor such as prediction-drift to spec.monitors, with mode Gate.",
        check=_drift,
        parameters={
            "subjects": Parameter("Prediction", "What must be compared: Prediction, Inputs or both."),
            "maxAlpha": Parameter("0.05", "The largest false-alarm budget."),
            "maxMinEffect": Parameter("0.3", "The largest effect that may go unnoticed."),
        },
    ),
    Control(
        id="GOV-MON-02",
        title="Service levels are gates of the release, and have data",
        stages=SERVED,
        severity=Severity.HIGH,
        assurance=Assurance.DERIVED,
        remedy="The team adds a monitor such as error-rate; the platform team sees to it that Prometheus has "
        "its series.",
        check=_levels,
        parameters={"minGates": Parameter("1", "How many service levels must be gates, at least.")},
    ),
    Control(
        id="GOV-MON-03",
        title="Every gauge has spoken of late",
        stages=RUNNING,
        severity=Severity.HIGH,
        assurance=Assurance.DERIVED,
        remedy="The platform team looks after Prometheus and sluice-monitor; the team sees that requests arrive.",
        check=_fresh,
        parameters={"maxAge": Parameter("1h", "How old the last answer of a gauge may be.")},
    ),
    Control(
        id="GOV-MON-04",
        title="Requests and answers are logged, and kept for long enough",
        stages=ALWAYS,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy="The platform team enables sluice-monitor; the team keeps its data and sets "
        "spec.governance.logRetention.",
        check=_logged,
        parameters={"minRetention": Parameter("4416h", "How long they must be kept; 4416h are 184 days, six months.")},
    ),
    Control(
        id="GOV-MON-05",
        title="It is said who is told when a gauge fails",
        stages=ALWAYS,
        severity=Severity.MEDIUM,
        assurance=Assurance.DECLARED,
        remedy="The team sets owner and escalation in spec.governance.",
        check=_escalated,
        parameters={},
    ),
)
