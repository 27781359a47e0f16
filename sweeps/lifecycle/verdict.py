"""The verdict: the best searched trial against the baselines, on pictures and with seeds that were not searched on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from restoration_core.errors import Failure
from restoration_core.seeds import derive_seed
from sweeps.execution.devices import device_here
from sweeps.execution.pack import run_pack
from sweeps.execution.protocol import Assignment
from sweeps.execution.sizing import rows_in_batch, usable_cores
from sweeps.execution.worker_context import PackContext
from sweeps.lifecycle.comparison import Scores, compare, in_words, joined
from sweeps.lifecycle.given_trials import GivenTrials
from sweeps.lifecycle.stored_sweep import VALIDATION, stored_pictures, view_sweep
from sweeps.search.pareto import is_better, ranked
from sweeps.spec.models import SweepSpec
from sweeps.store.models import TrialState
from sweeps.store.reader import open_reader

SEEDS = 3
METRICS = ("psnr", "ssim", "image_mse")
"""Compared beside the metrics that the sweep searched by."""
STAGE = "verdict"

Progress = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True)
class Contestant:
    """A finished trial: its number, flat parameters, values of the sweep's metrics, and the baseline it is, if any."""

    number: int
    parameters: Mapping[str, Any]
    objectives: tuple[float, ...]
    baseline: str | None = None


def judge(store_url: str, sweep: str, context: PackContext, progress: Progress = lambda state: None) -> dict[str, Any]:
    """Compare the best searched trial with every enqueued baseline, all of them solved anew.

    Each configuration is solved from three new seeds on every validation picture, in batches as large as those of the
    search. Scores of a picture are means over its seeds; differences are paired by picture, and their interval is a
    95 % percentile bootstrap over pictures. Compared are the metrics of the sweep, and PSNR, SSIM and MSE beside them.
    With several metrics the winner is the best in the first one among the searched trials' Pareto front.

    Args:
        store_url, sweep: the finished sweep.
        context: its network and priors; its pictures are not used.
        progress: called as a coordinator's ``progress()`` is shown, with ``stage`` "verdict" and with reconstructions
            in place of trials.

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
        return {"summary": joined(["no verdict: the spec names no pictures under validate_on", *asides]), **base}
    if not rivals:
        what = "no baseline was completed" if context.spec.baselines else "the spec names no baselines"
        return {"summary": f"no verdict: {what}, so there is nothing to compare trial {winner.number} with", **base}
    pictures = stored_pictures(store_url, view, VALIDATION)
    scores = score(replace(context, images=pictures), [winner, *rivals], view.seed, progress)
    comparisons = {
        str(rival.baseline): compare(scores[winner.number], scores[rival.number], list(pictures), view.seed)
        for rival in rivals
    }
    return {
        "summary": joined(
            [*(in_words(name, found, view.metric_names) for name, found in comparisons.items()), *asides]
        ),
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
    searched = [(entrant.number, entrant.objectives) for entrant in entrants.values() if entrant.baseline is None]
    front = ranked(searched, goals)
    winner = entrants[front[0].number] if front else None
    rivals = [entrant for entrant in entrants.values() if entrant.baseline is not None]
    how = f"best searched {names[0]}"
    return winner, rivals, how if len(names) == 1 else f"{how} of {len(front)} on the Pareto front"


def search_in_words(winner: Contestant, rivals: Sequence[Contestant], metric: str, goal: str) -> list[str]:
    """Return one sentence for each baseline that was better than the winner in the search, by the first metric."""
    ours = winner.objectives[0]
    return [
        f"in the search itself {rival.baseline} was better than the winner ({metric} {rival.objectives[0]:.4g} "
        f"against {ours:.4g})"
        for rival in rivals
        if is_better(rival.objectives[0], ours, goal)
    ]


def verdict_rows(spec: SweepSpec) -> int:
    """Return how many reconstructions the verdict takes; none where there is nothing to compare with or on."""
    return (1 + len(spec.baselines)) * SEEDS * len(spec.validate_on) if spec.baselines else 0


def compared_metrics(spec: SweepSpec) -> list[str]:
    """Return the metrics of the verdict: those of the sweep first."""
    return list(dict.fromkeys([*spec.metric_names, *METRICS]))


def score(
    context: PackContext, entrants: Sequence[Contestant], seed: int, progress: Progress = lambda state: None
) -> dict[int, Scores]:
    """Solve every entrant from every seed on every picture of the context.

    Args:
        context: of the sweep, with the pictures to score on.
        entrants: configurations.
        seed: of the sweep.
        progress: see :func:`judge`.

    Returns:
        Number -> metric -> ``(pictures, seeds)``; NaN where a reconstruction failed.

    Raises:
        Failure: the machine had no memory or the like for it, which says nothing of the entrants.
    """
    spec, names = context.spec, list(context.images)
    # What the search keeps of its trials is not needed here: neither pictures nor curves.
    save = spec.save.model_copy(update={"images": "none", "steps": [], "curves_every": 1_000_000})
    lean = spec.model_copy(update={"save": save})
    rows = rows_in_batch(spec)
    scores = {
        entrant.number: {name: np.full((len(names), SEEDS), np.nan) for name in compared_metrics(spec)}
        for entrant in entrants
    }
    threads, total, done = torch.get_num_threads(), len(entrants) * SEEDS * len(names), 0
    places = [(entrant, index) for entrant in entrants for index in range(SEEDS)]
    # The same seed for all entrants: they start from the same noise.
    trials = [
        Assignment(number, 0, entrant.parameters, derive_seed(seed, "verdict", index), entrant.baseline)
        for number, (entrant, index) in enumerate(places)
    ]
    base = replace(context, spec=lean, threads=usable_cores()).on(device_here(spec))
    try:
        for part in np.array_split(np.arange(len(names)), math.ceil(len(names) / rows)):
            pictures = {names[place]: context.images[names[place]] for place in part}
            here = PackContext(lean, base.classifier, pictures, base.priors, base.units, base.device, base.threads)
            each = len(pictures)

            def tell(now: GivenTrials, done: int = done, each: int = each) -> None:
                progress(_state(now, done, each, total))

            given = GivenTrials(trials, tell)
            run_pack(given, here, width=max(1, rows // each), quota=len(trials), pack="verdict")
            for record in given.records:
                if record.of_the_machine:
                    raise Failure(f"all trials have ended, but the verdict failed ({record.failure})")
                entrant, index = places[record.number]
                for place in part:
                    found = record.image_metrics.get(names[place], {})
                    for metric, values in scores[entrant.number].items():
                        values[place, index] = found.get(metric, np.nan)
            done += len(trials) * each
    finally:
        torch.set_num_threads(threads)
    return dict(scores)


def _state(trials: GivenTrials, done: int, pictures: int, total: int) -> dict[str, Any]:
    """Return the progress as a coordinator tells it, counted in reconstructions."""
    return {
        "stage": STAGE,
        "planned": total,
        "complete": done + len(trials.records) * pictures,
        "running": len(trials.shares) * pictures,
        "in_flight_share": sum(trials.shares.values()) * pictures,
    }
