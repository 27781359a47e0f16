"""The families of trained priors by name. A new one is a folder of its own and a line here."""

from __future__ import annotations

from restoration_core.errors import InputError, unknown
from restoration_core.priors.convolutional_experts import CONVOLUTIONAL_EXPERTS
from restoration_core.priors.denoiser import DENOISER
from restoration_core.priors.patch_experts import PATCH_EXPERTS
from restoration_core.priors.training import Family

FAMILIES: dict[str, Family] = {family.name: family for family in (PATCH_EXPERTS, CONVOLUTIONAL_EXPERTS, DENOISER)}


def family_by_name(name: str) -> Family:
    """Return the family called ``name``.

    Raises:
        InputError: there is no such family.
    """
    if name not in FAMILIES:
        raise InputError(unknown("family of priors", name, FAMILIES))
    return FAMILIES[name]


def family_by_format(name: str) -> Family:
    """Return the family whose files have the format ``name``.

    Raises:
        InputError: there is no such format.
    """
    formats = {family.format: family for family in FAMILIES.values()}
    if name not in formats:
        raise InputError(unknown("format of a prior", name, formats))
    return formats[name]
