"""From what Prometheus answers to a verdict: every row of the table, and what must hold for all answers."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.api.modeldeployment import MonitorMode, MonitorUse
from sluice.api.modelmonitor import ModelMonitorSpec
from sluice.api.verdict import MonitorResult, Verdict
from sluice.core import promql, reasons, slo
from sluice.core.slo import Sample, Vector
from tests.unit.core.examples import evaluation, level

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
LIMIT = level(limits={"max": "0.01"})
BOTH = level(limits={"max": "0.10"}, compare={"maxRatio": "2", "maxDifference": "0.005", "confidence": "0.99"})
COMPARED = level(compare={"maxRatio": "2", "confidence": "0.99"})
SPREAD = level(
    histogram="histogram",
    quantile="${share}",
    limits={"max": "500"},
    compare={"maxRatio": "2", "maxDifference": "10", "confidence": "0.99"},
    parameters={"share": "0.95"},
)
VALUE = level(query="value", limits={"max": "${maxMs}", "min": "1"}, parameters={"maxMs": "500"})


def named(revision: str, value: float, **more: str) -> Sample:
    """A series that says whose it is."""
    return Sample({"namespace": "risk", "revision": revision} | more, value)


def placed(backend: str, value: float, **more: str) -> Sample:
    """A series of the gateway's, known by its place in the route."""
    return Sample({"route_namespace": "risk", "route": "fraud", "backend": backend} | more, value)


def judge(
    monitor: ModelMonitorSpec,
    total: list[Sample] | None = None,
    bad: list[Sample] | None = None,
    value: list[Sample] | None = None,
    histogram: list[Sample] | None = None,
    **wanted: Any,
) -> MonitorResult:
    answers = {"total": total, "bad": bad, "value": value, "histogram": histogram}
    vectors = {query: Vector(answer or []) for query, answer in answers.items()}
    return slo.judge(evaluation(monitor, **wanted), vectors, NOW)


def counts(monitor: ModelMonitorSpec, bad: float, total: float, other: float, other_total: float) -> MonitorResult:
    """The verdict where all four counts are there."""
    totals = [named("fraud-r2", total), named("fraud-r1", other_total)]
    return judge(monitor, totals, [named("fraud-r2", bad), named("fraud-r1", other)])


