"""Frameworks: which laws and standards ask for what a control checks; read from ``frameworks.yaml``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml


@dataclass(frozen=True)
class Framework:
    """A law or a standard."""

    key: str
    name: str
    unit: str
    """What it is divided into, such as article; empty if references are subjects."""
    note: str


@dataclass(frozen=True)
class Frameworks:
    """All of them, and what each asks for."""

    known: Mapping[str, Framework]
    references: Mapping[str, Mapping[str, str]]
    """For each control's id, by the framework's key: where it asks for it."""

    def of(self, control: str) -> tuple[str, ...]:
        """What asks for a control, such as ``NIST GOVERN 1.6``."""
        return tuple(f"{key} {where}" for key, where in sorted(self.references.get(control, {}).items()))


@cache
def frameworks() -> Frameworks:
    """What ``frameworks.yaml`` says."""
    text = resources.files("sluice.catalogue").joinpath("frameworks.yaml").read_text(encoding="utf-8")
    read = yaml.safe_load(text)
    known = {
        key: Framework(key, given["name"], given.get("unit", ""), given.get("note", ""))
        for key, given in read["frameworks"].items()
    }
    references = {
        control: {key: str(where) for key, where in given.items()} for control, given in read["controls"].items()
    }
    return Frameworks(known, references)
