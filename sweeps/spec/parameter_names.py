"""The parameters a sweep may set or search, by name: the optimiser's, the hand-crafted priors', any trained prior's.

A trained prior is a group of its own, ``priors.<where>`` or ``priors.<where>@<label>``: ``where`` is ``image`` or the
name of a layer, which may hold dots and slashes, so a flat name is cut at its last dot.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from restoration_core.errors import brief, unknown

ENABLED = "enabled"
OPTIONAL = "optional"
PRESET = "preset"  # of a baseline: named settings which the other parameters override
BASELINE_UNITS, RAW = "units", "raw"  # of a baseline whose weights are raw where the sweep's are calibrated
RAW_WEIGHT = "raw_weight"  # what a trial records beside a weight in calibrated units
IMAGE = "image"

PATCH_EXPERTS = ("logistic", "student_t")
CONVOLUTIONAL, DENOISER = "convolutional", "denoiser"
NOISE_EXPERTS = (CONVOLUTIONAL, DENOISER)
EXPERTS = (*PATCH_EXPERTS, *NOISE_EXPERTS)
"""What ``expert`` may be: experts over patches by their function, fields of experts, denoisers."""

HAND_CRAFTED = ("total_variation", "alpha_norm", "isotropic_range")
COARSE_TO_FINE, SCHEDULE, NOISE_SCHEDULE = "coarse_to_fine", "schedule", "noise_schedule"

_TRAINED = "priors."
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,40}\Z")


@dataclass(frozen=True)
class Known:
    """What one parameter may be.

    Attributes:
        kind: the type of its values; ``list`` for a structure of pairs, which cannot be searched.
        low, high: inclusive range of a number.
        choices: valid texts; empty for numbers.
        above: True when ``low`` itself is excluded.
        refused: what to say of a value that exists but is not for sweeps.
    """

    kind: type
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    above: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)

    def fault(self, value: object) -> str | None:
        """Return what is wrong with ``value`` (rule, then value), or None; structures have rules of their own."""
        if self.kind is bool:
            return None if isinstance(value, bool) else f"must be true or false, but got {brief(value)}"
        if self.choices:
            if isinstance(value, str) and value in self.refused:
                return self.refused[value]
            return None if value in self.choices else unknown("value", value, self.choices)
        if self.kind is str:
            return None if isinstance(value, str) and value else f"must be a text, but got {brief(value)}"
        whole = self.kind is int
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            return f"must be {'a whole number' if whole else 'a number'}, but got {brief(value)}"
        if not math.isfinite(value):
            return f"must be finite, but got {brief(value)}"
        if value < self.low or (self.above and value <= self.low):
            return f"must be {'>' if self.above else '>='} {self.low:g}, but got {brief(value)}"
        return None if value <= self.high else f"must be <= {self.high:g}, but got {brief(value)}"


_WEIGHT = Known(float, low=0.0, high=1e12)
_PAIRS = Known(list)
_OF_EVERY_PRIOR = {"weight": _WEIGHT, ENABLED: Known(bool), SCHEDULE: _PAIRS}

OPTIMISER: Mapping[str, Known] = {
    "optimizer": Known(
        str,
        choices=("adam", "adagrad", "momentum"),
        refused={"lbfgs": "must run in a batch, and lbfgs is for single problems; valid: adam, adagrad, momentum"},
    ),
    "learning_rate": Known(float, low=0.0, high=1e9, above=True),
    "learning_rate_end": Known(float, low=0.0, high=1e9, above=True),
    "iterations": Known(int, low=1, high=1_000_000),
    "beta1": Known(float, low=0.0, high=0.9999),
    "beta2": Known(float, low=0.0, high=0.9999),
    "momentum": Known(float, low=0.0, high=0.9999),
    "jitter": Known(int, low=1, high=64),
    "jitter_until": Known(int, low=0, high=1_000_000),
    "jitter_canvas": Known(str, choices=("window", "canvas", "zero_padded")),
    "bound": Known(float, low=0.0, high=1e6, above=True),
    "initial_std": Known(float, low=0.0, high=10.0),
    "initial_noise": Known(str, choices=("normal", "uniform", "unit_norm")),
    COARSE_TO_FINE: _PAIRS,
}

OF_HAND_CRAFTED: Mapping[str, Mapping[str, Known]] = {
    "total_variation": {**_OF_EVERY_PRIOR, "beta": Known(float, low=1.0, high=10.0)},
    "alpha_norm": {
        **_OF_EVERY_PRIOR,
        "alpha": Known(float, low=1.0, high=20.0),
        "centre": Known(str, choices=("picture", "channel", "data")),
    },
    "isotropic_range": {**_OF_EVERY_PRIOR, "alpha": Known(float, low=1.0, high=20.0)},
}

OF_TRAINED: Mapping[str, Known] = {
    **_OF_EVERY_PRIOR,
    "expert": Known(str, choices=EXPERTS),
    "patch_size": Known(int, low=2, high=32),
    "patch_stride": Known(int, low=1, high=32),
    "bank": Known(str, choices=("full", "channelwise", "separable")),
    "dims": Known(int, low=1, high=10_000),
    "noise_level": Known(float, low=0.0, high=100.0, above=True),
    "prior": Known(str),
    NOISE_SCHEDULE: _PAIRS,
}

OF_PATCH_EXPERTS = ("patch_size", "patch_stride", "bank", "dims")
OF_MAPS = ("bank", "dims")
OF_NOISE_EXPERTS = ("noise_level", NOISE_SCHEDULE)


def split_name(name: str) -> tuple[str | None, str]:
    """Return (group, child) of a flat name; the group is None for a parameter of the optimiser.

    >>> split_name("priors.features.4@second.weight")
    ('priors.features.4@second', 'weight')
    """
    group, _, child = name.rpartition(".")
    if group in HAND_CRAFTED or is_trained_group(group):
        return group, child
    return None, name


def group_of(name: str) -> str | None:
    """Return the prior a parameter belongs to (``priors.image``), None for one of the optimiser."""
    return split_name(name)[0]


def is_trained_group(group: str) -> bool:
    """Return whether this is a well-formed ``priors.<where>[@label]``, whatever ``where`` is."""
    if not group.startswith(_TRAINED):
        return False
    where, at, label = group.removeprefix(_TRAINED).rpartition("@")
    return bool(where if at else label) and (not at or bool(_LABEL.match(label)))


def is_active(name: str, chosen: Mapping[str, object]) -> bool:
    """Return whether a parameter exists in a trial: its group is not switched off by the switches ``chosen`` so far."""
    group = group_of(name)
    return group is None or name == f"{group}.{ENABLED}" or chosen.get(f"{group}.{ENABLED}", True) is not False


def layer_of(group: str) -> str | None:
    """Return the layer whose map a trained prior acts on, None for the image (and for a hand-crafted prior)."""
    if group in HAND_CRAFTED:
        return None
    where = _where(group)
    return None if where == IMAGE else where


def at_layer(group: str, layer: str) -> str:
    """Return the group with another layer's name in the place of its own."""
    return f"{_TRAINED}{layer}{group.removeprefix(_TRAINED)[len(_where(group)) :]}"


