"""The study: seeded by number, identical after a rebuild, and what each sampler needs."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from sweeps.search.space import Baseline, SearchSpace
from sweeps.search.study import SearchStudy, Suggestion
from sweeps.spec.models import SweepSpec
from sweeps.spec.parameter import values_of
from sweeps.store.models import TrialState
from sweeps.store.records import StoredTrial

WEIGHT = {"distribution": "log_uniform", "min": 1e-3, "max": 1e2}
PARAMETERS: dict[str, Any] = {
    "total_variation.weight": WEIGHT,
    "priors.image.enabled": {"values": [False, True]},
    "priors.image.weight": WEIGHT,
    "priors.image.patch_size": {"values": [5, 8, 12]},
    "learning_rate": {"value": 0.05},
}
INSIDE = {"total_variation.weight": 0.5, "priors.image.enabled": False, "learning_rate": 0.05}
OUTSIDE = {"total_variation.weight": 0.0, "priors.image.enabled": False, "learning_rate": 0.05}


def space(parameters: dict[str, Any] | None = None) -> SearchSpace:
    spec = SweepSpec.model_validate(
        {"name": "s", "images": ["a"], "match": {"layer": "x"}, "parameters": parameters or PARAMETERS}
    )
    return SearchSpace.from_spec(spec)


def objective(parameters: dict[str, Any]) -> float:
    loss = abs(math.log10(parameters["total_variation.weight"] or 1e-6))
    return loss + (abs(math.log10(parameters["priors.image.weight"]) - 1) if "priors.image.weight" in parameters else 2)


def stored(item: Suggestion, values: list[float] | None, state: TrialState) -> StoredTrial:
    return StoredTrial(
        id=item.number, number=item.number, state=state, attempt=1, token=1, baseline=item.baseline,
        parameters=item.parameters, raw_parameters={}, distributions=item.distributions,
        sampler_attributes=item.sampler_attributes, seed=item.seed, objective=None, objectives=values, metrics=None,
        asked_at=datetime(2026, 1, 1), finished_at=None, finish_order=None, failure=None, mlflow_run_id=None,
    )  # fmt: skip


def make(sampler: str, goals: tuple[str, ...] = ("minimize",), **more: Any) -> SearchStudy:
    arguments: dict[str, Any] = {"seed": 7, "trials": 40, **more}
    baselines = tuple(arguments.pop("baselines", [Baseline("none", OUTSIDE), Baseline("mine", INSIDE)]))
    chosen = replace(arguments.pop("space", None) or space(), baselines=baselines)
    return SearchStudy(chosen, sampler=sampler, goals=goals, **arguments)


def results_of(item: Suggestion, goals: tuple[str, ...]) -> list[float]:
    return [objective(item.parameters), item.parameters["total_variation.weight"]][: len(goals)]


CASES = [("tpe", ("minimize",)), ("random", ("minimize",)), ("nsga2", ("minimize", "minimize")),
         ("tpe", ("minimize", "maximize"))]  # fmt: skip


@pytest.mark.parametrize(("sampler", "goals"), CASES)
def test_a_rebuilt_study_continues_as_the_lost_one_would_have(sampler: str, goals: tuple[str, ...]) -> None:
    study = make(sampler, goals)
    rows: dict[int, StoredTrial] = {}
    flying: list[Suggestion] = []
    for step in range(30):
        item = study.ask()
        assert item is not None
        rows[item.number] = stored(item, None, TrialState.RUNNING)
        flying.append(item)
        if len(flying) > 4:
            done = flying.pop((step * 3) % 4)  # trials finish in another order than they were asked in
            failed = done.number % 7 == 6
            result = None if failed else results_of(done, goals)
            study.tell(done.number, result)
            rows[done.number] = stored(done, result, TrialState.FAILED if failed else TrialState.COMPLETE)
    rebuilt = make(sampler, goals, history=rows.values())
    assert [rebuilt.ask() for _ in range(5)] == [study.ask() for _ in range(5)]


@pytest.mark.parametrize(("sampler", "goals"), CASES)
def test_the_same_seed_gives_the_same_suggestions_and_another_seed_others(sampler: str, goals: tuple[str, ...]) -> None:
    def run(seed: int) -> list[dict[str, Any]]:
        study = make(sampler, goals, seed=seed)
        seen = []
        while (item := study.ask()) is not None:
            seen.append(item.parameters)
            study.tell(item.number, results_of(item, goals))
        return seen

    first, again, other = run(1), run(1), run(2)
    assert first == again
    assert first[2:] != other[2:]
    assert len(first) == 42
    if sampler != "nsga2":  # whose children may equal their parents
        assert len({str(point) for point in first}) == 42


def test_baselines_come_first_and_only_the_one_inside_the_space_is_an_observation() -> None:
    study = make("tpe")
    outside, inside = study.ask(), study.ask()
    assert outside is not None
    assert inside is not None
    assert (outside.number, outside.baseline, outside.parameters, outside.distributions) == (0, "none", OUTSIDE, {})
    assert (inside.number, inside.baseline, inside.parameters) == (1, "mine", INSIDE)
    assert set(inside.distributions) == {"total_variation.weight", "priors.image.enabled"}
    study.tell(0, [1.0])
    study.tell(1, [1.0])
    searched = study.ask()
    assert searched is not None
    assert (searched.number, searched.baseline) == (2, None)


def test_parameters_of_a_prior_that_is_off_do_not_exist() -> None:
    study = make("tpe", baselines=[])
    items = [study.ask() for _ in range(30)]
    off = [item for item in items if item is not None and not item.parameters["priors.image.enabled"]]
    assert 0 < len(off) < 30
    assert all("priors.image.weight" not in item.parameters for item in off)
    assert all("priors.image.weight" not in item.distributions for item in off)


def test_the_grid_is_walked_once_and_then_ends_after_a_rebuild_too() -> None:
    grid = {
        "total_variation.weight": {"values": [0.1, 1.0, 10.0]},
        "priors.image.enabled": {"values": [False, True]},
        "priors.image.weight": {"values": [1.0, 2.0]},
    }
    study = make("grid", space=space(grid), baselines=[])
    assert study.planned == 9  # 3 x (off + 2 weights)
    first = [study.ask() for _ in range(4)]
    rows = [stored(item, [1.0], TrialState.COMPLETE) for item in first if item is not None]
    study = make("grid", space=space(grid), baselines=[], history=rows)
    rest = [study.ask() for _ in range(5)]
    assert study.ask() is None
    assert len({str(item.parameters) for item in [*first, *rest] if item is not None}) == 9


def test_tpe_finds_a_better_half_than_random() -> None:
    def median(sampler: str) -> float:
        study = make(sampler, trials=60, baselines=[])
        seen = []
        while (item := study.ask()) is not None:
            seen.append(objective(item.parameters))
            study.tell(item.number, [seen[-1]])
        return sorted(seen[30:])[15]

    assert median("tpe") < 0.7 * median("random")


def test_failed_trials_are_no_observations_and_non_finite_values_are_refused() -> None:
    study = make("tpe", baselines=[])
    for _ in range(3):
        study.ask()
    study.tell(0, None)
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="trial 1: values must be finite"):
            study.tell(1, [bad])


def test_an_unknown_sampler_is_named() -> None:
    with pytest.raises(ValueError, match="unknown sampler 'tpee'; did you mean 'tpe'"):
        make("tpee")


def test_a_missing_number_in_the_history_is_noticed() -> None:
    study = make("random", baselines=[])
    items = [study.ask() for _ in range(3)]
    rows = [stored(item, [1.0], TrialState.COMPLETE) for item in items if item is not None and item.number != 1]
    with pytest.raises(AssertionError, match="trial 1 is missing from the store"):
        make("random", baselines=[], history=rows)


STEPPED = {"distribution": "q_uniform", "min": 1.0, "max": 3.0, "step": 0.1}
MIXED: dict[str, Any] = {
    "total_variation.beta": STEPPED,
    "total_variation.weight": WEIGHT,
    "jitter": {"distribution": "int_log_uniform", "min": 1, "max": 9, "grid": 9},
    "alpha_norm.alpha": STEPPED,
    "learning_rate": {"values": [0.1, 0.2]},
}


@pytest.mark.parametrize("sampler", ["tpe", "random", "nsga2", "grid"])
def test_a_sampler_gives_listed_values_only_and_the_study_is_told_the_same(sampler: str) -> None:
    parameters = MIXED | ({"total_variation.weight": {"values": [0.1, 1.0]}} if sampler == "grid" else {})
    chosen = space(parameters)
    study = make(sampler, space=chosen, baselines=[], trials=60)
    listed = {name: list(values or ()) for name in chosen.names if (values := values_of(chosen.parameters[name]))}
    assert {"total_variation.beta", "alpha_norm.alpha", "jitter", "learning_rate"} <= set(listed)
    seen: dict[str, set[Any]] = {name: set() for name in listed}
    rows = []
    while (item := study.ask()) is not None:
        for name, values in listed.items():
            assert item.parameters[name] in values
            seen[name].add(item.parameters[name])
        result = [abs(item.parameters["total_variation.beta"] - 1.7)]
        study.tell(item.number, result)
        rows.append(stored(item, result, TrialState.COMPLETE))
    assert len(seen["alpha_norm.alpha"]) > 5
    more = [make(sampler, space=chosen, baselines=[], trials=63, history=rows[:55]) for _ in range(2)]
    if sampler != "nsga2":  # whose population, and with it the next suggestion, depends on the number of trials
        assert [more[0].ask() for _ in range(3)] == [more[1].ask() for _ in range(3)]


def test_rows_of_an_older_version_with_steps_as_floats_add_up_are_continued() -> None:
    chosen = space({"total_variation.beta": STEPPED})
    study = make("tpe", space=chosen, baselines=[])
    rows = []
    for _ in range(20):
        item = study.ask()
        assert item is not None
        study.tell(item.number, [1.0])
        rows.append(stored(item, [1.0], TrialState.COMPLETE))
    old = [
        replace(row, parameters={"total_variation.beta": 1.0 + round((value - 1.0) / 0.1) * 0.1})
        for row in rows
        if (value := row.parameters["total_variation.beta"])
    ]
    assert [row.parameters for row in old] != [row.parameters for row in rows]
    assert make("tpe", space=chosen, baselines=[], history=old).ask() == study.ask()