PASS, FAIL, HOLD = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("total", "bad", "verdict", "reason"),
    [
        pytest.param([], [], HOLD, reasons.NO_DATA, id="empty-vector"),
        pytest.param([named("fraud-r1", 900)], [], HOLD, reasons.NO_DATA, id="only-others"),
        pytest.param(
            [Sample({"namespace": "lab", "revision": "fraud-r2"}, 900)], [], HOLD, reasons.NO_DATA, id="elsewhere"
        ),
        pytest.param([Sample({}, 900)], [], HOLD, reasons.NO_DATA, id="a-series-of-nobodys"),
        pytest.param([named("fraud-r2", math.nan)], [], HOLD, reasons.NOT_A_NUMBER, id="nan"),
        pytest.param([named("fraud-r2", math.inf)], [], HOLD, reasons.NOT_A_NUMBER, id="infinite"),
        pytest.param(
            [named("fraud-r2", 900)], [named("fraud-r2", math.nan)], HOLD, reasons.NOT_A_NUMBER, id="bad-is-nan"
        ),
        pytest.param(
            [named("fraud-r2", 900, pod="a"), named("fraud-r2", 900, pod="b")],
            [],
            HOLD,
            reasons.SEVERAL_SERIES,
            id="several",
        ),
        pytest.param(
            [named("fraud-r2", 900), placed("1", 900)], [], HOLD, reasons.SEVERAL_SERIES, id="by-name-and-by-place"
        ),
        pytest.param([named("fraud-r2", 49)], [], HOLD, reasons.TOO_FEW_SAMPLES, id="too-few"),
        pytest.param([named("fraud-r2", 0)], [], HOLD, reasons.TOO_FEW_SAMPLES, id="none"),
        pytest.param([named("fraud-r2", -5)], [], HOLD, reasons.TOO_FEW_SAMPLES, id="a-counter-that-was-reset"),
        pytest.param(
            [named("fraud-r2", 49)], [named("fraud-r2", 49)], HOLD, reasons.TOO_FEW_SAMPLES, id="too-few-all-bad"
        ),
        pytest.param([named("fraud-r2", 50)], [], PASS, reasons.WITHIN_LIMITS, id="no-bad-series-is-no-bad"),
        pytest.param([named("fraud-r2", 500)], [named("fraud-r2", 5)], PASS, reasons.WITHIN_LIMITS, id="at-the-limit"),
        pytest.param(
            [named("fraud-r2", 50)], [named("fraud-r2", 2)], HOLD, reasons.TOO_FEW_SAMPLES, id="above-by-chance"
        ),
        pytest.param([named("fraud-r2", 50)], [named("fraud-r2", 10)], FAIL, reasons.OUTSIDE_LIMITS, id="above"),
        pytest.param(
            [named("fraud-r2", 50)], [named("fraud-r2", 60)], FAIL, reasons.OUTSIDE_LIMITS, id="more-bad-than-all"
        ),
        pytest.param(
            [named("fraud-r2", 500)], [named("fraud-r2", -3)], PASS, reasons.WITHIN_LIMITS, id="bad-was-reset"
        ),
        pytest.param([placed("1", 500)], [placed("1", 100)], FAIL, reasons.OUTSIDE_LIMITS, id="by-place"),
        pytest.param([placed("1", 500)], [placed("0", 100)], PASS, reasons.WITHIN_LIMITS, id="the-other-lanes-errors"),
        pytest.param([placed("1", 500, route="other")], [], HOLD, reasons.NO_DATA, id="another-route"),
        pytest.param(
            [placed("1", 500, route_namespace="lab")], [], HOLD, reasons.NO_DATA, id="another-routes-namespace"
        ),
    ],
)
def test_bad_of_total_against_a_limit(total: list[Sample], bad: list[Sample], verdict: Verdict, reason: str) -> None:
    found = judge(LIMIT, total, bad)
    assert (found.verdict, found.reason) == (verdict, reason), found.message


@pytest.mark.parametrize(
    ("total", "value", "verdict", "reason"),
    [
        pytest.param(100, 120, PASS, reasons.WITHIN_LIMITS, id="within"),
        pytest.param(100, 500, PASS, reasons.WITHIN_LIMITS, id="at-the-highest"),
        pytest.param(100, 501, FAIL, reasons.OUTSIDE_LIMITS, id="above-the-highest"),
        pytest.param(100, 0.5, FAIL, reasons.OUTSIDE_LIMITS, id="below-the-lowest"),
        pytest.param(100, math.nan, HOLD, reasons.NOT_A_NUMBER, id="nan"),
        pytest.param(100, math.inf, HOLD, reasons.NOT_A_NUMBER, id="infinite"),
        pytest.param(49, math.nan, HOLD, reasons.TOO_FEW_SAMPLES, id="too-few-explains-the-nan"),
        pytest.param(49, 900, HOLD, reasons.TOO_FEW_SAMPLES, id="too-few"),
        pytest.param(100, None, HOLD, reasons.NO_DATA, id="no-value"),
        pytest.param(None, 120, HOLD, reasons.NO_DATA, id="no-total"),
    ],
)
def test_a_value_against_its_limits(total: float | None, value: float | None, verdict: Verdict, reason: str) -> None:
    totals = [] if total is None else [named("fraud-r2", total)]
    values = [] if value is None else [named("fraud-r2", value)]
    found = judge(VALUE, totals, value=values)
    assert (found.verdict, found.reason) == (verdict, reason), found.message


