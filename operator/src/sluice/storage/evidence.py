"""Evidence: what MLflow says of a model version, for the controls of governance.

What people and tools wrote into MLflow is theirs to claim; it is cut to what the typed model holds, and what
cannot be read is left out: missing evidence never passes for good evidence.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow.entities import Run

from sluice.api.evidence import Dataset, ModelCard, ModelEvidence, ValidationReport
from sluice.storage import bounds, card, inspection, signature, validation
from sluice.storage.inspection import CARD, REASON_CODES, Inspection
from sluice.storage.registry import DigestMismatchError, Registration, Registry, Version, files_digest

USER = "mlflow.user"
COMMIT = "mlflow.source.git.commit"
DATASET_CONTEXT = "mlflow.data.context"
SCAN_RESULT = "sluice.scan.result"
SCAN_DIGEST = "sluice.scan.digest"
_NOBODY = {"", "unknown"}
"""MLflow's names for a user that it does not know."""
_READY = "READY"


def read(
    registry: Registry, version: Version, digest: str, keys: tuple[Path, ...], known: Inspection | None = None
) -> tuple[ModelEvidence, Inspection]:
    """What MLflow says of a version now, and what its files say.

    Args:
        registry: where to ask.
        version: which.
        digest: what its files must be.
        keys: the public keys that signatures are trusted from.
        known: what an earlier reading found in the files. If they, the signature and the keys are the same,
            the files are not downloaded again.

    Raises:
        DigestMismatchError: the files are others.
        RegistryError: as for :meth:`Registry.inspected`.
    """
    found = registry.registration(version)
    with tempfile.TemporaryDirectory(prefix="sluice-documents-") as scratch:
        documents: dict[str, Path] = {}
        if found.run is not None:
            documents = registry.documents(found.run.info.run_id, inspection.DOCUMENTS, Path(scratch))
        files = _inspected(registry, version, digest, keys, documents.get(signature.NAME), known)
        return _evidence(found, files, documents), files


def _inspected(
    registry: Registry,
    version: Version,
    digest: str,
    keys: tuple[Path, ...],
    beside: Path | None,
    known: Inspection | None,
) -> Inspection:
    if known is not None and (known.digest, known.keys) == (digest, signature.fingerprint(keys)):
        own = known.beside is None and known.signature.digest is not None
        if own or known.beside == (inspection.file_digest(beside) if beside else None):
            return known
    with registry.files(version) as path:
        actual = files_digest(path)
        if actual != digest:
            raise DigestMismatchError(
                f"model {version.name}/{version.version} is {actual} in MLflow, not {digest}: its files were changed "
                "after they were pinned; register them as a new version instead"
            )
        return inspection.read(path, digest, beside, keys)


def _evidence(found: Registration, files: Inspection, documents: Mapping[str, Path]) -> ModelEvidence:
    run = found.run
    run_tags: dict[str, str] = dict(run.data.tags) if run is not None else {}
    version_tags = dict(found.version.tags or {})
    tags = {**(found.model.tags or {}), **run_tags, **version_tags}
    where = f"run {run.info.run_id}" if run is not None else ""
    reasons = documents.get(REASON_CODES)
    return ModelEvidence(
        observed_at=datetime.now(UTC),
        registered_by=_person(found.version.user_id, version_tags.get(USER)),
        trained_by=_person(run_tags.get(USER), run.info.user_id if run is not None else None),
        run_started_at=bounds.time(run.info.start_time) if run is not None else None,
        registered_at=bounds.time(found.version.creation_timestamp),
        stage=_stage(str(found.version.status or ""), found.version.current_stage),
        tags=_tags(version_tags, run_tags, found.model.tags or {}),
        metrics=_metrics(run),
        datasets=list(_datasets(run))[:64],
        commit=bounds.word(tags.get(COMMIT)),
        environment_digest=files.environment_digest,
        inputs=files.inputs,
        outputs=files.outputs,
        flavors=files.flavors,
        formats=files.formats,
        scan=bounds.word(tags.get(SCAN_RESULT)),
        scan_digest=bounds.digest(tags.get(SCAN_DIGEST)),
        card=files.card or _card(documents, where, found.version.description),
        validation=_validation(files, documents, where),
        reasons_digest=files.reasons_digest or (inspection.file_digest(reasons) if reasons else None),
        signature=files.signature,
    )


def _person(*claims: object) -> str:
    return next((bounds.word(claim) for claim in claims if bounds.word(claim).lower() not in _NOBODY), "")


def _stage(status: str, stage: str | None) -> str:
    """The stage if one was set, but first of all that the registration did not come off."""
    if status not in ("", _READY):
        return bounds.word(status)
    return bounds.word(stage if stage and stage != "None" else status)


def _tags(*sources: Mapping[str, Any]) -> dict[str, str]:
    """Of the first source that has each; if there are too many, the last sources' are left out."""
    found: dict[str, str] = {}
    for source in sources:
        for key, value in sorted(source.items()):
            name = bounds.word(key, 250)
            if name and name not in found and len(found) < 128:
                found[name] = bounds.text(value, 2048)
    return found


def _metrics(run: Run | None) -> dict[str, str]:
    given = dict(run.data.metrics) if run is not None else {}
    # Those of the machine, which MLflow can record by the hundred, are the last that anybody asks for here.
    ordered = sorted(given.items(), key=lambda item: (item[0].startswith("system/"), item[0]))
    return {bounds.word(key, 250): repr(float(value)) for key, value in ordered[:256]}


def _datasets(run: Run | None) -> Iterator[Dataset]:
    inputs = run.inputs.dataset_inputs if run is not None and run.inputs is not None else []
    for given in inputs:
        contexts = [tag.value for tag in given.tags or [] if tag.key == DATASET_CONTEXT]
        yield Dataset(
            name=bounds.word(given.dataset.name, 500),
            digest=bounds.word(given.dataset.digest),
            source=bounds.word(given.dataset.source, 1024),
            context=bounds.word(next(iter(contexts), "")),
        )


def _card(documents: Mapping[str, Path], where: str, description: str | None) -> ModelCard | None:
    if CARD in documents:
        return inspection.model_card(documents[CARD], f"{where}: {CARD}")
    if description and card.has_headings(description):
        return card.read(description, "the version's description")
    return None


def _validation(files: Inspection, documents: Mapping[str, Path], where: str) -> ValidationReport | None:
    """The report that speaks of these files. The run's comes first: among the files, none can name their digest."""
    path = documents.get(validation.NAME)
    beside = inspection.report(path, f"{where}: {validation.NAME}") if path is not None else None
    both = [report for report in (beside, files.validation) if report is not None]
    return next((report for report in both if report.model_digest == files.digest), next(iter(both), None))
