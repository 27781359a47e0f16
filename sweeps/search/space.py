"""The search space of a spec: what the sampler is asked for, and what every trial is given."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
    json_to_distribution,
)

from sweeps.search.baselines import Baseline, baseline_parameters
from sweeps.search.distributions import count_values, distribution, grid_values
from sweeps.search.grid import Grid
from sweeps.spec.models import SweepSpec
from sweeps.spec.parameter import Parameter, listed_value
from sweeps.spec.parameter_names import ENABLED, is_active


class Suggests(Protocol):
    """The part of ``optuna.Trial`` that a space needs."""

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int: ...

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float: ...


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
            Baseline(item.name, baseline_parameters(item.name, item.parameters, parameters, spec.units))
            for item in spec.baselines
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
            if is_active(name, chosen):
                chosen[name] = parameter.value if parameter.fixed else _ask(trial, name, self.distributions[name])
        return chosen

    def as_listed(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters with every stepped value as the spec lists it; see :func:`listed_value`."""
        return {
            name: listed_value(self.parameters[name], value) if name in self.parameters else value
            for name, value in parameters.items()
        }

    def searched(self, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the part of a trial's parameters that a sampler could have suggested, None if it could not have.

        A trial outside of the space (a baseline with a weight of 0 under a log distribution, or with another value of a
        fixed parameter) is no observation for the sampler.
        """
        active = [name for name in self.parameters if is_active(name, parameters)]
        if set(active) != set(parameters):
            return None
        for name in active:
            value, parameter = parameters[name], self.parameters[name]
            if parameter.fixed and parameter.value != value:
                return None
            if not parameter.fixed and not _contains(self.distributions[name], value):
                return None
        return {name: parameters[name] for name in active if name in self.distributions}

    def axes(self) -> dict[str, Sequence[Any]]:
        """Return the values of each searched parameter on the grid.

        Raises:
            InputError: a distribution has neither steps nor ``grid: n`` points.
        """
        return {name: grid_values(name, self.parameters[name]) for name in self.distributions}

    def grid(self) -> Grid:
        """Return every distinct configuration of the grid, fixed parameters included, inactive ones left out.

        Raises:
            InputError: see :meth:`axes`.
        """
        return Grid(self.parameters, self.axes())

    def size(self) -> float:
        """Return the number of distinct configurations; infinite with a continuous parameter."""
        switches = [name for name in self.distributions if name.endswith(f".{ENABLED}")]
        total = 0.0
        for values in itertools.product(*(_choices(self.distributions[name]) for name in switches)):
            state = dict(zip(switches, values, strict=True))
            rest = (item for name, item in self.distributions.items() if name not in state and is_active(name, state))
            total += math.prod(count_values(item) for item in rest)
        return total

    def encode(self) -> dict[str, str]:
        """Return the distributions as Optuna's JSON texts, to be stored with a trial."""
        return {name: distribution_to_json(item) for name, item in self.distributions.items()}

    @staticmethod
    def decode(encoded: Mapping[str, str]) -> dict[str, BaseDistribution]:
        """Return the distributions that :meth:`encode` wrote."""
        return {name: json_to_distribution(text) for name, text in encoded.items()}


def _ask(trial: Suggests, name: str, item: BaseDistribution) -> Any:
    if isinstance(item, CategoricalDistribution):
        return trial.suggest_categorical(name, item.choices)
    if isinstance(item, IntDistribution):
        return trial.suggest_int(name, item.low, item.high, step=item.step, log=item.log)
    assert isinstance(item, FloatDistribution)
    return trial.suggest_float(name, item.low, item.high, step=item.step, log=item.log)


def _contains(item: BaseDistribution, value: Any) -> bool:
    try:
        return bool(item._contains(item.to_internal_repr(value)))
    except (ValueError, TypeError):
        return False


def _choices(item: BaseDistribution) -> Iterator[Any]:
    assert isinstance(item, CategoricalDistribution)
    return iter(item.choices)