def _where(group: str) -> str:
    whole = group.removeprefix(_TRAINED)
    where, at, _ = whole.rpartition("@")
    return where if at else whole


def known_parameter(name: str) -> Known | None:
    """Return what a parameter may be, None when there is none of this name."""
    group, child = split_name(name)
    if group is None:
        return OPTIMISER.get(child)
    return children_of(group).get(child)


def children_of(group: str) -> Mapping[str, Known]:
    """Return the parameters that a prior's group has."""
    return OF_HAND_CRAFTED.get(group, OF_TRAINED)


def groups_among(names: Iterable[str]) -> list[str]:
    """Return the groups of these parameters: hand-crafted priors first, then trained ones as they come."""
    found = dict.fromkeys(group for name in names if (group := group_of(name)) is not None)
    return [group for group in HAND_CRAFTED if group in found] + [group for group in found if group not in HAND_CRAFTED]


def unknown_parameter(name: str) -> str:
    """Return the message for a parameter name that does not exist."""
    group = group_of(name)
    if group is not None:
        return unknown("parameter", name, [f"{group}.{known}" for known in (*children_of(group), OPTIONAL)])
    if name == "priors" or name.startswith(_TRAINED):
        return (
            f"{brief(name)} is no prior; valid: priors.image or priors.<layer>, each with @label for a second one "
            f"there, and below it {', '.join(OF_TRAINED)}"
        )
    hand_crafted = [f"{group}.{child}" for group, children in OF_HAND_CRAFTED.items() for child in children]
    valid = sorted([*OPTIMISER, *hand_crafted, *(f"priors.image.{child}" for child in OF_TRAINED)])
    return unknown("parameter", name, valid)
