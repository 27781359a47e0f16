"""Coarse-to-fine stages and the pictures kept on the way."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.reconstruction import (
    FeatureMatch,
    Problem,
    solve,
)
from tests.core.reconstruction.small_problems import SIZE, problem


def test_a_coarse_stage_gives_a_smooth_picture_and_the_fine_stage_details(
    classifier: Classifier, photographs: Tensor
) -> None:
    given = problem(classifier, photographs[0], coarse_to_fine=((0, 4), (4, 1)), snapshots=(0, 4, 8), seed=1)
    result = solve(classifier, [given], SIZE)[0]
    assert set(result.snapshots) == {0, 4, 8}
    small = torch.nn.functional.interpolate(result.snapshots[4][None], size=6, mode="area")
    roughness = {step: float(TotalVariation(2.0).energy(shot[None])) for step, shot in result.snapshots.items()}
    assert roughness[8] > 2 * roughness[4]
    assert small.std() > 0.01
    assert torch.equal(result.snapshots[8], result.image)


def test_stages_are_plain_torch_adam_on_a_stretched_picture_begun_anew_at_each(
    classifier: Classifier, photographs: Tensor
) -> None:
    double = classifier.to("cpu", torch.float64)
    target = feature_targets(double, photographs[0].double(), ["conv1/relu"])["conv1/relu"]
    given = Problem(
        matches=(FeatureMatch("conv1/relu", target),),
        iterations=8,
        initial=photographs[1],
        coarse_to_fine=((0, 4), (3, 2), (5, 1)),
    )
    picture = photographs[1].double()[None]
    for side, steps in ((6, 3), (12, 2), (24, 3)):
        x = torch.nn.functional.adaptive_avg_pool2d(picture, side).requires_grad_()
        optimizer = torch.optim.Adam([x], lr=0.05)
        for _ in range(steps):
            full = torch.nn.functional.interpolate(x, size=(SIZE, SIZE), mode="bilinear")
            phi = double.features(full, ["conv1/relu"])["conv1/relu"][0]
            optimizer.zero_grad()
            ((phi - target).square().sum() / target.square().sum()).backward()
            optimizer.step()
        picture = torch.nn.functional.interpolate(x.detach(), size=(SIZE, SIZE), mode="bilinear")
    result = solve(classifier, [given], SIZE, dtype=torch.float64)[0]
    torch.testing.assert_close(result.image, picture[0].clamp(0, 1), rtol=0, atol=1e-10)


def test_snapshots_are_the_pictures_of_shorter_runs(classifier: Classifier, photographs: Tensor) -> None:
    base = problem(classifier, photographs[0], jitter=3, seed=5)
    full = solve(classifier, [replace(base, snapshots=(3,))], SIZE, dtype=torch.float64)[0]
    short = solve(classifier, [replace(base, iterations=3)], SIZE, dtype=torch.float64)[0]
    assert float((full.snapshots[3] - short.image).abs().max()) < 1e-12
