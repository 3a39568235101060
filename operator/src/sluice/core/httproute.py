"""HTTPRoute: the two lanes of a deployment's live traffic, written and read back."""

from __future__ import annotations

from sluice.core import attachment, objects, reasons
from sluice.core.inferenceservice import service_name
from sluice.core.objects import Object
from sluice.core.world import Attachment, LaneBackend, Mirror, Route, RouteIntent, World

REVISION_HEADER = "x-sluice-revision"
"""On every answer: which revision gave it."""

# The API server's defaults, stated: left out, every apply of an atomic list would look like a change to it and
# get a new resourceVersion, although nothing is different.
_GATEWAY = {"group": "gateway.networking.k8s.io", "kind": "Gateway"}
_NEEDED = ("Accepted", "ResolvedRefs")
"""The conditions that must be True, as Gateway API defines them."""


def build(world: World, intent: RouteIntent) -> Object:
    """The route of a deployment.

    The filters on each backend are not only for the headers: with them Envoy Gateway keeps one Envoy cluster,
    and so one set of metrics, per backend.
    """
    place = attachment.wanted(world)
    namespace, gateway = place.gateway
    rule: Object = {
        "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
        "backendRefs": [_backend(lane) for lane in intent.lanes],
    }
    if intent.mirror is not None:
        copies = {"backendRef": _service(intent.mirror.revision), "percent": intent.mirror.percent}
        rule["filters"] = [{"type": "RequestMirror", "requestMirror": copies}]
    return {
        "apiVersion": objects.GATEWAY,
        "kind": "HTTPRoute",
        "metadata": {
            "name": world.name,
            "namespace": world.namespace,
            "labels": objects.labels(world.name),
            "ownerReferences": objects.owned_by("ModelDeployment", world.name, world.uid),
        },
        "spec": {
            "parentRefs": [{**_GATEWAY, "name": gateway, "namespace": namespace}],
            "hostnames": list(place.hostnames),
            "rules": [rule],
        },
    }


def _service(revision: str) -> Object:
    return {"group": "", "kind": "Service", "name": service_name(revision), "port": 80}


def _backend(lane: LaneBackend) -> Object:
    header = {"set": [{"name": REVISION_HEADER, "value": lane.revision}]}
    return {
        **_service(lane.revision),
        "weight": lane.weight,
        "filters": [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": header},
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": header},
        ],
    }


def read(route: Object) -> Route:
    """What a live route says, and whether the Gateway that it names carries out this very generation.

    Backends without pods that answer do not matter here (Envoy Gateway's ``BackendsAvailable``): the gateway has
    the route all the same, and the workload's own state says what is missing.
    """
    generation, place = route["metadata"].get("generation"), _attachment(route)
    programmed, reason, message = False, reasons.ROUTE_NOT_PROGRAMMED, "the gateway has not taken it over yet"
    for parent in route.get("status", {}).get("parents", []):
        if place is None or _gateway(route, parent.get("parentRef", {})) != place.gateway:
            continue
        current = {c["type"]: c for c in parent.get("conditions", []) if c.get("observedGeneration") == generation}
        said = [current[kind] for kind in _NEEDED if kind in current]
        refused = next((c for c in said if c["status"] != "True"), None)
        if refused is not None:
            reason, message = refused.get("reason", reason), refused.get("message", message)
        elif len(said) == len(_NEEDED):
            programmed, reason, message = True, "", ""
    return Route(_intent(route.get("spec", {})), programmed, reason, message, place)


def _attachment(route: Object) -> Attachment | None:
    spec = route.get("spec", {})
    parents, hostnames = spec.get("parentRefs", []), tuple(spec.get("hostnames", []))
    if len(parents) != 1 or not hostnames:
        return None  # not ours any more: someone rewrote it
    return Attachment(_gateway(route, parents[0]), hostnames)


def _gateway(route: Object, reference: Object) -> tuple[str, str]:
    return reference.get("namespace", route["metadata"]["namespace"]), reference.get("name", "")


def _intent(spec: Object) -> RouteIntent | None:
    try:
        (rule,) = spec["rules"]
        first, second = (_lane(backend) for backend in rule["backendRefs"])
        return RouteIntent((first, second), _mirror(rule))
    except (KeyError, ValueError, TypeError):
        return None  # not ours any more: someone rewrote it


def _lane(backend: Object) -> LaneBackend:
    return LaneBackend(_revision(backend["name"]), backend.get("weight", 1))


def _revision(service: str) -> str:
    revision, suffix, rest = service.rpartition("-predictor")
    if not suffix or rest:
        raise ValueError(f"{service} is not the Service of a revision")
    return revision


def _mirror(rule: Object) -> Mirror | None:
    for entry in rule.get("filters", []):
        if entry.get("type") == "RequestMirror":
            copies = entry["requestMirror"]
            return Mirror(_revision(copies["backendRef"]["name"]), copies.get("percent", 100))
    return None
