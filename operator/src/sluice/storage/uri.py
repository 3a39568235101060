"""URI: how an InferenceService names a pinned model version, ``mlflow://<name>/<version>?digest=sha256:<hex>``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

SCHEME = "mlflow://"
_FORM = re.compile(r"mlflow://([^/?#]+)/([1-9][0-9]*)\?digest=(sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class ModelUri:
    """A registered model version and the digest that its files must have."""

    name: str
    version: str
    digest: str

    def __str__(self) -> str:
        return f"{SCHEME}{quote(self.name, safe='')}/{self.version}?digest={self.digest}"


def parse(text: str) -> ModelUri:
    """The parts of a model URI.

    Raises:
        ValueError: the text is not of that form.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        expected = "mlflow://<name>/<version>?digest=sha256:<64 hex digits>"
        raise ValueError(f"{text!r} is not a model URI; expected {expected}")
    name, version, digest = match.groups()
    return ModelUri(unquote(name), version, digest)
