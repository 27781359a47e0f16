"""Weights in calibrated units: which priors of a sweep have a unit, what each is called, and the raw weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from restoration_core.errors import InputError
from sweeps.priors.parameters import (
    CHOOSING,
    combinations,
    count_of,
    given_names,
    idle_children,
    prior_defaults,
)
from sweeps.priors.reference import reference_of
from sweeps.spec.parameter import Parameter, values_of
from sweeps.spec.parameter_names import HAND_CRAFTED, NOISE_SCHEDULE, groups_among

if TYPE_CHECKING:
    from restoration_core.calibration import Calibration
    from restoration_core.networks import Classifier
    from sweeps.spec.models import SweepSpec

SHAPING: Mapping[str, tuple[str, ...]] = {
    "total_variation": ("beta",),
    "alpha_norm": ("alpha", "centre"),
    "isotropic_range": ("alpha",),
}
"""The parameters that change a hand-crafted prior's energy, its weight aside."""
MOST_UNITS = 100

RawPerUnit = Mapping[str, float]
"""The raw weight that a calibrated weight of 1 stands for, by :func:`unit_name`."""


@dataclass(frozen=True)
class Subject:
    """A prior that needs a unit: its group's settings, and the noise level at which it is used (None: its own)."""

    group: str
    settings: Mapping[str, Any]
    level: float | None = None

    @property
    def name(self) -> str:
        """What it is called in the store."""
        return unit_name(self.settings, self.group, self.level)


def unit_name(settings: Mapping[str, Any], group: str, level: float | None = None) -> str:
    """Return what the unit of a prior is called: all that its energy depends on, without weight, stride and schedule.

    Args:
        settings: flat parameters, defaults filled in.
        group: of the prior.
        level: noise level of a stage; ``noise_level`` or the prior's own when None.
    """
    if group in HAND_CRAFTED:
        values = ", ".join(f"{child} {settings[f'{group}.{child}']}" for child in SHAPING[group])
        return f"{group} {values}"
    at = settings.get(f"{group}.noise_level") if level is None else level
    return f"{reference_of(settings, group)}{'' if at is None else f' at noise {float(at)!r}'}"


def subjects(spec: SweepSpec, classifier: Classifier) -> list[Subject]:
    """Return every prior whose unit a searched trial of a sweep in calibrated units may need."""
    found: dict[str, Subject] = {}
    for group in groups_among(spec.parameters):
        for settings in combinations(spec.parameters, group, _children(group)):
            complete = settings | prior_defaults(group, settings, classifier)
            for level in _levels(spec.parameters, group, complete):
                subject = Subject(group, complete, level)
                found.setdefault(subject.name, subject)
    return list(found.values())


def unit_rules(parameters: Mapping[str, Parameter]) -> Iterator[tuple[str, str]]:
    """Yield (flat name, what is wrong) for parameters with so many values that not every prior can be calibrated."""
    for group in groups_among(parameters):
        names = given_names(parameters, group, _children(group))
        unlisted = [name for name in names if values_of(parameters[name]) is None]
        for name in unlisted:
            what = f"units: calibrated needs finitely many values of {name}"
            yield name, f"{what}; valid: values: [...], or q_uniform with a step"
        count = count_of(parameters, group, _children(group))
        if not unlisted and count > MOST_UNITS:
            yield names[0], f"{group} has {count} priors to calibrate; valid: at most {MOST_UNITS}, by fewer values"


def raw_weights(settings: Mapping[str, Any], group: str, units: RawPerUnit) -> float | list[list[float]]:
    """Return a prior's raw weight, or [from_iteration, raw weight] pairs where a noise schedule changes the prior.

    Raises:
        InputError: there is no unit for it.
    """
    weight, stages = float(settings[f"{group}.weight"]), settings.get(f"{group}.{NOISE_SCHEDULE}")
    if stages is None:
        return weight * _unit(units, unit_name(settings, group))
    return [[start, weight * _unit(units, unit_name(settings, group, float(level)))] for start, level in stages]


def unit_of(calibrations: Sequence[tuple[float, Calibration]]) -> float:
    """Return the raw weight of a calibrated weight of 1 against the weighted sum of the matched layers' losses.

    ``sum_l w_l kappa_l(s) r^2 / (kappa_prior(s) s^2)``. The error r and the level s are the smallest of the layers':
    a reconstruction that matches several layers is at least as close as one that matches the best of them. For one
    layer it is ``w_l`` times its calibration's unit.

    Args:
        calibrations: of one prior, (weight of the layer's loss, its calibration).

    Raises:
        InputError: a curvature that is not positive.
    """
    if len(calibrations) == 1:
        ((factor, only),) = calibrations
        return factor * only.unit()
    level = min(item.level for _, item in calibrations)
    error = min(item.error for _, item in calibrations)
    features = sum(factor * item.features.at(level) for factor, item in calibrations)
    return features / calibrations[0][1].prior.at(level) * (error / level) ** 2


def _children(group: str) -> tuple[str, ...]:
    return SHAPING[group] if group in HAND_CRAFTED else (*CHOOSING, "noise_level")


def _levels(parameters: Mapping[str, Parameter], group: str, settings: Mapping[str, Any]) -> Iterable[float | None]:
    stages = parameters.get(f"{group}.{NOISE_SCHEDULE}")
    if stages is None or not isinstance(stages.value, list) or NOISE_SCHEDULE in idle_children(group, settings):
        return [None]
    return list(dict.fromkeys(float(level) for _, level in stages.value))


def _unit(units: RawPerUnit, name: str) -> float:
    if name not in units:
        have = ", ".join(sorted(units)) or "none"
        raise InputError(f"no calibrated unit of {name}; there are: {have}")
    return units[name]
