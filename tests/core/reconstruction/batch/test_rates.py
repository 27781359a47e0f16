"""What happens to a rule's state when the learning rate changes, and what does not."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets
from restoration_core.reconstruction import FeatureMatch, Problem, Schedule, solve

SIZE = 24


def given(double: Classifier, images: Tensor, optimizer: str, rates: tuple[float, float]) -> Problem:
    target = feature_targets(double, images[0].double(), ["conv1/relu"])["conv1/relu"]
    return Problem(
        matches=(FeatureMatch("conv1/relu", target),),
        iterations=7,
        learning_rate=Schedule(((0, rates[0]), (3, rates[1]))),
        optimizer=optimizer,
        initial=images[1],
    )


def slope(double: Classifier, problem: Problem, x: Tensor) -> Tensor:
    leaf = x.detach().requires_grad_()
    phi, target = double.features(leaf, ["conv1/relu"])["conv1/relu"][0], problem.matches[0].target
    return torch.autograd.grad((phi - target).square().sum() / target.square().sum(), leaf)[0]


def test_momentum_is_forgotten_when_the_rate_changes(classifier: Classifier, photographs: Tensor) -> None:
    double = classifier.to("cpu", torch.float64)
    problem = given(double, photographs, "momentum", (3.0, 1.0))
    x = photographs[1].double()[None]
    for rate, steps in ((3.0, 3), (1.0, 4)):
        velocity = torch.zeros_like(x)
        for _ in range(steps):
            velocity = 0.9 * velocity - rate * slope(double, problem, x)
            x = x + velocity
    (result,) = solve(double, [problem], SIZE, dtype=torch.float64)
    torch.testing.assert_close(result.image, x[0].clamp(0, 1), rtol=0, atol=1e-10)


def test_adagrads_sums_outlive_a_change_of_the_rate(classifier: Classifier, photographs: Tensor) -> None:
    double = classifier.to("cpu", torch.float64)
    problem = given(double, photographs, "adagrad", (20.0, 5.0))
    x = photographs[1].double()[None]
    velocity, squares = torch.zeros_like(x), torch.zeros_like(x)
    for step in range(7):
        gradient = slope(double, problem, x)
        squares = 0.9 * squares + gradient.square()
        velocity = 0.9 * velocity - gradient / (1 / (20.0 if step < 3 else 5.0) + squares.sqrt())
        x = x + velocity / 255  # the step is counted in grey levels
    (result,) = solve(double, [problem], SIZE, dtype=torch.float64)
    torch.testing.assert_close(result.image, x[0].clamp(0, 1), rtol=0, atol=1e-10)


def test_rows_of_every_rule_keep_to_themselves(classifier: Classifier, photographs: Tensor) -> None:
    double = classifier.to("cpu", torch.float64)
    rows = [
        given(double, photographs, "momentum", (3.0, 1.0)),
        given(double, photographs, "adagrad", (20.0, 5.0)),
        given(double, photographs, "adam", (0.05, 0.01)),
    ]
    rows.append(replace(rows[0], learning_rate=Schedule(((0, 2.0), (5, 1.0))), momentum=0.5))
    together = solve(double, rows, SIZE, dtype=torch.float64)
    for row, batch in zip(rows, together, strict=True):
        (alone,) = solve(double, [row], SIZE, dtype=torch.float64)
        assert float((batch.image - alone.image).abs().max()) < 1e-12
