"""The batched solver: every setting of a row does what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets, make_problem, none
from restoration_core.priors.hand_crafted.alpha_norm import AlphaNorm
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.reconstruction import (
    BatchSolver,
    FeatureMatch,
    Problem,
    Schedule,
    Term,
    solve,
)
from tests.core.reconstruction.small_problems import SIZE, problem, torch_adam


def test_steps_are_those_of_torch_adam_on_the_autograd_objective(classifier: Classifier, photographs: Tensor) -> None:
    image = photographs[0].double()
    double = classifier.to("cpu", torch.float64)
    target = feature_targets(double, image, ["conv2/relu"])["conv2/relu"]
    given = Problem(
        matches=(FeatureMatch("conv2/relu", target, 3.0),),
        terms=(Term("tv", TotalVariation(2.0), 0.7), Term("map", AlphaNorm(2.0), 0.02, layer="conv1/lin")),
        iterations=6,
        learning_rate=Schedule(((0, 0.05), (3, 0.01))),
        betas=(0.8, 0.95),
        initial=photographs[1],
    )
    rates = [0.05] * 3 + [0.01] * 3
    picture, objectives = torch_adam(double, given, rates, [0.7] * 6, [0.02] * 6)
    result = solve(classifier, [given], SIZE, dtype=torch.float64, record_every=1)[0]
    torch.testing.assert_close(result.image, picture.clamp(0, 1), rtol=0, atol=1e-10)
    assert result.curves["objective"][:6] == pytest.approx(objectives, rel=1e-10)


def test_start_at_the_original_has_no_feature_loss_and_stays(classifier: Classifier, photographs: Tensor) -> None:
    result = solve(classifier, [problem(classifier, photographs[0], initial=photographs[0])], SIZE, record_every=1)[0]
    assert result.curves["feature_loss"][0] < 1e-10


def test_jitter_sees_the_seeds_windows_and_ends_centred(classifier: Classifier, photographs: Tensor) -> None:
    base = problem(classifier, photographs[0], jitter=4, seed=7, initial=photographs[0])
    jittered, still = solve(classifier, [base, replace(base, jitter_until=0)], SIZE, record_every=1)
    assert still.curves["feature_loss"][0] < 1e-10
    assert max(jittered.curves["feature_loss"][:-1]) > 1e-3


def test_the_bound_holds_for_rows_that_have_one_only(classifier: Classifier, photographs: Tensor) -> None:
    base = problem(classifier, photographs[0], initial_std=0.5)
    bounded, free = solve(classifier, [replace(base, bound=30.0), base], SIZE)
    mean = torch.tensor(classifier.mean).reshape(3, 1, 1)
    assert float(255 * (bounded.image - mean).norm(dim=0).max()) <= 30.01
    assert float(255 * (free.image - mean).norm(dim=0).max()) > 60
    assert torch.equal(free.image, solve(classifier, [base], SIZE)[0].image)


def test_final_losses_are_those_of_the_centre_crop(classifier: Classifier, photographs: Tensor) -> None:
    double = classifier.to("cpu", torch.float64)
    given = replace(
        problem(double, photographs[0].double(), jitter=3, bound=60.0),  # inside [0, 1]: clamping changes nothing
        terms=(Term("tv", TotalVariation(2.0), 0.5),),
    )
    result = solve(classifier, [given], SIZE, dtype=torch.float64)[0]
    target = given.matches[0].target
    phi = double.features(result.image[None], ["conv2/relu"])["conv2/relu"][0]
    loss = float((phi - target).square().sum() / target.square().sum())
    energy = float(TotalVariation(2.0).energy(result.image[None]))
    assert result.losses == pytest.approx({"feature_loss": loss, "tv": energy, "objective": loss + 0.5 * energy})
    assert result.curves["tv"][-1] == pytest.approx(energy)
    assert result.curve_steps == (0, 8)


def test_current_shows_the_latest_record(classifier: Classifier, photographs: Tensor) -> None:
    solver: BatchSolver[int] = BatchSolver(classifier, SIZE, record_every=2)
    solver.add(0, problem(classifier, photographs[0]))
    assert solver.current(0) is None
    solver.advance(5)
    latest = solver.current(0)
    assert latest is not None
    assert (latest.iteration, latest.iterations) == (4, 8)
    assert latest.losses["objective"] == latest.losses["feature_loss"] > 0


def test_the_seed_decides_everything(classifier: Classifier, photographs: Tensor) -> None:
    one = problem(classifier, photographs[0], seed=1, jitter=2)
    again, other = solve(classifier, [one, one], SIZE), solve(classifier, [replace(one, seed=2)], SIZE)
    assert torch.equal(again[0].image, again[1].image)
    assert not torch.equal(again[0].image, other[0].image)


def test_fully_connected_layers_are_matched_too(classifier: Classifier) -> None:
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    given = make_problem(classifier, image, "fc7/relu", none(classifier, "fc7/relu").with_iterations(30))
    result = solve(classifier, [given], 32)[0]
    assert result.losses["feature_loss"] < 0.5 * result.curves["feature_loss"][0]


def test_progress_ends_at_the_total(classifier: Classifier, photographs: Tensor) -> None:
    seen: list[tuple[int, int]] = []
    solve(
        classifier,
        [problem(classifier, photographs[0]), problem(classifier, photographs[1], iterations=5)],
        SIZE,
        record_every=3,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen[-1] == (13, 13)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_wall_time_is_shared_among_the_rows(classifier: Classifier, photographs: Tensor) -> None:
    results = solve(classifier, [problem(classifier, image) for image in photographs], SIZE)
    assert all(result.compute_s > 0 for result in results)
    assert results[0].compute_s == pytest.approx(results[1].compute_s)


def test_a_key_runs_once(classifier: Classifier, photographs: Tensor) -> None:
    solver: BatchSolver[int] = BatchSolver(classifier, SIZE)
    solver.add(0, problem(classifier, photographs[0]))
    with pytest.raises(InputError, match="row 0 is running already"):
        solver.add(0, problem(classifier, photographs[0]))
