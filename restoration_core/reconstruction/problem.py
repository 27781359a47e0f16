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
        name: its energy is recorded under it, e.g. ``total_variation`` or ``priors.image``.
        prior: the energy. If it has a ``patch_stride`` above 1, every step takes a random subset of the patches, drawn
            from the problem's seed.
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
        """Return whether its schedule is above 0 at ``iteration`` (counted from 0)."""
        return self.schedule is None or self.schedule.at(iteration) > 0

    @property
    def recorded_as(self) -> str | None:
        """The name of its curve: ``name`` for an energy, ``<name>.report`` for a prior that only reports a value.

        None for a prior that has neither. A report is no part of the objective.
        """
        if self.prior.has_energy:
            return self.name
        return f"{self.name}.report" if isinstance(self.prior, Reporting) else None

    def weight_at(self, iteration: int) -> float:
        """Return the weight times the schedule's factor at ``iteration`` (counted from 0)."""
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
    """One picture (or map of an earlier layer) to reconstruct. Problems in a batch may differ in every field.

    At iteration i ``sum_l w_l ||phi_l(x) - phi_l0||^2 / ||phi_l0||^2 + sum_t w_t f_t(i) E_t(x)`` is minimised over
    the pre-image x, where f_t is the schedule of term t. A picture is RGB on the scale of [0, 1]; values outside are
    allowed on the way, and clamped in the result.

    Attributes:
        matches: feature losses.
        terms: priors with weights.
        iterations: number of steps.
        learning_rate: step size on the [0, 1] scale of pixels (of the map, where a map is optimised). ``lbfgs`` finds
            its steps by a line search; there it is the largest change of a value that the first step tries.
        optimizer: name of the update rule (``adam``, ``adagrad``, ``momentum``), or ``lbfgs``, which is run one problem
            after the other and takes no random gradients (jitter, patch strides), no bound and no prior without an
            energy.
        betas: Adam's decay rates.
        momentum: share of the last step carried over, in [0, 1), for ``adagrad`` and ``momentum``.
        jitter: number of positions j per axis: each step shifts the window by 0..j-1 pixels; 1 is no jitter.
        jitter_until: iteration from which the window stays centred; None for jitter to the end.
        jitter_canvas: ``window``: the window moves over a canvas j-1 pixels larger than the picture, and priors act on
            the window; ``canvas``: the same, but priors act on the whole canvas (MV16); ``zero_padded``: the network
            sees the picture shifted down and right by 0..j-1 pixels with zeros (black) moving in, and priors act on the
            picture itself (the thesis author's code, whose jitter t is t + 1 positions here).
        bound: B+, the largest ``||255 (x - mean)||_2`` of a pixel, kept by projection after every step; None for none.
        coarse_to_fine: pairs ``(from_iteration, factor)``: from that iteration on the pre-image is optimised at
            1/factor of its size and interpolated; empty for full size throughout.
        initial: starting picture ``(3, H, W)`` in [0, 1], or starting map; None for noise from ``seed``.
        initial_std: standard deviation of the noise; where a map is optimised, in units of its channels' deviation.
        initial_noise: ``normal``: normal noise around mid grey (a map's mean); ``uniform``: uniform noise around the
            network's mean colour, scaled so that the 95 % quantile of its absolute values is exactly that of uniform
            noise with deviation ``initial_std``, 0.95 sqrt(3) initial_std (MV16: B / sqrt(3)); ``unit_norm``: normal
            noise around the mean colour, scaled so that its root mean square is exactly ``initial_std`` (MV15: the
            norm sigma).
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
        losses: final values: ``objective`` (weighted sum, with the weights of the last step), ``feature_loss``
            (unweighted sum over the matched layers), and the unweighted energy or report of each term
            (:attr:`Term.recorded_as`), also where its schedule is at 0. They are of the centre crop before clamping and
            over all patches.
        curve_steps: iterations at which ``curves`` were recorded.
        curves: by the same names, values at ``curve_steps``; NaN for a term while its schedule is at 0. For a term with
            a patch stride they are over the random patches of that step.
        snapshots: pictures ``(3, H, W)`` in [0, 1] by iteration.
        compute_s: its share of the batch's wall time.
    """

    image: Tensor
    status: Status
    iterations: int
    losses: Mapping[str, float]
    curve_steps: tuple[int, ...]
    curves: Mapping[str, tuple[float, ...]]
    snapshots: Mapping[int, Tensor]
    compute_s: float