@pytest.mark.parametrize(
    ("bad", "other", "verdict", "reason"),
    [
        pytest.param((1, 1_000), (1, 1_000), PASS, reasons.WITHIN_LIMITS, id="alike"),
        pytest.param((50, 1_000), (1, 1_000), FAIL, reasons.WORSE_THAN_STABLE, id="far-worse"),
        pytest.param((5, 1_000), (1, 1_000), PASS, reasons.WITHIN_LIMITS, id="worse-by-ratio-only"),
        pytest.param((90, 1_000), (50, 1_000), PASS, reasons.WITHIN_LIMITS, id="worse-by-difference-only"),
        pytest.param((1, 100), (0, 1_000), HOLD, reasons.TOO_FEW_SAMPLES, id="both-but-may-be-chance"),
        pytest.param((0, 1_000), (50, 1_000), PASS, reasons.WITHIN_LIMITS, id="better"),
        pytest.param((200, 1_000), (190, 1_000), FAIL, reasons.OUTSIDE_LIMITS, id="no-worse-but-beyond-the-limit"),
        pytest.param((200, 1_000), (1, 1_000), FAIL, reasons.OUTSIDE_LIMITS, id="both-fail-the-limit-says-more"),
        pytest.param((5, 1_000), (0, 49), HOLD, reasons.NO_STABLE_DATA, id="too-few-of-stable"),
        pytest.param((200, 1_000), (0, 49), FAIL, reasons.OUTSIDE_LIMITS, id="a-silent-stable-hides-no-breach"),
    ],
)
def test_counts_against_a_limit_and_the_stable_revision(
    bad: tuple[float, float], other: tuple[float, float], verdict: Verdict, reason: str
) -> None:
    found = counts(BOTH, *bad, *other)
    assert (found.verdict, found.reason) == (verdict, reason), found.message


@pytest.mark.parametrize(
    ("compare", "value", "other", "verdict"),
    [
        pytest.param({"maxRatio": "1.5"}, 140, 100, PASS, id="within-the-ratio"),
        pytest.param({"maxRatio": "1.5"}, 160, 100, FAIL, id="beyond-the-ratio"),
        pytest.param({"maxDifference": "50"}, 140, 100, PASS, id="within-the-difference"),
        pytest.param({"maxDifference": "50"}, 160, 100, FAIL, id="beyond-the-difference"),
        pytest.param({"maxRatio": "1.5", "maxDifference": "50"}, 16, 10, PASS, id="beyond-the-ratio-alone"),
        pytest.param({"maxRatio": "1.5", "maxDifference": "50"}, 1_060, 1_000, PASS, id="beyond-the-difference-alone"),
        pytest.param({"maxRatio": "1.5", "maxDifference": "50"}, 200, 100, FAIL, id="beyond-both"),
        pytest.param({"maxRatio": "1.5"}, 1, 0, FAIL, id="something-beside-nothing"),
        pytest.param({"maxRatio": "1.5"}, 0, 0, PASS, id="nothing-beside-nothing"),
    ],
)
def test_values_against_the_stable_revision(
    compare: dict[str, str], value: float, other: float, verdict: Verdict
) -> None:
    totals = [named("fraud-r2", 100), named("fraud-r1", 100)]
    values = [named("fraud-r2", value), named("fraud-r1", other)]
    found = judge(level(query="value", compare=compare), totals, value=values)
    assert found.verdict is verdict, found.message
    assert (found.value, found.stable_value) == (str(value), str(other))


@pytest.mark.parametrize(
    ("stable", "why"),
    [
        pytest.param([], "stable fraud-r1: Prometheus has no requests of fraud-r1 in the window", id="nothing"),
        pytest.param(
            [named("fraud-r1", 3)], "stable fraud-r1: 3 requests of fraud-r1 in 60 s, 50 are needed", id="few"
        ),
        pytest.param([named("fraud-r1", math.nan)], "stable fraud-r1: Prometheus answers nan for fraud-r1", id="nan"),
    ],
)
def test_a_comparison_waits_for_the_stable_revision_to_be_measured(stable: list[Sample], why: str) -> None:
    found = judge(COMPARED, [named("fraud-r2", 900), *stable])
    assert (found.verdict, found.reason, found.message) == (HOLD, reasons.NO_STABLE_DATA, why)


