"""What an update rule is: coefficients of each row for the coming steps, and one step for many rows in place."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from restoration_core.reconstruction.problem import Problem


class UpdateRule(abc.ABC):
    """A first-order rule ``x <- x - step(gradient, state)`` for a stack of rows with their own settings.

    Attributes:
        name: as a problem names it.
        states: number of state tensors shaped like the variable. They start at zero, and are set to zero again at each
            coarse-to-fine stage.
        restarts_with_rate: whether they are set to zero, and ages start anew, when the learning rate changes too.
    """

    name: str
    states: int
    restarts_with_rate: bool = False

    @abc.abstractmethod
    def coefficients(self, problem: Problem, learning_rate: float, ages: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the coefficients of one row for some steps, computed on the host in double precision.

        Args:
            problem: for the rule's own settings.
            learning_rate: constant over these steps.
            ages: ``(n,)``: the number of each step since the state was last zero, counted from 1.

        Returns:
            ``(n, K)``, K the same for all rows.
        """

    @abc.abstractmethod
    def step(
        self, variable: Tensor, gradient: Tensor, states: Sequence[Tensor], coefficients: Sequence[Tensor]
    ) -> None:
        """Change ``variable`` and ``states`` in place; ``gradient`` may be overwritten.

        Args:
            variable, gradient: ``(B, C, H, W)``.
            states: tensors of the same shape.
            coefficients: K tensors ``(B, 1, 1, 1)``.
        """
