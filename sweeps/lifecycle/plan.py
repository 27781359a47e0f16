"""What a sweep will cost, told before anything starts: hours, memory, disk."""

from __future__ import annotations

import dataclasses
import math
import resource
import statistics
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch

from restoration_core.networks import Classifier, open_network
from restoration_core.reconstruction import BatchSolver, Problem, keep_freed_memory
from sweeps.execution.devices import device_here, gpus_here
from sweeps.execution.sizing import planned_trials, rows_in_batch, size_packs, usable_cores
from sweeps.lifecycle.placeholder_priors import PlaceholderPriors
from sweeps.lifecycle.verdict import verdict_rows
from sweeps.priors.reference import PriorReference
from sweeps.priors.required import priors_needed
from sweeps.priors.units import subjects
from sweeps.search.distributions import middle
from sweeps.search.space import SearchSpace
from sweeps.spec.models import BUNDLED_NETWORK, CALIBRATED, SweepSpec
from sweeps.trial.problems import build_problems, compute_targets
from sweeps.trial.raw_parameters import raw_parameters

MEASURE_S = 1.0
LEAST_STEPS, MOST_STEPS = 3, 20

# Bytes in the store, by SQLite's dbstat over 12 sweeps with 82 trials, indices included: its empty tables; a trial's
# row and its outbox entry; one metric of one picture; one recorded loss as JSON text; a curve without its losses.
_EMPTY_BYTES = 120_000
_TRIAL_BYTES = 2000
_METRIC_BYTES = 100
_CURVE_POINT_BYTES = 26
_CURVE_BYTES = 100
_METRICS_A_PICTURE = 10
_DRIVER_MB = 500.0


@dataclass(frozen=True)
class Plan:
    """A sweep's size, and estimates of what it costs on this machine.

    Attributes:
        trials: baselines included; pictures: searched on; rows: reconstructions of the search.
        iterations: of the search, over all rows.
        pack: trials in a batch; batch_rows: reconstructions in it; actors: packs at a time.
        step_s: measured seconds of one step of one pack (NaN when not measured).
        verdict_rows: reconstructions of the verdict; verdict_s: seconds that it takes of ``seconds``.
        seconds: of the search and the verdict, without start-up; memory_mb: of all processes, while the search or the
            verdict runs, whichever takes more; disk_mb: of the store.
        notes: what the estimates leave out.
    """

    name: str
    trials: int
    baselines: int
    pictures: int
    rows: int
    iterations: int
    pack: int
    batch_rows: int
    actors: int
    device: str
    step_s: float
    verdict_rows: int
    verdict_s: float
    seconds: float
    memory_mb: float
    disk_mb: float
    notes: tuple[str, ...]

    @property
    def hours(self) -> float:
        return self.seconds / 3600

    def as_dict(self) -> dict[str, Any]:
        """Return the plan as JSON-like data, with ``hours``."""
        return dataclasses.asdict(self) | {"hours": self.hours, "notes": list(self.notes)}


@dataclass(frozen=True)
class _Measured:
    """What some steps of a batch took: seconds a step, memory of the process, and bytes of a picture in the store."""

    step_s: float
    memory_mb: float
    picture_bytes: float


def plan(spec: SweepSpec, measured: bool = True) -> Plan:
    """Return what a sweep will cost.

    Args:
        spec: checked; its pictures are read.
        measured: time some steps of a batch as large as a pack, on this machine with the network's own shapes (random
            weights, so that nothing is downloaded). Without it, time and memory are NaN.

    Raises:
        InputError: pictures that cannot be read any more.
    """
    device = device_here(spec)
    gpus = gpus_here() if device == "cuda" else 0
    sizing = size_packs(spec, usable_cores(), gpus)
    classifier = _open_network(spec)
    stand_ins, needed = PlaceholderPriors(classifier), priors_needed(spec, classifier)
    prior_bytes = sum(4 * stand_ins.floats(reference) for reference in needed)
    unknown = _Measured(math.nan, math.nan, 3.0 * spec.image_size**2)
    found = _measure(spec, sizing.width, device, classifier, spec.resources.threads) if measured else unknown
    trials = planned_trials(spec)
    rows = trials * len(spec.images)
    steps = _iterations_a_row(spec)
    batch_rows = sizing.width * len(spec.images)
    seconds, memory_mb = steps * rows / sizing.actors * found.step_s / batch_rows, found.memory_mb * sizing.actors
    rows_of_verdict, verdict_s = verdict_rows(spec), 0.0
    if rows_of_verdict:
        # The verdict runs alone, after the packs, in this process and with all of its cores.
        width = math.ceil(min(rows_in_batch(spec), rows_of_verdict) / len(spec.images))
        judging = _measure(spec, width, device, classifier, usable_cores()) if measured else unknown
        verdict_s = steps * rows_of_verdict * judging.step_s / (width * len(spec.images))
        memory_mb = max(memory_mb, judging.memory_mb)
    seconds += verdict_s
    notes = _notes(spec, seconds, measured, gpus, needed, stand_ins)
    return Plan(
        name=spec.name,
        trials=trials,
        baselines=len(spec.baselines),
        pictures=len(spec.images),
        rows=rows,
        iterations=round(rows * steps),
        pack=sizing.width,
        batch_rows=batch_rows,
        actors=sizing.actors,
        device=device,
        step_s=found.step_s,
        verdict_rows=rows_of_verdict,
        verdict_s=verdict_s,
        seconds=seconds,
        memory_mb=memory_mb + _DRIVER_MB,
        disk_mb=_disk_bytes(spec, trials, steps, found.picture_bytes, prior_bytes) / 1e6,
        notes=tuple(notes),
    )