def test_without_a_stable_revision_only_limits_are_judged() -> None:
    found = judge(BOTH, [named("fraud-r2", 900)], stable=None, stable_lane=None)
    assert (found.verdict, found.stable_value) == (PASS, None)


def test_a_mere_comparison_never_passes_without_one_to_compare_with() -> None:
    found = judge(COMPARED, [named("fraud-r2", 900)], stable=None, stable_lane=None)
    assert (found.verdict, found.reason) == (HOLD, reasons.NO_STABLE_DATA)


def test_in_a_shadow_step_the_copies_are_the_candidates_requests() -> None:
    totals = [placed("mirror", 200), placed("0", 900), placed("1", 900)]
    found = judge(BOTH, totals, [placed("mirror", 100)], mirrored=True)
    assert (found.verdict, found.samples, found.value, found.stable_value) == (FAIL, 200, "0.5", "0")


@pytest.mark.parametrize(
    ("clean_for", "verdict"),
    [
        pytest.param(timedelta(seconds=59), HOLD, id="not-for-the-whole-window"),
        pytest.param(timedelta(seconds=60), FAIL, id="for-the-whole-window"),
    ],
)
@pytest.mark.parametrize("mirrored", [False, True], ids=["lane", "copies"])
def test_what_an_earlier_revision_did_in_the_same_place_is_not_held_against_this_one(
    clean_for: timedelta, verdict: Verdict, mirrored: bool
) -> None:
    backend = "mirror" if mirrored else "1"
    given: dict[str, Any] = {"lane_clean_since": NOW - clean_for, "mirrored": mirrored}
    found = judge(LIMIT, [placed(backend, 900)], [placed(backend, 500)], **given)
    assert found.verdict is verdict
    assert verdict is FAIL or found.reason == reasons.WINDOW_NOT_FULL


def test_series_that_name_their_revision_need_no_clean_lane() -> None:
    found = judge(LIMIT, [named("fraud-r2", 900)], [named("fraud-r2", 500)], lane_clean_since=NOW)
    assert found.verdict is FAIL


def test_places_of_others_say_nothing_of_how_ours_are_known() -> None:
    totals = [named("fraud-r2", 900), placed("1", 5, route="other")]
    assert judge(LIMIT, totals, lane_clean_since=NOW).verdict is PASS


def test_a_result_says_what_was_measured_when_and_on_whom() -> None:
    use = MonitorUse(name="errors", mode=MonitorMode.OBSERVE)
    totals = [named("fraud-r2", 300.7), named("fraud-r1", 2_000)]
    bads = [named("fraud-r2", 3.007), named("fraud-r1", 10)]
    found = judge(BOTH, totals, bads, use=use)
    assert found == MonitorResult(
        name="errors",
        verdict=PASS,
        reason=reasons.WITHIN_LIMITS,
        message="1.00% of 301 requests; stable: 0.50% of 2000 requests",
        mode="Observe",
        value="0.01",
        stable_value="0.005",
        samples=300,
        window_start=NOW - timedelta(minutes=1),
        observed_at=NOW,
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0"), (-0.0, "0"), (1e-7, "1e-07"), (123456789.0, "1.23457e08"), (1e300, "1e300"), (-2.5, "-2.5")],
)
def test_figures_are_written_as_the_api_has_them(value: float, written: str) -> None:
    found = judge(level(query="value", limits={"max": "1"}), [named("fraud-r2", 100)], value=[named("fraud-r2", value)])
    assert found.value == written


def test_parameters_reach_queries_and_limits() -> None:
    use = MonitorUse(name="latency", parameters={"maxMs": "80"})
    found = judge(VALUE, [named("fraud-r2", 100)], value=[named("fraud-r2", 90)], use=use)
    assert (found.verdict, found.message) == (FAIL, "90 over 100 requests, above the limit of 80")


