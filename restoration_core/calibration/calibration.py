"""The calibration of a prior as plain data, with the rule that turns a calibrated weight into a raw one."""

from __future__ import annotations

import dataclasses
import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from restoration_core.calibration.recipe import CalibrationRecipe
from restoration_core.errors import InputError, in_one_line

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
KINDS = ("natural", "noisy", "noise")
"""Photographs, photographs with noise of the calibration's level, noise with a photograph's mean and covariance."""

_FORMAT = "calibration-1"


@dataclass(frozen=True)
class Curve:
    """A curvature at several noise levels.

    Attributes:
        levels: standard deviations s of the noise, RGB in [0, 1], rising.
        values: kappa(s).
    """

    levels: tuple[float, ...]
    values: tuple[float, ...]

    def at(self, level: float) -> float:
        """Return kappa at ``level``; log kappa is interpolated linearly in log s.

        Raises:
            InputError: a level outside the curve, or beside a curvature that is not positive.
        """
        if not self.levels[0] <= level <= self.levels[-1]:
            raise InputError(
                f"noise level: {self.levels[0]:g} <= s <= {self.levels[-1]:g} must hold, but got {level:g}"
            )
        right = min(bisect_right(self.levels, level), len(self.levels) - 1)
        (s0, s1), (k0, k1) = self.levels[right - 1 : right + 1], self.values[right - 1 : right + 1]
        part = math.log(level / s0) / math.log(s1 / s0)
        # At a measured level the neighbouring value does not matter.
        for value, share in ((k0, 1 - part), (k1, part)):
            if share > 0 and not value > 0:
                raise InputError(
                    f"curvature at noise level {level:g}: kappa > 0 must hold, but got {value:.3g}: this energy does"
                    f" not pull such noise back; valid levels: {self._positive()}"
                )
        logs = [share * math.log(value) for value, share in ((k0, 1 - part), (k1, part)) if share > 0]
        return math.exp(sum(logs))

    def _positive(self) -> str:
        found = [f"{s:g}" for s, kappa in zip(self.levels, self.values, strict=True) if kappa > 0]
        return ", ".join(found) or "none"


@dataclass(frozen=True)
class Spread:
    """The :data:`QUANTILES` of a value over pictures."""

    quantiles: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the quantiles of some values, interpolated linearly between sorted values."""
        ordered = sorted(values)
        return cls(tuple(_quantile(ordered, share) for share in QUANTILES))

    @property
    def median(self) -> float:
        return self.quantiles[QUANTILES.index(0.5)]


@dataclass(frozen=True)
class Calibration:
    """How strongly a prior and the feature loss of a layer pull back noisy pictures, and the spread of their values.

    The rule is ``raw weight = weight * kappa_features(s) r^2 / (kappa_prior(s) s^2)``. Here r is the RMSE of
    reconstructions from the features alone. s is the part of the error that differs between neighbouring pixels, in
    reconstructions with total variation: the error that a prior over neighbourhoods sees. An energy of curvature kappa
    at an error e is about ``kappa e^2 / 2``, so with a calibrated weight of 1 the prior's energy at the error s equals
    the feature loss at the error r. With s = r the rule is the ratio of the curvatures.

    Attributes:
        recipe: all that decides the numbers.
        level: s, clipped to the recipe's levels.
        error: r, RMSE of RGB in [0, 1], at least the recipe's lowest level.
        features: curvature of the normalised feature loss with respect to the picture.
        prior: curvature of the prior with respect to the picture, also where the prior acts on a map.
        energies: by kind of picture (:data:`KINDS`) the spread of the prior's energy; empty when it has none.
        gradient_norms: by kind of picture the spread of ``||dE/dx||_2``, where x is the picture.
        prior_name: the prior's name in messages and pictures.
    """

    recipe: CalibrationRecipe
    level: float
    error: float
    features: Curve
    prior: Curve
    energies: Mapping[str, Spread]
    gradient_norms: Mapping[str, Spread]
    prior_name: str

    @property
    def key(self) -> str:
        """The key of its recipe, under which it is kept."""
        return self.recipe.key

    def raw_weight(self, weight: float, level: float | None = None) -> float:
        """Return the raw weight of a calibrated one by the rule.

        Args:
            weight: calibrated, >= 0.
            level: at which the curvatures are taken, by default s. The factor ``r^2 / s^2`` does not change with it.

        Raises:
            InputError: a level that was not measured, or at which a curvature is not positive.
        """
        return weight * self.unit(level)

    def calibrated_weight(self, raw: float, level: float | None = None) -> float:
        """Return the calibrated weight of a raw one, the inverse of :meth:`raw_weight`."""
        return raw / self.unit(level)

    def unit(self, level: float | None = None) -> float:
        """Return the raw weight of a calibrated weight of 1; ``level`` and errors as for :meth:`raw_weight`."""
        s = self.level if level is None else level
        ratios = {"the feature loss": self.features, f"prior {self.prior_name}": self.prior}
        kappas = []
        for name, curve in ratios.items():
            try:
                kappas.append(curve.at(s))
            except InputError as error:
                raise InputError(
                    f"calibration of {self.prior_name} at {self.recipe.match_layer}, {name}: {error}"
                ) from error
        return kappas[0] / kappas[1] * (self.error / self.level) ** 2

    def to_json(self) -> str:
        """Return the calibration as JSON, which :meth:`from_json` reads without loss."""
        fields = dataclasses.asdict(self) | {"format": _FORMAT, "key": self.key}
        fields["recipe"] = json.loads(self.recipe.to_json())  # holds the version too
        return json.dumps(fields, sort_keys=True, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str, source: str = "calibration") -> Calibration:
        """Return the calibration that :meth:`to_json` wrote.

        Args:
            text: the file's content.
            source: where the text comes from, for the message.

        Raises:
            InputError: another or a damaged file, or a recipe that does not have the key that the file names.
        """
        try:
            fields: dict[str, Any] = json.loads(text)
            if fields.pop("format") != _FORMAT:
                raise ValueError(f"not of format {_FORMAT!r}")
            key = fields.pop("key")
            recipe = CalibrationRecipe.from_mapping(fields.pop("recipe"))
            found = cls(
                recipe=recipe,
                level=float(fields["level"]),
                error=float(fields["error"]),
                features=_curve(fields["features"], recipe.levels),
                prior=_curve(fields["prior"], recipe.levels),
                energies=_spreads(fields["energies"]),
                gradient_norms=_spreads(fields["gradient_norms"]),
                prior_name=str(fields["prior_name"]),
            )
            if key != recipe.key:
                raise ValueError(f"key {key} but a recipe with key {recipe.key}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = in_one_line(error)
            raise InputError(f"{source}: no calibration ({reason}); valid: a file of `prior calibrate`") from error
        return found


def _curve(fields: Mapping[str, Any], levels: Sequence[float]) -> Curve:
    curve = Curve(tuple(map(float, fields["levels"])), tuple(map(float, fields["values"])))
    if curve.levels != tuple(levels) or len(curve.values) != len(levels):
        raise ValueError("a curve over other levels than its recipe's")
    return curve


def _spreads(fields: Mapping[str, Any]) -> dict[str, Spread]:
    spreads = {kind: Spread(tuple(map(float, spread["quantiles"]))) for kind, spread in fields.items()}
    if any(len(spread.quantiles) != len(QUANTILES) for spread in spreads.values()):
        raise ValueError(f"a spread without its {len(QUANTILES)} quantiles")
    return spreads


def _quantile(ordered: Sequence[float], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
