"""Adam (Kingma & Ba 2015) with a learning rate, decay rates and age per row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restoration_core.reconstruction.optimizers.rule import UpdateRule
from restoration_core.reconstruction.problem import Problem

EPSILON = 1e-8


class Adam(UpdateRule):
    """``x <- x - lr m' / (sqrt(v') + eps)``, ``m' = m / (1 - b1^t)``, ``v' = v / (1 - b2^t)``.

    The step is computed as ``m / (a sqrt(v) + c)`` with ``a = (1 - b1^t) / (lr sqrt(1 - b2^t))`` and
    ``c = eps (1 - b1^t) / lr``, which is the same number with two passes less over the picture.

    Source: Kingma & Ba 2015, algorithm 1.
    """

    name = "adam"
    states = 2

    def coefficients(self, problem: Problem, learning_rate: float, ages: NDArray[np.float64]) -> NDArray[np.float64]:
        b1, b2 = problem.betas
        first = (1 - b1**ages) / learning_rate
        return np.stack(
            [np.full_like(ages, 1 - b1), np.full_like(ages, 1 - b2), first / np.sqrt(1 - b2**ages), EPSILON * first],
            axis=1,
        )

    def step(
        self, variable: Tensor, gradient: Tensor, states: Sequence[Tensor], coefficients: Sequence[Tensor]
    ) -> None:
        (m, v), (new_m, new_v, root_scale, offset) = states, coefficients
        m.lerp_(gradient, new_m)
        v.lerp_(gradient.square_(), new_v)
        denominator = torch.sqrt(v, out=gradient).mul_(root_scale).add_(offset)
        variable.addcdiv_(m, denominator, value=-1)
