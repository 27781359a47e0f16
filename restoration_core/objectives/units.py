"""From published units to ours: RGB in [0, 1], energies as means over pixels, a feature loss of weight 1."""

from __future__ import annotations

from dataclasses import dataclass

GREY_LEVELS = 255.0


@dataclass(frozen=True)
class Units:
    """The units of a publication, which minimises ``C loss(z) + sum_t w_t R_t(z)`` over ``z = levels (x - mean)``.

    Attributes:
        levels: how much a published pixel value changes when ours changes by 1: 255 for the 0..255 scale,
            ``255 / sigma`` for the sigma-scaled pre-image of eq. 3, 1 for our own scale.
        feature_weight: C, the factor of the normalised feature loss.
        sum_scale: the published form of an energy divided by its mean over pixels: 1 for a mean, the number of pixels
            for a sum, that number divided by sigma^2 for a sum divided by sigma^2.
    """

    levels: float
    feature_weight: float = 1.0
    sum_scale: float = 1.0


@dataclass(frozen=True)
class Kind:
    """How a constant depends on the units: in ours it is ``value * levels^pixels * sum_scale^sums / C^objective``."""

    pixels: float
    sums: int = 0
    objective: int = 0


def weight_of_degree(degree: float) -> Kind:
    """Return the kind of the weight of an energy with ``R(levels x) = levels^degree R(x)``, such as beta or alpha."""
    return Kind(pixels=degree, sums=1, objective=1)


DESCENT_RATE = Kind(pixels=-2, objective=-1)
"""``dz = -rate dE/dz``: the step and the gradient each bring a factor of levels, the gradient also C."""
ADAGRAD_RATE = Kind(pixels=-1, objective=-1)
"""``dz = -g / (1/rate + sqrt(G))``: 1/rate has the unit of a gradient; the update rule itself steps in grey levels."""
LENGTH = Kind(pixels=-1)
"""Deviations of noise, and Adam's rate, because Adam's step does not depend on the scale of the gradient."""


def to_unit_pixels(value: float, kind: Kind, units: Units) -> float:
    """Return a published constant in our units: ``value * levels^pixels * sum_scale^sums / C^objective``.

    We minimise ``F(x) = loss + sum_t w_t' E_t(x)``, the publication ``E(z) = C F``, with ``E_t`` a mean over pixels of
    RGB in [0, 1]. So ``w' = w levels^d sum_scale / C`` for an energy of degree d. As ``dF/dx = (levels / C) dE/dz``,
    plain descent by ``dz = -r dE/dz`` is ``dx = -(r C / levels^2) dF/dx``.

    Args:
        value: as published.
        kind: how it depends on the units.
        units: of the publication.
    """
    return value * units.levels**kind.pixels * units.sum_scale**kind.sums / units.feature_weight**kind.objective


@dataclass(frozen=True)
class Constant:
    """A number of a method as it was published, and in our units.

    Attributes:
        name: e.g. ``total_variation``, ``step``.
        value: as published.
        unit: in which ``value`` is given.
        ours: the same in our units.
    """

    name: str
    value: float
    unit: str
    ours: float