def test_a_template_that_cannot_be_filled_in_is_the_callers_to_tell() -> None:
    with pytest.raises(promql.TemplateError):
        judge(
            VALUE,
            use=MonitorUse(name="latency", parameters={"maxMs": "fast"}),
            total=[named("fraud-r2", 100)],
            value=[named("fraud-r2", 90)],
        )


def test_only_service_levels_can_be_judged() -> None:
    drift = ModelMonitorSpec.model_validate({"drift": {}})
    with pytest.raises(ValueError, match="error-rate has no service level"):
        judge(drift)


floats = st.floats(allow_nan=True, allow_infinity=True)
samples = st.builds(
    Sample,
    st.fixed_dictionaries(
        {},
        optional={
            "namespace": st.sampled_from(["risk", "lab"]),
            "revision": st.sampled_from(["fraud-r1", "fraud-r2"]),
            "route_namespace": st.just("risk"),
            "route": st.sampled_from(["fraud", "other"]),
            "backend": st.sampled_from(["0", "1", "mirror"]),
            "le": st.sampled_from(["10", "1e3", "+Inf", "quick"]),
        },
    ),
    floats,
)
vectors = st.lists(samples, max_size=6)
monitors = st.sampled_from([LIMIT, BOTH, COMPARED, VALUE])


@given(monitors | st.just(SPREAD), vectors, vectors, vectors, st.booleans(), st.booleans())
def test_whatever_prometheus_answers_there_is_a_verdict_and_it_rests_on_enough(
    monitor: ModelMonitorSpec,
    total: list[Sample],
    bad: list[Sample],
    value: list[Sample],
    mirrored: bool,
    alone: bool,
) -> None:
    given_: dict[str, Any] = {"mirrored": mirrored} | ({"stable": None, "stable_lane": None} if alone else {})
    found = judge(monitor, total, bad, value, [*total, *bad], **given_)
    MonitorResult.model_validate(found.dump())
    if found.verdict in (PASS, FAIL):
        assert found.samples is not None
        assert found.samples >= 50
        assert found.value is not None
    if found.verdict is PASS and monitor is COMPARED:
        assert found.stable_value is not None


large = st.integers(50, 5_000)


@given(st.data(), monitors.filter(lambda monitor: monitor is not VALUE), large, large)
def test_one_more_bad_request_never_makes_the_verdict_better(
    data: st.DataObject, monitor: ModelMonitorSpec, total: int, other_total: int
) -> None:
    bad, other = data.draw(st.integers(0, total - 1)), data.draw(st.integers(0, other_total))
    order = [PASS, HOLD, FAIL]
    before, after = (counts(monitor, count, total, other, other_total).verdict for count in (bad, bad + 1))
    assert order.index(before) <= order.index(after)


@given(st.data(), monitors.filter(lambda monitor: monitor is not VALUE), st.integers(0, 49))
def test_below_the_least_samples_nothing_passes_and_nothing_fails(
    data: st.DataObject, monitor: ModelMonitorSpec, total: int
) -> None:
    bad = data.draw(st.integers(0, total))
    assert counts(monitor, bad, total, 0, 5_000).verdict is HOLD


@given(monitors, st.floats(0, 1e6), st.floats(0, 1e6))
def test_missing_requests_never_pass(monitor: ModelMonitorSpec, bad: float, value: float) -> None:
    others = [named("fraud-r1", 5_000), placed("0", 5_000)]
    found = judge(monitor, others, [named("fraud-r2", bad)], [named("fraud-r2", value)])
    assert found.verdict is HOLD


def buckets(revision: str, *counts: float) -> list[Sample]:
    """How many requests were at most 10, 50, 100 and 1000 ms, and how many there were."""
    return [
        named(revision, count, le=le) for le, count in zip(("10", "50", "100", "1000", "+Inf"), counts, strict=True)
    ]


