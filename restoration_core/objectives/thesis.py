"""The thesis's own reconstructions, with learned image priors in place of hand-crafted ones."""

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
"""Deviation of the initial noise in the thesis author's runs with learned priors, 0..255 units. That code clips it to
[100, 155], 25 deviations away, which never happens."""
FOE_RATE = 1.0
"""Adam's rate in those runs, 0..255 units."""
FOE_ITERATIONS, FOE_PRIOR_FROM = 10_000, 5000

_UNITS = Units(levels=GREY_LEVELS)
_WEIGHT_UNIT = "on the mean over patches, against the normalised loss"


def thesis_fig9(classifier: Classifier, layer: str) -> Preset:
    """Return the settings of the thesis's figure 9, conv1/relu of AlexNet: ICA prior at 1e-4, Adam at 0.004.

    The objective is ``||phi(x) - phi_0||^2 / ||phi_0||^2 + 1e-4 E(x)`` with the 8 x 8 logistic experts, 512 of them,
    averaged over all overlapping patches; 5000 steps. The thesis does not say in which unit Adam's rate counts: 0.004
    is one grey level on [0, 1], the rate of 1 on 0..255 of the author's code. Nor does it say the start, which is that
    code's: noise of 1.1 grey levels around mid grey. Figure 8's filters are replaced by those that ship with this
    package, trained alike; whitened responses do not depend on the pixel scale, so the weight carries over.

    Source: thesis summary, section 4.3.
    """
    return _ica("thesis-fig9", FIG9_WEIGHT, FIG9_RATES, FIG9_ITERATIONS)


def thesis_fig10(classifier: Classifier, layer: str) -> Preset:
    """Return the settings of the thesis's figure 10, conv4 of AlexNet: ICA prior at 1e-3, a falling rate, 10,000 steps.

    Otherwise as :func:`thesis_fig9`.

    Source: thesis summary, section 4.3.
    """
    return _ica("thesis-fig10", FIG10_WEIGHT, FIG10_RATES, FIG10_ITERATIONS)


def thesis_foe(classifier: Classifier, layer: str) -> Preset:
    """Return the thesis author's runs with a field of Student-t experts on the image.

    The feature loss is the plain mean squared error of the features, so weights depend on the network's scale: against
    the normalised loss they are ``N / ||phi_0||^2`` times as large. 5000 steps of Adam without the prior are followed
    by 5000 with it; shifts by 0..t pixels with zero padding throughout; no bound.

    Departure: Adam keeps its state when the prior sets in, where that code starts anew from the result.

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
    # One object for all: rows of a batch that share a prior object are evaluated together.
    return PriorLibrary().get(thesis_recipe(expert))
