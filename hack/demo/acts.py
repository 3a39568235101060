"""Acts: what the demo applies, and how each act ought to end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MANIFESTS = Path(__file__).parent / "manifests"
SHIPPED = Path(__file__).parents[2] / "monitors"
POLICIES = SHIPPED.parent / "policies"
WINDOW = "15s"
"""How far back the demo's service levels look. The shipped minute is for steps that take more than seconds."""
NAMESPACE = "demo"
NAME = "california"
REGISTRY_NAMES = {"dan.lee": "dan", "vera.lund": "vera"}
"""Who trained and who validated version 6, by MLflow's names, and who they are in the cluster."""
PROMOTED = "RevisionPromoted"
SLO_BREACHED = "SLOBreached"
DRIFT_DETECTED = "DriftDetected"


@dataclass(frozen=True)
class Outage:
    """Prometheus goes away once the candidate has this share of the traffic, for longer than the step's hold."""

    at_weight: int
    seconds: float


@dataclass(frozen=True)
class Act:
    """One release, and its expected end as the reason of the condition Promoted."""

    number: int
    title: str
    expected: str
    outage: Outage | None = None
    asked_by: str | None = None
    """Who applies it, where that matters: then it needs people, see ``people.py``."""
    patience: float = 240.0
    """Seconds until the act counts as stuck."""

    @property
    def manifest(self) -> Path:
        """What a user would apply."""
        return MANIFESTS / f"act-{self.number}.yaml"

    @property
    def promotes(self) -> bool:
        """Whether the model is good."""
        return self.expected == PROMOTED

    def document(self, gateway: str) -> dict[str, Any]:
        """The manifest, for the Gateway ``namespace/name``."""
        document: dict[str, Any] = yaml.safe_load(self.manifest.read_text())
        namespace, _, name = gateway.partition("/")
        document["spec"]["traffic"]["gateway"] = {"name": name, "namespace": namespace}
        return document

    def steps(self) -> tuple[str, ...]:
        """The stated steps in words, such as ``shadow`` and ``10 %``."""
        found = yaml.safe_load(self.manifest.read_text())["spec"]["rollout"]["steps"]
        return tuple("shadow" if "shadow" in step else f"{step['weight']} %" for step in found)


ACTS = (
    Act(1, "v1, the first release", PROMOTED),
    Act(2, "v2, retrained: shadowed, then step by step", PROMOTED),
    Act(3, "v3, slow and sometimes failing", SLO_BREACHED),
    Act(4, "v4, quick but wrong: two inputs swapped", DRIFT_DETECTED),
    Act(5, "v5, good; Prometheus stops in mid-canary", PROMOTED, outage=Outage(at_weight=25, seconds=40)),
    Act(6, "v6, tier High: two people must agree", PROMOTED, asked_by="rosa"),
)


def gauges() -> list[dict[str, Any]]:
    """The shipped service levels as ModelMonitors of the demo's namespace, with a window as short as its steps."""
    found = []
    for name in ("error-rate", "latency-p99"):
        monitor = _own(name)
        monitor["spec"]["slo"]["window"] = WINDOW
        found.append(monitor)
    return found


def policy(*, anchored: bool) -> dict[str, Any]:
    """The shipped policy of tier High for the demo's namespace, with holds as short as its steps.

    Where there is no store to anchor records in, that they are not is shown and does not block.
    """
    found: dict[str, Any] = yaml.safe_load((POLICIES / "tier-high.yaml").read_text())
    found["metadata"]["name"] = f"{NAMESPACE}-tier-high"
    found["spec"]["appliesTo"]["namespaces"] = [NAMESPACE]
    for control in found["spec"]["controls"]:
        if control["id"] == "GOV-ROL-01":
            control["parameters"] = {"minBake": "30s", "maxFirstWeight": "25"}
        if control["id"] == "GOV-AUD-02" and not anchored:
            control["mode"] = "Warn"
    return found


def drift_gauge() -> dict[str, Any]:
    """The shipped gauge of the answers as a ModelMonitor of the demo's namespace, with a hundredth of its budget.

    One good release in a hundred may be taken back by chance. The demo makes three each time, and must not end
    otherwise than it says; what it takes back is plain with any budget.
    """
    monitor = _own("prediction-drift")
    monitor["spec"]["drift"]["alpha"] = "0.0001"
    return monitor


def _own(name: str) -> dict[str, Any]:
    monitor: dict[str, Any] = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())
    return monitor | {"kind": "ModelMonitor", "metadata": {"name": name, "namespace": NAMESPACE}}