FAST = buckets("fraud-r1", 500, 900, 1000, 1000, 1000)


@pytest.mark.parametrize(
    ("candidate", "stable", "verdict", "reason"),
    [
        pytest.param([], FAST, HOLD, reasons.NO_DATA, id="empty"),
        pytest.param(buckets("fraud-r2", 9, 20, 49, 49, 49), FAST, HOLD, reasons.TOO_FEW_SAMPLES, id="too-few"),
        pytest.param(buckets("fraud-r2", 0, 0, 0, 0, 0), FAST, HOLD, reasons.TOO_FEW_SAMPLES, id="none"),
        pytest.param(buckets("fraud-r2", 0, 0, 0, 0, math.nan), FAST, HOLD, reasons.NOT_A_NUMBER, id="nan"),
        pytest.param([named("fraud-r2", 900)], FAST, HOLD, reasons.NOT_A_HISTOGRAM, id="no-le"),
        pytest.param(buckets("fraud-r2", 1, 2, 3, 4, 5)[:-1], FAST, HOLD, reasons.NOT_A_HISTOGRAM, id="no-last"),
        pytest.param(2 * buckets("fraud-r2", 1, 2, 3, 4, 5), FAST, HOLD, reasons.NOT_A_HISTOGRAM, id="several"),
        pytest.param(buckets("fraud-r2", 50, 90, 100, 100, 100), FAST, PASS, reasons.WITHIN_LIMITS, id="alike"),
        pytest.param(buckets("fraud-r2", 0, 40, 100, 100, 100), FAST, PASS, reasons.WITHIN_LIMITS, id="a-bit-slower"),
        pytest.param(buckets("fraud-r2", 0, 0, 0, 100, 100), FAST, FAIL, reasons.OUTSIDE_LIMITS, id="above-the-limit"),
        pytest.param(
            buckets("fraud-r2", 50, 70, 93, 96, 100),
            buckets("fraud-r1", 500, 900, 960, 1000, 1000),
            HOLD,
            reasons.TOO_FEW_SAMPLES,
            id="perhaps-above",
        ),
        pytest.param(buckets("fraud-r2", 0, 0, 60, 100, 100), FAST, FAIL, reasons.OUTSIDE_LIMITS, id="long-tail"),
        pytest.param(
            buckets("fraud-r2", 0, 0, 60, 100, 100),
            buckets("fraud-r1", 1, 2, 3, 4, 5),
            FAIL,
            reasons.OUTSIDE_LIMITS,
            id="limits-need-no-stable",
        ),
        pytest.param(buckets("fraud-r2", 50, 90, 100, 100, 100), [], HOLD, reasons.NO_STABLE_DATA, id="no-stable"),
    ],
)
def test_a_quantile_against_limits_and_stable(
    candidate: list[Sample], stable: list[Sample], verdict: Verdict, reason: str
) -> None:
    found = judge(SPREAD, histogram=[*candidate, *stable])
    assert (found.verdict, found.reason) == (verdict, reason), found.message


def test_a_tail_that_is_twice_as_long_fails_below_every_limit() -> None:
    quick = buckets("fraud-r1", 980, 1000, 1000, 1000, 1000)
    found = judge(SPREAD, histogram=[*buckets("fraud-r2", 20, 60, 100, 100, 100), *quick])
    assert (found.verdict, found.reason) == (FAIL, reasons.WORSE_THAN_STABLE)
    assert (found.value, found.stable_value, found.samples) == ("93.75", "9.69388", 100)
    figures = (
        "95th percentile 93.75 of 100 requests; stable: 95th percentile 9.694 of 1000 requests: worse than allowed"
    )
    assert found.message == figures
    few = judge(SPREAD, histogram=[*buckets("fraud-r2", 46, 47, 50, 50, 50), *buckets("fraud-r1", *[50] * 5)])
    assert (few.verdict, few.reason) == (HOLD, reasons.TOO_FEW_SAMPLES)


