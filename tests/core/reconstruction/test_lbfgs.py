"""L-BFGS: it finds minima that are known, goes lower than Adam, and refuses what would mislead it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import Classifier
from restoration_core.objectives import make_problem, none
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.priors.prior import Prior
from restoration_core.reconstruction import BatchSolver, Problem, Schedule, Status, Term, solve
from restoration_core.reconstruction.lbfgs import CurvatureMemory
from restoration_core.reconstruction.line_search import Point, search_line

SIZE = 24


def problem(classifier: Classifier, image: Tensor, **overrides: object) -> Problem:
    preset = none(classifier, "conv1/relu").with_iterations(30)
    return make_problem(classifier, image, "conv1/relu", preset, optimizer="lbfgs", **overrides)


class Bowl(Prior):
    """``sum a (x - c)^2 / 2`` with curvatures over three decades."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        generator = torch.Generator().manual_seed(3)
        self.curvature = 10 ** (3 * torch.rand(shape, generator=generator, dtype=torch.float64))
        self.centre = torch.rand(shape, generator=generator, dtype=torch.float64)

    def energy(self, x: Tensor) -> Tensor:
        return (self.curvature * (x - self.centre).square()).sum((1, 2, 3)) / 2

    def gradient(self, x: Tensor) -> Tensor:
        return self.curvature * (x - self.centre)


class Residual(Bowl):
    has_energy = False


def test_a_quadratic_is_solved_to_its_minimum(classifier: Classifier, photographs: Tensor) -> None:
    bowl = Bowl((3, SIZE, SIZE))
    given = problem(classifier, photographs[0], terms=(Term("bowl", bowl, 1.0),), iterations=250)
    given = replace(given, matches=(replace(given.matches[0], weight=0.0),))
    result = solve(classifier, [given], SIZE, dtype=torch.float64)[0]
    torch.testing.assert_close(result.image, bowl.centre, rtol=0, atol=1e-5)
    assert result.losses["objective"] < 1e-9


