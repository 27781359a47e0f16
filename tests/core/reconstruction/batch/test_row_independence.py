"""A row gives the same picture whatever rows are computed beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets, make_problem, mv2016
from restoration_core.priors.hand_crafted.alpha_norm import AlphaNorm
from restoration_core.priors.hand_crafted.isotropic_range import IsotropicRange
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.reconstruction import (
    BatchSolver,
    FeatureMatch,
    Problem,
    Schedule,
    Status,
    Term,
    solve,
)
from restoration_core.reconstruction.batch import windows
from tests.core.reconstruction.small_problems import SIZE, largest_difference, problem


def varied_problems(classifier: Classifier, images: Tensor, iterations: int) -> list[Problem]:
    """Five problems that differ in everything a row may differ in."""
    tv, tv_spiky = TotalVariation(2.0), TotalVariation(1.3)
    wide = IsotropicRange(6.0, classifier.mean)
    conv2, conv1, pool1 = (
        [feature_targets(classifier, image, [layer])[layer] for image in images]
        for layer in ("conv2/relu", "conv1/relu", "pool1")
    )
    half = iterations // 2
    return [
        Problem(
            matches=(FeatureMatch("conv2/relu", conv2[0]),),
            terms=(Term("tv", tv, 0.5), Term("range", wide, 2.0)),
            iterations=iterations,
            learning_rate=Schedule(((0, 0.05), (half, 0.01))),
            jitter=3,
            jitter_until=half + 3,
            bound=160.0,
            seed=1,
        ),
        Problem(
            matches=(FeatureMatch("conv1/relu", conv1[1], 0.5), FeatureMatch("conv2/relu", conv2[1], 2.0)),
            terms=(Term("tv", tv_spiky, 0.1), Term("alpha", AlphaNorm(6.0), 0.3)),
            iterations=iterations - 7,
            learning_rate=Schedule.constant(0.02),
            betas=(0.8, 0.99),
            initial_std=0.3,
            seed=2,
        ),
        Problem(
            matches=(FeatureMatch("conv2/relu", conv2[2]),),
            terms=(Term("tv", TotalVariation(2.0), 0.2), Term("map", TotalVariation(2.0), 0.01, layer="conv1/relu")),
            iterations=iterations,
            jitter=4,
            coarse_to_fine=((0, 4), (half // 2, 2), (half, 1)),
            bound=120.0,
            seed=3,
        ),
        Problem(
            matches=(FeatureMatch("pool1", pool1[3]),),
            iterations=half + 1,
            initial=images[4],
            jitter=2,
            seed=4,
        ),
        Problem(
            matches=(FeatureMatch("conv2/relu", conv2[4]),),
            terms=(Term("tv", tv, 0.0), Term("range", wide, 1.0)),
            iterations=iterations - 20 if iterations > 40 else iterations,
            coarse_to_fine=((0, 2), (half + 5, 1)),
            jitter=3,
            seed=5,
        ),
    ]


@pytest.mark.slow
def test_a_batch_gives_the_pictures_of_its_problems_solved_alone_over_200_iterations_in_float64(
    classifier: Classifier, photographs: Tensor
) -> None:
    problems = varied_problems(classifier, photographs, 200)
    together = solve(classifier, problems, SIZE, dtype=torch.float64)
    alone = [solve(classifier, [one], SIZE, dtype=torch.float64)[0] for one in problems]
    assert largest_difference(together, alone) < 1e-9
    for batch, single in zip(together, alone, strict=True):
        assert batch.status is single.status is Status.FINISHED
        assert batch.iterations == single.iterations
        assert batch.curve_steps == single.curve_steps
        assert batch.losses == pytest.approx(single.losses, rel=1e-6)
        for name, values in batch.curves.items():
            assert values == pytest.approx(single.curves[name], rel=1e-6)


def test_rows_in_float32_stay_close_over_few_steps(classifier: Classifier, photographs: Tensor) -> None:
    problems = varied_problems(classifier, photographs, 8)
    together = solve(classifier, problems, SIZE)
    alone = [solve(classifier, [one], SIZE)[0] for one in problems]
    assert largest_difference(together, alone) < 1e-4


@pytest.mark.slow
def test_rows_behind_dense_layers_are_the_same_alone_over_200_iterations_in_float64(classifier: Classifier) -> None:
    generator = torch.Generator().manual_seed(0)
    problems = [
        make_problem(
            classifier,
            torch.rand(3, 32, 32, generator=generator),
            layer,
            mv2016(classifier, layer).with_iterations(200),
            betas=(0.5, 0.9),
        )
        for layer in ("fc6/lin", "fc7/relu", "fc6/relu")
    ]
    together = solve(classifier, problems, 32, dtype=torch.float64)
    alone = [solve(classifier, [one], 32, dtype=torch.float64)[0] for one in problems]
    assert largest_difference(together, alone) < 1e-9


def test_a_padded_single_row_replays_a_batch_of_five_to_the_last_bit(
    classifier: Classifier, photographs: Tensor
) -> None:
    preset = mv2016(classifier, "conv3/relu").with_iterations(12)
    problems = [
        make_problem(classifier, image, "conv3/relu", preset, seed=seed, jitter=1 + seed % 3)
        for seed, image in enumerate(photographs)
    ]
    together = solve(classifier, problems, SIZE)
    for batch, one in zip(together, problems, strict=True):
        assert torch.equal(batch.image, solve(classifier, [one], SIZE)[0].image)


def test_working_through_the_rows_in_cache_sized_pieces_changes_no_bit(
    classifier: Classifier, photographs: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = varied_problems(classifier, photographs, 8)
    whole = solve(classifier, problems, SIZE)
    monkeypatch.setattr(windows, "CACHED_VALUES", 2 * 3 * SIZE**2)
    pieces = solve(classifier, problems, SIZE)
    assert largest_difference(whole, pieces) == 0


def test_a_row_added_later_is_the_same_as_from_the_start(classifier: Classifier, photographs: Tensor) -> None:
    one = problem(classifier, photographs[0], seed=3, jitter=3, iterations=11)
    other = problem(classifier, photographs[1], seed=4, iterations=9)
    solver: BatchSolver[str] = BatchSolver(classifier, SIZE, dtype=torch.float64)
    solver.add("one", one)
    assert solver.advance(4) == []
    solver.add("other", other)
    ended = solver.advance()
    assert [key for key, _ in ended] == ["one"]
    assert solver.keys == ("other",)
    assert solver.iteration("other") == 7
    ended += solver.advance()
    assert [key for key, _ in ended] == ["one", "other"]
    alone = [solve(classifier, [p], SIZE, dtype=torch.float64)[0] for p in (one, other)]
    assert largest_difference([result for _, result in ended], alone) < 1e-12


def test_removing_a_row_returns_what_it_has_and_leaves_the_others_alone(
    classifier: Classifier, photographs: Tensor
) -> None:
    keep, drop = problem(classifier, photographs[0], seed=1), problem(classifier, photographs[1], seed=2)
    solver: BatchSolver[str] = BatchSolver(classifier, SIZE, dtype=torch.float64, record_every=2)
    solver.add("keep", keep)
    solver.add("drop", drop)
    solver.advance(3)
    stopped = solver.remove("drop")
    assert stopped.status is Status.STOPPED
    assert stopped.iterations == 3
    assert stopped.curve_steps == (0, 2, 3)
    ((key, result),) = solver.advance()
    assert key == "keep"
    assert largest_difference([result], solve(classifier, [keep], SIZE, dtype=torch.float64)) < 1e-12


def test_a_row_that_diverges_ends_as_non_finite_and_harms_no_other(classifier: Classifier, photographs: Tensor) -> None:
    good = problem(classifier, photographs[0], seed=1)
    bad = replace(
        problem(classifier, photographs[1], seed=2),
        learning_rate=Schedule.constant(1e30),
        terms=(Term("range", IsotropicRange(6.0, classifier.mean), 1.0),),
    )
    solver: BatchSolver[str] = BatchSolver(classifier, SIZE, record_every=2)
    solver.add("good", good)
    solver.add("bad", bad)
    ((key, broken),) = solver.advance()
    assert key == "bad"
    assert broken.status is Status.NON_FINITE
    assert broken.iterations < bad.iterations
    assert broken.image.isfinite().all()
    ((_, result),) = solver.advance()
    assert result.status is Status.FINISHED
    assert torch.equal(result.image, solve(classifier, [good], SIZE)[0].image)
