"""Which trials keep their pictures: the best searched one always, whatever the baselines do."""

from __future__ import annotations

import random

import pytest

from sweeps.execution.coordination.picture_policy import PicturePolicy
from sweeps.search.pareto import Standing


def kept(goals: list[str], trials: list[tuple[int, tuple[float, ...], bool]], images: str = "best") -> set[int]:
    policy = PicturePolicy(images, goals)
    return {number for number, values, baseline in trials if policy.add(number, values, baseline)}


def test_the_best_searched_trial_keeps_its_pictures_though_a_baseline_leads() -> None:
    trials = [(0, (0.1,), True), (1, (0.5,), False), (2, (0.6,), False), (3, (0.3,), False)]
    assert kept(["minimize"], trials) == {0, 1, 3}


def test_a_baseline_that_ends_last_and_worst_keeps_its_pictures() -> None:
    assert kept(["maximize"], [(1, (0.5,), False), (0, (0.1,), True)]) == {0, 1}


def test_of_equal_trials_the_one_that_is_shown_as_the_best_keeps_its_pictures() -> None:
    """They end in another order than they were asked in; shown is the lower number."""
    assert kept(["minimize"], [(5, (0.3,), False), (3, (0.3,), False), (4, (0.3,), False)]) == {5, 3}


@pytest.mark.parametrize("seed", range(5))
def test_with_several_metrics_the_searched_front_keeps_its_pictures_at_any_time(seed: int) -> None:
    draw, goals = random.Random(seed), ["minimize", "maximize"]
    policy, searched, seen = PicturePolicy("best", goals), Standing(goals), set[int]()
    for number in range(60):
        values, baseline = (draw.randint(0, 9), draw.randint(0, 9)), number < 3
        if baseline:
            values = (0, 9)  # dominates all that is searched
        if policy.add(number, values, baseline):
            seen.add(number)
        if not baseline:
            searched.add(number, values)
        assert {item.number for item in searched.front} <= seen
    assert len(seen) < 60


@pytest.mark.parametrize(("images", "expected"), [("all", {0, 1, 2}), ("none", set())])
def test_all_and_none_mean_what_they_say(images: str, expected: set[int]) -> None:
    assert kept(["minimize"], [(0, (0.1,), True), (1, (0.5,), False), (2, (0.6,), False)], images) == expected


def test_a_copy_goes_its_own_way() -> None:
    policy = PicturePolicy("best", ["minimize"])
    twin = policy.copy()
    assert twin.add(1, (0.1,), False)
    assert policy.add(2, (0.5,), False)
