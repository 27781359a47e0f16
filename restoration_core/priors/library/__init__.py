"""The prior library: priors are trained once and kept as files under the hash of their recipe."""

from restoration_core.priors.library.blobs import from_blob
from restoration_core.priors.library.families import FAMILIES, family_by_name
from restoration_core.priors.library.noise_level import at_noise_level
from restoration_core.priors.library.prior_library import Entry, PriorLibrary

__all__ = [
    "FAMILIES",
    "Entry",
    "PriorLibrary",
    "at_noise_level",
    "family_by_name",
    "from_blob",
]
