"""How many packs run at a time, how many trials each holds, and how many it takes in all."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass

from sweeps.search.space import SearchSpace
from sweeps.spec.models import SweepSpec

ROWS_ON_CPU = 16
ROWS_ON_GPU = 64
"""Reconstructions in a batch: more of them at a time make none of them cheaper."""
SHARE_IN_FLIGHT = 0.25
"""Largest part of the trials to have in flight at a time: the sampler chose each without the results of the others."""
LEAST_IN_FLIGHT = 8
ROUNDS_PER_PACK = 4


@dataclass(frozen=True)
class Sizing:
    """Packs at a time; trials in the batch of each; trials that one takes in all, which a lost pack loses at most."""

    actors: int
    width: int
    quota: int


def usable_cores() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def rows_in_batch(spec: SweepSpec) -> int:
    """Return how many reconstructions go into a batch: as the spec's packs have, else as many as compute efficiently.

    An ``auto`` pack may be narrower than that for the search's sake, see :func:`size_packs`.
    """
    if spec.resources.pack != "auto":
        return spec.resources.pack * len(spec.images)
    return ROWS_ON_GPU if spec.resources.gpus_per_actor > 0 else ROWS_ON_CPU


def size_packs(spec: SweepSpec, cores: int, gpus: float = 0.0, actors: int | None = None) -> Sizing:
    """Choose the sizes that the spec leaves to ``auto``.

    An ``auto`` pack is as wide as the device computes efficiently. Under a sampler that learns from results, all packs
    together hold at most a quarter of the trials (or eight). The width is then lowered as far as it goes without more
    rounds, so that the last round is full too.

    Args:
        spec: the sweep.
        cores, gpus: what there is.
        actors: packs at a time, in place of what the spec says.
    """
    trials = planned_trials(spec)
    share = spec.resources.gpus_per_actor
    if actors is None:
        actors = spec.resources.actors if spec.resources.actors != "auto" else 0
    if actors == 0:
        actors = int(gpus / share) if share > 0 else cores // spec.resources.threads
    actors = max(1, min(actors, trials))
    if spec.resources.pack != "auto":
        width = min(spec.resources.pack, trials)
    else:
        width = max(1, rows_in_batch(spec) // len(spec.images))
        if spec.method.sampler in {"tpe", "nsga2"}:
            in_flight = max(SHARE_IN_FLIGHT * trials, LEAST_IN_FLIGHT)
            width = max(1, min(width, int(in_flight / actors)))
        rounds = math.ceil(trials / (actors * width))
        width = math.ceil(trials / (actors * rounds))
    return Sizing(actors, width, ROUNDS_PER_PACK * width)


def planned_trials(spec: SweepSpec) -> int:
    """Return how many trials the sweep has: baselines, and what is searched; a grid may be smaller than asked for."""
    searched = spec.method.trials
    if spec.method.sampler == "grid":
        searched = min(searched, SearchSpace.from_spec(spec).grid().size)
    return len(spec.baselines) + searched
