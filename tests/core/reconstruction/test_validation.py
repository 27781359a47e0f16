"""What is wrong with a problem is told at once, before anything runs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError, InputErrors
from restoration_core.networks import Classifier
from restoration_core.objectives import make_problem, none
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.hand_crafted.isotropic_range import IsotropicRange
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.reconstruction import (
    FeatureMatch,
    Schedule,
    Term,
    solve,
)
from tests.core.reconstruction.small_problems import SIZE, problem

EXPERTS_ON_RGB = PatchExperts(torch.ones(1, 3, 25, 25), torch.ones(1), torch.zeros(1), EXPERTS["logistic"])


def test_every_fault_of_every_problem_is_told_at_once(classifier: Classifier, photographs: Tensor) -> None:
    good = problem(classifier, photographs[0])
    wrong_layer = replace(good, matches=(FeatureMatch("conv2/rleu", good.matches[0].target),))
    wrong_rest = replace(
        good,
        matches=(FeatureMatch("conv2/relu", torch.ones(3, 2, 2)),),
        terms=(Term("tv", TotalVariation(), -1.0), Term("tv", TotalVariation(), float("nan"))),
        iterations=0,
        optimizer="adma",
    )
    with pytest.raises(InputErrors) as caught:
        solve(classifier, [good, wrong_layer, wrong_rest], SIZE)
    text = "\n".join(caught.value.lines)
    assert "problem 1: unknown layer of cifar_alexnet 'conv2/rleu'; did you mean 'conv2/relu'?" in text
    assert "problem 2: target of layer 'conv2/relu' has shape (3, 2, 2); valid for 24 x 24" in text
    assert "weight of term 'tv' must be finite and >= 0, but got -1.0" in text
    assert "weight of term 'tv' must be finite and >= 0, but got nan" in text
    assert "term name 'tv' is taken" in text
    assert "iterations must be >= 1, but got 0" in text
    assert "unknown optimizer 'adma'; did you mean 'adam'?" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": Schedule.constant(0.0)}, "learning_rate must be finite and > 0"),
        ({"betas": (0.9, 1.0)}, r"betas must lie in \[0, 1\)"),
        ({"jitter": 0}, "jitter must be >= 1"),
        ({"bound": -1.0}, "bound must be > 0"),
        ({"coarse_to_fine": ((3, 2), (1, 1))}, "coarse_to_fine must start at iterations that rise"),
        ({"coarse_to_fine": ((0, 99),)}, r"coarse_to_fine factors must lie in 1\.\.24"),
        ({"snapshots": (9,)}, r"snapshots must lie in 0\.\.8"),
        ({"initial": torch.zeros(3, 5, 5)}, r"initial must have shape \(3, 24, 24\)"),
        ({"matches": ()}, "problem.matches is empty"),
        ({"jitter_until": -1}, "jitter_until must be >= 0, but got -1"),
        ({"terms": (Term("fc", TotalVariation(), 1.0, "pool9"),)}, "term 'fc': unknown layer"),
        ({"terms": (Term("map", EXPERTS_ON_RGB, 1.0, "conv1/lin"),)}, r"term 'map': x: shape \(B, 3, H, W\) is needed"),
        ({"terms": (Term("map", IsotropicRange(), 1.0, "conv1/lin"),)}, "has 3 values for 48 channels"),
        ({"terms": (Term("image", EXPERTS_ON_RGB, 1.0),)}, "24 x 24 px is smaller than the prior's patches"),
    ],
)
def test_bad_settings_are_refused(
    classifier: Classifier, photographs: Tensor, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        solve(classifier, [replace(problem(classifier, photographs[0]), **change)], SIZE)


def test_one_layer_under_two_names_is_matched_once(classifier: Classifier, photographs: Tensor) -> None:
    given = problem(classifier, photographs[0])
    twice = (*given.matches, FeatureMatch("relu2", given.matches[0].target))
    with pytest.raises(InputError, match="layer 'conv2/relu' is matched twice"):
        solve(classifier, [replace(given, matches=twice)], SIZE)


def test_a_prior_on_a_layer_without_positions_is_refused(classifier: Classifier) -> None:
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    given = make_problem(classifier, image, "fc7/relu", none(classifier, "fc7/relu").with_iterations(2))
    with pytest.raises(InputError, match="term 'tv': layer 'fc6/lin' has no map, only 256 values"):
        solve(classifier, [replace(given, terms=(Term("tv", TotalVariation(), 1.0, "fc6/lin"),))], 32)


def test_targets_without_scale_or_with_nan_are_refused(classifier: Classifier, photographs: Tensor) -> None:
    given = problem(classifier, photographs[0])
    target = given.matches[0].target
    for bad, message in ((torch.zeros_like(target), "is zero everywhere"), (target / 0, "not finite")):
        with pytest.raises(InputError, match=message):
            solve(classifier, [replace(given, matches=(FeatureMatch("conv2/relu", bad),))], SIZE)
