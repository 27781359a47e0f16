"""Presets as data: stretching, rates by the pixel, the problem they make; and the registry."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.networks import Classifier, open_network
from restoration_core.objectives import PRESETS, Preset, make_problem, mv2016, open_preset
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.reconstruction import Problem, Schedule, Status, Term, solve
from restoration_core.reconstruction.validation import check_problem
from tests.core.objectives.conftest import LAYER, SIZE

IMAGE = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))


def test_another_length_keeps_every_breakpoint_at_its_share() -> None:
    schedule = Schedule(((0, 1.0), (40, 0.0)))
    term = Term("total_variation", TotalVariation(), 1.0, schedule=schedule)
    preset = Preset("any", (term,), 100, schedule, jitter=2, jitter_until=80, coarse_to_fine=((0, 2), (50, 1)))
    half = preset.with_iterations(50)
    assert (half.iterations, half.jitter_until, half.coarse_to_fine) == (50, 40, ((0, 2), (25, 1)))
    assert half.learning_rate == half.terms[0].schedule == Schedule(((0, 1.0), (20, 0.0)))
    assert preset.with_iterations(1).learning_rate.pieces[0][0] == 0


def test_a_rate_for_a_pixel_is_multiplied_by_the_pictures_pixels(small: Classifier) -> None:
    preset = mv2016(small, LAYER)
    problem = make_problem(small, IMAGE, LAYER, preset)
    assert problem.learning_rate.at(0) == pytest.approx(SIZE**2 * preset.learning_rate.at(0))
    fixed = make_problem(small, IMAGE, LAYER, preset.with_rate(0.5))
    assert fixed.learning_rate == Schedule.constant(0.5)


def test_every_setting_reaches_the_problem(small: Classifier) -> None:
    paper = mv2016(small, LAYER)
    preset = replace(paper, normalization="dot_product", initial_noise="unit_norm", coarse_to_fine=((0, 2),), jitter=3)
    problem = make_problem(small, IMAGE, LAYER, preset, seed=5)
    shared = {field.name for field in fields(Preset)} & {field.name for field in fields(Problem)} - {"learning_rate"}
    assert len(shared) >= 12
    for name in shared:
        assert getattr(problem, name) == getattr(preset, name), name
    assert problem.matches[0].normalization == "dot_product"
    assert problem.seed == 5


def test_overrides_replace_the_presets_settings(small: Classifier) -> None:
    problem = make_problem(small, IMAGE, LAYER, mv2016(small, LAYER), iterations=9, bound=None)
    assert (problem.iterations, problem.bound) == (9, None)
    assert tuple(problem.matches[0].target.shape) == small.shape(LAYER, SIZE)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_makes_a_problem_that_the_solver_takes(name: str, small: Classifier) -> None:
    preset = open_preset(name, small, LAYER)
    assert preset.name == name
    check_problem(make_problem(small, IMAGE, LAYER, preset), small, SIZE)


@pytest.mark.parametrize("name", ["mv2015", "mv2016"])
def test_a_short_run_from_the_papers_own_start_comes_down(name: str) -> None:
    network = open_network()
    problem = make_problem(network, IMAGE, LAYER, open_preset(name, network, LAYER).with_iterations(25))
    (result,) = solve(network, [problem], SIZE)
    assert result.status is Status.FINISHED
    assert result.losses["objective"] < 0.5 * result.curves["objective"][0]


def test_an_unknown_preset_or_layer_is_refused_with_the_nearest_name(small: Classifier) -> None:
    with pytest.raises(InputError, match="unknown preset 'mv2061'; did you mean 'mv2016'"):
        open_preset("mv2061", small, LAYER)
    with pytest.raises(InputError, match="did you mean 'conv2/relu'"):
        open_preset("thesis-fig9", small, "conv2/rleu")
