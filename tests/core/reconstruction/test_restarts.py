"""Restarts: rows of one batch, their mean and spread, and the gap to a run from the truth."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import Classifier
from restoration_core.objectives import make_problem, none
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.reconstruction import (
    Problem,
    Schedule,
    Status,
    Term,
    gap_to_truth,
    picture_losses,
    solve,
    solve_restarts,
)

SIZE = 24
SEEDS = (3, 1, 4)


@pytest.fixture(scope="module")
def problem(classifier: Classifier, photographs: Tensor) -> Problem:
    preset = none(classifier, "conv2/relu").with_iterations(40)
    tv = Term("tv", TotalVariation(), 0.3, schedule=Schedule(((0, 0.0), (5, 1.0))))
    return make_problem(classifier, photographs[0], "conv2/relu", preset, terms=(tv,))


def test_runs_are_those_of_their_seeds_and_mean_and_spread_are_numpys(classifier: Classifier, problem: Problem) -> None:
    found = solve_restarts(classifier, problem, SIZE, SEEDS)
    alone = [solve(classifier, [replace(problem, seed=seed)], SIZE)[0] for seed in SEEDS]
    for run, single in zip(found.results, alone, strict=True):
        assert torch.equal(run.image, single.image)
    pictures = torch.stack([run.image for run in alone]).double().numpy()
    torch.testing.assert_close(found.mean, torch.tensor(pictures.mean(0)).float())
    spread = (pictures.var(0, ddof=1).mean(0)) ** 0.5
    torch.testing.assert_close(found.spread, torch.tensor(spread).float())
    assert found.spread.shape == (SIZE, SIZE)
    objectives = [run.losses["objective"] for run in alone]
    assert found.best == objectives.index(min(objectives))
    assert found.seeds == SEEDS


def test_the_means_losses_are_its_own(classifier: Classifier, photographs: Tensor, problem: Problem) -> None:
    found = solve_restarts(classifier, problem, SIZE, SEEDS)
    phi = classifier.features(found.mean[None], ["conv2/relu"])["conv2/relu"][0]
    target = problem.matches[0].target
    loss = float((phi - target).square().sum() / target.square().sum())
    energy = float(TotalVariation().energy(found.mean[None]))
    expected = {"feature_loss": loss, "tv": energy, "objective": loss + 0.3 * energy}
    assert found.mean_losses == pytest.approx(expected, rel=1e-4)
    truth = photographs[0]
    assert float((found.mean - truth).square().mean()) < min(
        float((run.image - truth).square().mean()) for run in found.results
    )


def test_one_run_is_its_own_mean_and_has_no_spread(classifier: Classifier, problem: Problem) -> None:
    found = solve_restarts(classifier, problem, SIZE, (2,))
    assert torch.equal(found.mean, found.results[0].image)
    assert found.spread.eq(0).all()


def test_the_gap_is_the_ratio_of_objectives_after_the_same_iterations(
    classifier: Classifier, photographs: Tensor, problem: Problem
) -> None:
    found = solve_restarts(classifier, problem, SIZE, SEEDS)
    gap = gap_to_truth(classifier, problem, photographs[0], found.results)
    from_truth = solve(classifier, [replace(problem, initial=photographs[0])], SIZE)[0]
    assert gap.truth.iterations == found.results[0].iterations
    assert gap.truth.losses == from_truth.losses
    expected = [run.losses["objective"] / from_truth.losses["objective"] for run in found.results]
    assert gap.ratios == pytest.approx(expected)
    assert min(gap.ratios) > 1


def test_the_run_from_the_truth_is_not_blurred_by_coarse_stages(
    classifier: Classifier, photographs: Tensor, problem: Problem
) -> None:
    still = replace(problem, coarse_to_fine=((0, 8), (20, 1)), learning_rate=Schedule.constant(1e-7))
    gap = gap_to_truth(classifier, still, photographs[0], solve(classifier, [still], SIZE))
    torch.testing.assert_close(gap.truth.image, photographs[0].float(), rtol=0, atol=1e-4)


def test_a_run_that_is_not_finite_is_left_out_and_has_an_infinite_gap(
    classifier: Classifier, photographs: Tensor, problem: Problem
) -> None:
    good = solve(classifier, [problem], SIZE)[0]
    broken = replace(good, status=Status.NON_FINITE, losses={"objective": math.nan})
    assert gap_to_truth(classifier, problem, photographs[0], [good, broken]).ratios[1] == math.inf
    with pytest.raises(InputError, match="no restart stayed finite"):
        solve_restarts(classifier, replace(problem, learning_rate=Schedule.constant(1e30)), SIZE, SEEDS)


def test_losses_of_the_truth_count_the_last_factors(
    classifier: Classifier, photographs: Tensor, problem: Problem
) -> None:
    losses = picture_losses(classifier, problem, photographs[0])
    assert losses["feature_loss"] < 1e-10
    assert losses["objective"] == pytest.approx(0.3 * losses["tv"], rel=1e-5)


@pytest.mark.parametrize(("seeds", "message"), [((), "seeds must be different"), ((1, 1), "seeds must be different")])
def test_seeds_must_differ(classifier: Classifier, problem: Problem, seeds: tuple[int, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        solve_restarts(classifier, problem, SIZE, seeds)


def test_a_given_start_is_no_restart(classifier: Classifier, photographs: Tensor, problem: Problem) -> None:
    with pytest.raises(InputError, match=r"problem.initial is given, so restarts would start alike"):
        solve_restarts(classifier, replace(problem, initial=photographs[0]), SIZE, SEEDS)
