"""Which approvals count, why the others do not, and that the order of neither people nor decisions matters."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.api.governance import ApprovalState
from sluice.api.governancepolicy import Before, Distinct
from sluice.api.modeldecision import Action
from sluice.core.governance.approval import missing, rejections, states
from sluice.core.governance.facts import Decision, Guard
from sluice.core.governance.quorum import Seats, seated
from sluice.core.governance.standing import Standing
from tests.unit.core.governance.examples import (
    APPROVED,
    DAY,
    GUARDS,
    NOW,
    OTHER,
    OWNER,
    SUBJECT,
    TARGET,
    VALIDATOR,
    conditions,
    decision,
    evidence,
    facts,
    revoke,
    role,
    stated,
)

APPROVER = Distinct.APPROVER
HOUR = timedelta(hours=1)


def standings(*decisions: Decision, **changes: Any) -> list[str]:
    """How the validator's approvals stand."""
    return [one.standing for one in states(facts(decisions=decisions, required=(VALIDATOR,), **changes))[0].approvals]


@pytest.mark.parametrize(
    ("decisions", "changes", "standing"),
    [
        pytest.param([decision()], {}, Standing.COUNTS, id="all is well"),
        pytest.param([decision()], {"guards": ()}, Standing.NOT_GUARDED, id="guards were not read"),
        pytest.param(
            [decision()], {"guards": (Guard("p", intact=False, since=NOW - DAY),)}, Standing.NOT_GUARDED, id="tampered"
        ),
        pytest.param(
            [decision()],
            {"guards": (*GUARDS, Guard("p", intact=True, since=NOW - timedelta(minutes=1)))},
            Standing.NOT_GUARDED,
            id="guard is younger than the approval",
        ),
        pytest.param([decision()], {"guards": (Guard("p", intact=True),)}, Standing.NOT_GUARDED, id="guard of no age"),
        pytest.param(
            [decision(username="system:serviceaccount:ci:bot")], {}, Standing.SERVICE_ACCOUNT, id="service account"
        ),
        pytest.param([decision(username=" System:admin")], {}, Standing.SERVICE_ACCOUNT, id="spelt otherwise"),
        pytest.param(
            [decision(target=TARGET.model_copy(update={"uid": "u-0"}))], {}, Standing.OTHER_TARGET, id="earlier uid"
        ),
        pytest.param(
            [decision(target=TARGET.model_copy(update={"revision": "fraud-r7"}))],
            {},
            Standing.OTHER_TARGET,
            id="other revision of these files",
        ),
        pytest.param([decision()], {"revision": None}, Standing.OTHER_TARGET, id="no revision yet"),
        pytest.param(
            [decision(subject=SUBJECT.model_copy(update={"digest": OTHER}))], {}, Standing.OTHER_MODEL, id="other files"
        ),
        pytest.param(
            [decision(subject=SUBJECT.model_copy(update={"version": "9"}))], {}, Standing.OTHER_MODEL, id="version"
        ),
        pytest.param([decision()], {"model": None}, Standing.OTHER_MODEL, id="not resolved"),
        pytest.param([decision(policy_digest=OTHER)], {}, Standing.OTHER_POLICIES, id="other policies"),
        pytest.param([decision(policy_digest=None)], {}, Standing.OTHER_POLICIES, id="no policies named"),
        pytest.param([decision()], {"policy_digest": ""}, Standing.OTHER_POLICIES, id="policies unknown"),
        pytest.param([decision(policy_digest=None)], {"policy_digest": ""}, Standing.OTHER_POLICIES, id="both unknown"),
        pytest.param([decision(), revoke("d-1")], {}, Standing.REVOKED, id="revoked by another"),
        pytest.param([decision(), revoke("d-1", "vera@bank.example")], {}, Standing.REVOKED, id="revoked by oneself"),
        pytest.param([decision(), revoke("d-9")], {}, Standing.COUNTS, id="another was revoked"),
        pytest.param(
            [decision(), revoke("d-1", role="model-owner")], {}, Standing.COUNTS, id="revoked in another role"
        ),
        pytest.param([decision(), revoke("d-1", at=NOW - DAY)], {}, Standing.COUNTS, id="revoked before it was made"),
        pytest.param([decision(expires_at=NOW)], {}, Standing.EXPIRED, id="expired this moment"),
        pytest.param([decision(expires_at=NOW + HOUR)], {}, Standing.COUNTS, id="expires soon"),
        pytest.param([decision(at=NOW - 10 * DAY)], {}, Standing.COUNTS, id="old but valid"),
        pytest.param(
            [decision(at=NOW - 29 * DAY)],
            {"required": (role("model-validator", valid_for=10 * DAY),)},
            Standing.EXPIRED,
            id="older than the role allows",
        ),
        pytest.param(
            [decision(username="dev@bank.example")], {}, Standing.DEVELOPER_AS_APPROVER, id="developer by registry"
        ),
        pytest.param(
            [decision(username="DEV@bank.example")],
            {"stated": stated(developers=[])},
            Standing.DEVELOPER_AS_APPROVER,
            id="developer with capitals",
        ),
        pytest.param(
            [decision()],
            {"stated": stated(developers=["vera@bank.example"])},
            Standing.DEVELOPER_AS_APPROVER,
            id="stated developer",
        ),
        pytest.param([decision()], {"identities": {}}, Standing.UNMAPPED_DEVELOPER, id="developer not mapped"),
        pytest.param(
            [decision()],
            {"evidence": evidence(trained_by="otto")},
            Standing.UNMAPPED_DEVELOPER,
            id="one of two developers not mapped",
        ),
        pytest.param([decision()], {"identities": {"dora": " "}}, Standing.UNMAPPED_DEVELOPER, id="mapped to nobody"),
        pytest.param([decision()], {"evidence": None}, Standing.DEVELOPERS_UNKNOWN, id="registry not read"),
        pytest.param(
            [decision()],
            {"evidence": evidence(registered_by="", trained_by=""), "stated": stated(developers=[])},
            Standing.DEVELOPERS_UNKNOWN,
            id="nobody developed it",
        ),
        pytest.param([decision(username="tom@bank.example")], {}, Standing.SELF_APPROVAL, id="own request"),
        pytest.param([decision()], {"requester": None}, Standing.REQUESTER_UNKNOWN, id="nobody was stamped"),
        pytest.param([decision(conditions=conditions(25))], {}, Standing.COUNTS, id="exactly the weight"),
        pytest.param([decision(conditions=conditions(24))], {}, Standing.OUTSIDE_CONDITIONS, id="too much traffic"),
        pytest.param(
            [decision(conditions=conditions(None, "lab"))], {}, Standing.OUTSIDE_CONDITIONS, id="other namespace"
        ),
        pytest.param([decision(conditions=conditions(None, "lab", "risk"))], {}, Standing.COUNTS, id="this namespace"),
    ],
)
def test_an_approval_stands_as_it_should(decisions: list[Decision], changes: dict[str, Any], standing: str) -> None:
    changes = {"required": (VALIDATOR,)} | changes
    (state,) = states(facts(decisions=tuple(decisions), **changes))
    assert [one.standing for one in state.approvals] == [standing]
    assert state.given == (standing == Standing.COUNTS)
    assert bool(state.approvals[0].message) != (standing == Standing.COUNTS)


