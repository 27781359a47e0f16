"""A reconstruction problem as data, and what solving it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from torch import Tensor

from restoration_core.priors.prior import Prior

FEATURE_LOSS = "feature_loss"
OBJECTIVE = "objective"


@dataclass(frozen=True)
class Schedule:
    """A piecewise constant value over iterations.

    Attributes:
        pieces: ``(from_iteration, value)`` pairs in rising order, the first from iteration 0.
    """

    pieces: tuple[tuple[int, float], ...]

    def __post_init__(self) -> None:
        starts = [start for start, _ in self.pieces]
        if not starts or starts[0] != 0 or starts != sorted(set(starts)):
            raise ValueError(f"a schedule's pieces must start at iteration 0 and rise, but got {list(self.pieces)}")

    @classmethod
    def constant(cls, value: float) -> Schedule:
        return cls(((0, value),))

    def at(self, iteration: int) -> float:
        """Return the value at ``iteration`` (counted from 0)."""
        return next(value for start, value in reversed(self.pieces) if start <= iteration)


@dataclass(frozen=True)
class Term:
    """A weighted prior: ``weight * prior.energy(map)``.

    Attributes:
        name: under which its energy is recorded, e.g. ``total_variation`` or ``priors.image``.
        prior: the energy. A ``patch_stride`` is heeded on the image alone; on a map the sum is always full.
        weight: raw weight against the normalised feature loss, >= 0.
        layer: the feature map it acts on; None for the image itself.
    """

    name: str
    prior: Prior
    weight: float
    layer: str | None = None


@dataclass(frozen=True)
class FeatureMatch:
    """``weight * ||phi(x) - phi_0||^2 / ||phi_0||^2`` at one layer (eq. 3 of the thesis summary).

    Attributes:
        layer: layer name.
        target: phi_0, ``(C, H, W)`` or ``(C,)``.
        weight: factor of this layer's loss.
    """

    layer: str
    target: Tensor
    weight: float = 1.0


@dataclass(frozen=True)
class Problem:
    """One picture to reconstruct; rows of one batch may differ in every field.

    Minimised over the pre-image x, RGB in [0, 1] where the picture is, unbounded in between:
    ``sum_l w_l ||phi_l(x) - phi_l0||^2 / ||phi_l0||^2 + sum_t w_t E_t(x)``.

    Attributes:
        matches: feature losses.
        terms: priors with weights.
        iterations: number of steps.
        learning_rate: Adam's step size in units of the [0, 1] pixel scale.
        optimizer: name of the update rule (``adam``).
        betas: Adam's decay rates.
        jitter: number of positions j per axis: each step sees a window of the canvas shifted by 0..j-1 pixels; 1 is
            none. The canvas is j-1 pixels larger than the picture (MV16).
        jitter_until: iteration from which the window stays centred (None: jitter to the end).
        bound: hard bound B+ on ``||255 (x - mean)||_2`` per pixel, by projection after every step (None: none).
        coarse_to_fine: ``(from_iteration, factor)`` pairs: the pre-image is parametrised at 1/factor of the size
            from that iteration on; empty for full size throughout.
        initial: starting picture ``(3, H, W)`` in [0, 1]; None for noise from ``seed``.
        initial_std: standard deviation of the noise around the mid grey.
        seed: of the initial noise and the jitter.
        snapshots: iterations after which the picture is kept.
    """

    matches: tuple[FeatureMatch, ...]
    terms: tuple[Term, ...] = ()
    iterations: int = 300
    learning_rate: Schedule = field(default_factory=lambda: Schedule.constant(0.05))
    optimizer: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    jitter: int = 1
    jitter_until: int | None = None
    bound: float | None = None
    coarse_to_fine: tuple[tuple[int, int], ...] = ()
    initial: Tensor | None = None
    initial_std: float = 0.1
    seed: int = 0
    snapshots: tuple[int, ...] = ()


class Status(Enum):
    """How a reconstruction ended; the value is what a user reads."""

    FINISHED = "finished"
    STOPPED = "stopped on request"
    NON_FINITE = "the objective became NaN or infinite; a lower learning rate or weight is the usual cure"


@dataclass(frozen=True)
class Result:
    """A solved problem.

    Attributes:
        image: ``(3, H, W)``, the centre crop, clamped to [0, 1].
        status: how it ended.
        iterations: steps taken.
        losses: final raw values: ``objective`` (weighted sum), ``feature_loss`` (unweighted sum over the matched
            layers), and one unweighted energy per term by its name. Taken on the centre crop before clamping.
        curve_steps: iterations at which ``curves`` were recorded.
        curves: the same names, values over ``curve_steps``.
        snapshots: pictures ``(3, H, W)`` in [0, 1] by iteration.
        compute_s: this row's share of the batch's wall time.
    """

    image: Tensor
    status: Status
    iterations: int
    losses: Mapping[str, float]
    curve_steps: tuple[int, ...]
    curves: Mapping[str, tuple[float, ...]]
    snapshots: Mapping[int, Tensor]
    compute_s: float
