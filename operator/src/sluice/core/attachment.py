"""Attachment: at which Gateway, and for which hostnames, the route is. It moves only to where it can be served.

A Gateway or hostname edited at a deployment that serves is not part of a release: nothing is judged, and the
route follows at once. But a name misspelt there must not take the stable revision off the air. So the route
stays where it is until the place that the spec names is there, and the status says what is in the way.
"""

from __future__ import annotations

from sluice.core import preflight
from sluice.core.preflight import Problem
from sluice.core.world import Attachment, World


def obstacle(world: World) -> Problem | None:
    """Why the route cannot move to where the spec wants it; None if it can, or is there, or there is none yet."""
    if world.route is None or world.route.attachment in (None, stated(world)):
        return None
    return next(preflight.entrance(world), None)


def wanted(world: World) -> Attachment:
    """Where the route must be: where the spec wants it, unless something is in the way."""
    route = world.route
    if route is None or route.attachment is None or obstacle(world) is None:
        return stated(world)
    return route.attachment


def stated(world: World) -> Attachment:
    """Where the spec wants it."""
    traffic = world.spec.traffic
    return Attachment((traffic.gateway.namespace, traffic.gateway.name), tuple(traffic.hostnames))
