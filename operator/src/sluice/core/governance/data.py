"""Data (GOV-DAT): what the model was made from, and what it is held against."""

from __future__ import annotations

import re

from sluice.api.evidence import Dataset, ModelEvidence
from sluice.api.governance import Assurance
from sluice.api.governancepolicy import Severity
from sluice.core.governance.checks import REFERENCE_TAG, RELEASED, SERVED, differences, listed, reference, unread
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
from sluice.core.governance.parameters import words

_DIGEST = re.compile("sha256:[0-9a-f]{64}")


def _used(evidence: ModelEvidence, contexts: tuple[str, ...]) -> list[Dataset]:
    wanted = {context.casefold() for context in contexts}
    return [dataset for dataset in evidence.datasets if dataset.context.strip().casefold() in wanted]


def _training(facts: Facts, values: Parameters) -> Finding:
    contexts = words(values, "contexts")
    if facts.evidence is None:
        return unread(facts)
    found = _used(facts.evidence, contexts)
    if not found:
        return failed(
            f"the run records no data set used for {listed(contexts)}; the team logs it when training, with "
            '`mlflow.log_input(dataset, context="training")`'
        )
    for dataset in found:
        if not (dataset.name.strip() and dataset.digest.strip() and dataset.source.strip()):
            return failed(
                f"data set {dataset.name or '(no name)'} lacks its name, digest or source; the team logs it anew"
            )
    return passed(f"trained on {listed([f'{dataset.name} ({dataset.digest})' for dataset in found])}")


def _evaluation(facts: Facts, values: Parameters) -> Finding:
    contexts, training = words(values, "contexts"), words(values, "training")
    if facts.evidence is None:
        return unread(facts)
    found, trained = _used(facts.evidence, contexts), _used(facts.evidence, training)
    if not found or not all(dataset.digest.strip() for dataset in found):
        return failed(
            f"the run records no data set used for {listed(contexts)} with a digest; the team logs it with "
            '`mlflow.log_input(dataset, context="evaluation")`'
        )
    if not trained:
        return failed("the run records no training data to tell the evaluation data from; the team logs it")
    if same := {dataset.digest for dataset in found} & {dataset.digest for dataset in trained}:
        return failed(f"it was evaluated on what it was trained on (digest {min(same)}); evaluate it on other data")
    return passed(f"evaluated on {listed([f'{dataset.name} ({dataset.digest})' for dataset in found])}")


def _reference(facts: Facts, values: Parameters) -> Finding:
    if values["reference"] == "Training":
        if facts.evidence is None:
            return unread(facts)
        tag = facts.evidence.tags.get(REFERENCE_TAG, "").strip()
        if not _DIGEST.fullmatch(tag):
            return failed(
                f"no reference data is pinned; the team sets the tag {REFERENCE_TAG} to sha256:<hex> of its "
                "file in MLflow"
            )
        return passed(
            "the training reference is pinned", reference("training reference", tag), assurance=Assurance.DECLARED
        )
    if values["reference"] != "Stable":
        raise ParameterError("reference: must be Stable or Training")
    if facts.model is None:
        return failed("the model is not resolved yet; `kubectl describe md` says why")
    if facts.stable is None:
        return skipped("nothing is in service yet that this release could be held against")
    mine, theirs = facts.model.signature, facts.stable.model.signature
    if not mine or not theirs:
        which = facts.model if not mine else facts.stable.model
        return failed(
            f"{which.name} {which.version} has no signature, so its columns cannot be compared; the team logs "
            "the model "
            "with one (`mlflow.models.infer_signature`)"
        )
    if found := differences(mine, theirs, both_ways=True):
        return failed(
            f"its columns are not those of {facts.stable.revision}, with which drift compares it: "
            f"{listed(found)}; have "
            "the change reviewed and ask for an exception"
        )
    return passed(f"held against {facts.stable.revision}", reference(facts.stable.revision, facts.stable.model.digest))


def _provenance(facts: Facts, _: Parameters) -> Finding:
    if facts.evidence is None:
        return unread(facts)
    if not facts.evidence.commit.strip():
        return failed(
            "the commit of the training code is not recorded; the team trains from a clean checkout, or sets "
            "the run's tag "
            "mlflow.source.git.commit"
        )
    if facts.evidence.environment_digest is None:
        return failed("the environment is not recorded; the team logs the model with its requirements.txt")
    return passed(f"commit {facts.evidence.commit}", reference("requirements", facts.evidence.environment_digest))


_TRAINING = Parameter("training, train", "What MLflow calls data that was trained on.")

CONTROLS = (
    Control(
        id="GOV-DAT-01",
        title="The training data is recorded with name, digest and source",
        stages=RELEASED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy='The team logs it when training: `mlflow.log_input(dataset, context="training")`.',
        check=_training,
        parameters={"contexts": _TRAINING},
    ),
    Control(
        id="GOV-DAT-02",
        title="The evaluation data is recorded and is not the training data",
        stages=RELEASED,
        severity=Severity.HIGH,
        assurance=Assurance.DECLARED,
        remedy='The team logs it when evaluating: `mlflow.log_input(dataset, context="evaluation")`.',
        check=_evaluation,
        parameters={
            "contexts": Parameter(
                "evaluation, eval, validation, test, testing", "What MLflow calls data that was evaluated on."
            ),
            "training": _TRAINING,
        },
    ),
    Control(
        id="GOV-DAT-03",
        title="What drift is measured against is pinned by digest, and has the same columns",
        stages=SERVED,
        severity=Severity.HIGH,
        assurance=Assurance.DERIVED,
        remedy="The team logs the model with a signature; a change of columns needs a review, and an exception.",
        check=_reference,
        parameters={
            "reference": Parameter(
                "Stable", f"Stable: the model in service. Training: reference data, by the tag `{REFERENCE_TAG}`."
            )
        },
    ),
    Control(
        id="GOV-DAT-04",
        title="The commit of the training code and the environment are recorded",
        stages=RELEASED,
        severity=Severity.MEDIUM,
        assurance=Assurance.DECLARED,
        remedy="The team trains from a clean checkout and logs the model with its requirements.",
        check=_provenance,
        parameters={},
    ),
)
