"""A question, and golden rows for it, to be changed by a test where it matters."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sluice.evaluation.golden import Golden
from sluice.evaluation.question import Question, read

DIGEST = f"sha256:{'a' * 64}"
PREFIX = "sluice-evaluation-s3cret-"


def server(
    revision: str = "fraud-r2", url: str = "http://fraud-r2-predictor.risk.svc", **changes: Any
) -> dict[str, Any]:
    return {
        "revision": revision,
        "url": url,
        "model": {"name": "fraud", "version": "2", "digest": DIGEST},
        "columns": [{"name": "amount", "type": "double"}, {"name": "country", "type": "string"}],
    } | changes


def document(**changes: Any) -> dict[str, Any]:
    return {
        "namespace": "risk",
        "deployment": "fraud",
        "monitor": "golden",
        "candidate": server(),
        "stable": server("fraud-r1", "http://fraud-r1-predictor.risk.svc"),
        "modelName": "fraud",
        "metric": "Accuracy",
        "label": "truth",
        "minRows": 50,
        "maxDegradation": 0.02,
        "confidence": 0.99,
        "idPrefix": PREFIX,
        "data": {"uri": "runs:/abc/golden.parquet", "digest": None},
    } | changes


def question(**changes: Any) -> Question:
    return read(json.dumps(document(**changes)))


def golden(rows: int | None = None, **columns: Sequence[Any]) -> Golden:
    count = rows if rows is not None else len(next(iter(columns.values())))
    return Golden({name: list(cells) for name, cells in columns.items()}, count, DIGEST)