def _notes(
    spec: SweepSpec,
    seconds: float,
    measured: bool,
    gpus: int,
    needed: list[PriorReference],
    stand_ins: PlaceholderPriors,
) -> list[str]:
    notes = [
        "time is without start-up (Ray takes some 10 s) and without other load on this machine",
        "disk is the store's; MLflow's copies of curves and final pictures come on top",
    ]
    if not measured:
        notes.append("time and memory were not measured")
    if spec.resources.gpus_per_actor > 0 and not gpus:
        notes.append("the spec asks for GPUs and this machine has none: measured on the CPU")
    if spec.budget.hours is not None and seconds / 3600 > spec.budget.hours:
        notes.append(f"budget.hours = {spec.budget.hours:g} ends the search before all its trials have run")
    missing = [str(reference) for reference in needed if stand_ins.kept(reference) is None]
    if missing:
        notes.append(f"priors to be trained first, not in the time: {', '.join(missing)}")
    if spec.units == CALIBRATED:
        names = [subject.name for subject in subjects(spec, stand_ins.classifier)]
        notes.append(
            f"calibrations at {', '.join(spec.layers)} that are not kept are measured first, not in the time: "
            f"{', '.join(names)}"
        )
    return notes


def _open_network(spec: SweepSpec) -> Classifier:
    """Return the network with its own weights where they are at hand, else with random ones: nothing is downloaded."""
    bundled = spec.network.name == BUNDLED_NETWORK and spec.network.weights == "bundled"
    weights = "bundled" if bundled else "factory" if spec.network.is_own_module else "random"
    return open_network(spec.network.name, weights, spec.network.seed, **spec.network.options)


def _iterations_a_row(spec: SweepSpec) -> float:
    parameter = spec.parameters.get("iterations")
    return float(spec.budget.iterations if parameter is None else middle(parameter))


def _disk_bytes(spec: SweepSpec, trials: int, steps: float, picture_bytes: float, prior_bytes: int) -> float:
    pictures, names = len(spec.images), 2 + sum(name.endswith(".weight") for name in spec.parameters)
    points = math.ceil(steps / spec.save.curves_every) + 1
    a_picture = names * (_CURVE_BYTES + points * _CURVE_POINT_BYTES) + _METRICS_A_PICTURE * _METRIC_BYTES
    # Of trials in random order, the harmonic number of them are the best so far when they end.
    records = math.log(trials) + 0.58 if trials > 1 else 1.0
    kept_trials = {"all": float(trials), "best": min(records, trials), "none": 0.0}[spec.save.images]
    kept = kept_trials * pictures * (1 + len(spec.save.steps)) + pictures + len(spec.validate_on)
    return _EMPTY_BYTES + prior_bytes + trials * (_TRIAL_BYTES + pictures * a_picture) + kept * picture_bytes


def _measure(spec: SweepSpec, width: int, device: str, classifier: Classifier, threads_here: int) -> _Measured:
    """Run a few steps of a batch of ``width`` random configurations."""
    from sweeps.trial.pictures import encode

    threads = torch.get_num_threads()
    torch.set_num_threads(threads_here)
    if device == "cpu":
        keep_freed_memory()  # as the packs do
    try:
        classifier = classifier.to(device, torch.float32)
        problems = _pack_of_problems(spec, width, classifier)
        solver: BatchSolver[int] = BatchSolver(
            classifier, spec.image_size, device=device, record_every=spec.save.curves_every
        )
        for key, problem in enumerate(problems):
            solver.add(key, problem)
        step_s = _time_steps(solver, device)
        pictures = [encode(solver.remove(key).image) for key in list(solver.keys)[:4]]
    finally:
        torch.set_num_threads(threads)
    sizes = [len(item.png) + len(item.thumbnail) for item in pictures]
    return _Measured(step_s, _peak_memory_mb(device), sum(sizes) / len(sizes) if sizes else 3.0 * spec.image_size**2)


def _ones(spec: SweepSpec, classifier: Classifier) -> dict[str, float]:
    """Return units for timing a step: what a weight is does not change the time."""
    return {subject.name: 1.0 for subject in subjects(spec, classifier)} if spec.units == CALIBRATED else {}


def _time_steps(solver: BatchSolver[int], device: str) -> float:
    solver.advance(2)  # buffers and kernels
    _finish(device)
    started, durations = time.perf_counter(), list[float]()
    while solver.keys and len(durations) < MOST_STEPS:
        step_started = time.perf_counter()
        solver.advance(1)
        _finish(device)
        durations.append(time.perf_counter() - step_started)
        if len(durations) >= LEAST_STEPS and time.perf_counter() - started > MEASURE_S:
            break
    return statistics.median(durations)  # one step that had to wait for the machine does not count


def _pack_of_problems(spec: SweepSpec, width: int, classifier: Classifier) -> list[Problem]:
    import optuna

    from restoration_core.images import load_image

    images = [(name, torch.from_numpy(load_image(name, spec.image_size))) for name in spec.images]
    targets = compute_targets(spec, classifier, images)
    space = SearchSpace.from_spec(spec)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=spec.method.seed))
    lookup, units = PlaceholderPriors(classifier), _ones(spec, classifier)
    problems: list[Problem] = []
    for number in range(width):
        parameters = space.suggest(study.ask())
        # Long enough that no row ends while it is timed.
        lasting = parameters | {"iterations": max(spec.budget.iterations, MOST_STEPS + 3)}
        raw = raw_parameters(spec, lasting, classifier, units)
        problems += build_problems(spec, raw, classifier, images, number, lookup, targets)
    return problems


def _finish(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _peak_memory_mb(device: str) -> float:
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB on Linux
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    return own + (torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else 0.0)
