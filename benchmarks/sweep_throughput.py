"""Trials per second of a sweep: packs over Ray, against Tune with a trial per actor, and against the bare batches.

    python benchmarks/sweep_throughput.py [--trials 256] [--iterations 150] [--actors 2] [--quick]

All variants do the same work per trial (the small network, one 32-pixel picture, the same iterations). *Ideal* solves
the same batches in as many processes without search, Ray or store; its rate is compared with the sweep's from the first
result on, start-up is reported apart. Tune's default starts a process per trial, so it runs a subset.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from restoration_core.networks import open_network
from restoration_core.seeds import derive_seed
from sweeps.execution.worker_context import PackContext
from sweeps.lifecycle.launch import start
from sweeps.spec.models import SweepSpec
from sweeps.store.reader import open_reader
from sweeps.trial.pictures import load

DEFAULT_SUBSET = 6
STEADY = 0.1
"""The ideal is timed before and after the sweep. If both differ by more than this, the share says nothing."""


def make_spec(trials: int, iterations: int, actors: int) -> SweepSpec:
    return SweepSpec.model_validate(
        {
            "name": "throughput",
            "images": ["sample:coffee"],
            "image_size": 32,
            "match": {"layer": "conv3/relu"},
            "method": {"sampler": "tpe", "trials": trials, "seed": 0},
            "budget": {"iterations": iterations},
            "resources": {"actors": actors},
            "parameters": {
                "total_variation.weight": {"distribution": "log_uniform", "min": 1e-3, "max": 1.0},
                "learning_rate": {"distribution": "log_uniform", "min": 0.01, "max": 0.1},
            },
        }
    )


def context_of(spec: SweepSpec) -> PackContext:
    return PackContext(spec, open_network(), load(spec.images, spec.image_size)).on("cpu")


def parameters(number: int) -> dict[str, float]:
    return {"total_variation.weight": 10 ** -(1 + number % 3), "learning_rate": 0.02 + 0.001 * (number % 50)}


def solve_batches(spec: SweepSpec, width: int, count: int) -> float:
    """Solve ``count`` trials in batches; return the seconds that solving took."""
    from restoration_core.reconstruction import BatchSolver

    context = context_of(spec)
    started = time.perf_counter()
    for first in range(0, count, width):
        solver: BatchSolver[Any] = BatchSolver(context.classifier, spec.image_size)
        for number in range(first, min(first + width, count)):
            raw = context.raw_parameters(parameters(number))
            for image, problem in context.problems(raw, derive_seed(0, number)).items():
                solver.add((number, image), problem)
        while solver.keys:
            solver.advance()
    return time.perf_counter() - started


def ideal(spec: SweepSpec, actors: int, width: int, trials: int) -> float:
    """Return trials per second of the bare batches, all actors together."""
    share = max(width, trials // actors)
    with multiprocessing.get_context("spawn").Pool(actors) as pool:
        seconds = pool.starmap(solve_batches, [(spec, width, share)] * actors)
    return actors * share / max(seconds)


def packs(spec: SweepSpec) -> dict[str, float]:
    """Run the sweep over Ray; rate from the end of the first batch on."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'store.db'}"
        outcome = start(spec, runner="ray", store_url=url, mlflow_uri=None, verdict=False)
        reader = open_reader(url)
        rows = reader.trial_rows(spec.name)
        reader.close()
    ends = sorted(row["finished_at"] for row in rows)
    first = ends[0]
    later = sum(end > first for end in ends)
    run = outcome.run
    assert run is not None
    return {
        "trials_per_s": later / (ends[-1] - first).total_seconds(),
        "startup_s": outcome.startup_s or 0.0,
        "total_s": outcome.total_s,
        "rows_occupied": run.rows_occupied or 0.0,
    }


