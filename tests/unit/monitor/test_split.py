"""Whether the requests were split as the gateway was told."""

from __future__ import annotations

import numpy as np
import pytest

from sluice.monitor.split import ALPHA, unfair
from sluice.monitor.tally import Tally


@pytest.mark.parametrize(
    ("candidate", "stable", "share", "fair"),
    [
        pytest.param(0, 0, 0.1, True, id="no requests"),
        pytest.param(100, 900, 0.1, True, id="as told"),
        pytest.param(80, 920, 0.1, True, id="off by chance"),
        pytest.param(60, 940, 0.1, False, id="too few"),
        pytest.param(150, 850, 0.1, False, id="too many"),
        pytest.param(0, 1_000, 0.1, False, id="none"),
        pytest.param(0, 50, 0.1, True, id="none, of fifty"),
        pytest.param(95_000, 905_000, 0.1, True, id="beyond chance and too little to matter"),
        pytest.param(88_000, 912_000, 0.1, False, id="beyond chance and enough"),
        pytest.param(880_000, 120_000, 0.9, False, id="the stable revision's part is a fifth larger than it should be"),
        pytest.param(500, 500, 0.1, False, id="every other one"),
    ],
)
def test_a_split_is_unfair_when_it_is_too_far_off_and_not_by_chance(
    candidate: int, stable: int, share: float, fair: bool
) -> None:
    assert (unfair(Tally(paired=candidate), Tally(paired=stable), share) is None) is fair


def test_failed_requests_went_there_all_the_same() -> None:
    assert unfair(Tally(paired=30, failed=50, orphaned=20), Tally(paired=900), 0.1) is None


def test_the_message_has_both_shares() -> None:
    said = unfair(Tally(paired=50), Tally(paired=950), 0.1)
    assert said is not None
    assert said.startswith("The candidate had 5.00% of 1,000 requests, and should have 10.00%")


def test_fair_splits_are_hardly_ever_called_unfair() -> None:
    rng = np.random.default_rng(20_261_126)
    drawn = zip(*np.unique(rng.binomial(2_000, 0.05, size=20_000), return_counts=True), strict=True)
    alarms = sum(
        int(times)
        for count, times in drawn
        if unfair(Tally(paired=int(count)), Tally(paired=2_000 - int(count)), 0.05) is not None
    )
    # 2 are expected; 10 or more come about once in 20,000 runs.
    assert alarms < 10, ALPHA
