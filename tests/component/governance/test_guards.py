"""The guards as the API server keeps them, and what the operator says of those that were weakened."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from typing import Any

import pytest

from sluice.core.governance import guards as core
from sluice.edges import guards as edge
from sluice.edges.kinds import Kind
from sluice.edges.kube import NotFound, Unavailable
from tests.component.governance.guarded import Guarded, guards
from tests.component.kube import Manifest

pytestmark = pytest.mark.component

_PATHS = dict(edge._PLURALS)


@pytest.fixture(scope="module")
def live(guarded: Guarded) -> list[Manifest]:
    """Every guard as the real API server returns it, with its defaults."""
    return [_live(guarded, item) for item in guards()]


def test_what_was_installed_is_intact_whatever_the_server_fills_in(live: list[Manifest]) -> None:
    found = core.compare(guards(), live)
    assert [guard.message for guard in found if not guard.intact] == []
    assert len(found) == len(live) >= 18
    assert all(guard.since for guard in found)


def _spec(change: Callable[[Any], object]) -> Callable[[Manifest], None]:
    def apply(item: Manifest) -> None:
        change(item["spec"])

    return apply


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        pytest.param("", _spec(lambda s: s["validations"].pop(0)), "lacks forged", id="a validation gone"),
        pytest.param("", _spec(lambda s: s["validations"][0].update(expression="true")), "lacks forged", id="hollow"),
        pytest.param("", _spec(lambda s: s.update(failurePolicy="Ignore")), "failurePolicy is Ignore", id="ignores"),
        pytest.param(
            "", _spec(lambda s: s["variables"][0].update(expression="''")), "variables differs", id="variable"
        ),
        pytest.param(
            "",
            _spec(lambda s: s["matchConstraints"]["resourceRules"][0].update(operations=["UPDATE"])),
            "matchConstraints.resourceRules lacks modeldecisions",
            id="other operations",
        ),
        pytest.param(
            "",
            _spec(lambda s: s["matchConstraints"]["resourceRules"][0].update(resourceNames=["one"])),
            "matchConstraints.resourceRules lacks modeldecisions",
            id="one name only",
        ),
        pytest.param(
            "",
            _spec(lambda s: s["matchConstraints"].update(namespaceSelector={"matchLabels": {"a": "b"}})),
            "matchConstraints.namespaceSelector differs",
            id="some namespaces only",
        ),
        pytest.param(
            "",
            _spec(lambda s: s["matchConstraints"].update(excludeResourceRules=[{"resources": ["*"]}])),
            "matchConstraints.excludeResourceRules was added",
            id="something excluded",
        ),
        pytest.param(
            "",
            _spec(lambda s: s.update(matchConditions=[{"name": "never", "expression": "false"}])),
            "matchConditions was added",
            id="a condition",
        ),
        pytest.param(
            "Binding", _spec(lambda s: s.update(validationActions=["Warn"])), "validationActions lacks Deny", id="warns"
        ),
        pytest.param(
            "Binding",
            _spec(lambda s: s.update(matchResources={"objectSelector": {"matchLabels": {"a": "b"}}})),
            "matchResources.objectSelector was added",
            id="bound to some",
        ),
        pytest.param("Binding", _spec(lambda s: s.update(policyName="x")), "policyName is x", id="bound to another"),
    ],
)
def test_a_weakened_guard_is_told_with_what_is_wrong(
    live: list[Manifest], kind: str, change: Callable[[Manifest], None], said: str
) -> None:
    changed = copy.deepcopy(live)
    name = f"ValidatingAdmissionPolicy{kind}/sluice-decisions"
    change(next(item for item in changed if core.address(item) == name))
    (told,) = (guard for guard in core.compare(guards(), changed) if not guard.intact)
    assert told.name == name
    assert said in told.message
    assert "`helm upgrade`" in told.message


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        pytest.param("", _spec(lambda s: s["validations"].append({"expression": "false"})), id="a validation more"),
        pytest.param("Binding", _spec(lambda s: s["validationActions"].append("Audit")), id="audits as well"),
    ],
)
def test_a_stricter_guard_is_intact(live: list[Manifest], kind: str, change: Callable[[Manifest], None]) -> None:
    changed = copy.deepcopy(live)
    change(next(i for i in changed if core.address(i) == f"ValidatingAdmissionPolicy{kind}/sluice-decisions"))
    assert all(guard.intact for guard in core.compare(guards(), changed))


def test_a_guard_that_is_gone_is_told(live: list[Manifest]) -> None:
    (told,) = (guard for guard in core.compare(guards(), live[1:]) if not guard.intact)
    assert told.message.startswith(f"{core.address(live[0])} is missing")
    assert told.since is None


class Reads:
    """The API server's answers; none at all where it is down."""

    def __init__(self, live: list[Manifest], *, up: bool = True) -> None:
        self._live = {(item["apiVersion"], core.address(item)): item for item in live}
        self._up = up

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest:
        if not self._up:
            raise Unavailable(0, "down")
        try:
            return self._live[kind.api_version, f"{kind.kind}/{name}"]
        except KeyError:
            raise NotFound(404, name) from None


def test_the_operator_reads_them_all_or_says_nothing(live: list[Manifest]) -> None:
    expected = tuple(guards())
    assert [g.intact for g in asyncio.run(edge.read(Reads(live), expected))] == [True] * len(live)
    assert [g.intact for g in asyncio.run(edge.read(Reads(live[1:]), expected))].count(False) == 1
    assert asyncio.run(edge.read(Reads(live, up=False), expected)) == ()


def _live(guarded: Guarded, item: Manifest) -> Manifest:
    path = f"/apis/{item['apiVersion']}/{_PATHS[item['kind']]}/{item['metadata']['name']}"
    return guarded.admin.request("GET", path)
