"""Catalogue: every control there is, by its id."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sluice.core.governance import (
    approval,
    audit,
    change,
    data,
    documentation,
    fairness,
    inventory,
    monitoring,
    rollout,
    supply,
    validation,
)
from sluice.core.governance.control import Control

FAMILIES: Mapping[str, tuple[Control, ...]] = MappingProxyType(
    {
        "Inventory": inventory.CONTROLS,
        "Documentation": documentation.CONTROLS,
        "Data": data.CONTROLS,
        "Validation": validation.CONTROLS,
        "Fairness": fairness.CONTROLS,
        "Supply chain": supply.CONTROLS,
        "Approval": approval.CONTROLS,
        "Rollout": rollout.CONTROLS,
        "Monitoring": monitoring.CONTROLS,
        "Change": change.CONTROLS,
        "Audit": audit.CONTROLS,
    }
)
"""The controls by family, in the order in which a model meets them."""

CATALOGUE: Mapping[str, Control] = MappingProxyType(
    {control.id: control for controls in FAMILIES.values() for control in controls}
)
"""Every control by its id."""


def control(name: str) -> Control | None:
    """The control of an id; None if there is none."""
    return CATALOGUE.get(name)
