"""A reconstruction problem as data, and what solving it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from torch import Tensor

from restoration_core.priors.prior import Prior, Reporting

FEATURE_LOSS = "feature_loss"
OBJECTIVE = "objective"

SQUARED_NORM, DOT_PRODUCT, MEAN_SQUARED_ERROR = "squared_norm", "dot_product", "mean_squared_error"
NORMALIZATIONS = (SQUARED_NORM, DOT_PRODUCT, MEAN_SQUARED_ERROR)
"""What a feature loss is divided by: see :class:`FeatureMatch`."""

WINDOW, CANVAS, ZERO_PADDED = "window", "canvas", "zero_padded"
JITTER_CANVASES = (WINDOW, CANVAS, ZERO_PADDED)
"""Where a jittered window lies and what priors see: see :class:`Problem`."""

LBFGS = "lbfgs"
"""The one optimizer that is no update rule: :func:`solve` runs it one problem at a time."""

NORMAL, UNIFORM, UNIT_NORM = "normal", "uniform", "unit_norm"
INITIAL_NOISES = (NORMAL, UNIFORM, UNIT_NORM)
"""How the starting picture is drawn: see :class:`Problem`."""


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
        prior: the energy. With a ``patch_stride`` every step takes a random subset of the patches, drawn from the
            problem's seed, on the image and on maps alike.
        weight: raw weight against the normalised feature loss, >= 0.
        layer: the feature map it acts on; None for the optimised variable itself, usually the image.
        schedule: factor on the weight by iteration, >= 0; None for 1 throughout. While it is 0 the prior is not
            evaluated: no gradient, and no energy in the curves.
    """

    name: str
    prior: Prior
    weight: float
    layer: str | None = None
    schedule: Schedule | None = None

    def active(self, iteration: int) -> bool:
        """Return whether the schedule lets it take part at ``iteration`` (counted from 0)."""
        return self.schedule is None or self.schedule.at(iteration) > 0

    @property
    def recorded_as(self) -> str | None:
        """The name of its curve: its own for an energy; ``<name>.report`` for what a prior without one reports.

        None for a prior with neither. A report is no part of the objective.
        """
        if self.prior.has_energy:
            return self.name
        return f"{self.name}.report" if isinstance(self.prior, Reporting) else None

    def weight_at(self, iteration: int) -> float:
        """Return the weight times the schedule's factor at ``iteration``."""
        return self.weight if self.schedule is None else self.weight * self.schedule.at(iteration)


@dataclass(frozen=True)
class FeatureMatch:
    """``weight * ||phi(x) - phi_0||^2 / d`` at one layer, d as ``normalization`` says.

    Attributes:
        layer: layer name.
        target: phi_0, ``(C, H, W)`` or ``(C,)``.
        weight: factor of this layer's loss.
        normalization: ``squared_norm``: d = ||phi_0||^2 (eq. 3 of the thesis summary); ``dot_product``:
            d = sum phi(x) phi_0, which depends on x and is differentiated with it (the thesis author's code; NaN where
            the two share no active feature); ``mean_squared_error``: d = number of features (that code's runs with
            learned priors).
    """

    layer: str
    target: Tensor
    weight: float = 1.0
    normalization: str = SQUARED_NORM


@dataclass(frozen=True)
class Problem:
    """One picture, or map of an earlier layer, to reconstruct; rows of one batch may differ in every field.

    Minimised over the pre-image x, RGB in [0, 1] where the picture is, unbounded in between, at iteration i:
    ``sum_l w_l ||phi_l(x) - phi_l0||^2 / ||phi_l0||^2 + sum_t w_t f_t(i) E_t(x)``, f_t the term's schedule.

    Attributes:
        matches: feature losses.
        terms: priors with weights.
        iterations: number of steps.
        learning_rate: step size in units of the [0, 1] pixel scale (of the map, where a map is optimised); ``lbfgs``
            searches its steps and takes it as the largest change that its first one tries.
        optimizer: name of the update rule (``adam``, ``adagrad``, ``momentum``), or ``lbfgs``, which :func:`solve`
            runs one problem after the other and which takes no random gradients (jitter, patch strides), no bound
            and no prior without an energy.
        betas: Adam's decay rates.
        momentum: share of the last step carried over, in [0, 1), for ``adagrad`` and ``momentum``.
        jitter: number of positions j per axis: each step sees a window shifted by 0..j-1 pixels; 1 is none.
        jitter_until: iteration from which the window stays centred (None: jitter to the end).
        jitter_canvas: ``window``: the window moves over a canvas j-1 pixels larger than the picture, and priors see
            the window; ``canvas``: the same, but priors see the whole canvas (MV16); ``zero_padded``: the network sees
            the picture shifted down and right by 0..j-1 pixels with zeros (black) moving in, and priors see the picture
            itself (the thesis author's code; its jitter t is t + 1 positions here).
        bound: hard bound B+ on ``||255 (x - mean)||_2`` per pixel, by projection after every step (None: none).
        coarse_to_fine: ``(from_iteration, factor)`` pairs: the pre-image is parametrised at 1/factor of the size
            from that iteration on; empty for full size throughout.
        initial: starting picture ``(3, H, W)`` in [0, 1], or starting map; None for noise from ``seed``.
        initial_std: standard deviation of the noise; where a map is optimised, in units of its channels' deviation.
        initial_noise: ``normal``: normal noise around the mid grey (a map's mean); ``uniform``: uniform noise around
            the network's mean colour, scaled so that the 95 % quantile of its absolute values is exactly that of
            deviation ``initial_std``, 0.95 sqrt(3) initial_std (MV16: B / sqrt(3)); ``unit_norm``: normal noise around
            the mean colour, scaled so that its root mean square is exactly ``initial_std`` (MV15: the norm sigma).
        seed: of the initial noise and the jitter.
        snapshots: iterations after which the picture is kept.
    """

    matches: tuple[FeatureMatch, ...]
    terms: tuple[Term, ...] = ()
    iterations: int = 300
    learning_rate: Schedule = field(default_factory=lambda: Schedule.constant(0.05))
    optimizer: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    jitter: int = 1
    jitter_until: int | None = None
    jitter_canvas: str = WINDOW
    bound: float | None = None
    coarse_to_fine: tuple[tuple[int, int], ...] = ()
    initial: Tensor | None = None
    initial_std: float = 0.1
    initial_noise: str = NORMAL
    seed: int = 0
    snapshots: tuple[int, ...] = ()


class Status(Enum):
    """How a reconstruction ended; the value is what a user reads."""

    FINISHED = "finished"
    CONVERGED = "converged: no further step lowers the objective"
    STOPPED = "stopped on request"
    NON_FINITE = "the objective became NaN or infinite; a lower learning rate or weight is the usual cure"


@dataclass(frozen=True)
class Result:
    """A solved problem.

    Attributes:
        image: ``(3, H, W)``, the centre crop, clamped to [0, 1]; where a map is optimised, the map ``(C, H, W)``.
        status: how it ended.
        iterations: steps taken.
        losses: final raw values: ``objective`` (weighted sum), ``feature_loss`` (unweighted sum over the matched
            layers), and one unweighted energy or report per term (:attr:`Term.recorded_as`), whatever its schedule.
            Taken on the centre crop before clamping, weighted as in the last step, over all patches.
        curve_steps: iterations at which ``curves`` were recorded.
        curves: the same names, values over ``curve_steps``; a term's is NaN while its schedule keeps it out. Energies
            of terms with a patch stride are those of the step's own patches: unbiased, and as cheap as the step.
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
