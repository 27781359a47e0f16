"""Maps as the optimised variable: inverting layer by layer down to the picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import Classifier
from restoration_core.networks.tail import cut_tail
from restoration_core.objectives import feature_targets
from restoration_core.priors.hand_crafted.alpha_norm import AlphaNorm
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.reconstruction import FeatureMatch, Problem, Term, solve

SIZE = 24


def inversion(layer: str, target: Tensor, **overrides: object) -> Problem:
    return replace(Problem(matches=(FeatureMatch(layer, target),), iterations=60, optimizer="lbfgs"), **overrides)


def error(found: Tensor, true: Tensor) -> float:
    return float((found - true).square().sum() / true.square().sum())


@pytest.mark.slow
def test_a_chain_of_inversions_ends_at_a_picture_with_the_features_it_began_with(
    classifier: Classifier, photographs: Tensor
) -> None:
    true = feature_targets(classifier, photographs[0], ["conv3/lin", "pool2"])
    found, matched = true["conv3/lin"], "conv3/lin"
    losses = []
    for layer in ("pool2", "pool1"):
        tail = cut_tail(classifier, layer, SIZE)
        result = solve(tail, [inversion(matched, found)], tail.size)[0]
        found, matched = result.image, layer
        losses.append(result.losses["feature_loss"])
        if layer == "pool2":
            assert error(found, true["pool2"]) < 0.03
    assert losses[0] < 1e-3
    assert losses[1] < 0.03
    picture = solve(classifier, [inversion("pool1", found)], SIZE)[0].image
    assert picture.shape == (3, SIZE, SIZE)
    assert error(classifier.features(picture[None], ["conv3/lin"])["conv3/lin"][0], true["conv3/lin"]) < 0.2


def test_a_map_is_not_clamped_as_a_picture_is(classifier: Classifier, photographs: Tensor) -> None:
    target = feature_targets(classifier, photographs[0], ["conv3/lin"])["conv3/lin"]
    tail = cut_tail(classifier, "conv2/lin", SIZE)
    result = solve(tail, [inversion("conv3/lin", target, iterations=2)], tail.size)[0]
    assert result.image.shape == classifier.shape("conv2/lin", SIZE)
    assert result.image.min() < -0.5


def test_the_true_map_stays_where_it_is(classifier: Classifier, photographs: Tensor) -> None:
    maps = feature_targets(classifier, photographs[0], ["conv1/relu", "conv2/relu"])
    tail = cut_tail(classifier, "conv1/relu", SIZE)
    given = inversion("conv2/relu", maps["conv2/relu"], initial=maps["conv1/relu"], snapshots=(0,), iterations=1)
    result = solve(tail, [given], tail.size)[0]
    assert torch.equal(result.snapshots[0], maps["conv1/relu"])
    assert result.curves["feature_loss"][0] < 1e-10


def test_maps_are_the_same_alone_and_together_with_priors_on_both_ends(
    classifier: Classifier, photographs: Tensor
) -> None:
    tail = cut_tail(classifier, "conv1/relu", SIZE)
    targets = [feature_targets(classifier, image, ["conv2/relu"])["conv2/relu"] for image in photographs[:3]]
    rows = [
        inversion(
            "conv2/relu",
            target,
            seed=seed,
            iterations=12 + seed,
            optimizer="adam",
            jitter=1 + seed,
            coarse_to_fine=((0, 2), (6, 1)) if seed == 1 else (),
            terms=(Term("tv", TotalVariation(), 0.1), Term("next", AlphaNorm(2.0), 0.1, layer="conv2/lin")),
        )
        for seed, target in enumerate(targets)
    ]
    together = solve(tail, rows, tail.size, dtype=torch.float64)
    for row, batch in zip(rows, together, strict=True):
        alone = solve(tail, [row], tail.size, dtype=torch.float64)[0]
        assert float((batch.image - alone.image).abs().max()) < 1e-12
        assert batch.losses == pytest.approx(alone.losses, rel=1e-9)


def test_noise_starts_with_the_maps_mean_and_deviation(classifier: Classifier, photographs: Tensor) -> None:
    tail = cut_tail(classifier, "conv1/relu", SIZE, photographs)
    target = feature_targets(classifier, photographs[0], ["conv2/relu"])["conv2/relu"]
    given = inversion("conv2/relu", target, iterations=1, initial_std=1.0, snapshots=(0,))
    start = solve(tail, [given], tail.size)[0].snapshots[0]
    mean, deviation = torch.tensor(tail.mean), torch.tensor(tail.deviation)
    error = deviation / tail.size  # of the mean of size^2 values
    assert bool(((start.mean((1, 2)) - mean).abs() <= 5 * error).all())
    torch.testing.assert_close(start.std((1, 2)), deviation, rtol=0.2, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"bound": 160.0},
            "a bound on colours is for pictures and the input of cifar_alexnet from conv1/relu is a",
        ),
        ({"initial": torch.zeros(3, SIZE, SIZE)}, r"initial must have shape \(48, 24, 24\)"),
        (
            {"terms": (Term("early", TotalVariation(), 1.0, "conv1/lin"),)},
            "term 'early': unknown layer of cifar_alexnet",
        ),
    ],
)
def test_what_a_map_cannot_have_is_refused(
    classifier: Classifier, photographs: Tensor, change: dict[str, object], message: str
) -> None:
    target = feature_targets(classifier, photographs[0], ["conv2/relu"])["conv2/relu"]
    tail = cut_tail(classifier, "conv1/relu", SIZE)
    with pytest.raises(InputError, match=message):
        solve(tail, [inversion("conv2/relu", target, **change)], tail.size)


def test_another_size_than_the_maps_is_refused(classifier: Classifier, photographs: Tensor) -> None:
    target = feature_targets(classifier, photographs[0], ["conv2/relu"])["conv2/relu"]
    tail = cut_tail(classifier, "pool1", SIZE)
    with pytest.raises(InputError, match=f"takes maps of {tail.size} x {tail.size}, not {SIZE} x {SIZE}"):
        solve(tail, [inversion("conv2/relu", target)], SIZE)