@pytest.mark.parametrize(
    ("distinct", "username"),
    [
        pytest.param(Distinct.DEVELOPER, "dev@bank.example", id="developer"),
        pytest.param(Distinct.REQUESTER, "tom@bank.example", id="requester"),
    ],
)
def test_only_those_are_kept_apart_who_must_be(distinct: Distinct, username: str) -> None:
    own = facts(decisions=(decision(username=username),), required=(role(),))
    other = facts(decisions=(decision(username=username),), required=(role("model-validator", 1, distinct),))
    assert states(own)[0].given == 1
    assert states(other)[0].given == 0


def test_a_fresh_approval_after_a_revocation_counts() -> None:
    fresh = decision(name="d-3", at=NOW - timedelta(minutes=5))
    assert standings(decision(), revoke("d-1"), fresh) == [Standing.COUNTS, Standing.REVOKED]


def test_two_approvals_of_one_person_are_one() -> None:
    twice = (decision(), decision(name="d-3", username="Vera@bank.example", at=NOW - DAY))
    (state,) = states(facts(decisions=twice, required=(role("model-validator", 2),)))
    assert state.given == 1
    assert [one.standing for one in state.approvals] == [Standing.COUNTS, Standing.SAME_APPROVER]


def test_an_approval_in_a_role_that_nobody_asks_for_is_said() -> None:
    (state,) = states(facts(decisions=(decision(role="validator"),), required=(VALIDATOR,)))
    assert [one.standing for one in state.approvals] == [Standing.ROLE_MISMATCH]
    assert "model-validator" in state.approvals[0].message


