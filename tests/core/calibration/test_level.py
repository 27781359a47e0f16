"""The error between neighbouring pixels, and runs that diverge. Reconstructions are tested in test_measure.py."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from restoration_core.calibration.level import decaying, local_rmse, reconstructions, rmse
from restoration_core.calibration.recipe import ErrorRun
from restoration_core.errors import InputError
from restoration_core.networks import Classifier


def test_white_noise_has_its_standard_deviation_and_a_constant_error_none() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(4, 3, 64, 64, generator=generator)
    assert local_rmse(x + 0.07 * torch.randn(x.shape, generator=generator), x) == pytest.approx(0.07, rel=0.03)
    assert local_rmse(x + 0.3, x) == pytest.approx(0, abs=1e-6)


def test_all_pairs_of_neighbours_count_alike() -> None:
    error = torch.zeros(1, 1, 2, 3)
    error[0, 0, 0, 0] = 1.0
    # Of 3 pairs down and 4 across, two differ by 1.
    assert local_rmse(error, torch.zeros(1, 1, 2, 3)) == pytest.approx((2 / 7 / 2) ** 0.5)


def test_the_whole_error_counts_every_value_alike() -> None:
    x = torch.zeros(2, 3, 4, 4)
    x[0] = 0.3
    assert rmse(x, torch.zeros_like(x)) == pytest.approx(0.3 / 2**0.5)


def test_one_pixel_has_no_neighbours_and_no_error() -> None:
    assert local_rmse(torch.ones(1, 3, 1, 1), torch.zeros(1, 3, 1, 1)) == 0


@pytest.mark.parametrize(("iterations", "steps"), [(100, (0, 60, 85)), (2, (0, 1)), (1, (0,))])
def test_the_learning_rate_falls_in_two_steps(iterations: int, steps: tuple[int, ...]) -> None:
    schedule = decaying(0.1, iterations)
    assert tuple(start for start, _ in schedule.pieces) == steps
    assert schedule.at(iterations) == pytest.approx(0.01)


def test_a_reconstruction_that_does_not_stay_finite_is_refused() -> None:
    class Root(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sqrt()

    classifier = Classifier(nn.Sequential(Root()), "root", {"root": "0"}, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 8)
    originals = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    run = ErrorRun(level="rmse", iterations=5, learning_rate=3.0)
    with pytest.raises(InputError, match=r"error_run\.learning_rate: 3\.0 diverged at root; valid: a smaller one"):
        reconstructions(classifier, "root", originals, 0.0, run, 0)
