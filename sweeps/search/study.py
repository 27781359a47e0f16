"""The Optuna study of a sweep: in memory, seeded by trial number, rebuilt from the store's rows."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import optuna
from optuna.distributions import distribution_to_json
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import create_trial

from restoration_core.errors import unknown
from restoration_core.seeds import derive_seed
from sweeps.search.baselines import Baseline
from sweeps.search.grid import Shuffled
from sweeps.search.listed_sampler import ListedSampler
from sweeps.search.space import SearchSpace
from sweeps.spec.models import SAMPLERS
from sweeps.store.models import TrialState
from sweeps.store.records import StoredTrial

STUDY_ATTRIBUTES = "study"
GRID_INDEX = "grid_index"

_STATES = {
    TrialState.RUNNING: optuna.trial.TrialState.RUNNING,
    TrialState.COMPLETE: optuna.trial.TrialState.COMPLETE,
    TrialState.PRUNED: optuna.trial.TrialState.PRUNED,
    TrialState.FAILED: optuna.trial.TrialState.FAIL,
}


@dataclass(frozen=True)
class Suggestion:
    """A configuration, not yet in the store.

    Attributes:
        parameters: flat parameters, constants of the spec included.
        distributions: Optuna's JSON by name, of the searched parameters that exist in this trial.
        sampler_attributes: what the sampler has to find again after a restart.
        seed: the only source of the trial's randomness.
        baseline: its name, None for a searched configuration.
    """

    number: int
    parameters: dict[str, Any]
    distributions: dict[str, Any]
    sampler_attributes: dict[str, Any]
    seed: int
    baseline: str | None


class SearchStudy:
    """Suggests configurations; suggestion n depends on the seed, n, and the trials before it, on nothing else.

    Optuna numbers trials in the order of their creation, and its samplers weigh them by that number. So the study
    holds every trial of the sweep under the sweep's own number: a baseline outside the search space takes its place
    as a failed trial without parameters, which no sampler looks at. A study rebuilt from the store therefore equals
    the one that was lost, whatever order its trials finished in.

    Args:
        space: the search space; its baselines take the first numbers.
        sampler: ``tpe``, ``random``, ``grid`` or ``nsga2``.
        goals: ``minimize`` or ``maximize`` for each metric.
        seed: the sweep's seed.
        trials: searched trials; the baselines come on top.
        history: the store's rows, any order; their numbers have no gap.
    """

    def __init__(
        self,
        space: SearchSpace,
        *,
        sampler: str,
        goals: Sequence[str],
        seed: int,
        trials: int,
        history: Iterable[StoredTrial] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if sampler not in SAMPLERS:
            raise ValueError(unknown("sampler", sampler, SAMPLERS))
        self._space = space
        self._sampler = sampler
        self._seed = seed
        self._trials = trials
        self._storage = optuna.storages.InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage, directions=list(goals), sampler=RandomSampler(seed=0), study_name="sweep"
        )
        self._study_id = self._storage.get_study_id_from_name("sweep")
        self._grid = space.grid() if sampler == "grid" else None
        self._order = Shuffled(self._grid.size if self._grid is not None else 0, derive_seed(seed, "grid"))
        self._grid_visited: set[int] = set()
        self._grid_next = 0
        self._next = 0
        for row in sorted(history, key=lambda row: row.number):
            self._restore(row)

    @property
    def planned(self) -> int:
        """How many trials the sweep has in all: baselines, then what is searched (a grid may end earlier)."""
        searched = self._trials if self._grid is None else min(self._trials, self._grid.size)
        return len(self._space.baselines) + searched

    @property
    def asked(self) -> int:
        """How many trials were asked so far, which is the next number."""
        return self._next

    def ask(self) -> Suggestion | None:
        """Return the next configuration, None when the sweep's trials are used up."""
        number = self._next
        if number >= self.planned:
            return None
        self._next += 1
        if number < len(self._space.baselines):
            return self._ask_baseline(number, self._space.baselines[number])
        return self._ask_sampler(number)

    def tell(self, number: int, values: Sequence[float] | None) -> None:
        """Tell the sampler how a trial ended.

        Args:
            number: of the trial.
            values: one per goal, finite; None for a failed trial, which the samplers then leave out.
        """
        trial = self._study.get_trials(deepcopy=False)[number]
        if trial.state.is_finished():  # a baseline outside the space
            return
        if values is None:
            self._study.tell(number, state=optuna.trial.TrialState.FAIL)
            return
        if not all(math.isfinite(value) for value in values):
            raise ValueError(f"trial {number}: values must be finite, but got {list(values)}")
        self._study.tell(number, list(values))

    def _ask_baseline(self, number: int, baseline: Baseline) -> Suggestion:
        searched = self._space.searched(baseline.parameters)
        if not searched:
            self._add_outside()
            return self._suggestion(number, dict(baseline.parameters), {}, {}, baseline.name)
        self._study.enqueue_trial(searched)
        self._study.sampler = self._sampler_of(number)
        suggestion = self._ask_study(number, {})
        return replace(suggestion, baseline=baseline.name)

    def _ask_sampler(self, number: int) -> Suggestion:
        attributes: dict[str, Any] = {}
        if self._grid is not None:
            # In shuffled order, so that a sweep with fewer trials than points still covers every axis.
            index = self._next_place()
            attributes[GRID_INDEX] = index
            point = self._grid[self._order[index]]
            self._study.enqueue_trial({name: point[name] for name in point if name in self._space.distributions})
        self._study.sampler = self._sampler_of(number)
        return self._ask_study(number, attributes)

    def _ask_study(self, number: int, attributes: dict[str, Any]) -> Suggestion:
        before = dict(self._storage.get_study_system_attrs(self._study_id))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            trial = self._study.ask()
            assert trial.number == number, f"Optuna's trial {trial.number} must be the sweep's {number}"
            parameters = self._space.suggest(trial)
        after = self._storage.get_study_system_attrs(self._study_id)
        changed = {key: value for key, value in after.items() if before.get(key) != value}
        frozen = self._study.get_trials(deepcopy=False)[number]
        attributes = {**frozen.system_attrs, **attributes}
        if changed:
            # NSGA-II keeps the parents of a generation there, chosen when its first child is asked.
            attributes[STUDY_ATTRIBUTES] = changed
        distributions = {
            name: distribution_to_json(distribution) for name, distribution in frozen.distributions.items()
        }
        return self._suggestion(number, dict(parameters), distributions, attributes, None)

    def _suggestion(
        self,
        number: int,
        parameters: dict[str, Any],
        distributions: dict[str, Any],
        attributes: dict[str, Any],
        baseline: str | None,
    ) -> Suggestion:
        seed = derive_seed(self._seed, "trial", number)
        return Suggestion(number, parameters, distributions, attributes, seed, baseline)

    def _sampler_of(self, number: int) -> BaseSampler:
        seed = _seed32(self._seed, "suggestion", number)
        return ListedSampler(self._build_sampler(seed), self._space.parameters)

    def _build_sampler(self, seed: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if self._sampler == "tpe":
                # Conditional parameters are grouped by the trials they occur in; the multivariate form has one
                # objective only. Trials in flight count as bad ones (constant liar), so that a pack spreads.
                single = len(self._study.directions) == 1
                return TPESampler(seed=seed, multivariate=single, group=single, constant_liar=True)
            if self._sampler == "nsga2":
                return NSGAIISampler(seed=seed, population_size=nsga2_population(self._trials))
            return RandomSampler(seed=seed)

    def _next_place(self) -> int:
        """Return the first place in the grid's order that no trial has."""
        while self._grid_next in self._grid_visited:
            self._grid_next += 1
        self._grid_visited.add(self._grid_next)
        return self._grid_next

    def _add_outside(self) -> None:
        self._study.add_trial(create_trial(state=optuna.trial.TrialState.FAIL))

    def _restore(self, row: StoredTrial) -> None:
        assert row.number == self._next, f"trial {self._next} is missing from the store"
        self._next += 1
        attributes = dict(row.sampler_attributes)
        for key, value in attributes.pop(STUDY_ATTRIBUTES, {}).items():
            self._storage.set_study_system_attr(self._study_id, key, value)
        if GRID_INDEX in attributes:
            self._grid_visited.add(attributes.pop(GRID_INDEX))
        if not row.distributions:
            self._add_outside()
            return
        distributions = SearchSpace.decode(row.distributions)
        parameters = self._space.as_listed(row.parameters)
        state = _STATES[TrialState(row.state)]
        values = row.objectives if state == optuna.trial.TrialState.COMPLETE else None
        self._study.add_trial(
            create_trial(
                state=state,
                values=values,
                params={name: parameters[name] for name in distributions},
                distributions=distributions,
                system_attrs=attributes,
            )
        )


def nsga2_population(trials: int) -> int:
    """Return NSGA-II's population: a sixth of the trials, so that some generations fit, within 8 to 50."""
    return max(8, min(50, trials // 6))


def _seed32(*parts: object) -> int:
    # numpy's legacy generator, which Optuna uses, takes 32 bits.
    return derive_seed(*parts) % 2**32
