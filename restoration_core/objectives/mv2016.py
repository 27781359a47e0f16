"""The settings of Mahendran & Vedaldi (2016), and variants that run its priors with Adam."""

from __future__ import annotations

from dataclasses import replace

from restoration_core.networks import Classifier
from restoration_core.objectives.preset import Preset
from restoration_core.objectives.table import FEATURE_WEIGHT, THESIS_JITTER, mv_jitter
from restoration_core.objectives.units import (
    ADAGRAD_RATE,
    GREY_LEVELS,
    LENGTH,
    Constant,
    Units,
    to_unit_pixels,
    weight_of_degree,
)
from restoration_core.priors.hand_crafted import IsotropicRange, TotalVariation
from restoration_core.reconstruction import CANVAS, NORMAL, UNIFORM, WINDOW, ZERO_PADDED, Schedule, Term

TYPICAL_NORM = 80.0
"""B: typical norm of a pixel's colour minus the mean, on the 0..255 scale."""
ALPHA = 6.0
BETA = 2.0
VARIATION_NORM = TYPICAL_NORM / 6.5
"""V: typical difference between neighbouring pixels, on the 0..255 scale."""
BOUND = 2 * TYPICAL_NORM
RATE_PER_PIXEL = 0.05 * TYPICAL_NORM**2 / ALPHA
"""lr of the AdaGrad-like step, divided by the number of pixels, on the 0..255 scale."""
ADAM_RATES = tuple(
    (start, factor * TYPICAL_NORM**2 / ALPHA) for start, factor in ((0, 1e-2), (1000, 3e-3), (2000, 1e-3))
)
"""The thesis author's learning rates for Adam, on the 0..255 scale."""

_MEAN_UNIT = "on 0..255, mean over pixels"


def mv2016(classifier: Classifier, layer: str) -> Preset:
    """Return the settings of the paper for a layer.

    The paper minimises ``E(z) = C loss + N_alpha(z) / (H W B^alpha) + TV_beta(z) / (H W V^beta)`` over
    ``z = 255 (x - mean)``, and projects to ``||z_ij|| <= B+ = 2 B`` after every step, with B = 80, V = B / 6.5,
    alpha = 6, beta = 2, and C by layer. There are 300 AdaGrad-like steps with ``lr = 0.05 H W B^2 / alpha`` and jitter
    over a larger canvas, on all of which the priors act, then 50 steps with a tenth of that rate and no jitter. The
    start is uniform noise with its 95 % quantile at B / sqrt(3).

    Source: Mahendran & Vedaldi 2016, sections 3 and 4, and their public code.
    """
    units = _units(classifier, layer)
    rate = to_unit_pixels(RATE_PER_PIXEL, ADAGRAD_RATE, units)
    return Preset(
        name="mv2016",
        terms=_terms(classifier, units),
        iterations=350,
        learning_rate=Schedule(((0, rate), (300, rate / 10))),
        rate_per_pixel=True,
        jitter=mv_jitter(classifier, layer),
        jitter_until=300,
        jitter_canvas=CANVAS,
        bound=BOUND,
        optimizer="adagrad",
        momentum=0.9,
        # Uniform in [-a, a] with its 95 % quantile at B / sqrt(3): a = B / (0.95 sqrt(3)), deviation a / sqrt(3).
        initial_std=to_unit_pixels(TYPICAL_NORM / (0.95 * 3), LENGTH, units),
        initial_noise=UNIFORM,
        published=(
            *_published_objective(units),
            Constant("step", RATE_PER_PIXEL, "AdaGrad-like, a pixel, on 0..255", rate),
        ),
    )


def mv2016_adam(classifier: Classifier, layer: str) -> Preset:
    """Return the priors, bound and jitter of :func:`mv2016` with 350 steps of Adam.

    Adam's rate is the thesis author's first one, 1e-2 B^2 / alpha, and a tenth of that for the last 50 steps. The
    priors act on the jittered window, and the start is normal noise around mid grey with the paper's deviation.
    """
    paper = mv2016(classifier, layer)
    units = _units(classifier, layer)
    rate = to_unit_pixels(ADAM_RATES[0][1], LENGTH, units)
    return replace(
        paper,
        name="mv2016-adam",
        learning_rate=Schedule(((0, rate), (300, rate / 10))),
        rate_per_pixel=False,
        jitter_canvas=WINDOW,
        optimizer="adam",
        initial_noise=NORMAL,
        published=(*_published_objective(units), Constant("step", ADAM_RATES[0][1], "Adam, on 0..255", rate)),
    )


def mv2016_thesis(classifier: Classifier, layer: str) -> Preset:
    """Return the thesis author's settings for the paper's priors: 3500 steps of Adam, zero-padded shifts until 2750.

    It differs in one point: that code starts from the target picture itself, this from the paper's noise.

    Source: the thesis author's public code.
    """
    paper = mv2016(classifier, layer)
    units = _units(classifier, layer)
    rates = tuple((start, to_unit_pixels(rate, LENGTH, units)) for start, rate in ADAM_RATES)
    shift = THESIS_JITTER.at(classifier, layer)
    return replace(
        paper,
        name="mv2016-thesis",
        iterations=3500,
        learning_rate=Schedule(rates),
        rate_per_pixel=False,
        jitter=int(shift) + 1,
        jitter_until=2750,
        jitter_canvas=ZERO_PADDED,
        optimizer="adam",
        published=(
            *_published_objective(units),
            Constant("jitter", shift, "largest shift in pixels", shift + 1),
            Constant("step", ADAM_RATES[0][1], "Adam, on 0..255", rates[0][1]),
        ),
    )


def none(classifier: Classifier, layer: str) -> Preset:
    """Return :func:`mv2016_adam` without priors, bound and jitter."""
    bare = mv2016_adam(classifier, layer)
    step = tuple(constant for constant in bare.published if constant.name == "step")
    return replace(bare, name="none", terms=(), jitter=1, jitter_until=None, bound=None, published=step)


def _units(classifier: Classifier, layer: str) -> Units:
    return Units(levels=GREY_LEVELS, feature_weight=FEATURE_WEIGHT.at(classifier, layer))


def _terms(classifier: Classifier, units: Units) -> tuple[Term, ...]:
    variation = to_unit_pixels(VARIATION_NORM**-BETA, weight_of_degree(BETA), units)
    range_ = to_unit_pixels(TYPICAL_NORM**-ALPHA, weight_of_degree(ALPHA), units)
    return (
        Term("total_variation", TotalVariation(BETA), variation),
        Term("isotropic_range", IsotropicRange(ALPHA, classifier.mean), range_),
    )


def _published_objective(units: Units) -> tuple[Constant, ...]:
    variation, range_ = VARIATION_NORM**-BETA, TYPICAL_NORM**-ALPHA
    return (
        Constant("feature_weight", units.feature_weight, "on the normalised loss", 1.0),
        Constant("total_variation", variation, _MEAN_UNIT, to_unit_pixels(variation, weight_of_degree(BETA), units)),
        Constant("isotropic_range", range_, _MEAN_UNIT, to_unit_pixels(range_, weight_of_degree(ALPHA), units)),
    )
