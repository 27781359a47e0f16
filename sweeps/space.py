"""The search space of a spec: what the sampler is asked for, and what every trial is given."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from restoration_core.errors import InputError
from sweeps.parameters import ENABLED, PRESET, Parameter, group_of
from sweeps.spec_models import SweepSpec

MAX_GRID = 1_000_000


class Suggests(Protocol):
    """The part of ``optuna.Trial`` that a space needs."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int: ...

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float: ...


@dataclass(frozen=True)
class Baseline:
    """A trial that every sweep of a spec contains, with its flat parameters; they may lie outside of the space."""

    name: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class SearchSpace:
    """Parameters by flat name, switches (``<group>.enabled``) before the parameters that hang on them.

    A parameter of a group whose switch is False is inactive: it is neither suggested nor given to the trial.

    Attributes:
        parameters: as the spec has them, in the order in which they are suggested.
        distributions: of the searched ones, those of optional groups included.
        baselines: trials to run before the search, in the spec's order.
    """

    parameters: Mapping[str, Parameter]
    distributions: Mapping[str, BaseDistribution]
    baselines: tuple[Baseline, ...] = ()

    @classmethod
    def from_spec(cls, spec: SweepSpec) -> SearchSpace:
        """Build the space of a checked spec."""
        ordered = sorted(spec.parameters, key=lambda name: not name.endswith(f".{ENABLED}"))
        parameters = {name: spec.parameters[name] for name in ordered}
        distributions = {name: distribution(item) for name, item in parameters.items() if not item.fixed}
        baselines = tuple(
            Baseline(item.name, _baseline_parameters(item.name, item.parameters, parameters)) for item in spec.baselines
        )
        return cls(parameters, distributions, baselines)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the searched parameters, in the order in which they are suggested."""
        return tuple(self.distributions)

    def suggest(self, trial: Suggests) -> dict[str, Any]:
        """Ask an Optuna trial for the active parameters and return them together with the active fixed ones."""
        chosen: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if _active(name, chosen):
                chosen[name] = parameter.value if parameter.fixed else _ask(trial, name, self.distributions[name])
        return chosen

    def searched(self, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the part of a trial's parameters that a sampler could have suggested, None if it could not have.

        A trial outside of the space (a baseline with a weight of 0 under a log distribution, or with another value of a
        fixed parameter) is no observation for the sampler.
        """
        active = [name for name in self.parameters if _active(name, parameters)]
        if set(active) != set(parameters):
            return None
        for name in active:
            value, parameter = parameters[name], self.parameters[name]
            if parameter.fixed and parameter.value != value:
                return None
            if not parameter.fixed and not _contains(self.distributions[name], value):
                return None
        return {name: parameters[name] for name in active if name in self.distributions}

    def axes(self) -> dict[str, list[Any]]:
        """Return the values of each searched parameter on the grid.

        Raises:
            InputError: a distribution has neither steps nor ``grid: n`` points.
        """
        return {name: grid_values(name, self.parameters[name]) for name in self.distributions}

    def grid(self) -> list[dict[str, Any]]:
        """Return every distinct configuration of the grid, fixed parameters included, inactive ones left out.

        Raises:
            InputError: see :meth:`axes`; or there are more than ``MAX_GRID`` combinations.
        """
        axes = self.axes()
        if math.prod(len(axis) for axis in axes.values()) > MAX_GRID:
            raise InputError(f"the grid has more than {MAX_GRID} combinations; valid: fewer values")
        points: dict[str, dict[str, Any]] = {}
        for values in itertools.product(*axes.values()):
            everything = dict(zip(axes, values, strict=True))
            everything |= {name: item.value for name, item in self.parameters.items() if item.fixed}
            point = {name: everything[name] for name in self.parameters if _active(name, everything)}
            points.setdefault(json.dumps(point, sort_keys=True), point)
        return list(points.values())

    def size(self) -> float:
        """Return the number of distinct configurations; infinite with a continuous parameter."""
        switches = [name for name in self.distributions if name.endswith(f".{ENABLED}")]
        total = 0.0
        for values in itertools.product(*(_choices(self.distributions[name]) for name in switches)):
            state = dict(zip(switches, values, strict=True))
            rest = (item for name, item in self.distributions.items() if name not in state and _active(name, state))
            total += math.prod(_count(item) for item in rest)
        return total

    def encode(self) -> dict[str, str]:
        """Return the distributions as Optuna's JSON texts, to be stored with a trial."""
        return {name: distribution_to_json(item) for name, item in self.distributions.items()}

    @staticmethod
    def decode(encoded: Mapping[str, str]) -> dict[str, BaseDistribution]:
        """Return the distributions that :meth:`encode` wrote."""
        return {name: json_to_distribution(text) for name, text in encoded.items()}