LOOSE = level(histogram="histogram", quantile="0.95", limits={"max": "5000"})
RACE = level(histogram="histogram", quantile="0.95", compare={"maxRatio": "2", "maxDifference": "10"})


def test_what_is_beyond_the_last_bucket_passes_no_limit_that_is_beyond_it_too() -> None:
    found = judge(LOOSE, histogram=buckets("fraud-r2", 0, 0, 0, 90, 100))
    assert (found.verdict, found.reason, found.value) == (HOLD, reasons.BEYOND_BUCKETS, "1000")
    floor = level(histogram="histogram", quantile="0.95", limits={"min": "5000"})
    assert judge(floor, histogram=buckets("fraud-r2", 0, 0, 0, 90, 100)).reason == reasons.BEYOND_BUCKETS
    assert judge(LOOSE, histogram=buckets("fraud-r2", 0, 0, 0, 100, 100)).verdict is PASS
    assert judge(SPREAD, histogram=[*buckets("fraud-r2", 0, 0, 0, 0, 100), *FAST]).verdict is FAIL


def test_two_that_are_beyond_the_last_bucket_cannot_be_compared() -> None:
    slow = buckets("fraud-r1", 0, 0, 0, 900, 1000)
    found = judge(RACE, histogram=[*buckets("fraud-r2", 0, 0, 0, 50, 100), *slow])
    assert (found.verdict, found.reason) == (HOLD, reasons.BEYOND_BUCKETS)
    assert judge(RACE, histogram=[*buckets("fraud-r2", 0, 0, 100, 100, 100), *slow]).verdict is PASS


def test_what_the_buckets_cannot_tell_from_what_is_allowed_passes_and_says_so() -> None:
    """All took at most 10, and all between 10 and 50: that may be 10 and 11."""
    quick = buckets("fraud-r1", 1000, 1000, 1000, 1000, 1000)
    found = judge(RACE, histogram=[*buckets("fraud-r2", 0, 900, 900, 900, 900), *quick])
    assert (found.verdict, found.reason) == (PASS, reasons.WITHIN_LIMITS)
    assert found.message.endswith("by no more than the buckets can tell")
    assert judge(RACE, histogram=[*buckets("fraud-r2", 0, 800, 900, 900, 900), *quick]).verdict is FAIL


@pytest.mark.parametrize(("requests", "verdict"), [(50, HOLD), (100, HOLD), (2000, FAIL)])
def test_what_more_requests_alike_would_show_is_not_passed_for_their_want(requests: int, verdict: Verdict) -> None:
    """12 % are beyond 50, and of stable's 6 % beyond 10: that tells, from some number of requests on."""
    quick = buckets("fraud-r1", *(requests * part for part in (0.94, 1, 1, 1, 1)))
    found = judge(RACE, histogram=[*buckets("fraud-r2", *(requests * part for part in (0.5, 0.88, 1, 1, 1))), *quick])
    assert found.verdict is verdict, found.message


def test_a_tail_beyond_the_last_bucket_is_not_passed_for_too_few_above_it() -> None:
    """Of 1000 requests 60 hang, of stable's 40 take more than 100: how much longer nobody knows."""
    close = level(histogram="histogram", quantile="0.95", compare={"maxRatio": "1.05"})
    slow = buckets("fraud-r1", 0, 0, 940, 1000, 1000)
    found = judge(close, histogram=[*buckets("fraud-r2", 0, 0, 940, 940, 1000), *slow])
    assert (found.verdict, found.reason) == (HOLD, reasons.BEYOND_BUCKETS)


@pytest.mark.parametrize("share", ["0", "1", "1.5", "-0.5"])
def test_a_quantile_that_is_none_is_refused(share: str) -> None:
    use = MonitorUse(name="latency", parameters={"share": share})
    with pytest.raises(promql.TemplateError, match="not between 0 and 1"):
        judge(SPREAD, histogram=FAST, use=use)
