"""Priors without an energy: what they report is recorded beside the objective, never in it."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputErrors
from restoration_core.networks import Classifier
from restoration_core.objectives import make_problem, none
from restoration_core.priors import TotalVariation
from restoration_core.priors.prior import Prior
from restoration_core.reconstruction import FEATURE_LOSS, OBJECTIVE, BatchSolver, Problem, Schedule, Term, solve

SIZE = 24


class Pull(Prior):
    """Pulls towards grey; has no energy."""

    has_energy = False

    def energy(self, x: Tensor) -> Tensor:
        raise AssertionError("an energy was asked of a prior that has none")

    def gradient(self, x: Tensor) -> Tensor:
        return (x - 0.5) / x[0].numel()


class Telling(Pull):
    """Pulls towards grey and reports half the squared distance."""

    def report(self, x: Tensor) -> Tensor:
        return (x - 0.5).square().flatten(1).mean(1) / 2


def problem(classifier: Classifier, image: Tensor, *terms: Term) -> Problem:
    preset = none(classifier, "conv2/relu").with_iterations(20)
    return make_problem(classifier, image, "conv2/relu", preset, terms=terms)


def test_a_report_is_recorded_outside_the_objective(classifier: Classifier, photographs: Tensor) -> None:
    variation = Term("total_variation", TotalVariation(2.0), 0.3)
    told = problem(classifier, photographs[0], variation, Term("denoiser", Telling(), 2.0))
    silent = problem(classifier, photographs[0], variation, Term("denoiser", Pull(), 2.0))
    with_report, without = solve(classifier, [told, silent], SIZE)
    assert torch.equal(with_report.image, without.image)
    names = {OBJECTIVE, FEATURE_LOSS, "total_variation"}
    assert with_report.losses.keys() == with_report.curves.keys() == names | {"denoiser.report"}
    assert without.losses.keys() == without.curves.keys() == names
    for name in names:
        assert with_report.curves[name] == without.curves[name]
    losses = with_report.losses
    assert losses[OBJECTIVE] == pytest.approx(losses[FEATURE_LOSS] + 0.3 * losses["total_variation"])
    expected = float(Telling().report(with_report.image[None]))
    assert losses["denoiser.report"] == pytest.approx(expected, rel=0.05)  # clamped against not clamped


def test_a_report_on_a_map_is_that_of_the_map(classifier: Classifier, photographs: Tensor) -> None:
    one = problem(classifier, photographs[0], Term("deep", Telling(), 0.0, "conv1/relu"))
    (result,) = solve(classifier, [replace(one, initial=photographs[1], iterations=1)], SIZE, record_every=1)
    seen = classifier.features(photographs[1:2], ["conv1/relu"])["conv1/relu"]
    assert result.curves["deep.report"][0] == pytest.approx(float(Telling().report(seen)), rel=1e-5)


def test_a_report_is_nan_while_its_schedule_keeps_it_out_and_taken_at_the_end(
    classifier: Classifier, photographs: Tensor
) -> None:
    early = Term("early", Telling(), 1.0, schedule=Schedule(((0, 1.0), (10, 0.0))))
    late = Term("late", Telling(), 1.0, schedule=Schedule(((0, 0.0), (10, 1.0))))
    (result,) = solve(classifier, [problem(classifier, photographs[0], early, late)], SIZE, record_every=5)
    assert result.curve_steps == (0, 5, 10, 15, 20)
    assert [math.isnan(value) for value in result.curves["early.report"]] == [False, False, True, True, False]
    assert [math.isnan(value) for value in result.curves["late.report"]] == [True, True, False, False, False]
    assert result.losses["early.report"] == result.losses["late.report"]


def test_what_is_running_shows_its_report(classifier: Classifier, photographs: Tensor) -> None:
    solver: BatchSolver[str] = BatchSolver(classifier, SIZE, record_every=5)
    solver.add("one", problem(classifier, photographs[0], Term("denoiser", Telling(), 1.0)))
    solver.advance(7)
    current = solver.current("one")
    assert current is not None
    assert current.iteration == 5
    assert current.losses["denoiser.report"] > 0


def test_a_term_cannot_take_the_name_of_anothers_report(classifier: Classifier, photographs: Tensor) -> None:
    told, other = Term("denoiser", Telling(), 1.0), Term("denoiser.report", TotalVariation(2.0), 1.0)
    with pytest.raises(InputErrors, match=r"term name 'denoiser\.report' is taken; valid: a name of its own"):
        solve(classifier, [problem(classifier, photographs[0], told, other)], SIZE)
