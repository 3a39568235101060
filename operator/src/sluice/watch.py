"""Watch: kopf as informer and login, and nothing else. The only module that imports kopf.

No handlers that keep state, no timers, daemons, indexes or patches: under faults those stop for good,
silently. An event is put into the store and its deployment into the queue; the rest is ours.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

import kopf

from sluice.edges.kinds import WATCHED, Kind
from sluice.engine.operator import Operator


async def watch(operator: Operator, namespaces: tuple[str, ...], stop: asyncio.Event | None = None) -> None:
    """Feed the operator with events until cancelled. Raises when a watch cannot go on; the process should end."""
    registry = kopf.OperatorRegistry()
    kopf.on.startup(registry=registry)(_configure)
    kopf.on.login(registry=registry)(_login)
    for kind in WATCHED:
        _subscribe(registry, operator, kind)
    await kopf.operator(
        registry=registry,
        standalone=True,  # the Lease is ours; kopf's peering could pause us
        # Or kopf asks for the user's name, and the user of a container has none. (Its type is private.)
        identity="sluice",  # type: ignore[arg-type]
        namespaces=list(namespaces),
        clusterwide=not namespaces,
        stop_flag=stop,
    )


def _subscribe(registry: kopf.OperatorRegistry, operator: Operator, kind: Kind) -> None:
    async def on_event(type: str | None, body: Mapping[str, Any], **_: Any) -> None:  # noqa: A002 - kopf's name
        item = {"apiVersion": kind.api_version, "kind": kind.kind, **_plain(body)}
        operator.seen(kind, item, deleted=type == "DELETED")

    on_event.__name__ = f"on_{kind.plural}"
    kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)(on_event)


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _value(value) for key, value in body.items()}


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain(value)
    return [_value(item) for item in value] if isinstance(value, list) else value


def _configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.posting.enabled = False  # Events are ours
    settings.watching.server_timeout = 600
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 500
    for kind in WATCHED:
        if kind.label:  # by the server: pods that are not of models never get here
            settings.watching.label_selectors[kind.group, kind.version, kind.plural] = kind.label
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.queueing.error_delays = [1, 5, 15, 30]
    settings.persistence.finalizer = "sluice.dev/unused"
    settings.process.ultimate_exiting_timeout = 25


def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return kopf.login_with_service_account(**kwargs)
    return kopf.login_with_kubeconfig(**kwargs)
