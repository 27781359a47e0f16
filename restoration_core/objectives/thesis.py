"""The settings of the thesis's own reconstructions, with learned image priors."""

from __future__ import annotations

import functools

from restoration_core.networks import Classifier
from restoration_core.objectives.preset import Preset
from restoration_core.objectives.table import THESIS_FOE_JITTER, THESIS_FOE_WEIGHT
from restoration_core.objectives.units import GREY_LEVELS, LENGTH, Constant, Units, to_unit_pixels
from restoration_core.priors.library import PriorLibrary
from restoration_core.priors.patch_experts import thesis_recipe
from restoration_core.priors.prior import Prior
from restoration_core.reconstruction import MEAN_SQUARED_ERROR, ZERO_PADDED, Schedule, Term

TERM = "priors.image"
FIG9_WEIGHT, FIG10_WEIGHT = 1e-4, 1e-3
FIG9_RATES = ((0, 0.004),)
FIG10_RATES = ((0, 0.01), (1000, 4e-3), (1200, 1e-3), (3000, 4e-4), (6000, 1e-4), (9000, 4e-5))
FIG9_ITERATIONS, FIG10_ITERATIONS = 5000, 10_000
INITIAL_STD = 1.1
"""Standard deviation of the initial noise in the thesis author's runs with learned priors, on the 0..255 scale. (The
code also clips it to [100, 155], which never matters: that is 25 deviations away.)"""
FOE_RATE = 1.0
"""Adam's learning rate in those runs, on the 0..255 scale."""
FOE_ITERATIONS, FOE_PRIOR_FROM = 10_000, 5000

_UNITS = Units(levels=GREY_LEVELS)
_WEIGHT_UNIT = "on the mean over patches, against the normalised loss"


def thesis_fig9(classifier: Classifier, layer: str) -> Preset:
    """Return the settings of the thesis's figure 9, conv1/relu of AlexNet: ICA prior at 1e-4, Adam at 0.004.

    The objective is ``||phi(x) - phi_0||^2 / ||phi_0||^2 + 1e-4 E(x)``, where E are 512 logistic experts of 8 x 8
    pixels, averaged over all overlapping patches. There are 5000 steps. The thesis does not give the unit of Adam's
    rate; on the scale of [0, 1], 0.004 is one grey level, which is the rate in the author's code. It does not describe
    the start either; the code starts with noise of 1.1 grey levels around mid grey. In place of the filters of figure 8
    those of this package are used, which were trained in the same way. Whitened responses do not depend on the scale of
    pixels, so the weight stays the same.

    Source: thesis summary, section 4.3.
    """
    return _ica("thesis-fig9", FIG9_WEIGHT, FIG9_RATES, FIG9_ITERATIONS)


def thesis_fig10(classifier: Classifier, layer: str) -> Preset:
    """Return the settings of the thesis's figure 10, conv4 of AlexNet: ICA prior at 1e-3, a falling rate, 10,000 steps.

    All else is as in :func:`thesis_fig9`.

    Source: thesis summary, section 4.3.
    """
    return _ica("thesis-fig10", FIG10_WEIGHT, FIG10_RATES, FIG10_ITERATIONS)


def thesis_foe(classifier: Classifier, layer: str) -> Preset:
    """Return the settings of the thesis author's runs with a prior of Student-t experts on the image.

    The feature loss is the plain mean squared error of the features, so weights depend on the scale of the features;
    with the normalised loss they would be ``N / ||phi_0||^2`` times as large. 5000 steps of Adam without the prior are
    followed by 5000 with it. All steps shift the picture by 0..t pixels with zero padding; there is no bound.

    It differs in one point: that code starts Adam anew when the prior comes in, here Adam keeps its state.

    Source: the thesis author's public code.
    """
    weight = THESIS_FOE_WEIGHT.at(classifier, layer)
    shift = THESIS_FOE_JITTER.at(classifier, layer)
    rate = to_unit_pixels(FOE_RATE, LENGTH, _UNITS)
    return Preset(
        name="thesis-foe",
        terms=(Term(TERM, _bundled("student_t"), weight, schedule=Schedule(((0, 0.0), (FOE_PRIOR_FROM, 1.0)))),),
        iterations=FOE_ITERATIONS,
        learning_rate=Schedule.constant(rate),
        jitter=int(shift) + 1,
        jitter_canvas=ZERO_PADDED,
        initial_std=to_unit_pixels(INITIAL_STD, LENGTH, _UNITS),
        normalization=MEAN_SQUARED_ERROR,
        published=(
            Constant(TERM, weight, "on the mean over patches, against the mean squared error", weight),
            Constant("jitter", shift, "largest shift in pixels", shift + 1),
            Constant("step", FOE_RATE, "Adam, on 0..255", rate),
        ),
    )


def _ica(name: str, weight: float, rates: tuple[tuple[int, float], ...], iterations: int) -> Preset:
    return Preset(
        name=name,
        terms=(Term(TERM, _bundled("logistic"), weight),),
        iterations=iterations,
        learning_rate=Schedule(rates),
        initial_std=to_unit_pixels(INITIAL_STD, LENGTH, _UNITS),
        published=(
            Constant(TERM, weight, _WEIGHT_UNIT, weight),
            Constant("step", rates[0][1], "Adam, on [0, 1]", rates[0][1]),
        ),
    )


@functools.cache
def _bundled(expert: str) -> Prior:
    # Always the same object, because rows of a batch that share a prior object are evaluated together.
    return PriorLibrary().get(thesis_recipe(expert))
