"""Divisors of the feature loss, and the sigma scale of eq. 3, against numbers worked out by hand."""

from __future__ import annotations

import pytest
import torch

from restoration_core.networks import Classifier
from restoration_core.objectives import make_problem, mv2015
from restoration_core.priors.hand_crafted.alpha_norm import AlphaNorm
from restoration_core.reconstruction import FeatureMatch, Problem, Schedule, Term, solve
from restoration_core.reconstruction.problem import DOT_PRODUCT, MEAN_SQUARED_ERROR, SQUARED_NORM
from restoration_core.reconstruction.starts import starting_variable
from tests.core.parity.conftest import LAYER, mirror

FEATURES = 27


def grey(value: float) -> torch.Tensor:
    return torch.full((3, 3, 3), value, dtype=torch.float64)


@pytest.mark.parametrize(
    ("normalization", "loss", "slope"),
    [
        # phi = 0.5, phi_0 = 0.8 everywhere, N = 27 of them: ||phi - phi_0||^2 = 0.09 N.
        # Over ||phi_0||^2 = 0.64 N; slope -2 * 0.3 / (0.64 N).
        (SQUARED_NORM, 0.09 / 0.64, -0.6 / 0.64),
        # Over phi . phi_0 = 0.4 N; slope -0.6 / (0.4 N) - 0.09 N * 0.8 / (0.4 N)^2 = -(1.5 + 0.45) / N.
        (DOT_PRODUCT, 0.09 / 0.4, -1.95),
        # Over N; slope -0.6 / N.
        (MEAN_SQUARED_ERROR, 0.09, -0.6),
    ],
)
def test_value_and_step_under_every_divisor(network: Classifier, normalization: str, loss: float, slope: float) -> None:
    match = FeatureMatch(LAYER, grey(0.8), normalization=normalization)
    rate = Schedule.constant(0.1 * FEATURES)
    problem = Problem((match,), iterations=1, learning_rate=rate, optimizer="momentum", initial=grey(0.5))
    (result,) = solve(network, [problem], 3, dtype=torch.float64)
    assert result.curves["feature_loss"][0] == pytest.approx(loss, rel=1e-12)
    torch.testing.assert_close(result.image, grey(0.5 - 0.1 * slope), rtol=0, atol=1e-12)


def test_a_weight_counts_beside_the_divisor(network: Classifier) -> None:
    match = FeatureMatch(LAYER, grey(0.8), 3.0, MEAN_SQUARED_ERROR)
    terms = (Term("norm", AlphaNorm(2.0, "data", (0.0,) * 3), 2.0),)
    problem = Problem((match,), terms, iterations=1, initial=grey(0.5))
    (result,) = solve(network, [problem], 3, dtype=torch.float64)
    # 3 * 0.09 + 2 * (3 channels of 0.25)
    assert result.curves["objective"][0] == pytest.approx(0.27 + 1.5, rel=1e-12)


@pytest.mark.parametrize("side", [227, 60])
def test_the_start_has_norm_sigma_so_that_the_scaled_pre_image_has_norm_one(side: int) -> None:
    # sigma = 2.7098e4 at 227 px is 68.9 grey levels in the root mean square, at every size.
    network = mirror(0.45)
    preset = mv2015(network, LAYER)
    problem = make_problem(network, torch.rand(3, side, side), LAYER, preset, seed=3)
    z = 255 * (starting_variable(network, problem, side, 1) - 0.45)
    assert (z / (2.7098e4 * side / 227)).norm().item() == pytest.approx(1, rel=1e-5)
    assert z.square().mean().sqrt().item() == pytest.approx(68.92, abs=0.01)
