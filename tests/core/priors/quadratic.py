"""An expert with closed forms, for tests."""

from __future__ import annotations

from torch import Tensor, ones_like

from restoration_core.priors.expert_functions import Expert


class Quadratic(Expert):
    """``G(s) = -s^2 / 2``: a product or field of these is a Gaussian."""

    name = "quadratic"
    influence_gain = 1.0

    def log_density(self, s: Tensor) -> Tensor:
        return -s.square() / 2

    def derivative(self, s: Tensor) -> Tensor:
        return -s

    def second_derivative(self, s: Tensor) -> Tensor:
        return -ones_like(s)

    def influence_(self, s: Tensor, scratch: Tensor) -> Tensor:
        return s
