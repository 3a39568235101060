"""The route: two lanes written, read back, and believed only when the gateway has this very generation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.core import httproute, reasons
from sluice.core.objects import Object
from sluice.core.world import Attachment, LaneBackend, Mirror, RouteIntent
from tests.unit.core.examples import world

GATEWAY = ("gateways", "models")
SPLIT = RouteIntent((LaneBackend("fraud-r1", 750_000), LaneBackend("fraud-r2", 250_000)))
ALONE = RouteIntent((LaneBackend("fraud-r1", 999_999), LaneBackend("fraud-r1", 1)))
SHADOW = RouteIntent((LaneBackend("fraud-r1", 999_999), LaneBackend("fraud-r2", 1)), Mirror("fraud-r2", 20))

names = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?-r[1-9][0-9]{0,2}", fullmatch=True)
lanes = st.tuples(names, names, st.integers(1, 999_999)).map(
    lambda given: (LaneBackend(given[0], given[2]), LaneBackend(given[1], 1_000_000 - given[2]))
)
mirrors = st.none() | st.builds(Mirror, names, st.integers(1, 100))


def condition(kind: str, status: str = "True", *, generation: int = 3, **more: str) -> Object:
    return {"type": kind, "status": status, "observedGeneration": generation, "reason": "R", "message": "m"} | more


def live(intent: RouteIntent = SPLIT, *conditions: Object, gateway: str = "models") -> Object:
    """The route as the API server has it, of generation 3, with what one gateway says of it."""
    route = httproute.build(world(), intent)
    route["metadata"]["generation"] = 3
    parent = {"parentRef": {"name": gateway, "namespace": "gateways"}, "conditions": list(conditions)}
    route["status"] = {"parents": [parent]}
    return route


def test_there_is_one_rule_with_two_backends_in_the_order_of_the_lanes() -> None:
    (rule,) = httproute.build(world(), SPLIT)["spec"]["rules"]
    found = [(backend["name"], backend["port"], backend["weight"]) for backend in rule["backendRefs"]]
    assert found == [("fraud-r1-predictor", 80, 750_000), ("fraud-r2-predictor", 80, 250_000)]


def test_a_revision_alone_stands_in_both_lanes_so_that_no_backend_comes_or_goes() -> None:
    (rule,) = httproute.build(world(), ALONE)["spec"]["rules"]
    found = [(backend["name"], backend["weight"]) for backend in rule["backendRefs"]]
    assert found == [("fraud-r1-predictor", 999_999), ("fraud-r1-predictor", 1)]


@pytest.mark.parametrize("intent", [SPLIT, ALONE, SHADOW], ids=["split", "alone", "shadow"])
def test_every_backend_has_filters_of_its_own_that_name_its_revision(intent: RouteIntent) -> None:
    (rule,) = httproute.build(world(), intent)["spec"]["rules"]
    for lane, backend in zip(intent.lanes, rule["backendRefs"], strict=True):
        header = {"set": [{"name": "x-sluice-revision", "value": lane.revision}]}
        assert backend["filters"] == [
            {"type": "RequestHeaderModifier", "requestHeaderModifier": header},
            {"type": "ResponseHeaderModifier", "responseHeaderModifier": header},
        ]


def test_copies_are_a_filter_of_the_rule() -> None:
    (rule,) = httproute.build(world(), SHADOW)["spec"]["rules"]
    (mirror,) = rule["filters"]
    assert mirror["type"] == "RequestMirror"
    assert mirror["requestMirror"]["backendRef"]["name"] == "fraud-r2-predictor"
    assert mirror["requestMirror"]["percent"] == 20


def test_it_hangs_on_the_gateway_and_goes_with_its_deployment() -> None:
    route = httproute.build(world(), SPLIT)
    (parent,) = route["spec"]["parentRefs"]
    (owner,) = route["metadata"]["ownerReferences"]
    assert (parent["namespace"], parent["name"]) == GATEWAY
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("ModelDeployment", "u-1", True)
    assert route["spec"]["hostnames"] == ["scorer.example"]
    assert (route["metadata"]["namespace"], route["metadata"]["name"]) == ("risk", "fraud")


@given(lanes, mirrors)
def test_what_is_written_is_read_back(pair: tuple[LaneBackend, LaneBackend], mirror: Mirror | None) -> None:
    intent = RouteIntent(pair, mirror)
    route = httproute.read(httproute.build(world(), intent))
    assert route.intent == intent
    assert route.attachment == Attachment(GATEWAY, ("scorer.example",))


ACCEPTED, RESOLVED = condition("Accepted"), condition("ResolvedRefs")


@pytest.mark.parametrize(
    ("conditions", "programmed", "reason"),
    [
        pytest.param([ACCEPTED, RESOLVED], True, "", id="both-true"),
        pytest.param([], False, reasons.ROUTE_NOT_PROGRAMMED, id="nothing-said-yet"),
        pytest.param([ACCEPTED], False, reasons.ROUTE_NOT_PROGRAMMED, id="half-said"),
        pytest.param(
            [condition("Accepted", generation=2), condition("ResolvedRefs", generation=2)],
            False,
            reasons.ROUTE_NOT_PROGRAMMED,
            id="said-of-an-earlier-generation",
        ),
        pytest.param(
            [ACCEPTED, condition("ResolvedRefs", generation=2)], False, reasons.ROUTE_NOT_PROGRAMMED, id="half-earlier"
        ),
        pytest.param(
            [ACCEPTED, condition("ResolvedRefs", "False", reason="BackendNotFound")],
            False,
            "BackendNotFound",
            id="a-service-is-missing",
        ),
        pytest.param(
            [condition("Accepted", "False", reason="NotAllowedByListeners"), RESOLVED],
            False,
            "NotAllowedByListeners",
            id="the-gateway-refuses-it",
        ),
        pytest.param([condition("Accepted", "Unknown"), RESOLVED], False, "R", id="unknown-is-not-true"),
        pytest.param(
            [ACCEPTED, RESOLVED, condition("BackendsAvailable", "False")], True, "", id="pods-are-the-workloads-matter"
        ),
    ],
)
def test_it_is_programmed_only_if_the_gateway_says_so_of_this_generation(
    conditions: list[Object], programmed: bool, reason: str
) -> None:
    route = httproute.read(live(SPLIT, *conditions))
    assert (route.programmed, route.reason) == (programmed, reason)
    assert route.shows(SPLIT) is programmed


def test_another_gateways_word_is_not_ours() -> None:
    assert not httproute.read(live(SPLIT, ACCEPTED, RESOLVED, gateway="other")).programmed


def test_a_gateway_in_the_routes_own_namespace_may_go_unnamed() -> None:
    route = live(SPLIT, ACCEPTED, RESOLVED)
    del route["status"]["parents"][0]["parentRef"]["namespace"]
    assert not httproute.read(route).programmed
    del route["spec"]["parentRefs"][0]["namespace"]
    assert httproute.read(route).programmed


def test_a_programmed_route_that_says_something_else_does_not_show_what_we_want() -> None:
    assert not httproute.read(live(SPLIT, ACCEPTED, RESOLVED)).shows(ALONE)


def edit(change: Callable[[dict[str, Any]], object]) -> Object:
    route = copy.deepcopy(live(SPLIT, ACCEPTED, RESOLVED))
    change(route["spec"])
    return route


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda spec: spec.pop("rules"), id="no-rules"),
        pytest.param(lambda spec: spec["rules"].append(spec["rules"][0]), id="two-rules"),
        pytest.param(lambda spec: spec["rules"][0]["backendRefs"].pop(), id="one-backend"),
        pytest.param(lambda spec: spec["rules"][0].pop("backendRefs"), id="no-backends"),
        pytest.param(lambda spec: spec["rules"][0]["backendRefs"][1].update(name="mine"), id="someone-elses-service"),
        pytest.param(lambda spec: spec["rules"][0]["backendRefs"][1].update(name="r-predictor-2"), id="not-quite-ours"),
    ],
)
def test_a_route_rewritten_by_hand_has_no_intent_of_ours(change: Callable[[dict[str, Any]], object]) -> None:
    assert httproute.read(edit(change)).intent is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda spec: spec.pop("parentRefs"), id="no-gateway"),
        pytest.param(lambda spec: spec["parentRefs"].append({"name": "second"}), id="two-gateways"),
        pytest.param(lambda spec: spec.pop("hostnames"), id="no-hostnames"),
    ],
)
def test_a_route_at_no_single_place_is_nowhere_that_we_know(change: Callable[[dict[str, Any]], object]) -> None:
    route = httproute.read(edit(change))
    assert route.attachment is None
    assert not route.programmed


def test_weights_and_copies_left_out_have_the_api_servers_defaults() -> None:
    def drop(spec: dict[str, Any]) -> None:
        (rule,) = spec["rules"]
        rule["backendRefs"][1].pop("weight")
        rule["filters"] = [
            {"type": "RequestRedirect"},
            {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "fraud-r2-predictor"}}},
        ]

    intent = httproute.read(edit(drop)).intent
    assert intent is not None
    assert intent.lanes[1].weight == 1
    assert intent.mirror == Mirror("fraud-r2", 100)