def test_the_memory_is_the_inverse_hessian_of_a_quadratic() -> None:
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(5, 5, generator=generator, dtype=torch.float64)).Q
    hessian = basis @ torch.diag(torch.tensor([1.0, 2, 5, 20, 70], dtype=torch.float64)) @ basis.T
    memory = CurvatureMemory()
    for step in basis.T:  # conjugate steps: after n of them BFGS has the exact inverse
        memory.add(step, hessian @ step)
    gradient = torch.randn(5, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(memory.direction(gradient), -torch.linalg.solve(hessian, gradient))


@pytest.mark.parametrize("first", [1e-3, 0.3, 40.0])
@pytest.mark.parametrize(
    "curve",
    [
        lambda t: ((t - 3) ** 2, 2 * (t - 3)),
        lambda t: (t**4 - 8 * t, 4 * t**3 - 8),
        lambda t: (float("nan"), 0.0) if t > 2 else ((t - 1.5) ** 2, 2 * (t - 1.5)),
    ],
)
def test_a_line_search_ends_where_the_strong_wolfe_conditions_hold(
    curve: Callable[[float], tuple[float, float]], first: float
) -> None:
    def at(step: float) -> Point:
        return Point(step, *curve(step), torch.empty(0), {})

    start = at(0.0)
    found = search_line(at, start, first)
    assert found is not None
    assert found.value <= start.value + 1e-4 * found.step * start.slope
    assert abs(found.slope) <= 0.9 * abs(start.slope)


def test_a_line_without_a_lower_point_gives_none() -> None:
    def at(step: float) -> Point:
        return Point(step, step, -1.0, torch.empty(0), {})  # the slope is not that of the values, as under rounding

    assert search_line(at, at(0.0), 1.0) is None


def test_it_goes_lower_than_adam_in_as_many_iterations(classifier: Classifier, photographs: Tensor) -> None:
    ours = problem(classifier, photographs[0], terms=(Term("tv", TotalVariation(), 0.1),), snapshots=(0, 7, 30))
    lbfgs, adam = solve(classifier, [ours, replace(ours, optimizer="adam")], SIZE, record_every=5)
    assert lbfgs.status is adam.status is Status.FINISHED
    assert lbfgs.losses["objective"] < 0.7 * adam.losses["objective"]
    assert lbfgs.curve_steps == (0, 5, 10, 15, 20, 25, 30)
    assert list(lbfgs.curves["objective"]) == sorted(lbfgs.curves["objective"], reverse=True)
    assert lbfgs.curves["objective"][0] == pytest.approx(adam.curves["objective"][0], rel=1e-5)
    assert set(lbfgs.snapshots) == {0, 7, 30}
    assert torch.equal(lbfgs.snapshots[30], lbfgs.image)


def test_stages_and_schedules_are_minimised_one_after_the_other(classifier: Classifier, photographs: Tensor) -> None:
    late = Term("tv", TotalVariation(), 1.0, schedule=Schedule(((0, 0.0), (20, 1.0))))
    given = problem(classifier, photographs[0], terms=(late,), coarse_to_fine=((0, 4), (10, 1)), snapshots=(10,))
    result = solve(classifier, [given], SIZE, record_every=10)[0]
    assert result.curves["feature_loss"][2] < 0.3 * result.curves["feature_loss"][1]  # detail after stage 1
    without = solve(classifier, [replace(given, terms=(replace(late, weight=0.0),))], SIZE)[0]
    assert result.losses["tv"] < 0.9 * without.losses["tv"]
    coarse, fine = (float(TotalVariation().energy(x[None])) for x in (result.snapshots[10], without.image))
    assert coarse < 0.75 * fine


def test_the_truth_has_converged_before_the_first_step(classifier: Classifier, photographs: Tensor) -> None:
    double = classifier.to("cpu", torch.float64)
    given = problem(double, photographs[0], initial=photographs[0], snapshots=(3,))
    result = solve(double, [given], SIZE, dtype=torch.float64)[0]
    assert result.status is Status.CONVERGED
    assert result.iterations < given.iterations
    assert result.losses["objective"] < 1e-20
    assert torch.equal(result.snapshots[3], result.image)


def test_progress_counts_rows_of_both_kinds(classifier: Classifier, photographs: Tensor) -> None:
    seen: list[tuple[int, int]] = []
    ours = problem(classifier, photographs[0], iterations=4)
    results = solve(
        classifier,
        [ours, replace(ours, optimizer="adam", iterations=6), ours],
        SIZE,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert [result.iterations for result in results] == [4, 6, 4]
    assert torch.equal(results[0].image, results[2].image)
    assert seen[-1] == (14, 14)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jitter": 2}, r"lbfgs takes no jitter, but got 2; valid: 1 \(none\)"),
        ({"bound": 160.0}, "lbfgs projects onto no bound, but got 160; valid: None"),
        ({"terms": (Term("dae", Residual((3, SIZE, SIZE)), 1.0),)}, "term 'dae': lbfgs needs an energy"),
        (
            {
                "terms": (
                    Term(
                        "ica",
                        PatchExperts(
                            torch.ones(1, 3, 3, 3), torch.ones(1), torch.zeros(1), EXPERTS["logistic"], patch_stride=2
                        ),
                        1.0,
                    ),
                )
            },
            r"term 'ica': lbfgs takes no random patches, but got patch_stride 2; valid: 1",
        ),
    ],
)
def test_what_would_mislead_the_line_search_is_refused(
    classifier: Classifier, photographs: Tensor, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        solve(classifier, [replace(problem(classifier, photographs[0]), **change)], SIZE)


def test_it_runs_in_no_batch(classifier: Classifier, photographs: Tensor) -> None:
    solver: BatchSolver[int] = BatchSolver(classifier, SIZE)
    with pytest.raises(InputError, match="row 0: lbfgs runs in no batch; valid: a rule of"):
        solver.add(0, problem(classifier, photographs[0]))
