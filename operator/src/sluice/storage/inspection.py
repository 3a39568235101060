"""Inspection: what only a model's files tell, and so what holds for as long as their digest does."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sluice.api.base import Digest, Resource, Word
from sluice.api.evidence import ModelCard, ModelSignature, ValidationReport
from sluice.api.modelrevision import Column
from sluice.storage import bounds, card, formats, mlmodel, signature, validation
from sluice.storage import digest as digests

CARD = "MODEL_CARD.md"
REASON_CODES = "reason_codes.json"
EXPLAINER = "explainer"
DOCUMENTS = (CARD, validation.NAME, REASON_CODES, signature.NAME)
"""What is looked for among the files, and at the top of the artifacts of the run."""
_ENVIRONMENT = ("conda.yaml", "python_env.yaml", "requirements.txt")


class Inspection(Resource):
    """What was found in files of one digest."""

    digest: Digest
    """Of the files."""
    keys: Digest
    """Over the keys that were trusted when their signature was checked."""
    beside: Digest | None = None
    """Over the signature of the run's artifacts, if the files hold none."""
    environment_digest: Digest | None = None
    """SHA-256 over the recorded requirements."""
    inputs: Annotated[list[Column], Field(max_length=512)]
    """Input columns."""
    outputs: Annotated[list[Column], Field(max_length=512)]
    """Output columns."""
    flavors: list[Word]
    """MLflow flavours."""
    formats: list[Word]
    """How they are serialised."""
    card: ModelCard | None = None
    """The model card among them."""
    validation: ValidationReport | None = None
    """The validation report among them."""
    reasons_digest: Digest | None = None
    """Over the reason codes or the explainer among them."""
    signature: ModelSignature = ModelSignature()
    """Their signature."""


def read(files: Path, digest: str, beside: Path | None, keys: tuple[Path, ...]) -> Inspection:
    """What the files tell.

    Args:
        files: the directory.
        digest: theirs.
        beside: a signature that does not lie among them; one that does has precedence.
        keys: the public keys that are trusted.
    """
    found = mlmodel.read(files / mlmodel.NAME)
    own = files / signature.NAME
    return Inspection(
        digest=digest,
        keys=signature.fingerprint(keys),
        beside=file_digest(beside) if beside and not own.is_file() else None,
        environment_digest=_environment(files),
        inputs=_columns(found.inputs),
        outputs=_columns(found.outputs),
        flavors=bounds.words(found.flavors, 32),
        formats=formats.of(files),
        card=model_card(files / CARD, CARD),
        validation=report(files / validation.NAME, validation.NAME),
        reasons_digest=_reasons(files),
        signature=_signature(files, own, beside, keys),
    )


def model_card(path: Path, source: str) -> ModelCard | None:
    """The card in a file; None if there is none, or none of a size that somebody reads."""
    if not path.is_file() or path.stat().st_size > 8 * card.LARGEST:
        return None
    return card.read(path.read_text(encoding="utf-8", errors="replace"), source)


def report(path: Path, source: str) -> ValidationReport | None:
    """The validation report in a file."""
    return validation.read(path.read_bytes(), source) if path.is_file() else None


def file_digest(path: Path) -> str:
    """SHA-256 over a file's content, read in chunks."""
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _environment(files: Path) -> str | None:
    parts = [[name, file_digest(files / name)] for name in _ENVIRONMENT if (files / name).is_file()]
    return f"sha256:{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}" if parts else None


def _columns(found: tuple[Mapping[str, str], ...]) -> list[Column]:
    return [Column(name=bounds.word(column["name"], 256), type=bounds.word(column["type"])) for column in found[:512]]


def _reasons(files: Path) -> str | None:
    if (files / REASON_CODES).is_file():
        return file_digest(files / REASON_CODES)
    explainer = next((path for path in sorted(files.iterdir()) if path.stem == EXPLAINER), None)
    if explainer is None:
        return None
    return digests.directory(explainer) if explainer.is_dir() else file_digest(explainer)


def _signature(files: Path, own: Path, beside: Path | None, keys: tuple[Path, ...]) -> ModelSignature:
    if not own.is_file():
        return signature.check(files, beside, keys)
    with tempfile.TemporaryDirectory() as elsewhere:
        # Who signs writes the signature afterwards: it is among the files, and none of those that were signed.
        moved = Path(shutil.move(own, Path(elsewhere) / signature.NAME))
        try:
            return signature.check(files, moved, keys)
        finally:
            shutil.move(moved, own)
