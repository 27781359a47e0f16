"""At which step every published schedule changes, and to what; and that the solver changes there."""

from __future__ import annotations

import pytest
import torch

from restoration_core.networks import Classifier
from restoration_core.objectives import open_preset
from restoration_core.priors.hand_crafted.alpha_norm import AlphaNorm
from restoration_core.reconstruction import FeatureMatch, Problem, Schedule, Term, solve
from tests.core.parity.conftest import LAYER, mirror


def grey(value: float) -> torch.Tensor:
    return torch.full((3, 3, 3), value, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "iterations", "jitter_until", "shares"),
    [
        ("mv2015", 400, None, {0: 1, 100: 0.1, 300: 0.01}),
        ("mv2016", 350, 300, {0: 1, 300: 0.1}),
        ("mv2016-adam", 350, 300, {0: 1, 300: 0.1}),
        ("mv2016-thesis", 3500, 2750, {0: 1, 1000: 0.3, 2000: 0.1}),
        ("thesis-fig9", 5000, None, {0: 1}),
        ("thesis-fig10", 10_000, None, {0: 1, 1000: 0.4, 1200: 0.1, 3000: 0.04, 6000: 0.01, 9000: 0.004}),
        ("thesis-foe", 10_000, None, {0: 1}),
    ],
)
def test_published_schedules(name: str, iterations: int, jitter_until: int | None, shares: dict[int, float]) -> None:
    preset = open_preset(name, mirror(), LAYER)
    assert (preset.iterations, preset.jitter_until) == (iterations, jitter_until)
    first = preset.learning_rate.at(0)
    assert {start: rate / first for start, rate in preset.learning_rate.pieces} == pytest.approx(shares)


def test_the_rate_changes_at_its_step(network: Classifier) -> None:
    # Towards phi_0 = 1 a step of plain descent leaves 1 - 2 rate / N of the distance, N = ||phi_0||^2 = 27: two steps
    # at a rate of 0.1 N leave 0.8 each, the third at 0.25 N leaves 0.5.
    rate = Schedule(((0, 2.7), (2, 6.75)))
    problem = Problem(
        (FeatureMatch(LAYER, grey(1.0)),), iterations=3, learning_rate=rate, optimizer="momentum", momentum=0.0,
        initial=grey(0.5),
    )  # fmt: skip
    (result,) = solve(network, [problem], 3, dtype=torch.float64)
    torch.testing.assert_close(result.image, grey(1 - 0.5 * 0.8 * 0.8 * 0.5), rtol=0, atol=1e-12)


def test_momentum_is_forgotten_when_the_rate_changes(network: Classifier) -> None:
    # Distances with momentum 0.9 and rate 0.1 N: 0.5, then 0.5 - 0.1 = 0.4, then 0.4 - (0.09 + 0.08) = 0.23; the third
    # step, at half that rate, is 0.023 alone.
    rate = Schedule(((0, 2.7), (2, 1.35)))
    problem = Problem(
        (FeatureMatch(LAYER, grey(1.0)),), iterations=3, learning_rate=rate, optimizer="momentum", momentum=0.9,
        initial=grey(0.5),
    )  # fmt: skip
    (result,) = solve(network, [problem], 3, dtype=torch.float64)
    torch.testing.assert_close(result.image, grey(1 - 0.207), rtol=0, atol=1e-12)


def test_a_prior_sets_in_at_its_step(network: Classifier) -> None:
    # One pull of the norm only, in the last of three steps: its slope is 2 * 0.5 / 9 pixels, the feature loss is at
    # rest, and the rate is 0.9.
    term = Term("norm", AlphaNorm(2.0, "data", (0.0,) * 3), 1.0, schedule=Schedule(((0, 0.0), (2, 1.0))))
    problem = Problem(
        (FeatureMatch(LAYER, grey(0.5)),), (term,), iterations=3, learning_rate=Schedule.constant(0.9),
        optimizer="momentum", initial=grey(0.5),
    )  # fmt: skip
    (result,) = solve(network, [problem], 3, dtype=torch.float64)
    torch.testing.assert_close(result.image, grey(0.5 - 0.9 / 9), rtol=0, atol=1e-12)
