"""The settings of Mahendran & Vedaldi (2015)."""

from __future__ import annotations

from restoration_core.networks import Classifier
from restoration_core.objectives.preset import Preset
from restoration_core.objectives.table import MV2015_TOTAL_VARIATION
from restoration_core.objectives.units import (
    DESCENT_RATE,
    GREY_LEVELS,
    LENGTH,
    Constant,
    Units,
    to_unit_pixels,
    weight_of_degree,
)
from restoration_core.priors.hand_crafted import AlphaNorm, TotalVariation
from restoration_core.reconstruction import UNIT_NORM, Schedule, Term

SIGMA = 2.7098e4
"""Average Euclidean norm of training pictures minus their mean, on the 0..255 scale, at :data:`SIDE` pixels."""
SIDE = 227
ALPHA = 6.0
BETA = 2.0
ALPHA_WEIGHT = 8e-10
"""lambda_alpha; in the objective it is halved and divided by sigma^2."""
RATE = 0.004
"""The step size, divided by sigma^2."""
FACTORS = ((0, 1.0), (100, 0.1), (300, 0.01))
ITERATIONS = 400

# sigma is a norm over all pixels. At another size it is assumed to grow with the root of their number. Then
# H W / sigma^2, which turns the paper's sums divided by sigma^2 into means, is the same at every size.
_UNITS = Units(levels=GREY_LEVELS, sum_scale=SIDE**2 / SIGMA**2)


def mv2015(classifier: Classifier, layer: str) -> Preset:
    """Return the settings of the paper for a layer.

    The paper minimises ``E(z) = loss + (lambda_TV/2 TV_2(z) + lambda_alpha/2 sum z^6) / sigma^2`` over
    ``z = 255 (x - mean)`` with the data set's mean and sums over pixels and channels; lambda_TV is 1, 10 or 100 by
    depth and lambda_alpha is 8e-10. (For the sigma-scaled pre-image of eq. 3 the weights are lambda_TV/2 and
    lambda_alpha/2 sigma^4.) The steps are ``0.004 sigma^2 dE/dz``, a tenth of that from step 100 and a hundredth from
    step 300, with momentum 0.9 that is set to zero when the rate changes. The start is normal noise of norm sigma.
    There is no jitter and no bound.

    Source: Mahendran & Vedaldi 2015, section 3, and their public code.
    """
    weight = MV2015_TOTAL_VARIATION.at(classifier, layer)
    variation = to_unit_pixels(weight / 2, weight_of_degree(BETA), _UNITS)
    norm = to_unit_pixels(ALPHA_WEIGHT / 2, weight_of_degree(ALPHA), _UNITS)
    published_rate = RATE * SIGMA**2 / SIDE**2
    rate = to_unit_pixels(published_rate, DESCENT_RATE, _UNITS)
    return Preset(
        name="mv2015",
        terms=(
            Term("total_variation", TotalVariation(BETA), variation),
            Term("alpha_norm", AlphaNorm(ALPHA, "data", classifier.mean), norm),
        ),
        iterations=ITERATIONS,
        learning_rate=Schedule(tuple((start, rate * factor) for start, factor in FACTORS)),
        rate_per_pixel=True,
        optimizer="momentum",
        momentum=0.9,
        initial_std=to_unit_pixels(SIGMA / SIDE / 3**0.5, LENGTH, _UNITS),
        initial_noise=UNIT_NORM,
        published=(
            Constant("total_variation", weight, "lambda/(2 sigma^2) on 0..255, sum over pixels", variation),
            Constant("alpha_norm", ALPHA_WEIGHT, "lambda/(2 sigma^2) on 0..255, sum over pixels", norm),
            Constant("step", RATE, "momentum descent, times sigma^2, on 0..255", rate),
        ),
    )