def test_approvals_of_other_releases_are_not_listed() -> None:
    other = decision(
        target=TARGET.model_copy(update={"revision": "fraud-r7"}),
        subject=SUBJECT.model_copy(update={"version": "7", "digest": OTHER}),
    )
    assert standings(other) == []


def test_at_most_as_many_are_listed_as_a_status_holds_and_those_that_count_first() -> None:
    old = [decision(name=f"d-{n}", username=f"u{n}@bank.example", expires_at=NOW - HOUR) for n in range(40)]
    (state,) = states(facts(decisions=(*old, decision(name="good", at=NOW - 5 * DAY)), required=(VALIDATOR,)))
    assert len(state.approvals) == 32
    assert state.approvals[0].decision == "good"


def test_what_several_ask_of_a_role_is_asked_together() -> None:
    several = (
        role("model-validator", 2, Distinct.REQUESTER, before=Before.PROMOTION),
        role("model-validator", 1, Distinct.DEVELOPER, valid_for=DAY),
    )
    (state,) = states(facts(decisions=(decision(),), required=several))
    assert (state.required, state.given, state.before) == (2, 1, Before.START)
    assert state.approvals[0].expires_at == NOW - HOUR + DAY


def test_what_is_needed_to_start_is_less_than_what_is_needed_to_be_promoted() -> None:
    given = states(facts(decisions=()))
    assert [state.role for state in missing(given)] == ["model-validator"]
    assert [state.role for state in missing(given, Before.PROMOTION)] == ["model-validator", "model-owner"]
    assert missing(states(facts(decisions=APPROVED)), Before.PROMOTION) == ()


def who(*given: tuple[str, str]) -> tuple[Decision, ...]:
    return tuple(decision(name=f"{person}-{as_}", username=person, role=as_) for person, as_ in given)


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
def test_a_person_with_two_roles_leaves_one_to_the_person_with_one(order: tuple[int, ...]) -> None:
    given = who(("ann", "model-owner"), ("ann", "model-validator"), ("ben", "model-validator"))
    asked = (role("model-validator", 1, APPROVER), role("model-owner", 1, APPROVER))
    result = states(facts(decisions=tuple(given[n] for n in order), required=asked))
    assert [state.given for state in result] == [1, 1]
    counts = {one.decision for state in result for one in state.approvals if one.standing == Standing.COUNTS}
    assert counts == {"ann-model-owner", "ben-model-validator"}


def test_one_person_cannot_fill_two_roles_that_must_be_distinct() -> None:
    given = who(("ann", "model-owner"), ("ann", "model-validator"))
    asked = (role("model-validator", 1, APPROVER), role("model-owner", 1, APPROVER))
    result = states(facts(decisions=given, required=asked))
    assert [state.given for state in result] == [1, 0]
    assert result[1].approvals[0].standing == Standing.SAME_APPROVER
    assert "model-validator" in result[1].approvals[0].message


def test_one_person_may_fill_two_roles_where_neither_minds() -> None:
    given = who(("ann", "model-owner"), ("ann", "model-validator"))
    result = states(facts(decisions=given, required=(role("model-validator"), role("model-owner"))))
    assert [state.given for state in result] == [1, 1]


