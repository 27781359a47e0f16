"""Terms with schedules: they change the objective as they say, and cost nothing while their factor is 0."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets
from restoration_core.priors.hand_crafted.alpha_norm import AlphaNorm
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.priors.prior import Prior
from restoration_core.reconstruction import BatchSolver, FeatureMatch, Problem, Result, Schedule, Term, solve
from tests.core.reconstruction.small_problems import SIZE, problem, torch_adam

LATE = Schedule(((0, 0.0), (3, 1.0), (6, 0.5)))
EARLY = Schedule(((0, 2.0), (4, 0.0)))


class Counting(Prior):
    """Half the mean square, noting when it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def energy(self, x: Tensor) -> Tensor:
        self.asked.append("energy")
        return x.square().mean((1, 2, 3)) / 2

    def gradient(self, x: Tensor) -> Tensor:
        self.asked.append("gradient")
        return x / x[0].numel()


def test_scheduled_terms_give_plain_torch_adam_on_the_switched_objective(
    classifier: Classifier, photographs: Tensor
) -> None:
    double = classifier.to("cpu", torch.float64)
    target = feature_targets(double, photographs[0].double(), ["conv2/relu"])["conv2/relu"]
    given = Problem(
        matches=(FeatureMatch("conv2/relu", target),),
        terms=(
            Term("tv", TotalVariation(2.0), 0.7, schedule=LATE),
            Term("map", AlphaNorm(2.0), 0.2, layer="conv1/lin", schedule=EARLY),
        ),
        iterations=8,
        initial=photographs[1],
    )
    variation_weights = [0.7 * factor for factor in (0, 0, 0, 1, 1, 1, 0.5, 0.5)]
    map_weights = [0.2 * factor for factor in (2, 2, 2, 2, 0, 0, 0, 0)]
    picture, objectives = torch_adam(double, given, [0.05] * 8, variation_weights, map_weights)
    result = solve(classifier, [given], SIZE, dtype=torch.float64, record_every=1)[0]
    torch.testing.assert_close(result.image, picture.clamp(0, 1), rtol=0, atol=1e-10)
    assert result.curves["objective"][:8] == pytest.approx(objectives, rel=1e-10)


def test_a_term_that_is_out_is_neither_evaluated_nor_recorded(classifier: Classifier, photographs: Tensor) -> None:
    prior = Counting()
    solver: BatchSolver[int] = BatchSolver(classifier, SIZE, record_every=1)
    term = Term("late", prior, 1.0, schedule=Schedule(((0, 0.0), (5, 1.0), (7, 0.0))))
    solver.add(0, problem(classifier, photographs[0], terms=(term,)))
    solver.advance(5)
    assert prior.asked == []
    current = solver.current(0)
    assert current is not None
    assert "late" not in current.losses
    solver.advance(2)
    assert sorted(prior.asked) == ["energy", "energy", "gradient", "gradient"]
    ((_, result),) = solver.advance()
    assert sorted(prior.asked) == ["energy"] * 3 + ["gradient"] * 2  # the last one is for the final losses
    assert [step for step, value in zip(result.curve_steps, result.curves["late"], strict=True) if value == value] == [
        5,
        6,
        8,
    ]
    assert math.isfinite(result.losses["late"])
    assert result.losses["objective"] == pytest.approx(result.losses["feature_loss"])


def test_a_row_keeps_its_schedule_in_any_company(classifier: Classifier, photographs: Tensor) -> None:
    tv = TotalVariation(2.0)
    schedules = (LATE, EARLY, None, Schedule(((0, 0.0),)), Schedule(((0, 1.0), (3, 3.0))))
    rows = [
        problem(
            classifier,
            image,
            seed=seed,
            jitter=1 + seed % 3,
            terms=(
                Term("tv", tv, 0.5, schedule=schedule),
                Term("map", AlphaNorm(2.0), 0.1, layer="conv1/relu", schedule=schedules[seed - 1]),
            ),
        )
        for seed, (image, schedule) in enumerate(zip(photographs, schedules, strict=True))
    ]
    together = solve(classifier, rows, SIZE, dtype=torch.float64, record_every=2)
    alone = [solve(classifier, [row], SIZE, dtype=torch.float64, record_every=2)[0] for row in rows]
    for batch, single in zip(together, alone, strict=True):
        assert_same(batch, single)


def test_rows_that_come_late_have_their_own_clock(classifier: Classifier, photographs: Tensor) -> None:
    first, second = (
        problem(classifier, image, terms=(Term("tv", TotalVariation(2.0), 0.5, schedule=LATE),))
        for image in photographs[:2]
    )
    solver: BatchSolver[int] = BatchSolver(classifier, SIZE, dtype=torch.float64)
    solver.add(0, first)
    solver.advance(4)
    solver.add(1, second)
    ended = dict(solver.advance())
    ended.update(solver.advance())
    for key, row in enumerate((first, second)):
        assert_same(ended[key], solve(classifier, [row], SIZE, dtype=torch.float64)[0])


def assert_same(one: Result, other: Result) -> None:
    assert float((one.image - other.image).abs().max()) < 1e-12
    assert one.losses == pytest.approx(other.losses, rel=1e-9)
    for name, values in one.curves.items():
        assert values == pytest.approx(other.curves[name], rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("factor", [-1.0, math.nan, math.inf])
def test_a_factor_that_is_no_weight_is_refused(classifier: Classifier, photographs: Tensor, factor: float) -> None:
    term = Term("tv", TotalVariation(2.0), 1.0, schedule=Schedule(((0, 1.0), (4, factor))))
    given = replace(problem(classifier, photographs[0]), terms=(term,))
    with pytest.raises(InputError, match="schedule of term 'tv': factor from iteration 4 must be finite and >= 0"):
        solve(classifier, [given], SIZE)
