"""The trials that a sweep runs first, to compare its search with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sweeps.search.distributions import middle
from sweeps.spec.models import CALIBRATED, PRESET_BASELINES
from sweeps.spec.parameter import Parameter
from sweeps.spec.parameter_names import BASELINE_UNITS, ENABLED, OF_PATCH_EXPERTS, PRESET, RAW, group_of, split_name

_OF_PRESETS = {"bound", "jitter", "jitter_until", "jitter_canvas"}
"""Settings that regularise, which a preset therefore brings along or leaves out."""
_OF_NAMED_PRIORS = ("expert", *(child for child in OF_PATCH_EXPERTS if child != "patch_stride"))


@dataclass(frozen=True)
class Baseline:
    """A trial that every sweep of a spec contains, with its flat parameters; they may lie outside of the space."""

    name: str
    parameters: Mapping[str, Any]


def baseline_parameters(
    name: str, given: Mapping[str, Any] | None, parameters: Mapping[str, Parameter], units: str
) -> dict[str, Any]:
    """Return a baseline's flat parameters: the sweep's optimiser with other priors.

    Optimiser settings are those of the spec, searched ones at the middle of their range, so that the comparison is one
    of priors. ``none`` switches every prior off; a preset brings its priors, bound and jitter, all three being
    regularisers there; a user's own baseline has the priors that it names, and what it leaves open of them is as in the
    spec. Weights of a user's own baseline are raw in every sweep, like a preset's.
    """
    settings = {key: middle(item) for key, item in parameters.items() if group_of(key) is None}
    if name in PRESET_BASELINES and given is None:
        return {PRESET: name} | {key: value for key, value in settings.items() if key not in _OF_PRESETS}
    wanted = {group_of(key) for key in given or {}}
    chosen: dict[str, Any] = {}
    for group in dict.fromkeys(group for key in parameters if (group := group_of(key)) is not None):
        own = {key: middle(item) for key, item in parameters.items() if group_of(key) == group}
        switch = f"{group}.{ENABLED}"
        if group in wanted:
            chosen |= _beside(own, group, given or {}) | ({switch: True} if switch in parameters else {})
        else:
            chosen |= {switch: False} if switch in parameters else own | {f"{group}.weight": 0.0}
    raw = (
        {BASELINE_UNITS: RAW}
        if units == CALIBRATED and any(split_name(key)[1] == "weight" for key in given or {})
        else {}
    )
    return chosen | settings | dict(given or {}) | raw


def _beside(own: Mapping[str, Any], group: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the spec's values without those that a prior given by name, or by its expert, takes the place of."""
    replaced: tuple[str, ...] = ()
    if f"{group}.prior" in given:
        replaced = _OF_NAMED_PRIORS
    elif any(f"{group}.{child}" in given for child in _OF_NAMED_PRIORS):
        replaced = ("prior",)
    return {key: value for key, value in own.items() if split_name(key)[1] not in replaced}
