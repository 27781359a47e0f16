"""A small problem for tests to vary, and references for its result."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from restoration_core.networks import Classifier
from restoration_core.objectives import make_problem, none
from restoration_core.reconstruction import Problem, Result

SIZE = 24


def problem(classifier: Classifier, image: Tensor, layer: str = "conv2/relu", **overrides: object) -> Problem:
    return make_problem(classifier, image, layer, none(classifier, layer).with_iterations(8), **overrides)


def largest_difference(first: list[Result], second: list[Result]) -> float:
    return max(float((a.image - b.image).abs().max()) for a, b in zip(first, second, strict=True))


def torch_adam(
    classifier: Classifier,
    problem: Problem,
    rates: Sequence[float],
    variation_weights: Sequence[float],
    map_weights: Sequence[float],
) -> tuple[Tensor, list[float]]:
    """Minimise with ``torch.optim.Adam`` and autograd alone, as a reference for the solver.

    The objective is the normalised loss at conv2/relu, the squared total variation of the picture and the variance
    of the map at conv1/lin, whose weights are given for every step.

    Returns:
        The picture ``(3, SIZE, SIZE)``, not clamped, and the objective before each step.
    """
    (match,) = problem.matches
    assert problem.initial is not None
    x = problem.initial.double().unsqueeze(0).requires_grad_()
    optimizer = torch.optim.Adam([x], betas=problem.betas)
    objectives = []
    for rate, variation_weight, map_weight in zip(rates, variation_weights, map_weights, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        maps = classifier.features(x, ["conv1/lin", "conv2/relu"])
        loss = match.weight * (maps["conv2/relu"][0] - match.target).square().sum() / match.target.square().sum()
        down, right = x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]
        loss = loss + variation_weight * (down.square().sum() + right.square().sum()) / SIZE**2
        centred = maps["conv1/lin"] - maps["conv1/lin"].mean()
        loss = loss + map_weight * centred.square().sum() / SIZE**2
        objectives.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return x.detach()[0], objectives
