"""The AdaGrad-like step against steps worked out by hand in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from restoration_core.reconstruction import Problem
from restoration_core.reconstruction.optimizers import AdaGrad


def run(gradients: list[Tensor], rates: list[float], momenta: list[float]) -> list[Tensor]:
    """Return the variable after each step from zero; rows have rates and momenta of their own."""
    rule = AdaGrad()
    problems = [Problem(matches=(), momentum=momentum) for momentum in momenta]
    ages = np.arange(1.0, len(gradients) + 1)
    table = torch.from_numpy(
        np.stack([rule.coefficients(p, rate, ages) for p, rate in zip(problems, rates, strict=True)], axis=2)
    )
    variable = torch.zeros_like(gradients[0])
    states = [torch.zeros_like(variable) for _ in range(rule.states)]
    seen = []
    for step, gradient in enumerate(gradients):
        rule.step(variable, gradient.clone(), states, table[step][..., None, None, None].unbind(0))
        seen.append(variable.clone())
    return seen


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).reshape(-1, 1, 1, 1)


def test_two_steps_equal_those_worked_out_by_hand() -> None:
    # Step 1: G = 3^2 = 9, 1/lr = 1: m = -3 / (1 + 3) = -0.75.
    # Step 2: G = 0.9 * 9 + 4^2 = 24.1: m = 0.9 * -0.75 - 4 / (1 + sqrt(24.1)). Steps are grey levels, 1/255.
    first, second = run([column(3.0), column(4.0)], [1.0], [0.9])
    velocity = -0.675 - 4 / (1 + 24.1**0.5)
    assert first.item() == pytest.approx(-0.75 / 255, rel=1e-14)
    assert second.item() == pytest.approx((-0.75 + velocity) / 255, rel=1e-14)


def test_every_row_and_every_value_has_its_own_step() -> None:
    gradients = [torch.tensor([[[[1.0, -2.0]]], [[[0.5, 0.0]]]], dtype=torch.float64) for _ in range(2)]
    both = run(gradients, [0.5, 4.0], [0.9, 0.5])
    for row, (rate, momentum) in enumerate([(0.5, 0.9), (4.0, 0.5)]):
        for place in range(2):
            alone = run([g[row : row + 1, ..., place : place + 1] for g in gradients], [rate], [momentum])
            for together, single in zip(both, alone, strict=True):
                assert together[row, 0, 0, place].item() == single.item()


def test_a_steep_objective_moves_by_grey_levels_whatever_its_scale() -> None:
    # A constant gradient: G -> g^2 / (1 - 0.9), so a step tends to 10 * g / sqrt(10 g^2) = sqrt(10) grey levels.
    for scale in (1e3, 1e6):
        seen = run([column(scale)] * 300, [1e3], [0.9])
        assert (seen[-2] - seen[-1]).item() == pytest.approx(10**0.5 / 255, rel=1e-4)


def test_a_flat_objective_moves_by_plain_descent_with_momentum() -> None:
    # sqrt(G) far below 1/lr: steps of lr g (1 + 0.9 + ...) / 255.
    first, second = run([column(1e-9)] * 2, [0.5], [0.9])
    assert first.item() == pytest.approx(-0.5e-9 / 255, rel=1e-6)
    assert (second - first).item() == pytest.approx(-0.95e-9 / 255, rel=1e-6)


def test_where_nothing_pulls_nothing_moves() -> None:
    assert run([column(0.0)] * 3, [1e6], [0.9])[-1].item() == 0