def distribution(parameter: Parameter) -> BaseDistribution:
    """Return the Optuna distribution of a searched parameter.

    The upper end of a stepped distribution is lowered to the last value that the steps reach.
    """
    if parameter.values is not None:
        return CategoricalDistribution(parameter.values)
    assert parameter.min is not None
    assert parameter.max is not None
    kind = str(parameter.distribution)
    if kind.startswith("int_"):
        step = int(parameter.step or 1)
        low, high = int(parameter.min), int(parameter.max)
        return IntDistribution(low, low + (high - low) // step * step, log="log" in kind, step=step)
    low_float, high_float = float(parameter.min), float(parameter.max)
    if parameter.step is None:
        return FloatDistribution(low_float, high_float, log="log" in kind)
    step_exact = Decimal(str(parameter.step))
    steps = (Decimal(str(high_float)) - Decimal(str(low_float))) // step_exact
    return FloatDistribution(low_float, float(Decimal(str(low_float)) + steps * step_exact), step=float(parameter.step))


def grid_values(name: str, parameter: Parameter) -> list[Any]:
    """Return a searched parameter's values on the grid; see :meth:`SearchSpace.axes`."""
    item = distribution(parameter)
    if isinstance(item, CategoricalDistribution):
        return list(item.choices)
    assert isinstance(item, IntDistribution | FloatDistribution)
    if parameter.grid is not None:
        return _spread(item, parameter.grid)
    if isinstance(item, IntDistribution) and not item.log:
        return list(range(item.low, item.high + 1, item.step))
    if isinstance(item, FloatDistribution) and item.step is not None:
        return [min(item.low + index * item.step, item.high) for index in range(int(_count(item)))]
    raise InputError(
        f"{name}: the grid sampler cannot walk {parameter.distribution}; "
        "valid: values: [...], a step, or grid: n points"
    )


def middle(parameter: Parameter) -> Any:
    """Return a parameter's value for a trial that does not search it: fixed, the first value, or the middle.

    The middle of a log distribution is the geometric mean of its ends.
    """
    if parameter.fixed:
        return parameter.value
    item = distribution(parameter)
    if isinstance(item, CategoricalDistribution):
        return item.choices[0]
    assert isinstance(item, IntDistribution | FloatDistribution)
    centre = math.sqrt(item.low * item.high) if item.log else (item.low + item.high) / 2
    if item.step is not None and not item.log:
        centre = item.low + round((centre - item.low) / item.step) * item.step
    return round(centre) if isinstance(item, IntDistribution) else float(centre)


def _baseline_parameters(
    name: str, given: Mapping[str, Any] | None, parameters: Mapping[str, Parameter]
) -> dict[str, Any]:
    """Return a baseline's flat parameters: the sweep's optimiser with other priors.

    Optimiser settings are those of the spec, searched ones at the middle of their range, so that the comparison is one
    of priors. ``none`` switches every prior off; ``mv2016`` takes priors, bound and jitter from the preset, all three
    being regularisers there; a user's own baseline has the priors that it names, and what it leaves open of them is as
    in the spec.
    """
    settings = {key: middle(item) for key, item in parameters.items() if group_of(key) is None}
    if name == "mv2016" and given is None:
        return {PRESET: name} | {key: value for key, value in settings.items() if key not in {"bound", "jitter"}}
    wanted = {group_of(key) for key in given or {}}
    chosen: dict[str, Any] = {}
    for group in dict.fromkeys(group for key in parameters if (group := group_of(key)) is not None):
        own = {key: middle(item) for key, item in parameters.items() if group_of(key) == group}
        switch = f"{group}.{ENABLED}"
        if group in wanted:
            chosen |= own | ({switch: True} if switch in parameters else {})
        else:
            chosen |= {switch: False} if switch in parameters else own | {f"{group}.weight": 0.0}
    return chosen | settings | dict(given or {})


def _ask(trial: Suggests, name: str, item: BaseDistribution) -> Any:
    if isinstance(item, CategoricalDistribution):
        return trial.suggest_categorical(name, item.choices)
    if isinstance(item, IntDistribution):
        return trial.suggest_int(name, item.low, item.high, step=item.step, log=item.log)
    assert isinstance(item, FloatDistribution)
    return trial.suggest_float(name, item.low, item.high, step=item.step, log=item.log)


def _active(name: str, chosen: Mapping[str, Any]) -> bool:
    """Whether a parameter exists in a trial, given the switches chosen so far."""
    group = group_of(name)
    return group is None or name == f"{group}.{ENABLED}" or chosen.get(f"{group}.{ENABLED}", True) is not False


def _contains(item: BaseDistribution, value: Any) -> bool:
    try:
        return bool(item._contains(item.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False


def _choices(item: BaseDistribution) -> Iterator[Any]:
    assert isinstance(item, CategoricalDistribution)
    return iter(item.choices)


def _count(item: BaseDistribution) -> float:
    if isinstance(item, CategoricalDistribution):
        return len(item.choices)
    assert isinstance(item, IntDistribution | FloatDistribution)
    if item.low == item.high:
        return 1
    if item.step is None:
        return math.inf
    return round((item.high - item.low) / item.step) + 1


def _spread(item: IntDistribution | FloatDistribution, points: int) -> list[Any]:
    """Return ``points`` values from low to high, evenly spaced in the scale of the distribution."""
    fractions = [0.5] if points == 1 else [index / (points - 1) for index in range(points)]
    if item.log:
        values = [item.low * (item.high / item.low) ** fraction for fraction in fractions]
    else:
        values = [item.low + (item.high - item.low) * fraction for fraction in fractions]
    if item.step is not None and not item.log:
        values = [item.low + round((value - item.low) / item.step) * item.step for value in values]
    clipped = [min(max(value, item.low), item.high) for value in values]
    if isinstance(item, IntDistribution):
        return sorted({round(value) for value in clipped})
    return list(dict.fromkeys(float(value) for value in clipped))
