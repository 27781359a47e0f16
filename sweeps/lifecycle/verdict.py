"""The verdict: the best searched trial against the baselines, on pictures and with seeds that were not searched on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from restoration_core.reconstruction import BatchSolver, Result
from restoration_core.seeds import derive_seed
from sweeps.execution.devices import device_here
from sweeps.execution.sizing import ROWS_ON_GPU, usable_cores
from sweeps.execution.worker_context import PackContext
from sweeps.lifecycle.bootstrap_interval import bootstrap_interval
from sweeps.lifecycle.stored_sweep import VALIDATION, stored_pictures, view_sweep
from sweeps.search.pareto import Standing
from sweeps.store.models import TrialState
from sweeps.store.reader import open_reader
from sweeps.trial.metrics import Measuring

SEEDS = 3
ENOUGH_PICTURES = 10
METRICS = {"psnr": ("dB", 1.0), "ssim": ("SSIM", 1.0), "image_mse": ("MSE", -1.0)}
"""Unit, and +1 where more is better."""

Scores = Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Contestant:
    """A finished trial: its number, flat parameters, values of the sweep's metrics, and the baseline it is, if any."""

    number: int
    parameters: Mapping[str, Any]
    objectives: tuple[float, ...]
    baseline: str | None = None


def judge(store_url: str, sweep: str, context: PackContext) -> dict[str, Any]:
    """Compare the best searched trial with every enqueued baseline, all of them solved anew as one batch.

    Each configuration is solved from three new seeds on every validation picture. Scores of a picture are means over
    its seeds; differences are paired by picture, and their interval is a 95 % percentile bootstrap over pictures. With
    several metrics the winner is the searched trials' Pareto front's best in the first one.

    Args:
        store_url, sweep: the finished sweep.
        context: its network and priors; its pictures are not used.

    Returns:
        JSON: ``summary`` in plain English, the winner, and per baseline and metric both means, the difference (winner
        minus baseline), its interval, on how many pictures the winner is better, and the values by picture.
    """
    view = view_sweep(store_url, sweep)
    winner, rivals, how = contestants(store_url, sweep, view.metric_names, view.metric_goals)
    if winner is None:
        return {"summary": "no verdict: no searched trial was completed, only baselines"}
    base: dict[str, Any] = {"winner": winner.number, "chosen": how, "parameters": dict(winner.parameters)}
    asides = search_in_words(winner, rivals, view.metric_names[0], view.metric_goals[0])
    missing = [item.name for item in context.spec.baselines if item.name not in {rival.baseline for rival in rivals}]
    asides += [f"{name} was not completed and is not compared" for name in missing]
    if not context.spec.validate_on:
        return {"summary": _joined(["no verdict: the spec names no pictures under validate_on", *asides]), **base}
    if not rivals:
        what = "no baseline was completed" if context.spec.baselines else "the spec names no baselines"
        return {"summary": f"no verdict: {what}, so there is nothing to compare trial {winner.number} with", **base}
    pictures = stored_pictures(store_url, view, VALIDATION)
    fresh = replace(context, images=pictures, threads=usable_cores(), _features={})
    scores = score(fresh, [winner, *rivals], view.seed)
    comparisons = {
        str(rival.baseline): compare(scores[winner.number], scores[rival.number], list(pictures), view.seed)
        for rival in rivals
    }
    return {
        "summary": _joined([*(in_words(name, found) for name, found in comparisons.items()), *asides]),
        **base,
        "seeds": SEEDS,
        "pictures": list(pictures),
        "comparisons": comparisons,
    }


def contestants(
    store_url: str, sweep: str, names: Sequence[str], goals: Sequence[str]
) -> tuple[Contestant | None, list[Contestant], str]:
    """Return the best searched trial (None without one), the completed baselines, and how the winner was chosen."""
    reader = open_reader(store_url)
    try:
        rows = reader.trial_rows(sweep, [TrialState.COMPLETE])
    finally:
        reader.close()
    entrants = {
        row["number"]: Contestant(row["number"], row["parameters"], tuple(row["objectives"]), row["baseline"])
        for row in sorted(rows, key=lambda row: row["number"])
    }
    standing = Standing(goals)
    for entrant in entrants.values():
        if entrant.baseline is None:
            standing.add(entrant.number, entrant.objectives)
    winner = entrants[standing.best.number] if standing.best is not None else None
    rivals = [entrant for entrant in entrants.values() if entrant.baseline is not None]
    how = f"best searched {names[0]}"
    return winner, rivals, how if len(names) == 1 else f"{how} of {len(standing.front)} on the Pareto front"


