"""Guards: reads the live admission policies, to be compared with those that the chart installed (GOV-AUD-03)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

import yaml

from sluice.core.governance import guards
from sluice.core.governance.facts import Guard
from sluice.core.objects import Object
from sluice.edges.kinds import Kind
from sluice.edges.kube import KubeError, NotFound

log = logging.getLogger(__name__)

INSTALLED = Path("/etc/sluice/guards.yaml")
"""Where the chart mounts what it installed."""
_PLURALS = {
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
    "MutatingAdmissionPolicy": "mutatingadmissionpolicies",
    "MutatingAdmissionPolicyBinding": "mutatingadmissionpolicybindings",
}


class Reader(Protocol):
    """What is needed of the API server."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object: ...


def installed(path: Path = INSTALLED) -> tuple[Object, ...]:
    """What the chart installed; nothing where it was told not to (`global.governance.guards.enabled`)."""
    if not path.exists():
        return ()
    return tuple(document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document)


async def read(kube: Reader, expected: tuple[Object, ...]) -> tuple[Guard, ...]:
    """Each expected guard as it is now. Nothing at all if one of them cannot be read: half an answer is none."""
    live: list[Object] = []
    for item in expected:
        kind = Kind(item["apiVersion"], _PLURALS[item["kind"]], item["kind"], namespaced=False)
        try:
            live.append(await kube.get(kind, None, item["metadata"]["name"]))
        except NotFound:
            continue
        except KubeError as error:
            log.warning("the guard %s cannot be read: %s", guards.address(item), error)
            return ()
    return guards.compare(expected, live)
