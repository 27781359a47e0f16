"""The AdaGrad-like step with momentum of Mahendran & Vedaldi (2016), with a rate and an age per row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restoration_core.reconstruction.optimizers.rule import UpdateRule
from restoration_core.reconstruction.problem import Problem

GREY_LEVEL = 1 / 255
"""The unit of the step: the paper's pre-image is on the 0..255 scale, ours on [0, 1]; used for feature maps too."""


class AdaGrad(UpdateRule):
    """``G <- rho G + g^2``, ``m <- rho m - g / (1/lr + sqrt(G))``, ``x <- x + m / 255``, elementwise.

    ``rho`` is the problem's momentum. Where ``sqrt(G)`` is far above ``1/lr``, the length of a step in grey levels does
    not depend on the scale of the objective; where it is far below, the step is plain gradient descent with rate
    ``lr / 255``. The paper minimises ``E(z)`` over ``z = 255 (x - mean)`` and we minimise ``E / C``, so its rate is
    ours times ``255 / C`` (see :func:`restoration_core.objectives.units.to_unit_pixels`).

    Source: Mahendran & Vedaldi 2016, section 3.4, and their public code.
    """

    name = "adagrad"
    states = 2

    def coefficients(self, problem: Problem, learning_rate: float, ages: NDArray[np.float64]) -> NDArray[np.float64]:
        numbers = np.array([problem.momentum, 1 / learning_rate])
        return np.broadcast_to(numbers, (len(ages), 2)).copy()

    def step(
        self, variable: Tensor, gradient: Tensor, states: Sequence[Tensor], coefficients: Sequence[Tensor]
    ) -> None:
        (velocity, squares), (decay, offset) = states, coefficients
        squares.mul_(decay).addcmul_(gradient, gradient)
        gradient.div_(squares.sqrt().add_(offset))
        velocity.mul_(decay).sub_(gradient)
        variable.add_(velocity, alpha=GREY_LEVEL)
