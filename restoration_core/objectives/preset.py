"""A method's settings as data, and the problem of reconstructing a picture with them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from restoration_core.networks import Classifier
from restoration_core.objectives.feature_match import feature_targets
from restoration_core.objectives.units import Constant
from restoration_core.reconstruction import NORMAL, SQUARED_NORM, WINDOW, FeatureMatch, Problem, Schedule, Term

_OUR_UNIT = "raw weight on RGB in [0, 1], mean over pixels or patches"


@dataclass(frozen=True)
class Preset:
    """A method's settings for one network and layer, in our units; other fields as in :class:`Problem`.

    Attributes:
        name: of the method.
        terms: priors, with weights for a normalised feature loss of weight 1.
        rate_per_pixel: the learning rate must be multiplied by the picture's height and width.
        normalization: of the feature loss.
        published: the method's constants as they were published. Constants that are missing here are our own.
    """

    name: str
    terms: tuple[Term, ...]
    iterations: int
    learning_rate: Schedule
    rate_per_pixel: bool = False
    jitter: int = 1
    jitter_until: int | None = None
    jitter_canvas: str = WINDOW
    bound: float | None = None
    optimizer: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9
    coarse_to_fine: tuple[tuple[int, int], ...] = ()
    initial_std: float = 0.1
    initial_noise: str = NORMAL
    normalization: str = SQUARED_NORM
    published: tuple[Constant, ...] = ()

    def with_iterations(self, iterations: int) -> Preset:
        """Return the preset for another number of iterations, with all schedules stretched or shrunk to it."""
        ratio = iterations / self.iterations
        stages = {round(start * ratio): factor for start, factor in self.coarse_to_fine}
        terms = tuple(
            term if term.schedule is None else replace(term, schedule=_stretched(term.schedule, ratio))
            for term in self.terms
        )
        return replace(
            self,
            terms=terms,
            iterations=iterations,
            learning_rate=_stretched(self.learning_rate, ratio),
            jitter_until=None if self.jitter_until is None else round(self.jitter_until * ratio),
            coarse_to_fine=tuple(stages.items()),
        )

    def constants(self) -> tuple[Constant, ...]:
        """Return feature weight, the terms' weights, jitter, step, iterations, and the bound if there is one.

        Constants that were published are given as they were published, others in our units. Step and weights are those
        at the start of the run, before any schedule.
        """
        published = {constant.name: constant for constant in self.published}
        rate = self.learning_rate.at(0)
        every = [
            Constant("feature_weight", 1.0, f"on the feature loss, {self.normalization}", 1.0),
            *(Constant(term.name, term.weight, _OUR_UNIT, term.weight) for term in self.terms),
            Constant("jitter", self.jitter, "window positions per axis", self.jitter),
            Constant("step", rate, f"{self.optimizer}{', a pixel' if self.rate_per_pixel else ''}, on [0, 1]", rate),
            Constant("iterations", self.iterations, "steps", self.iterations),
        ]
        if self.bound is not None:
            every.append(
                Constant("bound", self.bound, "norm of a pixel's colour about the mean, on 0..255", self.bound)
            )
        return tuple(published.get(constant.name, constant) for constant in every)

    def with_rate(self, learning_rate: float) -> Preset:
        """Return the preset with a constant learning rate that does not depend on the picture's size."""
        return replace(self, learning_rate=Schedule.constant(learning_rate), rate_per_pixel=False)

    def rate_at(self, height: int, width: int) -> Schedule:
        """Return the learning rate for pictures of ``height x width`` pixels."""
        scale = height * width if self.rate_per_pixel else 1
        return Schedule(tuple((start, scale * value) for start, value in self.learning_rate.pieces))


def _stretched(schedule: Schedule, ratio: float) -> Schedule:
    """Return ``schedule`` with its starts times ``ratio``; of pieces with the same start the last one is kept."""
    return Schedule(tuple({round(start * ratio): value for start, value in schedule.pieces}.items()))


def make_problem(
    classifier: Classifier, image: Tensor, layer: str, preset: Preset, *, seed: int = 0, **overrides: Any
) -> Problem:
    """Return the problem of reconstructing a picture from one layer with a preset.

    If the picture has fewer pixels than a coarse stage's factor, that stage optimises a single colour.

    Args:
        classifier: the network.
        image: the original, ``(3, H, W)`` in [0, 1]; only its features are used.
        layer: layer to match.
        preset: settings.
        seed: decides noise and jitter.
        overrides: fields of :class:`Problem` that replace the preset's. ``iterations`` does not stretch the schedules;
            :meth:`Preset.with_iterations` does.

    Raises:
        InputError: for an unknown layer or one that refuses the picture's size.
    """
    target = feature_targets(classifier, image, [layer])[layer]
    problem = Problem(
        matches=(FeatureMatch(layer, target, normalization=preset.normalization),),
        terms=preset.terms,
        iterations=preset.iterations,
        learning_rate=preset.rate_at(image.shape[-2], image.shape[-1]),
        optimizer=preset.optimizer,
        betas=preset.betas,
        momentum=preset.momentum,
        jitter=preset.jitter,
        jitter_until=preset.jitter_until,
        jitter_canvas=preset.jitter_canvas,
        bound=preset.bound,
        coarse_to_fine=tuple((start, min(factor, *image.shape[-2:])) for start, factor in preset.coarse_to_fine),
        initial_std=preset.initial_std,
        initial_noise=preset.initial_noise,
        seed=seed,
    )
    return replace(problem, **overrides)
