"""The recipe of a calibration: plain data, whose hash is the calibration's key."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from restoration_core.errors import InputErrors, unknown
from restoration_core.priors.prior import Prior

LEVELS = tuple(round(0.005 * 2 ** (step / 2), 6) for step in range(15))
"""Noise levels of a curve, from 0.005 (a grey level) to 0.64 (worse than any reconstruction), in steps of sqrt(2)."""

NOISE_KINDS = ("white", "pink", "jittered")
LEVEL_KINDS = ("local", "rmse")

# To be raised when a change lets the same recipe give other numbers.
_VERSION = 1


def hand_crafted_key(name: str, prior: Prior) -> str:
    """Return the key of a hand-crafted prior: its name, and all its fields with their values.

    >>> hand_crafted_key("isotropic_range", IsotropicRange(6.0, (0.5, 0.5, 0.5)))
    'isotropic_range(alpha=6.0,mean=(0.5, 0.5, 0.5))'
    """
    values = ",".join(f"{field}={value!r}" for field, value in sorted(vars(prior).items()))
    return f"{name}({values})"


@dataclass(frozen=True)
class ErrorRun:
    """The reconstructions whose errors give the noise level of a calibration.

    Adam from noise; the learning rate falls to 0.3 of itself after 60 % of the steps and to 0.1 after 85 %.

    Attributes:
        level: ``local``: the error between neighbouring pixels, in reconstructions with total variation; ``rmse``: the
            error of the whole picture, in reconstructions from the features alone.
        start_level: the weight of that total variation makes its curvature equal to the features' at this noise level,
            which lies within the levels.
        photographs: how many of the calibration's photographs are reconstructed, the first ones.
        iterations: number of steps.
        learning_rate: of Adam at the start, in units of the [0, 1] pixel scale.
        betas: Adam's decay rates.
    """

    level: str = "local"
    start_level: float = 0.05
    photographs: int = 4
    iterations: int = 100
    learning_rate: float = 0.1
    betas: tuple[float, float] = (0.8, 0.9)

    def faults(self) -> list[str]:
        """Return one line for each value out of range."""
        found = []
        if self.level not in LEVEL_KINDS:
            found.append(unknown("error_run.level", self.level, LEVEL_KINDS))
        for name in ("photographs", "iterations"):
            if getattr(self, name) < 1:
                found.append(f"error_run.{name}: {name} >= 1 must hold, but got {getattr(self, name)}")
        if not 0 < self.learning_rate < math.inf:
            found.append(f"error_run.learning_rate: learning_rate > 0 must hold, but got {self.learning_rate}")
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            found.append(f"error_run.betas: two values with 0 <= beta < 1 are needed, but got {list(self.betas)}")
        return found


@dataclass(frozen=True)
class CalibrationRecipe:
    """All that decides the numbers of a calibration.

    Attributes:
        weights_id: hash of the network's weights.
        match_layer: whose features are matched.
        prior: key of a trained prior, or :func:`hand_crafted_key`.
        prior_layer: the layer the prior acts on; None for the picture.
        size: side of the pictures in pixels.
        pictures: ``sha256:...`` over the photographs' pixels.
        noise: kind of the noise: ``white``, ``pink`` or ``jittered``.
        levels: noise levels s of the curves, RGB in [0, 1], rising.
        draws: how many times noise is drawn for each photograph.
        seed: decides the noise and the start of the reconstructions.
        error_run: how the noise level is found.
    """

    weights_id: str
    match_layer: str
    prior: str
    prior_layer: str | None
    size: int
    pictures: str
    noise: str = "white"
    levels: tuple[float, ...] = LEVELS
    draws: int = 2
    seed: int = 0
    error_run: ErrorRun = field(default_factory=ErrorRun)

    def __post_init__(self) -> None:
        faults = self.error_run.faults()
        if self.noise not in NOISE_KINDS:
            faults.append(unknown("noise", self.noise, NOISE_KINDS))
        rising = all(low < high for low, high in zip(self.levels, self.levels[1:], strict=False))
        if len(self.levels) < 2 or not self.levels[0] > 0 or not rising or not self.levels[-1] < math.inf:
            faults.append(f"levels: two or more rising values above 0 are needed, but got {list(self.levels)}")
        elif self.error_run.level == "local" and not self.levels[0] <= self.error_run.start_level <= self.levels[-1]:
            faults.append(
                f"error_run.start_level: {self.levels[0]:g} <= start_level <= {self.levels[-1]:g} must hold, but got"
                f" {self.error_run.start_level:g}"
            )
        for name in ("size", "draws"):
            if getattr(self, name) < 1:
                faults.append(f"{name}: {name} >= 1 must hold, but got {getattr(self, name)}")
        if faults:
            raise InputErrors(faults)

    @property
    def key(self) -> str:
        """The first 16 hexadecimal digits of SHA-256 over the canonical JSON of the recipe."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Return the recipe as JSON with sorted keys and without spaces, so that equal recipes give equal texts."""
        fields = dataclasses.asdict(self) | {"version": _VERSION}
        return json.dumps(fields, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> CalibrationRecipe:
        """Return the recipe that a mapping describes, as :meth:`to_json` writes it, with or without its version.

        Raises:
            InputErrors: another version, an unknown or missing field, or a value out of range.
        """
        given = dict(fields)
        version = given.pop("version", _VERSION)
        names = {field.name: field for field in dataclasses.fields(cls)}
        faults = [unknown("calibration field", name, names) for name in given if name not in names]
        faults += [
            f"calibration: field {name!r} is missing"
            for name, field in names.items()
            if field.default is dataclasses.MISSING
            and field.default_factory is dataclasses.MISSING
            and name not in given
        ]
        if version != _VERSION:
            faults.append(f"calibration version {version!r} is unknown; valid: {_VERSION}")
        if faults:
            raise InputErrors(faults)
        if "levels" in given:
            given["levels"] = tuple(map(float, given["levels"]))
        if "error_run" in given:
            run = dict(given["error_run"])
            given["error_run"] = ErrorRun(**run | {"betas": tuple(map(float, run["betas"]))})
        return cls(**given)
