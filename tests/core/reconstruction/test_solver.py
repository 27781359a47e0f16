"""The batched solver: a row is the same in any company, and every setting does what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError, InputErrors
from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets, make_problem, mv2016, none
from restoration_core.priors.expert_functions import EXPERTS
from restoration_core.priors.hand_crafted.alpha_norm import AlphaNorm
from restoration_core.priors.hand_crafted.isotropic_range import IsotropicRange
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.reconstruction import (
    BatchSolver,
    FeatureMatch,
    Problem,
    Result,
    Schedule,
    Status,
    Term,
    solve,
    windows,
)

SIZE = 24
EXPERTS_ON_RGB = PatchExperts(torch.ones(1, 3, 25, 25), torch.ones(1), torch.zeros(1), EXPERTS["logistic"])


def problem(classifier: Classifier, image: Tensor, layer: str = "conv2/relu", **overrides: object) -> Problem:
    return make_problem(classifier, image, layer, none(classifier, layer).with_iterations(8), **overrides)


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


def largest_difference(first: list[Result], second: list[Result]) -> float:
    return max(float((a.image - b.image).abs().max()) for a, b in zip(first, second, strict=True))


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
    monkeypatch.setattr(windows, "_CACHED_VALUES", 2 * 3 * SIZE**2)
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


def test_one_step_is_plain_torch_adam_on_the_autograd_objective(classifier: Classifier, photographs: Tensor) -> None:
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
    x = photographs[1].double().unsqueeze(0).requires_grad_()
    optimizer = torch.optim.Adam([x], betas=(0.8, 0.95))
    objectives = []
    for step in range(6):
        optimizer.param_groups[0]["lr"] = 0.05 if step < 3 else 0.01
        maps = double.features(x, ["conv1/lin", "conv2/relu"])
        loss = 3 * (maps["conv2/relu"][0] - target).square().sum() / target.square().sum()
        down, right = x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]
        loss = loss + 0.7 * (down.square().sum() + right.square().sum()) / SIZE**2
        centred = maps["conv1/lin"] - maps["conv1/lin"].mean()
        loss = loss + 0.02 * centred.square().sum() / SIZE**2
        objectives.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    result = solve(classifier, [given], SIZE, dtype=torch.float64, record_every=1)[0]
    torch.testing.assert_close(result.image, x.detach()[0].clamp(0, 1), rtol=0, atol=1e-10)
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


def test_a_coarse_stage_gives_a_smooth_picture_and_the_fine_stage_details(
    classifier: Classifier, photographs: Tensor
) -> None:
    given = problem(classifier, photographs[0], coarse_to_fine=((0, 4), (4, 1)), snapshots=(0, 4, 8), seed=1)
    result = solve(classifier, [given], SIZE)[0]
    assert set(result.snapshots) == {0, 4, 8}
    small = torch.nn.functional.interpolate(result.snapshots[4][None], size=6, mode="area")
    roughness = {step: float(TotalVariation(2.0).energy(shot[None])) for step, shot in result.snapshots.items()}
    assert roughness[8] > 2 * roughness[4]
    assert small.std() > 0.01
    assert torch.equal(result.snapshots[8], result.image)


def test_stages_are_plain_torch_adam_on_a_stretched_picture_begun_anew_at_each(
    classifier: Classifier, photographs: Tensor
) -> None:
    double = classifier.to("cpu", torch.float64)
    target = feature_targets(double, photographs[0].double(), ["conv1/relu"])["conv1/relu"]
    given = Problem(
        matches=(FeatureMatch("conv1/relu", target),),
        iterations=8,
        initial=photographs[1],
        coarse_to_fine=((0, 4), (3, 2), (5, 1)),
    )
    picture = photographs[1].double()[None]
    for side, steps in ((6, 3), (12, 2), (24, 3)):
        x = torch.nn.functional.adaptive_avg_pool2d(picture, side).requires_grad_()
        optimizer = torch.optim.Adam([x], lr=0.05)
        for _ in range(steps):
            full = torch.nn.functional.interpolate(x, size=(SIZE, SIZE), mode="bilinear")
            phi = double.features(full, ["conv1/relu"])["conv1/relu"][0]
            optimizer.zero_grad()
            ((phi - target).square().sum() / target.square().sum()).backward()
            optimizer.step()
        picture = torch.nn.functional.interpolate(x.detach(), size=(SIZE, SIZE), mode="bilinear")
    result = solve(classifier, [given], SIZE, dtype=torch.float64)[0]
    torch.testing.assert_close(result.image, picture[0].clamp(0, 1), rtol=0, atol=1e-10)


def test_snapshots_are_the_pictures_of_shorter_runs(classifier: Classifier, photographs: Tensor) -> None:
    base = problem(classifier, photographs[0], jitter=3, seed=5)
    full = solve(classifier, [replace(base, snapshots=(3,))], SIZE, dtype=torch.float64)[0]
    short = solve(classifier, [replace(base, iterations=3)], SIZE, dtype=torch.float64)[0]
    assert float((full.snapshots[3] - short.image).abs().max()) < 1e-12


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


def test_every_fault_of_every_problem_is_told_at_once(classifier: Classifier, photographs: Tensor) -> None:
    good = problem(classifier, photographs[0])
    wrong_layer = replace(good, matches=(FeatureMatch("conv2/rleu", good.matches[0].target),))
    wrong_rest = replace(
        good,
        matches=(FeatureMatch("conv2/relu", torch.ones(3, 2, 2)),),
        terms=(Term("tv", TotalVariation(), -1.0), Term("tv", TotalVariation(), float("nan"))),
        iterations=0,
        optimizer="adma",
    )
    with pytest.raises(InputErrors) as caught:
        solve(classifier, [good, wrong_layer, wrong_rest], SIZE)
    text = "\n".join(caught.value.lines)
    assert "problem 1: unknown layer of cifar_alexnet 'conv2/rleu'; did you mean 'conv2/relu'?" in text
    assert "problem 2: target of layer 'conv2/relu' has shape (3, 2, 2); valid for 24 x 24" in text
    assert "weight of term 'tv' must be finite and >= 0, but got -1.0" in text
    assert "weight of term 'tv' must be finite and >= 0, but got nan" in text
    assert "term name 'tv' is taken" in text
    assert "iterations must be >= 1, but got 0" in text
    assert "unknown optimizer 'adma'; did you mean 'adam'?" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": Schedule.constant(0.0)}, "learning_rate must be finite and > 0"),
        ({"betas": (0.9, 1.0)}, r"betas must lie in \[0, 1\)"),
        ({"jitter": 0}, "jitter must be >= 1"),
        ({"bound": -1.0}, "bound must be > 0"),
        ({"coarse_to_fine": ((3, 2), (1, 1))}, "coarse_to_fine must start at iterations that rise"),
        ({"coarse_to_fine": ((0, 99),)}, r"coarse_to_fine factors must lie in 1\.\.24"),
        ({"snapshots": (9,)}, r"snapshots must lie in 0\.\.8"),
        ({"initial": torch.zeros(3, 5, 5)}, r"initial must have shape \(3, 24, 24\)"),
        ({"matches": ()}, "problem.matches is empty"),
        ({"jitter_until": -1}, "jitter_until must be >= 0, but got -1"),
        ({"terms": (Term("fc", TotalVariation(), 1.0, "pool9"),)}, "term 'fc': unknown layer"),
        ({"terms": (Term("map", EXPERTS_ON_RGB, 1.0, "conv1/lin"),)}, r"term 'map': x: shape \(B, 3, H, W\) is needed"),
        ({"terms": (Term("map", IsotropicRange(), 1.0, "conv1/lin"),)}, "has 3 values for 48 channels"),
        ({"terms": (Term("image", EXPERTS_ON_RGB, 1.0),)}, "24 x 24 px is smaller than the prior's patches"),
    ],
)
def test_bad_settings_are_refused(
    classifier: Classifier, photographs: Tensor, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        solve(classifier, [replace(problem(classifier, photographs[0]), **change)], SIZE)


def test_one_layer_under_two_names_is_matched_once(classifier: Classifier, photographs: Tensor) -> None:
    given = problem(classifier, photographs[0])
    twice = (*given.matches, FeatureMatch("relu2", given.matches[0].target))
    with pytest.raises(InputError, match="layer 'conv2/relu' is matched twice"):
        solve(classifier, [replace(given, matches=twice)], SIZE)


def test_a_prior_on_a_layer_without_positions_is_refused(classifier: Classifier) -> None:
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    given = make_problem(classifier, image, "fc7/relu", none(classifier, "fc7/relu").with_iterations(2))
    with pytest.raises(InputError, match="term 'tv': layer 'fc6/lin' has no map, only 256 values"):
        solve(classifier, [replace(given, terms=(Term("tv", TotalVariation(), 1.0, "fc6/lin"),))], 32)


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


def test_targets_without_scale_or_with_nan_are_refused(classifier: Classifier, photographs: Tensor) -> None:
    given = problem(classifier, photographs[0])
    target = given.matches[0].target
    for bad, message in ((torch.zeros_like(target), "is zero everywhere"), (target / 0, "not finite")):
        with pytest.raises(InputError, match=message):
            solve(classifier, [replace(given, matches=(FeatureMatch("conv2/relu", bad),))], SIZE)


def test_a_key_runs_once(classifier: Classifier, photographs: Tensor) -> None:
    solver: BatchSolver[int] = BatchSolver(classifier, SIZE)
    solver.add(0, problem(classifier, photographs[0]))
    with pytest.raises(InputError, match="row 0 is running already"):
        solver.add(0, problem(classifier, photographs[0]))
