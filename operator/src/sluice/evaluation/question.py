"""Question: what is evaluated, as the operator puts it into the Job. Nothing in it is guessed."""

from __future__ import annotations

from typing import Annotated

import msgspec

from sluice.api.measure import PerformanceMetric, Task
from sluice.evaluation.trouble import EvaluationError

MAX_ROWS = 20_000
"""Golden rows that are asked; a file with more is refused, for part of it would be another question."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
Digest = Annotated[str, msgspec.Meta(pattern="^sha256:[0-9a-f]{64}$")]
URL = Annotated[str, msgspec.Meta(pattern="^https?://[A-Za-z0-9.:-]+$", max_length=2048)]


class Strict(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A part of the question: camelCase, and a field that is not known is a mistake."""


class Column(Strict, frozen=True, kw_only=True):
    """An input column of a model."""

    name: Text
    type: str
    """MLflow's word, such as double, long, string or boolean."""


class Model(Strict, frozen=True, kw_only=True):
    """A registered model version."""

    name: Text
    version: Text
    digest: Digest
    run_id: str | None = None
    """The MLflow run that trained it."""


class Server(Strict, frozen=True, kw_only=True):
    """A revision and where it is served."""

    revision: Text
    url: URL
    """Without a path: it is asked at ``<url>/v1/models/<modelName>:predict``."""
    model: Model
    columns: tuple[Column, ...] = ()
    """What it is asked with, in order; empty: every column of the data but label, group and slices."""


class Data(Strict, frozen=True, kw_only=True):
    """Where the golden rows came from."""

    uri: Text
    digest: Digest | None = None
    """What the file must have."""


class Question(Strict, frozen=True, kw_only=True):
    """How good are a candidate's answers to golden rows?"""

    namespace: Text
    deployment: Text
    monitor: Text
    candidate: Server
    """The revision that is judged."""
    stable: Server | None = None
    """The revision it is held against, asked the same rows; None at a first release."""
    model_name: Text
    """The model's name in URLs."""
    metric: PerformanceMetric
    prediction: Text | None = None
    """The column of the answer; None where it has one only."""
    positive: Text | None = None
    threshold: float | None = None
    top: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 10
    label: Text
    """The column of the truth."""
    group: Text | None = None
    """Rows with the same value in this column are one request; None: each row stands for itself."""
    slices: Annotated[tuple[Text, ...], msgspec.Meta(max_length=8)] = ()
    """Columns of which each value, with enough rows, is judged too."""
    min_rows: Annotated[int, msgspec.Meta(ge=10, le=MAX_ROWS)] = 200
    batch: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100
    """Rows in one request, where there is no group."""
    minimum: float | None = None
    maximum: float | None = None
    max_degradation: float | None = None
    """How much worse than the stable revision, in the metric's unit."""
    confidence: Annotated[float, msgspec.Meta(ge=0.5, lt=1)] = 0.9999
    """Of all verdicts together: those of slices share it with that of the whole."""
    id_prefix: Annotated[str, msgspec.Meta(pattern="^[!-~]{1,128}$")]
    """Request ``n`` has this and ``n`` as its x-request-id. A token is part of it: it is shown to nobody."""
    data: Data

    def __post_init__(self) -> None:
        """Raises ValueError where fields do not go together; msgspec adds where."""
        if self.minimum is None and self.maximum is None and self.max_degradation is None:
            raise ValueError("minimum, maximum or maxDegradation is needed: without one nothing can fail")
        if self.metric.task is Task.RANKING and self.group is None:
            raise ValueError(f"{self.metric} needs a group, the column that says which rows are ranked together")
        if self.metric in _OF_ONE_CLASS and self.positive is None:
            raise ValueError(f"{self.metric} is of one class: positive is needed")
        if len(set(self.slices)) != len(self.slices) or self.label in (*self.slices, self.group):
            raise ValueError("label, group and slices must be different columns")

    def shown(self) -> dict[str, object]:
        """All of it that others may see: as it came, without the prefix of request ids."""
        document: dict[str, object] = msgspec.to_builtins(self)
        return {name: value for name, value in document.items() if name != "idPrefix"}


_OF_ONE_CLASS = (
    PerformanceMetric.PRECISION,
    PerformanceMetric.RECALL,
    PerformanceMetric.F1,
    PerformanceMetric.ROC_AUC,
    PerformanceMetric.LOG_LOSS,
    PerformanceMetric.BRIER_SCORE,
)
_DECODER = msgspec.json.Decoder(Question)


def read(document: str | bytes) -> Question:
    """The question in a JSON document.

    Raises:
        EvaluationError: InvalidQuestion, with what is wrong and where; values are not repeated, for one is secret.
    """
    try:
        return _DECODER.decode(document)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise EvaluationError("InvalidQuestion", f"SLUICE_EVALUATION is no question: {error}") from None
