"""Gradient descent with momentum (Polyak 1964), the update of Mahendran & Vedaldi (2015), with a rate per row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restoration_core.reconstruction.optimizers.rule import UpdateRule
from restoration_core.reconstruction.problem import Problem


class Momentum(UpdateRule):
    """``m <- rho m - lr g``, ``x <- x + m``, with ``rho`` the problem's momentum.

    As in the paper, ``m`` is set to zero whenever the rate changes.

    Source: Mahendran & Vedaldi 2015, section 3.4.
    """

    name = "momentum"
    states = 1
    restarts_with_rate = True

    def coefficients(self, problem: Problem, learning_rate: float, ages: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.broadcast_to(np.array([problem.momentum, learning_rate]), (len(ages), 2)).copy()

    def step(
        self, variable: Tensor, gradient: Tensor, states: Sequence[Tensor], coefficients: Sequence[Tensor]
    ) -> None:
        (velocity,), (decay, rate) = states, coefficients
        velocity.mul_(decay).sub_(gradient.mul_(rate))
        variable.add_(velocity)
