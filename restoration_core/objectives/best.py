"""Our own settings, tuned on photographs: total variation by depth, coarse to fine, Adam with a rate that falls."""

from __future__ import annotations

import math

from restoration_core.networks import Classifier
from restoration_core.objectives.preset import Preset
from restoration_core.objectives.units import GREY_LEVELS
from restoration_core.priors.hand_crafted import TotalVariation
from restoration_core.reconstruction import Schedule, Term

REFERENCE_FIELD = 27
"""Receptive field in pixels at which the weight was tuned, that of SqueezeNet's third fire module."""
REFERENCE_WEIGHT = 0.8
"""Weight of total variation at that receptive field, for RGB in [0, 1] and a mean over pixels."""
GROWTH = 3.2
"""Exponent of the receptive field, from the best weights at fields of 7 and 27 pixels."""
LARGEST_WEIGHT = 10.0
SHALLOW_FIELD = 16
"""Below this receptive field fewer steps suffice to reach the optimum."""

RATE = 0.08
_RATES = ((0.0, 1.0), (0.7, 0.5), (0.8, 0.25), (0.88, 0.1), (0.95, 0.03))
_STAGES = ((0.0, 16), (0.08, 8), (0.16, 4), (0.26, 2), (0.42, 1))
_BETAS = (0.9, 0.9)


def variation_weight(classifier: Classifier, layer: str) -> float:
    """Return the weight of total variation against the normalised feature loss, ``min(0.8 (r / 27)^3.2, 10)``.

    The larger the receptive field r, the less a layer says about single pixels: noise changes the feature loss less,
        and
    more of the picture is left to the prior.

    Args:
        classifier: the network.
        layer: layer to match; ``r`` is its receptive field in pixels, not clipped at the picture's borders.

    Raises:
        InputError: for an unknown layer.
    """
    return min(REFERENCE_WEIGHT * (classifier.receptive_field(layer) / REFERENCE_FIELD) ** GROWTH, LARGEST_WEIGHT)


def colour_ball(classifier: Classifier) -> float:
    """Return the largest distance of an RGB colour from the network's mean colour, on the 0..255 scale."""
    return GREY_LEVELS * math.hypot(*(max(mean, 1 - mean) for mean in classifier.mean))


def best(classifier: Classifier, layer: str) -> Preset:
    """Return our settings for a layer: total variation (beta 2), no jitter, and a bound that allows every RGB colour.

    The pre-image is optimised at a sixteenth of its size first, then at an eighth, a quarter, half and full size;
    started at full size, whole areas may settle in a wrong colour. Both moments of Adam are averages over about ten
    steps, and its rate falls to 3 %, so that the run ends near the minimum. There are 200 steps for receptive fields
    below 16 pixels and 300 for larger ones.

    Raises:
        InputError: for an unknown layer.
    """
    iterations = 200 if classifier.receptive_field(layer) < SHALLOW_FIELD else 300
    return Preset(
        name="best",
        terms=(Term("total_variation", TotalVariation(2.0), variation_weight(classifier, layer)),),
        iterations=iterations,
        learning_rate=Schedule(tuple((round(share * iterations), RATE * factor) for share, factor in _RATES)),
        bound=colour_ball(classifier),
        betas=_BETAS,
        coarse_to_fine=tuple((round(share * iterations), factor) for share, factor in _STAGES),
    )
