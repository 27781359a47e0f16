"""The errors of reconstructions from a layer: of the whole picture, and between neighbouring pixels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from restoration_core.calibration.recipe import ErrorRun
from restoration_core.errors import InputError
from restoration_core.metrics import image_mse
from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets
from restoration_core.priors.hand_crafted import TotalVariation
from restoration_core.reconstruction import FeatureMatch, Problem, Schedule, Status, Term, solve
from restoration_core.seeds import derive_seed

_DECAY = ((0.0, 1.0), (0.6, 0.3), (0.85, 0.1))


def reconstructions(
    classifier: Classifier, layer: str, originals: Tensor, tv_weight: float, run: ErrorRun, seed: int
) -> Tensor:
    """Return reconstructions of some photographs, ``(B, 3, H, W)``, RGB in [0, 1].

    Args:
        classifier: the network.
        layer: matched layer.
        originals: ``(B, 3, H, W)``, RGB in [0, 1], on the network's device.
        tv_weight: raw weight of total variation (beta 2); 0 for the features alone.
        run: settings of the optimiser.
        seed: decides the starting noise.

    Raises:
        InputError: a reconstruction that did not stay finite.
    """
    terms = (Term("total_variation", TotalVariation(2.0), tv_weight),) if tv_weight > 0 else ()
    problems = [
        Problem(
            (FeatureMatch(layer, feature_targets(classifier, picture, [layer])[layer]),),
            terms,
            iterations=run.iterations,
            learning_rate=decaying(run.learning_rate, run.iterations),
            betas=run.betas,
            seed=derive_seed(seed, "calibration", number),
        )
        for number, picture in enumerate(originals)
    ]
    size, every = originals.shape[-1], run.iterations
    results = solve(classifier, problems, size, dtype=classifier.dtype, device=classifier.device, record_every=every)
    if any(result.status is Status.NON_FINITE for result in results):
        raise InputError(f"error_run.learning_rate: {run.learning_rate} diverged at {layer}; valid: a smaller one")
    return torch.stack([result.image for result in results]).to(originals)


def rmse(images: Tensor, originals: Tensor) -> float:
    """Return the root mean squared error over all pictures ``(B, C, H, W)``."""
    return math.sqrt(float(image_mse(images, originals).mean()))


def local_rmse(images: Tensor, originals: Tensor) -> float:
    """Return the root mean square of the differences between the errors of neighbouring pixels, over sqrt(2).

    White noise of standard deviation s gives s; a constant error gives 0.

    Args:
        images, originals: ``(B, C, H, W)``; the mean is over all pairs of neighbours, channels and rows.
    """
    error = images - originals
    pairs = [error[..., 1:, :] - error[..., :-1, :], error[..., 1:] - error[..., :-1]]
    count = sum(pair.numel() for pair in pairs)
    return math.sqrt(sum(float(pair.double().square().sum()) for pair in pairs) / (2 * max(count, 1)))


def decaying(learning_rate: float, iterations: int) -> Schedule:
    """Return a learning rate that falls to 0.3 after 60 % of the steps and to 0.1 after 85 %, so that Adam settles."""
    return Schedule(tuple({int(share * iterations): factor * learning_rate for share, factor in _DECAY}.items()))
