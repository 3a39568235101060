"""Kubeconfig: the namespace and the impersonation of a context, which the Kubernetes client does not read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Context:
    """What a context says beside the cluster."""

    namespace: str | None = None
    user: str | None = None
    groups: tuple[str, ...] = ()


def default() -> str | None:
    """The kubeconfig that kubectl would take; None where there is none, as in a pod."""
    if given := os.environ.get("KUBECONFIG"):
        return given
    usual = Path.home() / ".kube" / "config"
    return str(usual) if usual.exists() else None


def read(files: str | None, name: str | None) -> Context:
    """The context of this name, or the current one. Empty where there is no file: connecting will say so."""
    documents = [_load(Path(file)) for file in (files or "").split(os.pathsep) if file]
    current = name or next((d["current-context"] for d in documents if d.get("current-context")), None)
    context = _named(documents, "contexts", "context", current)
    user = _named(documents, "users", "user", context.get("user"))
    return Context(context.get("namespace"), user.get("as"), tuple(user.get("as-groups") or ()))


def _load(path: Path) -> dict[str, Any]:
    try:
        found = yaml.safe_load(path.expanduser().read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _named(documents: list[dict[str, Any]], section: str, key: str, name: Any) -> dict[str, Any]:
    for document in documents:
        for entry in document.get(section) or ():
            if entry.get("name") == name:
                return entry.get(key) or {}
    return {}
