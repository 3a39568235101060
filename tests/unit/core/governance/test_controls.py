"""Every control: when it passes, when it does not, and that what nobody knows is never a pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sluice.api.evidence import Dataset, ModelSignature, SignatureState
from sluice.api.governance import ControlVerdict
from sluice.api.governancepolicy import RiskTier
from sluice.api.modeldecision import Action
from sluice.api.modeldeployment import OnDeadline, Rollout, Step
from sluice.api.modelrevision import Column
from sluice.api.verdict import Verdict
from sluice.core import reasons
from sluice.core.governance.catalogue import CATALOGUE
from sluice.core.governance.facts import Facts, Guard, Stage
from tests.unit.core.governance.examples import (
    APPROVED,
    COMPARED,
    DAY,
    DRIFT,
    ERRORS,
    EVIDENCE,
    HEALTH,
    MODEL,
    NOW,
    OTHER,
    OWNER,
    RECORDS,
    STABLE_EVIDENCE,
    VALIDATOR,
    conditions,
    decision,
    evidence,
    facts,
    observed,
    revoke,
    said,
    stated,
    tags,
    waiver,
)

PASS, FAIL, ERROR, SKIPPED = ControlVerdict.PASS, ControlVerdict.FAIL, ControlVerdict.ERROR, ControlVerdict.SKIPPED
ADMITTED, SERVING = Stage.ADMISSION, Stage.CONTINUOUS
DEFAULT = facts()
STABLE = DEFAULT.stable
assert STABLE is not None
CARD, REPORT, SEAL = EVIDENCE.card, EVIDENCE.validation, DEFAULT.seal
assert CARD is not None
assert REPORT is not None
assert SEAL is not None
SIGNED = [VALIDATOR, OWNER]
PROMOTE = decision(Action.PROMOTE, "tom@bank.example", None, name="p-1", ticket="CHG-1")
LONG = [Step(weight=5, hold=timedelta(minutes=40)), Step(weight=100)]

Row = tuple[str, dict[str, Any], dict[str, str], ControlVerdict]


def card(**changes: Any) -> dict[str, Any]:
    return {"evidence": evidence(card=CARD.model_copy(update=changes))}  # type: ignore[union-attr]


def report(**changes: Any) -> dict[str, Any]:
    return {"evidence": evidence(validation=REPORT.model_copy(update=changes))}  # type: ignore[union-attr]


def registry(**changes: Any) -> dict[str, Any]:
    return {"evidence": evidence(**changes)}


def says(**changes: Any) -> dict[str, Any]:
    return {"stated": stated(**changes)}


def signature(*columns: str) -> list[Column]:
    return [Column(name=column.partition(":")[0], type=column.partition(":")[2]) for column in columns]


UNREAD: dict[str, Any] = {"evidence": None, "evidence_problem": "MLflow did not answer"}
AUC = {"metrics": "auc >= 0.9"}
RATIO = {"metrics": "fairness_ratio_age >= 0.8, fairness_ratio_sex>=0.8", "samplesMetric": "fairness_samples"}
CREDIT = says(use_case="consumer-credit")
TRAIN = Dataset(name="t", digest="aa", source="s3://t", context="training")

# For each control: what is changed of a release with which all is well, the policy's parameters, the verdict.
TABLE: dict[str, list[Row]] = {
    "GOV-INV-01": [
        ("stated", {}, {"patterns": "MRM-*"}, PASS),
        ("at admission the registry is not asked", {"stage": ADMITTED, **UNREAD}, {}, PASS),
        ("no tag is no contradiction", {"evidence": tags(sluice__inventory__id=None)}, {}, PASS),
        ("not as ids look", {}, {"patterns": "INV-*"}, FAIL),
        ("another deployment has it", {"inventory_elsewhere": ("risk/other",)}, {}, FAIL),
        ("the registry says another", {"evidence": tags(sluice__inventory__id="MRM-1")}, {}, FAIL),
        ("missing: not stated", says(inventory_id=None), {}, FAIL),
        ("missing: only a space", says(inventory_id=" "), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-INV-02": [
        ("stated", {}, {}, PASS),
        ("above the registry's", {"evidence": tags(sluice__risk__tier="low")}, {}, PASS),
        ("not allowed", {}, {"allowed": "Low, Medium"}, FAIL),
        ("below the registry's", says(risk_tier=RiskTier.MEDIUM), {}, FAIL),
        ("the registry's is no tier", {"evidence": tags(sluice__risk__tier="enormous")}, {}, ERROR),
        ("no such tier to allow", {}, {"allowed": "Huge"}, ERROR),
        ("missing: not stated", says(risk_tier=None), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-INV-03": [
        ("named", {}, {}, PASS),
        ("at admission", {"stage": ADMITTED, **UNREAD}, {}, PASS),
        ("no owner", says(owner=" "), {}, FAIL),
        ("nobody developed it", says(developers=[]) | registry(registered_by="", trained_by=""), {}, FAIL),
        ("a developer is not mapped", {"identities": {}}, {}, ERROR),
        ("missing: use case", says(use_case=None), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-INV-04": [
        ("none", {"stage": SERVING}, {}, PASS),
        ("one that is allowed", {"stage": SERVING, "unmanaged": ("lab-1",)}, {"allowed": "lab-*"}, PASS),
        ("one", {"stage": SERVING, "unmanaged": ("lab-1",)}, {}, FAIL),
        ("missing: nobody allows any", {"stage": SERVING, "unmanaged": ("a", "b")}, {"allowed": ""}, FAIL),
    ],
    "GOV-DOC-01": [
        ("all sections", {}, {"sections": "intended use, limitations"}, PASS),
        ("a section more", {}, {"sections": "ethics"}, FAIL),
        ("no section asked for", {}, {"sections": ""}, ERROR),
        ("missing: card", registry(card=None), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-DOC-02": [
        ("intended", {}, {}, PASS),
        ("spelt otherwise", says(use_case="Card fraud_detection"), {}, PASS),
        ("with an explanation", card(intended_uses=["card fraud detection: score payments"]), {}, PASS),
        ("at admission", {"stage": ADMITTED, **UNREAD}, {}, PASS),
        ("not intended", says(use_case="money-laundering"), {}, FAIL),
        ("the first words of it only", says(use_case="card"), {}, FAIL),
        ("prohibited", card(prohibited_uses=["any card fraud detection abroad"]), {}, FAIL),
        ("nothing is prohibited", card(prohibited_uses=[]), {}, FAIL),
        ("missing: intended uses", card(intended_uses=[]), {}, FAIL),
        ("missing: use case", says(use_case=None), {}, FAIL),
        ("missing: card", registry(card=None), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-DOC-03": [
        ("both", {}, {}, PASS),
        ("no oversight", card(sections=["limitations"]), {}, FAIL),
        ("missing: card", registry(card=None), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-DOC-04": [
        ("allowed", {}, {}, PASS),
        ("reviewed", {"evidence": tags(sluice__vendor="Acme", sluice__vendor__review="R-1")}, {}, PASS),
        ("not allowed", {}, {"allowed": "MIT"}, FAIL),
        ("made elsewhere and not reviewed", {"evidence": tags(sluice__vendor="Acme")}, {}, FAIL),
        ("missing: licence", {"evidence": tags(sluice__license=None)}, {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-DAT-01": [
        ("recorded", {}, {}, PASS),
        ("without a source", registry(datasets=[TRAIN.model_copy(update={"source": " "})]), {}, FAIL),
        ("used for something else", registry(datasets=[TRAIN.model_copy(update={"context": "demo"})]), {}, FAIL),
        ("missing: data", registry(datasets=[]), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-DAT-02": [
        ("recorded", {}, {}, PASS),
        ("the training data", registry(datasets=[TRAIN, TRAIN.model_copy(update={"context": "test"})]), {}, FAIL),
        ("no training data to tell it from", registry(datasets=[EVIDENCE.datasets[1]]), {}, FAIL),
        ("missing: data", registry(datasets=[TRAIN]), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-DAT-03": [
        ("the model in service", {}, {}, PASS),
        ("training data", {}, {"reference": "Training"}, PASS),
        ("the first release", {"stable": None}, {}, SKIPPED),
        ("other columns", {"model": MODEL.model_copy(update={"signature": signature("amount:long")})}, {}, FAIL),
        ("no such reference", {}, {"reference": "Golden"}, ERROR),
        (
            "training data by a name",
            {"evidence": tags(sluice__reference__digest="v3")},
            {"reference": "Training"},
            FAIL,
        ),
        ("missing: model", {"model": None}, {}, FAIL),
        ("missing: signature", {"model": MODEL.model_copy(update={"signature": []})}, {}, FAIL),
        ("missing: registry", UNREAD, {"reference": "Training"}, ERROR),
    ],
    "GOV-DAT-04": [
        ("recorded", {}, {}, PASS),
        ("no environment", registry(environment_digest=None), {}, FAIL),
        ("missing: commit", registry(commit=""), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-VAL-01": [
        ("passed", {}, {}, PASS),
        ("by a developer, where that is allowed", report(validator="dora"), {"independent": "false"}, PASS),
        ("by nobody in particular", report(validator=""), {}, FAIL),
        ("of other files", report(model_digest=OTHER), {}, FAIL),
        ("not passed", report(result="pass with reservations"), {}, FAIL),
        ("by a developer", report(validator="dora"), {}, FAIL),
        (
            "by a developer of another name",
            {"identities": {"dora": "dev@bank.example", "val": "DEV@bank.example"}},
            {},
            FAIL,
        ),
        ("validator not mapped", {"identities": {"dora": "dev@bank.example"}}, {}, ERROR),
        ("developer not mapped", {"identities": {"val": "vera@bank.example"}}, {}, ERROR),
        ("neither true nor false", {}, {"independent": "maybe"}, ERROR),
        ("missing: report", registry(validation=None), {}, FAIL),
        ("missing: digest", report(model_digest=None), {}, FAIL),
        ("missing: model", {"model": None}, {}, FAIL),
        ("missing: model and digest", {"model": None, **report(model_digest=None)}, {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-VAL-02": [
        ("recent", {}, {"maxAge": "120h"}, PASS),
        ("too old", {}, {"maxAge": "119h"}, FAIL),
        ("yet to come", report(performed_at=NOW + DAY), {}, FAIL),
        ("overdue", report(next_due_at=NOW), {}, FAIL),
        ("no duration", {}, {"maxAge": "1y"}, ERROR),
        ("without a next date, where none is needed", report(next_due_at=None), {"nextDue": "false"}, PASS),
        ("missing: next date", report(next_due_at=None), {}, FAIL),
        ("missing: date", report(performed_at=None), {}, FAIL),
        ("missing: report", registry(validation=None), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-VAL-03": [
        ("met", {}, AUC, PASS),
        ("limits are younger, where that is allowed", {"policies_since": NOW}, AUC | {"fixedBefore": "false"}, PASS),
        ("not met", {}, {"metrics": "auc >= 0.92"}, FAIL),
        ("limits are younger than the run", {"policies_since": NOW - DAY}, AUC, FAIL),
        ("no number", registry(metrics={"auc": "nan"}), AUC, FAIL),
        ("no threshold", {}, {"metrics": "auc"}, ERROR),
        ("no thresholds", {}, {}, ERROR),
        ("missing: metric", registry(metrics={}), AUC, FAIL),
        ("missing: run", registry(run_started_at=None), AUC, FAIL),
        ("missing: age of the policies", {"policies_since": None}, AUC, ERROR),
        ("missing: registry", UNREAD, AUC, ERROR),
    ],
    "GOV-VAL-04": [
        ("compatible", {}, {}, PASS),
        ("the first release", {"stable": None}, {}, PASS),
        ("fewer inputs", registry(inputs=signature("amount:double")), {}, PASS),
        ("an input more", registry(inputs=[*MODEL.signature, *signature("age:long")]), {}, FAIL),
        ("another type", registry(inputs=signature("amount:long")), {}, FAIL),
        ("an input more, where that is allowed", registry(inputs=signature("age:long")), {"compatible": "false"}, PASS),
        ("missing: outputs", registry(outputs=[]), {}, FAIL),
        ("missing: inputs", registry(inputs=[]), {}, FAIL),
        (
            "missing: in service",
            {"stable": replace(STABLE, model=STABLE.model.model_copy(update={"signature": []}))},
            {},
            ERROR,
        ),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-VAL-05": [
        ("better", {}, {"higherIsBetter": "auc"}, PASS),
        ("worse within the margin", {}, {"lowerIsBetter": "auc", "margin": "0.02"}, PASS),
        ("worse", {}, {"lowerIsBetter": "auc"}, FAIL),
        ("the first release", {"stable": None}, {"higherIsBetter": "auc"}, SKIPPED),
        ("no metric named", {}, {}, ERROR),
        ("missing: metric", registry(metrics={}), {"higherIsBetter": "auc"}, FAIL),
        ("missing: in service", {"stable_evidence": None}, {"higherIsBetter": "auc"}, ERROR),
        (
            "missing: metric in service",
            {"stable_evidence": STABLE_EVIDENCE.model_copy(update={"metrics": {}})},
            {"higherIsBetter": "auc"},
            FAIL,
        ),
        ("missing: registry", UNREAD, {"higherIsBetter": "auc"}, ERROR),
    ],
    "GOV-FAIR-01": [
        ("within limits", CREDIT, RATIO, PASS),
        ("not credit", {}, RATIO, SKIPPED),
        ("not credit, but the law asks", {}, RATIO | {"jurisdictions": "eu"}, PASS),
        ("all use cases", {}, RATIO | {"useCases": "*"}, PASS),
        ("outside", CREDIT, RATIO | {"metrics": "fairness_ratio_sex >= 0.95"}, FAIL),
        ("too few", CREDIT, RATIO | {"minSamples": "5001"}, FAIL),
        ("no limits", CREDIT, {}, ERROR),
        ("no number", CREDIT, RATIO | {"minSamples": "many"}, ERROR),
        ("missing: use case", says(use_case=None), RATIO | {"samplesMetric": "none"}, FAIL),
        ("missing: metrics", CREDIT | registry(metrics={}), RATIO, FAIL),
        ("missing: registry", CREDIT | UNREAD, RATIO, ERROR),
    ],
    "GOV-FAIR-02": [
        ("none", {}, {}, PASS),
        ("part of a word is not it", registry(inputs=signature("sextant:double")), {}, PASS),
        ("one", registry(inputs=signature("applicant_sex:string")), {}, FAIL),
        ("in camel case", registry(inputs=signature("customerMaritalStatus:string")), {}, FAIL),
        ("nothing prohibited", {}, {"features": " , "}, ERROR),
        ("missing: signature", registry(inputs=[]), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-FAIR-03": [
        ("bound", CREDIT, {}, PASS),
        ("not credit", {}, {}, SKIPPED),
        ("missing: reasons", CREDIT | registry(reasons_digest=None), {}, FAIL),
        ("missing: use case is not another use case", says(use_case=" ") | registry(reasons_digest=None), {}, FAIL),
        ("fails the same", says(use_case="home loan") | registry(reasons_digest=None), {}, FAIL),
        ("missing: registry", CREDIT | UNREAD, {}, ERROR),
    ],
    "GOV-SUP-01": [
        ("pinned", {}, {}, PASS),
        ("missing: model", {"model": None}, {}, FAIL),
        ("does not resolve", {"model": None, "stage": SERVING}, {}, FAIL),
    ],
    "GOV-SUP-02": [
        ("signed", {}, {}, PASS),
        ("by a key that is not allowed", {}, {"signers": "other-*"}, FAIL),
        ("invalid", registry(signature=ModelSignature(state=SignatureState.INVALID)), {}, FAIL),
        ("unsigned", registry(signature=ModelSignature(state=SignatureState.UNSIGNED)), {}, FAIL),
        ("missing: check", registry(signature=ModelSignature()), {}, ERROR),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-SUP-03": [
        ("the same", {}, {}, PASS),
        ("others", {"loaded_digest": OTHER}, {}, FAIL),
        ("before it starts", {"loaded_digest": "", "started": False}, {}, SKIPPED),
        ("others before it starts", {"loaded_digest": OTHER, "started": False}, {}, FAIL),
        ("missing: once it started", {"loaded_digest": ""}, {}, FAIL),
        ("missing: in service", {"loaded_digest": "", "records": (), "stage": SERVING}, {}, FAIL),
        ("missing: model", {"model": None}, {}, FAIL),
    ],
    "GOV-SUP-04": [
        ("safe", {}, {}, PASS),
        ("scanned", registry(formats=["pickle"]), {}, PASS),
        ("not scanned", registry(formats=["pickle"], scan=""), {}, FAIL),
        ("not clean", registry(formats=["pickle"], scan="2 findings"), {}, FAIL),
        ("without the scan's digest", registry(formats=["pickle"], scan_digest=None), {}, FAIL),
        ("one of two is unknown", registry(formats=["onnx", "unknown:bin"], scan=""), {}, FAIL),
        ("missing: formats", registry(formats=[]), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-SUP-05": [
        ("pinned", {}, {"images": "registry.bank.example/*"}, PASS),
        ("not pinned", {"image": "registry.bank.example/ml/server:1.2"}, {}, FAIL),
        ("from elsewhere", {}, {"images": "other.example/*"}, FAIL),
        ("missing: image", {"image": ""}, {}, ERROR),
    ],
    "GOV-APP-01": [
        ("approved to start", {"decisions": APPROVED[:1]}, {}, PASS),
        ("approved to be promoted", {"weight": 100}, {}, PASS),
        ("not yet to be promoted", {"weight": 100, "decisions": APPROVED[:1]}, {}, FAIL),
        ("not in service either", {"stage": SERVING, "decisions": APPROVED[:1]}, {}, FAIL),
        ("released before any policy", {"stage": SERVING, "decisions": (), "predates": True}, {}, SKIPPED),
        ("needed for promotion only", {"decisions": (), "required": (OWNER,)}, {}, SKIPPED),
        ("missing: approvals", {"decisions": ()}, {}, FAIL),
        ("missing: nobody is asked", {"required": ()}, {}, FAIL),
        ("missing: guards", {"guards": ()}, {}, FAIL),
    ],
    "GOV-APP-02": [
        ("apart", {}, {}, PASS),
        ("a developer", {"decisions": (decision(username="dev@bank.example"),)}, {}, FAIL),
        (
            "whatever the role allows",
            {
                "decisions": (decision(username="tom@bank.example"),),
                "required": (VALIDATOR.model_copy(update={"distinct_from": []}),),
            },
            {},
            FAIL,
        ),
        ("a service account", {"decisions": (decision(username="system:serviceaccount:a:b"),)}, {}, FAIL),
        (
            "one person in two roles",
            {"weight": 100, "decisions": (decision(), decision(name="d-2", role="model-owner"))},
            {},
            FAIL,
        ),
        (
            "a developer beside somebody else",
            {"decisions": (*APPROVED, decision(name="d-3", username="dev@bank.example"))},
            {},
            PASS,
        ),
        ("needed for promotion only", {"decisions": (), "required": (OWNER,)}, {}, SKIPPED),
        ("released before any policy", {"stage": SERVING, "decisions": (), "predates": True}, {}, SKIPPED),
        ("no such relation", {}, {"distinctFrom": "Friend"}, ERROR),
        ("missing: developers", UNREAD, {}, ERROR),
        ("missing: identity", {"identities": {}}, {}, ERROR),
        ("missing: requester", {"requester": None}, {}, ERROR),
        ("missing: guards", {"guards": ()}, {}, ERROR),
        ("missing: approvals", {"decisions": ()}, {}, FAIL),
        ("missing: nobody is asked", {"required": ()}, {}, FAIL),
    ],
    "GOV-APP-03": [
        ("in force", {}, {}, PASS),
        ("expired", {"decisions": (decision(expires_at=NOW),)}, {}, FAIL),
        ("revoked", {"decisions": (*APPROVED, revoke("d-1"))}, {}, FAIL),
        ("in service", {"stage": SERVING, "decisions": (*APPROVED, revoke("d-2", role="model-owner"))}, {}, FAIL),
        ("needed for promotion only", {"decisions": (), "required": (OWNER,)}, {}, SKIPPED),
        ("none given yet", {"decisions": ()}, {}, SKIPPED),
        ("missing: approvals of what serves", {"stage": SERVING, "decisions": ()}, {}, FAIL),
        ("released before any policy", {"stage": SERVING, "decisions": (), "predates": True}, {}, SKIPPED),
        ("missing: nobody is asked", {"required": ()}, {}, FAIL),
    ],
    "GOV-APP-04": [
        ("within", {"decisions": (decision(conditions=conditions(25)),)}, {}, PASS),
        ("more traffic", {"weight": 26, "decisions": (decision(conditions=conditions(25)),)}, {}, FAIL),
        ("elsewhere", {"decisions": (decision(conditions=conditions(None, "lab")),)}, {}, FAIL),
        ("none given yet", {"decisions": ()}, {}, SKIPPED),
        ("missing: approvals of what serves", {"stage": SERVING, "decisions": ()}, {}, FAIL),
        ("released before any policy", {"stage": SERVING, "decisions": (), "predates": True}, {}, SKIPPED),
        ("missing: nobody is asked", {"required": ()}, {}, FAIL),
    ],
    "GOV-APP-05": [
        ("sound", {"waivers": (waiver(),)}, {}, PASS),
        ("none", {}, {}, SKIPPED),
        ("for too long", {"waivers": (waiver(expires_at=NOW + 91 * DAY),)}, {}, FAIL),
        ("longer than the policy allows", {"waivers": (waiver(),)}, {"maxAge": "24h"}, FAIL),
        ("by the requester", {"waivers": (waiver(approver=PROMOTE.spec.actor),)}, {}, FAIL),
        ("too many", {"waivers": (waiver(), waiver(name="w-2"))}, {"maxCount": "1"}, FAIL),
        ("expired", {"waivers": (waiver(expires_at=NOW),)}, {}, SKIPPED),
        ("missing: ticket", {"waivers": (waiver(ticket=" "),)}, {}, FAIL),
        ("missing: guards", {"waivers": (waiver(),), "guards": ()}, {}, ERROR),
        ("missing: registry", {"waivers": (waiver(),), **UNREAD}, {}, FAIL),
    ],
    "GOV-ROL-01": [
        ("the plan by default", {}, {}, PASS),
        ("a large first step", {}, {"maxFirstWeight": "4"}, FAIL),
        ("too short", {}, {"minBake": "31m"}, FAIL),
        ("too few steps", {"rollout": Rollout(steps=LONG)}, {"minSteps": "3"}, FAIL),
        ("missing: steps below all", {"rollout": Rollout(steps=[Step(weight=100)])}, {}, FAIL),
    ],
    "GOV-ROL-02": [
        ("by itself", {}, {}, PASS),
        ("by hand", {"rollout": Rollout(on_deadline=OnDeadline.PAUSE)}, {}, FAIL),
        ("kept too short", {}, {"minWindow": "25h"}, FAIL),
        ("never promoted", {"stable": replace(STABLE, promoted_at=None)}, {}, FAIL),
        ("does not run", {"stable": replace(STABLE, running=False)}, {}, FAIL),
        ("missing: the first release", {"stable": None}, {}, SKIPPED),
    ],
    "GOV-ROL-03": [
        ("said", {}, {}, PASS),
        ("no runbook", says(runbook=""), {}, FAIL),
        ("missing: who", says(escalation=None), {}, FAIL),
    ],
    "GOV-ROL-04": [
        ("approved", {"decisions": (*APPROVED, PROMOTE)}, {}, PASS),
        ("nobody did", {}, {}, SKIPPED),
        (
            "by a machine",
            {"decisions": (*APPROVED, decision(Action.PROMOTE, "system:x", None, name="p", ticket="T"))},
            {},
            FAIL,
        ),
        ("not approved", {"decisions": (*APPROVED[:1], PROMOTE)}, {}, FAIL),
        ("missing: ticket", {"decisions": (*APPROVED, decision(Action.PROMOTE, "a", None, name="p"))}, {}, FAIL),
        ("missing: nobody is asked", {"decisions": (PROMOTE,), "required": ()}, {}, FAIL),
        ("missing: guards", {"decisions": (*APPROVED, PROMOTE), "guards": ()}, {}, ERROR),
    ],
    "GOV-MON-01": [
        ("a gate", {}, {}, PASS),
        ("reports only", {"gauges": (observed(DRIFT),)}, {}, FAIL),
        ("of something else", {}, {"subjects": "Prediction, Inputs"}, FAIL),
        ("notices too little", {}, {"maxMinEffect": "0.05"}, FAIL),
        ("no such subject", {}, {"subjects": "Latency"}, ERROR),
        ("missing: monitor", {"gauges": (replace(DRIFT, definition=None),)}, {}, ERROR),
        ("missing: any", {"gauges": ()}, {}, FAIL),
    ],
    "GOV-MON-02": [
        ("has data", {}, {}, PASS),
        (
            "too few samples are data",
            {"gauges": (said(ERRORS, Verdict.INCONCLUSIVE, reasons.TOO_FEW_SAMPLES),)},
            {},
            PASS,
        ),
        ("before traffic", {"gauges": (replace(ERRORS, result=None),), "stepped": False}, {}, PASS),
        ("reports only", {"gauges": (observed(ERRORS),)}, {}, FAIL),
        ("too few gates", {}, {"minGates": "2"}, FAIL),
        (
            "compares, with nothing in service",
            {"gauges": (replace(COMPARED, result=None),), "stable": None},
            {},
            SKIPPED,
        ),
        ("could not be asked", {"gauges": (said(ERRORS, Verdict.ERROR),)}, {}, ERROR),
        ("missing: data", {"gauges": (said(ERRORS, Verdict.INCONCLUSIVE),)}, {}, FAIL),
        ("missing: answer", {"gauges": (replace(ERRORS, result=None),)}, {}, FAIL),
        ("missing: definition", {"gauges": (replace(ERRORS, definition=None),)}, {}, ERROR),
        ("missing: any", {"gauges": ()}, {}, FAIL),
    ],
    "GOV-MON-03": [
        ("fresh", {"stage": SERVING}, {"maxAge": "30s"}, PASS),
        ("stale", {"stage": SERVING}, {"maxAge": "29s"}, FAIL),
        ("only health", {"stage": SERVING, "gauges": (HEALTH,)}, {}, FAIL),
        ("missing: answer", {"stage": SERVING, "gauges": (replace(ERRORS, result=None),)}, {}, FAIL),
        ("missing: time", {"stage": SERVING, "gauges": (said(ERRORS, Verdict.PASS, observed_at=None),)}, {}, FAIL),
        ("missing: definition", {"stage": SERVING, "gauges": (ERRORS, replace(DRIFT, definition=None))}, {}, ERROR),
    ],
    "GOV-MON-04": [
        ("kept", {}, {}, PASS),
        ("at admission", {"stage": ADMITTED, "logging": False}, {}, PASS),
        ("too short", {}, {"minRetention": "8760h"}, FAIL),
        ("not logged", {"logging": False}, {}, FAIL),
        ("missing: how long", says(log_retention=None), {}, FAIL),
    ],
    "GOV-MON-05": [
        ("said", {}, {}, PASS),
        ("no owner", says(owner=""), {}, FAIL),
        ("missing: who", says(escalation=None), {}, FAIL),
    ],
    "GOV-CHG-01": [
        ("said", {}, {"tickets": "CHG-*"}, PASS),
        ("no ticket of ours", {}, {"tickets": "JIRA-*"}, FAIL),
        ("hardly a reason", says(change_reason="new"), {}, FAIL),
        ("missing: reason", says(change_reason=None), {"minReason": "0"}, FAIL),
        ("missing: ticket", says(ticket=None), {}, FAIL),
        ("missing: requester", {"requester": None}, {}, FAIL),
    ],
    "GOV-CHG-02": [
        ("as decided", {"stage": SERVING}, {}, PASS),
        ("edited", {"stage": SERVING, "hand_edits": ("spec.predictor.model.runtime",)}, {}, FAIL),
        (
            "missing: what was decided",
            {"stage": SERVING, "hand_edits": ("InferenceService fraud-r8 is gone",)},
            {},
            FAIL,
        ),
    ],
    "GOV-CHG-03": [
        ("not retired", {}, {}, PASS),
        ("retired", registry(stage="archived"), {}, FAIL),
        ("missing: registry", UNREAD, {}, ERROR),
    ],
    "GOV-AUD-01": [
        ("whole", {}, {}, PASS),
        ("broken", {"chain_problem": "record 2 was changed"}, {}, FAIL),
        ("a gap", {"records": (RECORDS[0], RECORDS[2])}, {}, FAIL),
        ("no revision yet", {"records": (), "revision": None}, {}, SKIPPED),
        ("missing: records", {"records": ()}, {}, FAIL),
    ],
    "GOV-AUD-02": [
        ("anchored", {}, {}, PASS),
        ("not due yet", {"seal": None}, {"maxDelay": "20m"}, PASS),
        ("late", {"seal": None}, {}, FAIL),
        ("signed only", {"seal": SEAL.model_copy(update={"anchor": None})}, {}, FAIL),
        ("another record was sealed", {"seal": SEAL.model_copy(update={"hash": OTHER})}, {}, FAIL),
        ("the end is gone", {"records": RECORDS[:3]}, {}, FAIL),
        ("no revision yet", {"records": (), "revision": None}, {}, SKIPPED),
        ("missing: records", {"records": ()}, {}, FAIL),
        ("missing: anchor", {"anchoring": False}, {}, FAIL),
    ],
    "GOV-AUD-03": [
        ("intact", {}, {}, PASS),
        ("changed", {"guards": (Guard("a", intact=True), Guard("b", intact=False))}, {}, FAIL),
        ("missing: guards", {"guards": ()}, {}, ERROR),
    ],
    "GOV-AUD-04": [
        ("pinned", {}, {}, PASS),
        ("without a digest", {"policy_digest": ""}, {}, FAIL),
        ("missing: policies", {"policies": ()}, {}, FAIL),
    ],
}
ROWS = [
    pytest.param(name, facts(**changes), parameters, verdict, id=f"{name} {title}")
    for name, rows in TABLE.items()
    for title, changes, parameters, verdict in rows
]


@pytest.mark.parametrize(("name", "given", "parameters", "verdict"), ROWS)
def test_a_control_says(name: str, given: Facts, parameters: dict[str, str], verdict: ControlVerdict) -> None:
    finding = CATALOGUE[name].find(given, parameters)
    assert (finding.verdict, bool(finding.message)) == (verdict, True), finding.message
    assert given.stage in CATALOGUE[name].stages


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_control_is_tried_with_good_bad_and_missing_data(name: str) -> None:
    rows = TABLE[name]
    verdicts = {verdict for _, _, _, verdict in rows}
    assert {PASS, FAIL} <= verdicts
    lacking = [(title, verdict) for title, _, _, verdict in rows if title.startswith("missing")]
    assert lacking
    assert not [title for title, verdict in lacking if verdict is PASS]


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_a_parameter_that_a_control_does_not_have_is_an_error(name: str) -> None:
    finding = CATALOGUE[name].find(facts(), {"misspelt": "1"})
    assert finding.verdict is ERROR
    assert "misspelt" in finding.message


def test_each_control_is_described() -> None:
    for control in CATALOGUE.values():
        assert control.title[0].isupper()
        assert not control.title.endswith(".")
        assert control.remedy.endswith(".")
        assert control.stages
        assert all(parameter.description for parameter in control.parameters.values())
