"""Descent with momentum against torch's and against steps worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from restoration_core.reconstruction import Problem
from restoration_core.reconstruction.optimizers import Momentum


def coefficients(rates: list[float], momenta: list[float], steps: int) -> torch.Tensor:
    rows = [
        Momentum().coefficients(Problem(matches=(), momentum=momentum), rate, np.arange(1.0, steps + 1))
        for rate, momentum in zip(rates, momenta, strict=True)
    ]
    return torch.from_numpy(np.stack(rows, axis=2))[..., None, None, None]


def test_three_steps_equal_those_worked_out_by_hand() -> None:
    # Gradients 1, 2, -1 with rate 0.1 and momentum 0.9: m = -0.1, then -0.09 - 0.2 = -0.29, then -0.261 + 0.1 = -0.161.
    table = coefficients([0.1], [0.9], 3)
    x, velocity = torch.zeros(1, 1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    for step, (gradient, expected) in enumerate([(1.0, -0.1), (2.0, -0.39), (-1.0, -0.551)]):
        Momentum().step(x, torch.full_like(x, gradient), [velocity], table[step].unbind(0))
        assert x.item() == pytest.approx(expected, rel=1e-14)


def test_rows_equal_torchs_sgd_each_with_its_own_settings() -> None:
    generator = torch.Generator().manual_seed(0)
    centre = torch.randn(2, 3, 4, 4, generator=generator, dtype=torch.float64)
    rates, momenta = [0.1, 0.02], [0.9, 0.5]
    table = coefficients(rates, momenta, 20)
    x, velocity = torch.zeros_like(centre), torch.zeros_like(centre)
    others = [torch.zeros_like(centre[row]).requires_grad_() for row in range(2)]
    torchs = [
        torch.optim.SGD([other], lr=rate, momentum=momentum)
        for other, rate, momentum in zip(others, rates, momenta, strict=True)
    ]
    for step in range(20):
        Momentum().step(x, 2 * (x - centre), [velocity], table[step].unbind(0))
        for row, (other, optimizer) in enumerate(zip(others, torchs, strict=True)):
            optimizer.zero_grad()
            (other - centre[row]).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(x, torch.stack([other.detach() for other in others]), rtol=1e-12, atol=1e-14)
