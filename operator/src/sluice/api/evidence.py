"""Model evidence: what the registry says of a model version. All of it is Declared, but for what Sluice verified."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from sluice.api.base import Digest, Resource, Text, Time, Word
from sluice.api.modelrevision import Column

Tags = Annotated[dict[str, Annotated[str, Field(max_length=2048)]], Field(max_length=128)]


class Dataset(Resource):
    """A data set that MLflow recorded with the run."""

    name: Annotated[str, Field(max_length=500)]
    """Its name."""
    digest: Word
    """Its digest as MLflow computed it: short, and not a SHA-256."""
    source: Annotated[str, Field(max_length=1024)] = ""
    """Where it came from."""
    context: Word = ""
    """What it was used for: training, evaluation, validation …; as tagged in MLflow."""


class ModelCard(Resource):
    """The model card, read from the version's artifact `MODEL_CARD.md` or from its description."""

    source: Annotated[str, Field(max_length=512)]
    """Where it was found."""
    digest: Digest
    """SHA-256 over its text."""
    sections: Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=64)] = []
    """Its headings, in lower case, with something below them."""
    intended_uses: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=64)] = []
    """The items of its section on intended use, in lower case."""
    prohibited_uses: Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=64)] = []
    """The items of its section on prohibited use, in lower case."""


class ValidationReport(Resource):
    """An independent validation, read from the run's or version's artifact `validation.json`."""

    source: Annotated[str, Field(max_length=512)]
    """Where it was found."""
    digest: Digest
    """SHA-256 over the document."""
    model_digest: Digest | None = None
    """The model files it speaks of."""
    result: Word = ""
    """pass, or anything else."""
    validator: Word = ""
    """Who validated, by registry name."""
    performed_at: Time | None = None
    """When."""
    next_due_at: Time | None = None
    """When it must be repeated."""


class SignatureState(StrEnum):
    """What came of checking the model's OpenSSF signature."""

    VERIFIED = "Verified"
    """A trusted key signed exactly these files."""
    INVALID = "Invalid"
    """There is a signature, and it does not fit these files or no trusted key made it."""
    UNSIGNED = "Unsigned"
    """There is none."""
    UNCHECKED = "Unchecked"
    """It was not looked at: no trusted key is configured."""


class ModelSignature(Resource):
    """The OpenSSF Model Signing (OMS) signature of the files, checked by Sluice."""

    state: SignatureState = SignatureState.UNCHECKED
    """What came of it."""
    signer: Word | None = None
    """Which trusted key."""
    digest: Digest | None = None
    """SHA-256 over the signature file."""
    message: Text = ""
    """Why, where it is not Verified."""


class ModelEvidence(Resource):
    """What the registry says of one model version, as read at one time."""

    observed_at: Time
    """When it was read."""
    registered_by: Word = ""
    """Who registered the version, by registry name."""
    trained_by: Word = ""
    """Who ran the training, by registry name."""
    run_started_at: Time | None = None
    """When the training run began."""
    registered_at: Time | None = None
    """When the version was registered."""
    stage: Word = ""
    """The registry's own stage or status, such as Archived."""
    tags: Tags = {}
    """Tags of the version, over those of its run and of the registered model."""
    metrics: Annotated[dict[str, Annotated[str, Field(max_length=32)]], Field(max_length=256)] = {}
    """The run's metrics, each the last value."""
    datasets: Annotated[list[Dataset], Field(max_length=64)] = []
    """Data sets of the run."""
    commit: Word = ""
    """The commit of the training code."""
    environment_digest: Digest | None = None
    """SHA-256 over the recorded requirements."""
    inputs: Annotated[list[Column], Field(max_length=512)] = []
    """Input columns of the signature."""
    outputs: Annotated[list[Column], Field(max_length=512)] = []
    """Output columns of the signature."""
    flavors: Annotated[list[Word], Field(max_length=32)] = []
    """MLflow flavours of the files."""
    formats: Annotated[list[Word], Field(max_length=32)] = []
    """How the files are serialised, such as pickle, safetensors or onnx; by their content and names."""
    scan: Word = ""
    """Result of a scan for unsafe code, as tagged (`sluice.scan.result`)."""
    scan_digest: Digest | None = None
    """SHA-256 over the scan's report, as tagged (`sluice.scan.digest`)."""
    card: ModelCard | None = None
    """The model card."""
    validation: ValidationReport | None = None
    """The validation report."""
    reasons_digest: Digest | None = None
    """SHA-256 over the artifact `reason_codes.json` or an explainer: what adverse-action reasons come from."""
    signature: ModelSignature = ModelSignature()
    """The signature of the files."""
