"""Jitter's range and canvas: what the network and the priors see, step by step, against windows cut by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from restoration_core.networks import Classifier
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.reconstruction import Problem, Result, Term, solve
from restoration_core.reconstruction.problem import CANVAS, WINDOW, ZERO_PADDED
from tests.core.parity.conftest import columns, standing

PICTURE = columns(0.2, 0.6, 1.0)  # a row has squared norm 0.04 + 0.36 + 1 = 1.4
STEPS = 120


def run(network: Classifier, problem: Problem) -> Result:
    (result,) = solve(network, [problem], 3, record_every=1)
    return result


def seen(network: Classifier, canvas: str, positions: int, steps: int = STEPS) -> Counter[float]:
    """Return how often each feature loss was seen: it tells where the window was."""
    result = run(network, standing(PICTURE, jitter=positions, jitter_canvas=canvas, iterations=steps))
    return Counter(round(loss, 4) + 0.0 for loss in result.curves["feature_loss"][:steps])


@pytest.mark.parametrize("canvas", [WINDOW, CANVAS])
def test_three_positions_over_a_canvas_two_pixels_larger(network: Classifier, canvas: str) -> None:
    # The canvas repeats the edge, columns 0.2 0.2 0.6 1 1. Windows: 0.2 0.2 0.6 (off by 0, 0.4, 0.4: 0.32 / 1.4), the
    # picture itself, and 0.6 1 1 (0.4, 0.4, 0: the same). Shifts up and down change nothing.
    counts = seen(network, canvas, 3)
    assert set(counts) == {0.0, round(0.32 / 1.4, 4)}
    assert counts[0.0] / STEPS == pytest.approx(1 / 3, abs=0.1)


def test_shifts_by_zero_to_two_pixels_with_zeros_moving_in(network: Classifier) -> None:
    # Right by 1: 0 0.2 0.6, off by 0.2 0.4 0.4 = 0.36; by 2: 0 0 0.2, off by 0.2 0.6 0.8 = 1.04. Each row that moves in
    # at the top is zero, off by 1.4; the rest as the shift to the right has it. Three rows, norm 4.2.
    right = (0.0, 0.36, 1.04)
    expected = {round((down * 1.4 + (3 - down) * off) / 4.2, 4) for down in range(3) for off in right}
    counts = seen(network, ZERO_PADDED, 3)
    assert len(expected) == 9
    assert set(counts) == expected
    assert max(abs(count / STEPS - 1 / 9) for count in counts.values()) < 0.08


@pytest.mark.parametrize("canvas", [WINDOW, CANVAS, ZERO_PADDED])
def test_one_position_is_no_jitter(network: Classifier, canvas: str) -> None:
    assert set(seen(network, canvas, 1, steps=5)) == {0.0}


def test_a_shift_by_up_to_one_pixel_is_two_positions_not_one(network: Classifier) -> None:
    # The thesis author's jitter 1 is not MV16's, which is none.
    assert len(seen(network, ZERO_PADDED, 2, steps=40)) == 4


@pytest.mark.parametrize("canvas", [WINDOW, CANVAS, ZERO_PADDED])
def test_the_window_stays_centred_from_the_stated_step_on(network: Classifier, canvas: str) -> None:
    problem = standing(PICTURE, jitter=3, jitter_canvas=canvas, jitter_until=30, iterations=40)
    losses = run(network, problem).curves["feature_loss"]
    assert max(losses[20:30]) > 0.1
    assert max(losses[30:40]) < 1e-9


def test_priors_see_the_window_the_canvas_or_the_picture(network: Classifier) -> None:
    # Squared differences along a row: picture 0.16 + 0.16; canvas 0 + 0.16 + 0.16 + 0; windows at its sides 0.16.
    # Means over pixels, three channels: picture 3 * 3 * 0.32 / 9, canvas 3 * 5 * 0.32 / 25, windows 3 * 3 * 0.16 / 9.
    problem = standing(PICTURE, jitter=3, iterations=30, terms=(Term("tv", TotalVariation(2.0), 1e-9),))
    energies = {
        canvas: {round(value, 5) for value in run(network, replace(problem, jitter_canvas=canvas)).curves["tv"][:30]}
        for canvas in (WINDOW, CANVAS, ZERO_PADDED)
    }
    assert energies == {WINDOW: {0.32, 0.16}, CANVAS: {0.192}, ZERO_PADDED: {0.32}}
