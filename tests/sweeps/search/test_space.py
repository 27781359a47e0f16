"""The search space: what Optuna is asked for, what a trial is given, the grid, the baselines."""

from __future__ import annotations

import itertools
import math
import warnings

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from restoration_core.errors import InputError
from sweeps.search.distributions import distribution, grid_values, middle
from sweeps.search.space import SearchSpace
from sweeps.spec.load import parse_spec
from sweeps.spec.parameter import Parameter, listed_value, values_of

HEAD = "images: [a.png]\nmatch: conv3/relu\n"


def space(parameters: str, baselines: str = "[]") -> SearchSpace:
    indented = "".join(f"  {line}\n" for line in parameters.strip().splitlines())
    text = f"{HEAD}baselines: {baselines}\nparameters:\n{indented}"
    return SearchSpace.from_spec(parse_spec(text, "s.yaml", check=False))


CONDITIONAL = """
total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 10}
priors.image: {optional: true, expert: {values: [logistic, student_t]}, patch_size: 8, weight: {values: [0.1, 1.0]}}
learning_rate: 0.05
"""


def test_children_of_an_optional_group_exist_only_when_it_is_switched_on() -> None:
    found = space(CONDITIONAL)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(30):
        trial = study.ask()
        parameters = found.suggest(trial)
        on = parameters["priors.image.enabled"]
        seen.add(on)
        assert ("priors.image.weight" in trial.params) is on
        assert ("priors.image.patch_size" in parameters) is on
        assert parameters["learning_rate"] == 0.05
        assert "learning_rate" not in trial.params
        assert found.searched(parameters) == trial.params
        assert trial.distributions == {name: found.distributions[name] for name in trial.params}
    assert seen == {True, False}


def test_switches_are_suggested_before_what_hangs_on_them() -> None:
    found = space("priors.image.weight: {values: [1.0, 2.0]}\npriors.image.enabled: {values: [false, true]}")
    assert found.names == ("priors.image.enabled", "priors.image.weight")


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (Parameter(distribution="uniform", min=0, max=2), FloatDistribution(0, 2)),
        (
            Parameter(distribution="log_uniform", min=0.1, max=2),
            FloatDistribution(0.1, 2, log=True),
        ),
        (
            Parameter(distribution="int_uniform", min=1, max=8, step=3),
            IntDistribution(1, 7, step=3),
        ),
        (Parameter(distribution="int_log_uniform", min=1, max=8), IntDistribution(1, 8, log=True)),
        (
            Parameter(distribution="q_uniform", min=0.1, max=0.45, step=0.1),
            FloatDistribution(0.1, 0.4, step=0.1),
        ),
        (Parameter(values=["a", "b"]), CategoricalDistribution(["a", "b"])),
    ],
)
def test_distributions_are_optunas_without_its_warnings(parameter: Parameter, expected: BaseDistribution) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert distribution(parameter) == expected


def test_distributions_survive_json() -> None:
    found = space(CONDITIONAL)
    assert SearchSpace.decode(found.encode()) == found.distributions


def test_the_grid_holds_every_distinct_configuration_once() -> None:
    found = space(
        "total_variation: {optional: true, weight: {distribution: log_uniform, min: 0.01, max: 1, grid: 3}}\n"
        "jitter: {distribution: int_uniform, min: 1, max: 3}\n"
        "bound: 160"
    )
    off = [{"total_variation.enabled": False, "jitter": j, "bound": 160} for j in (1, 2, 3)]
    on = [
        {"total_variation.enabled": True, "total_variation.weight": pytest.approx(w), "jitter": j, "bound": 160}
        for w, j in itertools.product((0.01, 0.1, 1.0), (1, 2, 3))
    ]
    points = list(found.grid())
    assert len(points) == found.grid().size == 12
    assert all(point in points for point in off + on)
    assert all(found.searched(point) is not None for point in points)


def test_a_grid_needs_points() -> None:
    with pytest.raises(InputError, match=r"learning_rate: the grid sampler cannot walk uniform; valid: .*grid: n"):
        space("learning_rate: {distribution: uniform, min: 0.1, max: 1}").grid()


def test_stepped_values_are_the_ones_that_a_person_would_write() -> None:
    parameter = Parameter(distribution="q_uniform", min=1.0, max=3.0, step=0.1)
    written = [round(1.0 + 0.1 * index, 1) for index in range(21)]
    assert list(values_of(parameter) or ()) == list(grid_values("x", parameter)) == written
    assert list(grid_values("x", Parameter(distribution="q_uniform", min=1, max=3, step=0.1, grid=21))) == written
    assert middle(Parameter(distribution="q_uniform", min=1.0, max=2.4, step=0.1)) == 1.7
    assert listed_value(parameter, 1.0 + 7 * 0.1) == 1.7 != 1.0 + 7 * 0.1
    assert listed_value(parameter, 1.75) == 1.75  # a baseline may lie between the steps


def test_size_counts_configurations_not_products() -> None:
    assert space("jitter: {values: [1, 2]}\nbound: {values: [80, 160, 320]}").size() == 6
    assert (
        space("priors.image: {optional: true, weight: {values: [1.0, 2.0]}, patch_size: {values: [5, 8]}}").size() == 5
    )
    assert math.isinf(space(CONDITIONAL).size())


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        (Parameter(value=3), 3),
        (Parameter(values=["b", "a"]), "b"),
        (Parameter(distribution="uniform", min=0, max=3), 1.5),
        (Parameter(distribution="log_uniform", min=0.01, max=1), 0.1),
        (Parameter(distribution="int_log_uniform", min=1, max=16), 4),
        (Parameter(distribution="int_uniform", min=1, max=9, step=4), 5),
    ],
)
def test_the_middle_is_a_value_of_the_distribution(parameter: Parameter, expected: object) -> None:
    assert (
        middle(parameter) == pytest.approx(expected) if isinstance(expected, float) else middle(parameter) == expected
    )


def test_grid_points_of_whole_numbers_on_a_log_scale_are_whole_and_distinct() -> None:
    assert grid_values("x", Parameter(distribution="int_log_uniform", min=1, max=4, grid=8)) == [1, 2, 3, 4]


def test_baseline_none_switches_every_prior_off_and_keeps_the_optimiser() -> None:
    (none,) = space(CONDITIONAL, "[none]").baselines
    assert none.parameters == {
        "total_variation.weight": 0.0,
        "priors.image.enabled": False,
        "learning_rate": 0.05,
    }


def test_baseline_mv2016_leaves_priors_bound_and_jitter_to_the_preset() -> None:
    (preset,) = space(CONDITIONAL + "jitter: 3\nbound: 100\n", "[mv2016]").baselines
    assert preset.parameters == {"preset": "mv2016", "learning_rate": 0.05}


def test_own_baseline_counts_as_an_observation_when_it_lies_inside_the_space() -> None:
    inside, outside = space(
        CONDITIONAL,
        "[{name: in, parameters: {total_variation.weight: 1.0}},"
        " {name: out, parameters: {total_variation.weight: 99.0}}]",
    ).baselines
    found = space(CONDITIONAL)
    assert found.searched(inside.parameters) == {"priors.image.enabled": False, "total_variation.weight": 1.0}
    assert found.searched(outside.parameters) is None