def tune_alone(spec: SweepSpec, actors: int, trials: int, reuse: bool) -> dict[str, float]:
    """Tune as its users write it: one trial per actor call, with or without reused actors."""
    import ray
    from ray import tune
    from ray.tune import CheckpointConfig, RunConfig, TuneConfig, Tuner

    class One(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any], spec: SweepSpec) -> None:
            self._context = context_of(spec)
            self._number = config["number"]

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self._number = new_config["number"]
            return True

        def step(self) -> dict[str, Any]:
            from restoration_core.reconstruction import BatchSolver

            spec = self._context.spec
            solver: BatchSolver[str] = BatchSolver(self._context.classifier, spec.image_size, pad_singletons=False)
            raw = self._context.raw_parameters(parameters(self._number))
            for image, problem in self._context.problems(raw, self._number).items():
                solver.add(image, problem)
            while solver.keys:
                solver.advance()
            return {"ended": time.time(), "done": True}

    os.environ |= {"RAY_AIR_NEW_OUTPUT": "0"}
    started = time.time()
    ray.init(
        address="local", num_cpus=actors, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            results = Tuner(
                tune.with_parameters(One, spec=spec),
                param_space={"number": tune.grid_search(list(range(trials)))},
                tune_config=TuneConfig(max_concurrent_trials=actors, reuse_actors=reuse),
                run_config=RunConfig(
                    storage_path=folder, verbose=0, checkpoint_config=CheckpointConfig(checkpoint_at_end=False)
                ),
            ).fit()
            ends = sorted(result.metrics["ended"] for result in results)
    finally:
        ray.shutdown()
    # The first result of each actor pays for its start.
    first = ends[min(actors, len(ends) - 1) - 1]
    return {"trials_per_s": sum(end > first for end in ends) / (ends[-1] - first), "startup_s": ends[0] - started}


def main() -> None:
    from sweeps.execution.sizing import size_packs, usable_cores

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=256)
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--actors", type=int, default=usable_cores())
    parser.add_argument("--quick", action="store_true", help="48 trials, and no run of Tune's default")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    trials = 48 if given.quick else given.trials
    spec = make_spec(trials, given.iterations, given.actors)
    sizing = size_packs(spec, usable_cores())
    before = ideal(spec, sizing.actors, sizing.width, trials)
    found: dict[str, Any] = {"packs": packs(spec)}
    after = ideal(spec, sizing.actors, sizing.width, trials)
    bare = (before + after) / 2
    found["ideal"] = {"trials_per_s": bare}
    found["ideal_spread"] = abs(before - after) / bare
    found["tune_reused"] = tune_alone(spec, given.actors, trials, reuse=True)
    if not given.quick:
        found["tune_default"] = tune_alone(spec, given.actors, DEFAULT_SUBSET, reuse=False)
    ours = found["packs"]["trials_per_s"]
    found["share_of_ideal"] = ours / bare
    if given.json:
        print(json.dumps(found))
        return
    print(
        f"{trials} trials of {given.iterations} iterations, {sizing.actors} actors x {sizing.width} rows, "
        f"{os.cpu_count()} cores; {sizing.actors * sizing.width / bare:.2f} s per batch, "
        f"{sizing.actors / bare:.3f} s per trial and actor (load before: {os.getloadavg()[0]:.1f})"
    )
    for name, values in found.items():
        if isinstance(values, dict):
            rate = values["trials_per_s"]
            note = f" (on {DEFAULT_SUBSET} trials)" if name == "tune_default" else ""
            start_up = f", start-up {values['startup_s']:.1f} s" if "startup_s" in values else ""
            print(f"{name:13s} {rate:7.2f} trials/s, packs are {ours / rate:6.2f} x as fast{start_up}{note}")
    if found["ideal_spread"] > STEADY:
        print(f"not a steady machine: the ideal differs by {found['ideal_spread']:.0%} before and after; run it again")
    print(f"share of the ideal after the first result: {found['share_of_ideal']:.1%} (goal 85 %)")
    print(f"rows occupied while trials remain: {found['packs']['rows_occupied']:.1%} (goal 90 %)")


if __name__ == "__main__":
    main()
