"""What is best, against Optuna and by hand."""

from __future__ import annotations

import math
import random

import optuna
import pytest

from sweeps.search.pareto import Standing, best, is_better, ranked

NAN = math.nan


def numbers(trials: list[tuple[int, tuple[float | None, ...]]], goals: list[str]) -> list[int]:
    return [item.number for item in ranked(trials, goals)]


def test_by_one_metric_ties_go_to_the_lower_number_and_what_is_not_finite_is_left_out() -> None:
    trials = [(3, (0.1,)), (1, (0.2,)), (2, (0.1,)), (4, (NAN,)), (5, (None,)), (6, (-math.inf,)), (7, ())]
    assert numbers(trials, ["minimize"]) == [2, 3, 1]
    assert numbers(trials, ["maximize"]) == [1, 2, 3]
    assert best(trials, ["minimize"]) == ranked(trials, ["minimize"])[0]
    assert best([(0, (NAN,))], ["minimize"]) is None


def test_by_several_metrics_equal_trials_are_on_the_front_together_best_in_the_first_metric_first() -> None:
    trials = [(0, (1.0, 5.0)), (1, (2.0, 9.0)), (2, (3.0, 4.0)), (3, (2.5, 9.0)), (4, (0.5, 1.0)), (5, (1.0, 5.0))]
    assert numbers([*trials, (6, (NAN, 99.0))], ["minimize", "maximize"]) == [4, 0, 5, 1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("goals", [["minimize"], ["maximize"], ["maximize", "minimize"], ["minimize"] * 3])
def test_the_front_is_optunas_and_a_standing_comes_to_the_same_in_any_order(goals: list[str], seed: int) -> None:
    draw = random.Random(seed)
    trials = [(number, tuple(float(draw.randint(0, 5)) for _ in goals)) for number in range(40)]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=goals)
    study.add_trials([optuna.trial.create_trial(values=values) for _, values in trials])
    if len(goals) > 1:
        assert sorted(numbers(trials, goals)) == sorted(trial.number for trial in study.best_trials)
    else:
        assert best(trials, goals).values[0] == study.best_value
    standing = Standing(goals)
    shuffled = trials.copy()
    draw.shuffle(shuffled)
    for number, values in shuffled:
        standing.add(number, values)
    front = numbers(trials, goals) if len(goals) > 1 else numbers(trials, goals)[:1]
    assert [item.number for item in standing.ranked()] == front
    assert standing.best == best(trials, goals)


@pytest.mark.parametrize(("goal", "better"), [("minimize", 1.0), ("maximize", 2.0)])
def test_better_means_the_goals_direction(goal: str, better: float) -> None:
    assert is_better(better, 3.0 - better, goal)
    assert not is_better(3.0 - better, better, goal)
    assert not is_better(better, better, goal)
