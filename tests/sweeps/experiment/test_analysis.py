"""Scores, choices and sentences, against numbers made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from sweeps.experiment.analysis import CellResult, chosen, compare, depths_needed, judge_depth
from sweeps.experiment.cells import Cell
from sweeps.experiment.models import ExperimentSpec
from sweeps.experiment.search import Winner
from sweeps.experiment.sentences import depth_sentences, goal_sentences
from tests.sweeps.experiment.experiments import make_experiment

PHOTOGRAPHS, STARTS = 40, 2


def result(arm: str, searched: float, psnr: float, ssim: float, depth: str = "middle") -> CellResult:
    """Return a cell whose test scores are the given means with a spread over photographs that all arms share."""
    spread = np.linspace(-0.05, 0.05, PHOTOGRAPHS)[:, None] + np.array([[-0.01, 0.01]])
    noise = {
        "psnr": psnr + 20 * spread,
        "ssim": ssim + spread,
        "feature_error": np.full((PHOTOGRAPHS, STARTS), 0.01),
        "feature_loss": np.full((PHOTOGRAPHS, STARTS), 0.01),
        "objective": np.tile([1.0, 3.0], (PHOTOGRAPHS, 1)),
    }
    truth = {name: values.mean(axis=1) for name, values in noise.items()} | {"objective": np.ones(PHOTOGRAPHS)}
    mean = truth | {"psnr": truth["psnr"] + 1.0}
    winner = Winner(2, searched, {}, trials=3, compute_s=1.0)
    return CellResult(Cell(depth, arm), winner, noise, truth, mean, finite=1.0, compute_s=1.0)


def results(*found: CellResult) -> dict[Cell, CellResult]:
    return {item.cell: item for item in found}


def three_depths() -> ExperimentSpec:
    return make_experiment(depths={"early": "conv1/relu", "middle": "conv2/relu", "late": "conv3/relu"})


def test_the_arms_to_compare_are_chosen_by_the_search_and_never_by_the_test() -> None:
    arms = {"plain": ["variation"], "other": [], "better-searched": ["experts"], "better-tested": ["experts"]}
    spec = make_experiment(arms=arms)
    here = [
        result("plain", 20.0, 20.0, 0.6),
        result("other", 19.0, 25.0, 0.9),
        result("better-searched", 21.0, 20.0, 0.6),
        result("better-tested", 20.9, 25.0, 0.9),
    ]
    learned, crafted = chosen(spec, here, learned=True), chosen(spec, here, learned=False)
    assert learned is not None and learned.cell.arm == "better-searched"  # noqa: PT018
    assert crafted is not None and crafted.cell.arm == "plain"  # noqa: PT018
    lower = make_experiment(arms=arms, metric="image_mse")
    lowest = chosen(lower, here, learned=True)
    assert lowest is not None
    assert lowest.cell.arm == "better-tested"


def test_a_difference_is_paired_by_photograph() -> None:
    spec = make_experiment()
    apart = compare(spec, result("experts", 1, 20.5, 0.62), result("variation", 1, 20.0, 0.6), "ssim")
    # Photographs differ by 0.1, the two arms by 0.02 on each of them: paired, the interval has no width.
    assert (apart.value, apart.low, apart.high) == pytest.approx((0.02, 0.02, 0.02))
    assert (apart.ahead, apart.photographs) == (PHOTOGRAPHS, PHOTOGRAPHS)


@pytest.mark.parametrize(
    ("psnr", "ssim", "met"), [(20.0, 0.611, True), (19.91, 0.611, True), (19.8, 0.7, False), (25.0, 0.609, False)]
)
def test_the_goal_needs_both_scores(psnr: float, ssim: float, met: bool) -> None:
    found = results(result("variation", 20, 20.0, 0.6), result("experts", 21, psnr, ssim))
    verdict = judge_depth(make_experiment(), found, "middle")
    assert verdict is not None
    assert verdict.met is met


def test_two_of_three_depths_are_needed_and_an_open_depth_decides_nothing() -> None:
    spec = three_depths()
    assert depths_needed(spec) == 2

    def said(**ssim: float) -> str:
        found = results(
            *(result("variation", 20, 20.0, 0.6, depth) for depth in ssim),
            *(result("experts", 21, 20.0, value, depth) for depth, value in ssim.items()),
        )
        return goal_sentences(spec, [judge_depth(spec, found, depth) for depth in spec.depths])[-1]

    assert "MET, met at 2" in said(early=0.62, middle=0.62, late=0.5)
    assert "MISSED, met at 1" in said(early=0.62, middle=0.6, late=0.5)
    assert "NOT DECIDED YET, met at 1" in said(early=0.62, middle=0.6)
    assert "MISSED, met at 0" in said(early=0.6, middle=0.6)


def test_gaps_divide_each_start_by_the_run_from_the_truth() -> None:
    gaps = result("variation", 1, 20, 0.6).gaps
    assert gaps.shape == (PHOTOGRAPHS, STARTS)
    assert gaps[0].tolist() == [1.0, 3.0]


def test_losses_are_named() -> None:
    spec = make_experiment(arms={"plain": ["variation"], "bad": ["experts"], "good": ["experts"]})
    found = results(result("plain", 1, 20, 0.6), result("bad", 1, 19, 0.55), result("good", 1, 21, 0.65))
    ssim, psnr, basin, mean = depth_sentences(spec, found, "middle")
    assert "ahead: good; behind: bad; no clear difference: none" in ssim
    assert psnr.startswith("PSNR of learned arms against plain")
    assert "50% (plain) to 50%" in basin
    assert "+1.00 dB" in mean
