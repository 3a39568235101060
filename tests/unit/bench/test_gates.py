"""The benchmark of the gates counts what it says it counts."""

from __future__ import annotations

import numpy as np
import pytest

from bench import gates
from bench.populations import BLOCK, SLICE, Population, largest

ROWS = 5_000


@pytest.fixture(scope="module")
def population() -> Population:
    chance = np.random.default_rng(1)
    live = chance.normal(size=(ROWS, 2)) + np.linspace(0, 3, ROWS)[:, None]
    stable = live[:, 0]
    return Population("made up", ("a", "b"), live, stable, [], {"shifted": stable + 2.0})


def test_a_release_is_one_shadow_and_nine_weights_whose_sides_share_no_request(population: Population) -> None:
    shadow, *weights = gates.looks(population, np.random.default_rng(2))
    assert shadow.paired
    assert shadow.candidate.tolist() == shadow.stable.tolist()
    assert len(weights) == len(gates.WEIGHTS) == gates.LOOKS - 1
    for look, weight in zip(weights, gates.WEIGHTS, strict=True):
        share = len(look.candidate) / (len(look.candidate) + len(look.stable))
        assert share == pytest.approx(weight / 100, abs=0.05)
        assert min(len(look.candidate), len(look.stable)) > 0.8 * gates.ROWS


def test_the_traffic_walks_once_through_the_whole_stream(population: Population) -> None:
    seen = np.concatenate([look.stable for look in gates.looks(population, np.random.default_rng(3))])
    stretches = np.bincount(seen * gates.LOOKS // ROWS, minlength=gates.LOOKS)
    assert (stretches > 0).all()


@pytest.mark.parametrize("judge", [gates.sluice, gates.kayenta, gates.evidently])
def test_every_rule_takes_back_a_model_that_answers_far_off(population: Population, judge: gates.Judge) -> None:
    outcome = gates.release(population, population.harmful["shifted"], {"it": judge}, seed=4)["it"]
    assert outcome.failed_at == 0
    assert outcome.rows == gates.SHADOWED


def test_the_same_model_is_taken_back_by_none_of_its_own_looks(population: Population) -> None:
    judges: dict[str, gates.Judge] = {"Sluice": gates.sluice, "split": gates.without_shadow}
    for seed in range(3):
        for outcome in gates.release(population, population.stable, judges, seed).values():
            assert outcome.failed_at is None


def test_rows_of_a_shadow_are_not_counted_where_there_is_none(population: Population) -> None:
    judges: dict[str, gates.Judge] = {"split": gates.without_shadow}
    outcome = gates.release(population, population.harmful["shifted"], judges, seed=5)["split"]
    assert outcome.failed_at == 1
    assert outcome.rows < gates.SHADOWED


def test_a_slice_is_the_stated_share_of_any_stretch_of_traffic() -> None:
    chosen = largest(np.linspace(0, 1, 10 * BLOCK))
    assert chosen.mean() == pytest.approx(SLICE)
    assert {int(block.sum()) for block in np.split(chosen, 10)} == {round(SLICE * BLOCK)}