def search_in_words(winner: Contestant, rivals: Sequence[Contestant], metric: str, goal: str) -> list[str]:
    """Return one sentence for each baseline that was better than the winner in the search, by the first metric."""
    sign = 1.0 if goal == "minimize" else -1.0
    ours = winner.objectives[0]
    return [
        f"in the search itself {rival.baseline} was better than the winner ({metric} {rival.objectives[0]:.4g} "
        f"against {ours:.4g})"
        for rival in rivals
        if sign * rival.objectives[0] < sign * ours
    ]


def score(context: PackContext, entrants: Sequence[Contestant], seed: int) -> dict[int, Scores]:
    """Solve every entrant from every seed on every picture of the context.

    Returns:
        Number -> metric -> ``(pictures, seeds)``.
    """
    threads = torch.get_num_threads()
    on_device = context.on(device_here(context.spec))
    try:
        rows = []
        for entrant in entrants:
            raw = on_device.raw_parameters(entrant.parameters)
            for index in range(SEEDS):
                # The same seed for all entrants: they start from the same noise.
                problems = on_device.problems(raw, derive_seed(seed, "verdict", index))
                rows += [((entrant.number, index, image), problem) for image, problem in problems.items()]
        results: dict[tuple[int, int, str], Result] = {}
        for start in range(0, len(rows), ROWS_ON_GPU):
            solver: BatchSolver[tuple[int, int, str]] = BatchSolver(
                on_device.classifier, context.spec.image_size, device=on_device.device, record_every=1_000_000
            )
            for key, problem in rows[start : start + ROWS_ON_GPU]:
                solver.add(key, problem)
            while solver.keys:
                results.update(solver.advance())
        measured = Measuring(on_device).measure([(key[2], result.image) for key, result in results.items()])
    finally:
        torch.set_num_threads(threads)
    places = {image: place for place, image in enumerate(context.images)}
    scores = {entrant.number: {name: np.full((len(places), SEEDS), np.nan) for name in METRICS} for entrant in entrants}
    for (number, index, image), metrics in zip(results, measured, strict=True):
        for name in METRICS:
            scores[number][name][places[image], index] = metrics.get(name, np.nan)
    return dict(scores)


def compare(winner: Scores, rival: Scores, pictures: Sequence[str], seed: int) -> dict[str, Any]:
    """Return per metric what the winner is ahead by; metrics that a picture's size does not allow are left out."""
    found = {}
    for name, (_, sign) in METRICS.items():
        ours, theirs = winner[name].mean(axis=1), rival[name].mean(axis=1)
        if not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
            continue
        differences = ours - theirs
        low, high = bootstrap_interval(differences, derive_seed(seed, "bootstrap", name))
        found[name] = {
            "winner": float(ours.mean()),
            "baseline": float(theirs.mean()),
            "difference": float(differences.mean()),
            "interval": [low, high],
            "better_on": int((sign * differences > 0).sum()),
            "pictures": len(pictures),
            "by_picture": {
                picture: {"winner": float(a), "baseline": float(b)}
                for picture, a, b in zip(pictures, ours, theirs, strict=True)
            },
        }
    return found


def in_words(baseline: str, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the winner's comparison with a baseline as a sentence, by PSNR."""
    if "psnr" not in found:
        return f"the winner and {baseline} cannot be compared: a reconstruction was not finite"
    psnr = found["psnr"]
    low, high = psnr["interval"]
    count, better = psnr["pictures"], psnr["better_on"]
    beats = "beats" if psnr["difference"] > 0 else "loses to"
    lead = f"the winner {beats} {baseline} by {abs(psnr['difference']):.2f} dB"
    if count == 1:
        return f"{lead} (one picture, so no interval: only a hint)"
    sentence = f"{lead}, is better on {better} of {count} pictures (95 % interval {low:+.2f} to {high:+.2f} dB"
    if count < ENOUGH_PICTURES:
        return f"{sentence}; with so few pictures only a hint)"
    return f"{sentence}; {'which leaves out 0' if low > 0 or high < 0 else 'which holds 0: no clear difference'})"


def _joined(sentences: Sequence[str]) -> str:
    return "; ".join(sentences)
