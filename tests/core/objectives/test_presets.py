"""Presets against the papers' constants."""

from __future__ import annotations

import pytest
import torch

from restoration_core.errors import InputError
from restoration_core.networks import Classifier, open_network
from restoration_core.objectives import make_problem, mv2016, none, open_preset
from restoration_core.objectives.presets import feature_weight, mv_jitter
from restoration_core.reconstruction import Schedule


@pytest.fixture(scope="module")
def alexnet() -> Classifier:
    return open_network("alexnet", "random")


@pytest.mark.parametrize(
    ("layer", "weight"),
    [("conv1/relu", 300), ("pool2", 300), ("conv3/relu", 300), ("conv4/lin", 100), ("conv5/relu", 20), ("pool5", 1)],
)
def test_feature_weights_of_alexnet_are_the_published_ones(alexnet: Classifier, layer: str, weight: float) -> None:
    assert feature_weight(alexnet, layer) == weight


@pytest.mark.parametrize(("layer", "jitter"), [("conv1/relu", 1), ("conv2/relu", 2), ("conv4/relu", 4), ("pool5", 8)])
def test_jitter_of_alexnet_is_a_quarter_of_the_stride(alexnet: Classifier, layer: str, jitter: int) -> None:
    assert mv_jitter(alexnet, layer) == jitter


def test_energy_of_the_preset_is_the_papers_on_the_255_scale(alexnet: Classifier) -> None:
    preset = mv2016(alexnet, "conv4/relu")
    x = torch.rand(1, 3, 9, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = sum(term.weight * float(term.prior.energy(x)) for term in preset.terms)
    z = 255 * (x - torch.tensor(alexnet.mean, dtype=torch.float64).reshape(1, 3, 1, 1))
    range_ = z.square().sum(1).pow(3).sum() / 63 / 80.0**6
    variation = ((z[..., 1:, :] - z[..., :-1, :]).square().sum() + (z[..., 1:] - z[..., :-1]).square().sum()) / 63
    paper = (range_ + variation / (80 / 6.5) ** 2) / 100  # over the feature weight C of conv4
    assert ours == pytest.approx(float(paper), rel=1e-10)


def test_bound_start_and_schedule_are_the_papers(alexnet: Classifier) -> None:
    preset = mv2016(alexnet, "conv4/relu")
    assert preset.bound == 160
    assert preset.jitter_until == 300
    assert preset.iterations == 350
    assert preset.learning_rate.at(299) == pytest.approx(1e-2 * 80**2 / 6 / 255)
    assert preset.learning_rate.at(300) == pytest.approx(preset.learning_rate.at(299) / 10)
    uniform = torch.linspace(-1, 1, 200001, dtype=torch.float64)
    uniform *= 80 / 3**0.5 / 255 / uniform.abs().quantile(0.95)
    assert preset.initial_std == pytest.approx(float(uniform.std()), rel=1e-3)


def test_no_prior_means_none(alexnet: Classifier) -> None:
    preset = none(alexnet, "conv4/relu")
    assert (preset.terms, preset.bound, preset.jitter, preset.jitter_until) == ((), None, 1, None)
    assert preset.learning_rate == mv2016(alexnet, "conv4/relu").learning_rate


def test_another_length_keeps_every_breakpoint_at_its_share(alexnet: Classifier) -> None:
    preset = mv2016(alexnet, "conv4/relu").with_iterations(70)
    assert (preset.iterations, preset.jitter_until) == (70, 60)
    assert [start for start, _ in preset.learning_rate.pieces] == [0, 60]
    assert mv2016(alexnet, "conv4/relu").with_iterations(1).learning_rate.pieces[0][0] == 0


def test_other_networks_go_by_stride() -> None:
    classifier = open_network("squeezenet1_1", "random")
    for stride, weight in ((2, 300), (8, 300), (16, 100)):
        layer = next(layer for layer in classifier.layers if classifier.stride(layer) == stride)
        assert feature_weight(classifier, layer) == weight


def test_a_problem_takes_the_presets_settings_and_the_overrides() -> None:
    classifier = open_network()
    preset = mv2016(classifier, "conv3/relu")
    image = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
    problem = make_problem(
        classifier, image, "conv3/relu", preset, seed=5, iterations=9, learning_rate=Schedule.constant(1.0)
    )
    assert problem.terms == preset.terms
    assert (problem.seed, problem.iterations, problem.learning_rate.at(3)) == (5, 9, 1.0)
    assert tuple(problem.matches[0].target.shape) == classifier.shape("conv3/relu", 16)


def test_an_unknown_preset_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="unknown preset 'mv2061'; did you mean 'mv2016'"):
        open_preset("mv2061", open_network(), "conv3/relu")
