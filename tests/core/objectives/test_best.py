"""Our tuned preset: defined for every network and layer, and ahead of the named baseline."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.images import load_image
from restoration_core.metrics import psnr, ssim
from restoration_core.networks import Classifier, open_network, outline_network
from restoration_core.objectives import best, make_problem, open_preset
from restoration_core.objectives.best import LARGEST_WEIGHT, variation_weight
from restoration_core.reconstruction import OBJECTIVE, Result, solve
from restoration_core.reconstruction.validation import check_problem

pytestmark = pytest.mark.slow

NETWORKS = ("cifar_alexnet", "alexnet", "squeezenet1_0", "resnet18")


@cache
def _outline(network: str) -> Classifier:
    return outline_network(network)


@pytest.mark.parametrize("network", NETWORKS)
def test_weights_rise_with_the_receptive_field_and_stay_in_range(network: str) -> None:
    outline = _outline(network)
    by_field = sorted((outline.receptive_field(layer), variation_weight(outline, layer)) for layer in outline.layers)
    weights = [weight for _, weight in by_field]
    assert weights == sorted(weights)
    assert 0 < weights[0] < weights[-1] <= LARGEST_WEIGHT


@pytest.mark.parametrize(("layer", "weight"), [("features.1", 0.0106), ("features.4", 0.8), ("features.12", 10.0)])
def test_weights_of_squeezenet_are_the_tuned_ones(layer: str, weight: float) -> None:
    assert variation_weight(_outline("squeezenet1_0"), layer) == pytest.approx(weight, rel=0.01)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_layer_gets_one_image_prior_and_rates_and_sizes_that_come_to_rest(network: str) -> None:
    outline = _outline(network)
    for layer in outline.layers:
        preset = best(outline, layer)
        assert [(term.name, term.layer) for term in preset.terms] == [("total_variation", None)]
        rates = [rate for _, rate in preset.learning_rate.pieces]
        assert rates == sorted(rates, reverse=True)
        assert rates[-1] < 0.05 * rates[0]
        starts, factors = zip(*preset.coarse_to_fine, strict=True)
        assert factors == (16, 8, 4, 2, 1)
        assert starts[-1] < preset.learning_rate.pieces[1][0] < preset.iterations


def test_the_bound_lets_every_colour_through() -> None:
    outline = _outline("squeezenet1_0")
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0])] * 3).double()
    norms = 255 * (corners - torch.tensor(outline.mean, dtype=torch.float64)).norm(dim=1)
    assert best(outline, "features.4").bound == pytest.approx(float(norms.max()))


def test_every_layer_of_the_bundled_network_makes_a_valid_problem() -> None:
    classifier = open_network()
    picture = _picture(32)
    for layer in classifier.layers:
        check_problem(make_problem(classifier, picture, layer, best(classifier, layer)), classifier, 32)


def test_a_picture_smaller_than_its_first_stage_begins_as_one_colour() -> None:
    classifier, picture = open_network(), _picture(32)[:, :12, :12]
    problem = make_problem(classifier, picture, "conv2/relu", best(classifier, "conv2/relu"), snapshots=(0,))
    (result,) = solve(classifier, [problem], 12, record_every=100)
    assert result.snapshots[0].flatten(1).std(dim=1).max() < 1e-6
    assert (
        psnr(result.image[None], picture[None])
        > psnr(picture.mean((1, 2), keepdim=True).expand_as(picture)[None], picture[None]) + 3
    )


def test_an_unknown_layer_is_refused() -> None:
    with pytest.raises(InputError, match="conv9"):
        open_preset("best", open_network(), "conv9/lin")


def test_it_comes_closer_to_the_picture_than_mv2016() -> None:
    picture = _picture(32)
    ours, theirs = (_solve("conv3/relu", picture, name).image[None] for name in ("best", "mv2016"))
    assert float(psnr(ours, picture[None])) > float(psnr(theirs, picture[None])) + 1
    assert float(ssim(ours, picture[None])) > float(ssim(theirs, picture[None]))


def test_at_the_first_layer_it_ends_where_the_run_from_the_truth_ends() -> None:
    picture = _picture(32)
    found = _solve("conv1/relu", picture, "best")
    told = _solve("conv1/relu", picture, "best", initial=picture, coarse_to_fine=())
    assert found.losses[OBJECTIVE] <= 1.05 * told.losses[OBJECTIVE]
    assert found.losses["feature_loss"] < 1e-3


def _picture(size: int) -> Tensor:
    return torch.from_numpy(load_image("sample:coffee", size))


def _solve(layer: str, picture: Tensor, name: str, **overrides: object) -> Result:
    classifier = open_network()
    preset = open_preset(name, classifier, layer).with_iterations(150)
    problem = make_problem(classifier, picture, layer, preset, **overrides)
    return solve(classifier, [problem], picture.shape[-1], record_every=100)[0]
