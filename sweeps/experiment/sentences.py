"""Sentences that say what an experiment's numbers say, whatever they are."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from sweeps.experiment.analysis import (
    GOAL_PSNR,
    GOAL_SSIM,
    SAME_BASIN,
    CellResult,
    DepthVerdict,
    Difference,
    at_depth,
    chosen,
    compare,
    depths_needed,
)
from sweeps.experiment.cells import Cell
from sweeps.experiment.models import ExperimentSpec

METRIC_UNITS = {"ssim": " SSIM", "psnr": " dB"}
DIGITS = {"ssim": 4, "psnr": 2}


def signed(item: Difference, score: str) -> str:
    """Return a difference with its interval: ``+0.0123 [+0.0100, +0.0150]``."""
    digits = DIGITS[score]
    if not math.isfinite(item.value):
        return "not finite"
    return f"{item.value:+.{digits}f} [{item.low:+.{digits}f}, {item.high:+.{digits}f}]"


def goal_sentences(spec: ExperimentSpec, verdicts: Sequence[DepthVerdict | None]) -> list[str]:
    """Return the verdict: one sentence for each depth, and one for the goal.

    Args:
        spec: of the experiment.
        verdicts: by depth, None where a depth is not done.
    """
    goal = f"+{GOAL_SSIM} SSIM with PSNR not lower than {GOAL_PSNR} dB"
    lines = []
    for depth, verdict in zip(spec.depths, verdicts, strict=True):
        layer = spec.depths[depth]
        if verdict is None:
            lines.append(f"{depth} ({layer}): not decided, it needs a learned and a hand-crafted arm that are done.")
            continue
        learned, crafted = verdict.learned, verdict.hand_crafted
        lines.append(
            f"{depth} ({layer}): goal {'met' if verdict.met else 'missed'}. Chosen on the photographs searched on were "
            f"{learned.cell.arm} (learned, {spec.metric} {learned.winner.value:.4f}) and {crafted.cell.arm} "
            f"(hand-crafted, {crafted.winner.value:.4f}); on {verdict.ssim.photographs} other photographs the learned "
            f"one is ahead by {signed(verdict.ssim, 'ssim')} SSIM (on {verdict.ssim.ahead} of them) and "
            f"{signed(verdict.psnr, 'psnr')} dB (on {verdict.psnr.ahead})."
        )
    met = sum(verdict is not None and verdict.met for verdict in verdicts)
    open_ = sum(verdict is None for verdict in verdicts)
    needed = depths_needed(spec)
    if met >= needed:
        outcome = "MET"
    elif met + open_ < needed:
        outcome = "MISSED"
    else:
        outcome = "NOT DECIDED YET"
    lines.append(f"Goal ({goal}, at {needed} of {len(spec.depths)} depths): {outcome}, met at {met}.")
    return lines


def depth_sentences(spec: ExperimentSpec, results: Mapping[Cell, CellResult], depth: str) -> list[str]:
    """Return sentences on a depth: who is ahead, how many starts end near the truth's minimum, their mean's gain."""
    here = at_depth(results, depth)
    missing = [arm for arm in spec.arm_names if Cell(depth, arm) not in results]
    lines = [f"Not done: {', '.join(missing)}."] if missing else []
    crafted = chosen(spec, here, learned=False)
    if crafted is not None:
        others = [result for result in here if result is not crafted and spec.is_learned(result.cell.arm)]
        for score in ("ssim", "psnr"):
            apart = {result.cell.arm: compare(spec, result, crafted, score) for result in others}
            won = [arm for arm, item in apart.items() if item.low > 0]
            lost = [arm for arm, item in apart.items() if item.high < 0]
            level = [arm for arm in apart if arm not in won and arm not in lost]
            lines.append(
                f"{score.upper()} of learned arms against {crafted.cell.arm} (95 % intervals): "
                f"ahead: {_listed(won)}; behind: {_listed(lost)}; no clear difference: {_listed(level)}."
            )
    if here:
        share = {result.cell.arm: float(np.mean(result.gaps <= SAME_BASIN)) for result in here}
        low, high = min(share, key=lambda arm: share[arm]), max(share, key=lambda arm: share[arm])
        lines.append(
            f"Random starts end within {SAME_BASIN} x the objective of the run from the truth on {share[low]:.0%} "
            f"({low}) to {share[high]:.0%} ({high}) of the runs."
        )
        gains = {r.cell.arm: float(np.mean(r.photographs("psnr", "mean") - r.photographs("psnr"))) for r in here}
        low, high = min(gains, key=lambda arm: gains[arm]), max(gains, key=lambda arm: gains[arm])
        lines.append(
            f"The mean picture of {spec.starts} random starts is {gains[low]:+.2f} dB ({low}) to {gains[high]:+.2f} dB "
            f"({high}) from a single one."
        )
    return lines


def map_sentence(apart: Mapping[str, Difference], depth: str, score: str) -> str:
    """Return at how many arms the feature-map priors help or harm at a depth."""
    better = [arm for arm, item in apart.items() if item.low > 0]
    worse = [arm for arm, item in apart.items() if item.high < 0]
    return (
        f"{depth}, {score.upper()}: feature-map priors help {len(better)} of {len(apart)} arms ({_listed(better)}), "
        f"harm {len(worse)} ({_listed(worse)}); the others show no clear difference."
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
