"""Evaluation: golden rows, whose truth is known, that a model is asked before it has any traffic."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from sluice.api.base import Digest, Duration, Resource
from sluice.api.markers import SET, Matching, Rule
from sluice.api.measure import Measure

ColumnName = Annotated[str, Field(min_length=1, max_length=256)]

READ_EVERY = timedelta(seconds=5)
"""How often it is looked whether a Job has ended."""


class GoldenData(Resource):
    """A file of rows, Parquet, CSV or JSON lines: the inputs of the model, and the truth."""

    uri: Annotated[
        str,
        Field(min_length=1, max_length=2048),
        Matching(
            "^(s3://[A-Za-z0-9._-]+/|runs:/|mlflow-artifacts:/|models:/)[!$-&(->@-~]+$",
            "must be a file such as s3://golden/fraud.parquet, runs:/<run id>/golden.parquet, "
            "mlflow-artifacts:/<path>.csv or models:/<name>/<version>/golden.parquet, without ? and #",
        ),
    ]
    """Where it is; the evaluation's Job reads it with the credentials, and from the S3 endpoint, that models are
    downloaded with."""
    digest: Digest | None = None
    """SHA-256 that the file must have: a file that was changed since is not asked."""


class Evaluation(Measure):
    """How good are the answers to rows whose truth is known, before any request is sent to the candidate?

    A Job asks the candidate's model server, and the stable revision's, the same rows. At most 20,000 rows are asked.
    """

    rules = (
        *Measure.rules,
        Rule(
            "!(self.metric in ['NDCG', 'PrecisionAtK', 'MRR']) || has(self.group)",
            "give group, the column whose value the rows of one request share: a ranking is of the rows of a request",
        ),
        Rule(
            "!has(self.group) || self.group != self.label",
            "must be another column than the label",
            field=".group",
        ),
        Rule(
            "!has(self.slices) || !(self.label in self.slices)",
            "must not hold the label: rows that share their truth have no metric of their own",
            field=".slices",
        ),
        Rule(
            "duration(self.timeout) >= duration('1m') && duration(self.timeout) <= duration('6h')",
            "must be between 1m and 6h",
            field=".timeout",
        ),
    )

    data: GoldenData
    """The golden rows."""
    label: ColumnName
    """The column that holds the truth; it is not sent to the model."""
    group: ColumnName | None = None
    """The column whose value the rows of one request share; without it each row stands for itself."""
    slices: Annotated[list[ColumnName], Field(max_length=8), SET] = []
    """Columns of groups that must be served as well as all: each value with at least minRows rows is judged, too."""
    min_rows: Annotated[int, Field(ge=10, le=20_000)] = 200
    """Fewer rows than this are Inconclusive; of a slice, they are left out."""
    batch: Annotated[int, Field(ge=1, le=1_000)] = 100
    """How many rows are asked in one request, where they are not grouped."""
    timeout: Duration = timedelta(minutes=10)
    """How long all of it may take, with the download of the data."""
