"""Priors that are not learned: total variation, the alpha norm, the isotropic range and its hard bound."""

from restoration_core.priors.hand_crafted.alpha_norm import AlphaNorm
from restoration_core.priors.hand_crafted.isotropic_range import IsotropicRange, project_to_bound
from restoration_core.priors.hand_crafted.total_variation import TotalVariation

__all__ = [
    "AlphaNorm",
    "IsotropicRange",
    "TotalVariation",
    "project_to_bound",
]
