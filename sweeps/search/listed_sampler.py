"""An Optuna sampler whose stepped values are the ones that the spec lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial, TrialState

from sweeps.spec.parameter import Parameter, listed_value


class ListedSampler(BaseSampler):  # type: ignore[misc]  # Optuna has no types here
    """Hands on what another sampler suggests, 1.7 in place of 1.7000000000000002.

    It does so inside Optuna, so that the study, the store and the trial all know the same value.

    Args:
        sampler: that chooses.
        parameters: of the search space by name.
    """

    def __init__(self, sampler: BaseSampler, parameters: Mapping[str, Parameter]) -> None:
        self._sampler, self._parameters = sampler, parameters

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        found = self._sampler.sample_relative(study, trial, search_space)
        return {name: listed_value(self._parameters[name], value) for name, value in found.items()}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        value = self._sampler.sample_independent(study, trial, param_name, param_distribution)
        return listed_value(self._parameters[param_name], value)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler.before_trial(study, trial)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None) -> None:
        self._sampler.after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        self._sampler.reseed_rng()
