"""MLmodel: what the file of that name, which MLflow puts beside every model, says of it.

Read here and not by MLflow, whose reader imports NumPy and pandas; mlflow-skinny comes without them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

NAME = "MLmodel"
_LARGEST = 4 << 20


@dataclass(frozen=True)
class MLmodel:
    """Flavours, and the columns of the signature in order, as ``{"name", "type"}``."""

    flavors: tuple[str, ...] = ()
    inputs: tuple[Mapping[str, str], ...] = ()
    outputs: tuple[Mapping[str, str], ...] = ()


def read(path: Path) -> MLmodel:
    """The file's content. What is missing or of another form is left out."""
    if not path.is_file() or path.stat().st_size > _LARGEST:
        return MLmodel()
    try:
        document = yaml.safe_load(path.read_text(errors="replace"))
    except (yaml.YAMLError, ValueError, RecursionError):
        return MLmodel()
    document = document if isinstance(document, dict) else {}
    flavors, signature = document.get("flavors"), document.get("signature")
    signature = signature if isinstance(signature, dict) else {}
    return MLmodel(
        flavors=tuple(sorted(str(name) for name in flavors)) if isinstance(flavors, dict) else (),
        inputs=_columns(signature.get("inputs"), "input"),
        outputs=_columns(signature.get("outputs"), "output"),
    )


def _columns(schema: object, unnamed: str) -> tuple[Mapping[str, str], ...]:
    try:
        found = json.loads(schema) if isinstance(schema, str) and schema else []
    except (ValueError, RecursionError):
        return ()
    return tuple(
        {"name": str(column.get("name") or f"{unnamed}{index}"), "type": str(column.get("type"))}
        for index, column in enumerate(found if isinstance(found, list) else [])
        if isinstance(column, dict)
    )
