"""From published units to ours: RGB in [0, 1], energies as means over pixels, the feature loss of weight 1."""

from __future__ import annotations

from dataclasses import dataclass

GREY_LEVELS = 255.0


@dataclass(frozen=True)
class Units:
    """How a publication counts. It minimises ``C loss(z) + sum_t w_t R_t(z)`` over ``z = levels (x - mean)``.

    Attributes:
        levels: published pixel values in one of our units: 255 on the 0..255 scale, ``255 / sigma`` for the
            sigma-scaled pre-image of eq. 3, 1 where the publication is in our units.
        feature_weight: C, the factor of the normalised feature loss.
        sum_scale: what takes a mean over pixels to the published form of the same energy: 1 for a mean, the number of
            pixels for a sum, that number over sigma^2 for a sum divided by sigma^2.
    """

    levels: float
    feature_weight: float = 1.0
    sum_scale: float = 1.0


@dataclass(frozen=True)
class Kind:
    """How a constant depends on the units: ours is ``value * levels^pixels * sum_scale^sums / C^objective``."""

    pixels: float
    sums: int = 0
    objective: int = 0


def weight_of_degree(degree: float) -> Kind:
    """Return the kind of the weight of an energy with ``R(levels x) = levels^degree R(x)``: TV's beta, or alpha."""
    return Kind(pixels=degree, sums=1, objective=1)


DESCENT_RATE = Kind(pixels=-2, objective=-1)
"""``dz = -rate dE/dz``: once for the step, once for the gradient, which also carries C."""
ADAGRAD_RATE = Kind(pixels=-1, objective=-1)
"""``dz = -g / (1/rate + sqrt(G))``: beside the gradient; the step in grey levels is the update rule's own."""
LENGTH = Kind(pixels=-1)
"""Deviations of noise, and the rate of Adam, whose step does not depend on the gradient's scale."""


def to_unit_pixels(value: float, kind: Kind, units: Units) -> float:
    """Return a published constant in our units: ``value * levels^pixels * sum_scale^sums / C^objective``.

    We minimise ``F(x) = loss + sum_t w_t' E_t(x)``, the publication ``E(z) = C F``, with ``E_t`` a mean over pixels of
    RGB in [0, 1]. So ``w' = w levels^d sum_scale / C`` for an energy of degree d. As ``dF/dx = (levels / C) dE/dz``,
    plain descent by ``dz = -r dE/dz`` is ``dx = -(r C / levels^2) dF/dx``.

    Args:
        value: as published.
        kind: what it is.
        units: in which it was published.
    """
    return value * units.levels**kind.pixels * units.sum_scale**kind.sums / units.feature_weight**kind.objective


@dataclass(frozen=True)
class Constant:
    """A number of a method as it was published, and what it became.

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
