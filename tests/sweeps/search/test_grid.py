"""The grid: its points from their places alone, in an order that fits any size."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest

from restoration_core.seeds import derive_seed
from sweeps.search.grid import LARGEST_TABLE, Grid, Shuffled
from sweeps.search.study import SearchStudy
from sweeps.spec.parameter import Parameter
from sweeps.spec.parameter_names import is_active
from tests.sweeps.search.test_study import space

SWITCHED: dict[str, Any] = {
    "total_variation.enabled": {"values": [True, False]},
    "total_variation.weight": {"values": [0.1, 1.0, 10.0]},
    "priors.image.enabled": {"values": [False, True]},
    "priors.image.weight": {"values": [1.0, 2.0]},
    "priors.image.patch_size": {"values": [5, 8]},
    "jitter": {"distribution": "int_uniform", "min": 1, "max": 3},
    "learning_rate": {"value": 0.05},
}


def in_nested_loops(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the points as sweeps were given them before points were worked out one by one."""
    found = space(parameters)
    axes = found.axes()
    points: dict[str, dict[str, Any]] = {}
    for values in itertools.product(*axes.values()):
        everything = dict(zip(axes, values, strict=True))
        everything |= {name: item.value for name, item in found.parameters.items() if item.fixed}
        point = {name: everything[name] for name in found.parameters if is_active(name, everything)}
        points.setdefault(json.dumps(point, sort_keys=True), point)
    return list(points.values())


def test_points_and_their_order_are_those_of_nested_loops() -> None:
    grid = space(SWITCHED).grid()
    assert list(grid) == in_nested_loops(SWITCHED)
    assert grid.size == (1 + 3) * (1 + 2 * 2) * 3


def test_a_prior_that_the_spec_switches_off_has_no_axes() -> None:
    parameters = SWITCHED | {"priors.image.enabled": {"value": False}}
    assert list(space(parameters).grid()) == in_nested_loops(parameters)


def test_a_stored_sweep_finds_its_places_again() -> None:
    grid = SearchStudy(space(SWITCHED), sampler="grid", goals=["minimize"], seed=7, trials=100)
    points = in_nested_loops(SWITCHED)
    order = np.random.default_rng(derive_seed(7, "grid")).permutation(len(points))
    suggested = [item.parameters for _ in points if (item := grid.ask()) is not None]
    assert suggested == [points[index] for index in order]


def test_a_grid_of_any_size_is_searched_without_being_laid_out() -> None:
    fine = {"distribution": "q_uniform", "min": 0.001, "max": 1000.0, "step": 0.001}
    names = ("learning_rate", "total_variation.weight", "isotropic_range.weight", "alpha_norm.weight")
    big = space(dict.fromkeys(names, fine))
    study = SearchStudy(big, sampler="grid", goals=["minimize"], seed=1, trials=50)
    assert study.planned == 50
    assert big.grid().size == 10**24
    seen = [tuple(item.parameters.values()) for _ in range(50) if (item := study.ask()) is not None]
    assert len(set(seen)) == 50
    assert all(value == round(value, 3) for point in seen for value in point)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_every_number_comes_once_in_the_order_that_is_kept(size: int) -> None:
    order = Shuffled(size, 3)
    assert sorted(order[place] for place in range(size)) == list(range(size))


def test_every_number_comes_once_in_the_order_that_is_computed() -> None:
    size = LARGEST_TABLE + 10
    order = Shuffled(size, 3)
    found = [order[place] for place in range(0, size, 50)]
    assert len(set(found)) == len(found)
    assert all(0 <= number < size for number in found)
    assert abs(np.mean(found) / size - 0.5) < 0.02
    assert found != [Shuffled(size, 4)[place] for place in range(0, size, 50)]


def test_a_place_outside_of_the_grid_is_no_point() -> None:
    grid = Grid({"jitter": Parameter(values=[1, 2])}, {"jitter": [1, 2]})
    with pytest.raises(IndexError, match="2"):
        grid[2]