def test_roles_that_may_be_shared_are_shared_by_whom_no_other_role_needs() -> None:
    asked = [
        Seats("one", 1, frozenset({"ann", "ben"}), exclusive=True),
        Seats("two", 1, frozenset({"ann"}), exclusive=False),
        Seats("three", 1, frozenset({"ann"}), exclusive=False),
    ]
    filled = {name: set(people) for name, people in seated(asked).items()}
    assert filled == {"one": {"ben"}, "two": {"ann"}, "three": {"ann"}}


PEOPLE = ["ann", "ben", "cid", "eve"]
ROLES = ["model-validator", "model-owner", "model-risk"]
given_approvals = st.lists(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(ROLES)), max_size=9)


def counted(result: Iterable[ApprovalState]) -> list[tuple[str, int, list[tuple[str, str]]]]:
    return [(s.role, s.given, [(a.username, a.standing) for a in s.approvals]) for s in result]


@given(given_approvals, st.permutations(range(9)), st.integers(1, 2))
def test_the_order_of_decisions_does_not_matter(given: list[tuple[str, str]], order: list[int], count: int) -> None:
    asked = tuple(role(name, count, APPROVER) for name in ROLES)
    decisions = who(*given)
    shuffled = tuple(decisions[n] for n in order if n < len(decisions))
    assert counted(states(facts(decisions=decisions, required=asked))) == counted(
        states(facts(decisions=shuffled, required=asked))
    )


def possible(asked: list[Seats]) -> bool:
    """Whether there is any way to fill every seat, found by trying all."""

    def fill(seats: list[Seats], taken: frozenset[str]) -> bool:
        if not seats:
            return True
        return any(fill(seats[1:], taken | {name}) for name in seats[0].people - taken)

    return fill([Seats(s.role, 1, s.people, s.exclusive) for s in asked for _ in range(s.count)], frozenset())


@given(
    st.lists(st.tuples(st.integers(1, 2), st.frozensets(st.sampled_from(PEOPLE))), min_size=1, max_size=3),
)
def test_a_valid_assignment_is_found_where_there_is_one(drawn: list[tuple[int, frozenset[str]]]) -> None:
    asked = [Seats(ROLES[n], count, people, exclusive=True) for n, (count, people) in enumerate(drawn)]
    result = seated(asked)
    assert all(len(result[seat.role]) >= seat.count for seat in asked) == possible(asked)
    everyone = [name for people in result.values() for name in people]
    assert len(everyone) == len(set(everyone))
    assert all(result[seat.role] <= seat.people for seat in asked)


@pytest.mark.parametrize(
    ("decisions", "found"),
    [
        pytest.param([decision(Action.REJECT)], 1, id="in force"),
        pytest.param([decision(Action.REJECT, role="model-owner", expires_at=None)], 1, id="without expiry"),
        pytest.param([decision(Action.REJECT), revoke("d-1")], 0, id="revoked"),
        pytest.param([decision(Action.REJECT, expires_at=NOW)], 0, id="void"),
        pytest.param([decision(Action.REJECT, subject=SUBJECT.model_copy(update={"digest": OTHER}))], 0, id="model"),
        pytest.param(
            [decision(Action.REJECT, target=TARGET.model_copy(update={"revision": "fraud-r7"}))], 0, id="revision"
        ),
        pytest.param([decision()], 0, id="an approval"),
    ],
)
def test_a_rejection_holds_until_it_is_revoked(decisions: list[Decision], found: int) -> None:
    assert len(rejections(facts(decisions=tuple(decisions)))) == found


def test_nothing_is_asked_for_where_nobody_asks() -> None:
    assert states(facts(required=())) == ()


def test_the_examples_are_complete() -> None:
    assert [(state.role, state.given) for state in states(facts(required=(VALIDATOR, OWNER)))] == [
        ("model-validator", 1),
        ("model-owner", 1),
    ]
