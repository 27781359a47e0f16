"""The papers' differing conventions as named options: feature losses, jitter canvases, starting noise."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.errors import InputError
from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.reconstruction import FeatureMatch, Problem, Schedule, Term, solve
from restoration_core.reconstruction.batch.objective import BatchObjective
from restoration_core.seeds import derive_seed

SIZE = 24


@pytest.fixture(scope="module")
def double(classifier: Classifier) -> Classifier:
    return classifier.to("cpu", torch.float64)


def reference_loss(phi: Tensor, target: Tensor, normalization: str) -> Tensor:
    squared = (phi - target).square().sum()
    divisors = {
        "squared_norm": target.square().sum(),
        "dot_product": (phi * target).sum(),
        "mean_squared_error": torch.tensor(float(target.numel())),
    }
    return squared / divisors[normalization]


# Feature losses


def test_every_normalization_has_the_gradient_of_autograd_in_one_batch(double: Classifier, photographs: Tensor) -> None:
    names = ("squared_norm", "dot_product", "mean_squared_error", "dot_product", "squared_norm")
    layers = ("conv2/relu", "conv2/relu", "conv2/relu", "conv1/lin", "conv1/relu")
    x = photographs.double().roll(1, 0).contiguous()
    problems, losses, gradients = [], [], []
    for row, (image, layer, name) in enumerate(zip(photographs, layers, names, strict=True)):
        target = feature_targets(double, image.double(), [layer])[layer]
        problems.append(Problem(matches=(FeatureMatch(layer, target, 1.0 + row, name),)))
        leaf = x[row : row + 1].clone().requires_grad_()
        loss = reference_loss(double.features(leaf, [layer])[layer][0], target, name)
        losses.append(loss.item())
        gradients.append(torch.autograd.grad((1.0 + row) * loss, leaf)[0])
    out = torch.empty_like(x)
    objective = BatchObjective(double, problems, [0] * 5)
    recorded = objective.gradient(x, out, [{}] * 5, range(5))
    torch.testing.assert_close(out, torch.cat(gradients), rtol=1e-9, atol=1e-14)
    assert [row["feature_loss"] for row in recorded] == pytest.approx(losses, rel=1e-10)
    assert [row["feature_loss"] for row in objective.losses(x)] == pytest.approx(losses, rel=1e-10)
    assert [row["objective"] for row in recorded] == pytest.approx([(1 + i) * v for i, v in enumerate(losses)])
    objective.gradient(x, out.zero_(), [{}] * 5)  # the same gradient where nothing is recorded
    torch.testing.assert_close(out, torch.cat(gradients), rtol=1e-9, atol=1e-14)


def test_a_zero_target_has_a_mean_squared_error_only(classifier: Classifier) -> None:
    zero = torch.zeros(classifier.shape("conv1/relu", SIZE))
    error = Problem(matches=(FeatureMatch("conv1/relu", zero, 1.0, "mean_squared_error"),), iterations=2)
    assert solve(classifier, [error], SIZE)[0].losses["feature_loss"] > 0
    relative = replace(error, matches=(FeatureMatch("conv1/relu", zero, 1.0, "dot_product"),))
    with pytest.raises(InputError, match="is zero everywhere"):
        solve(classifier, [relative], SIZE)


# Jitter canvases


def base(double: Classifier, photographs: Tensor, **overrides: object) -> Problem:
    target = feature_targets(double, photographs[0].double(), ["conv1/relu"])["conv1/relu"]
    problem = Problem(
        matches=(FeatureMatch("conv1/relu", target),),
        terms=(Term("tv", TotalVariation(), 0.7),),
        iterations=6,
        jitter=4,
        seed=9,
    )
    return replace(problem, **overrides)


def shifts(problem: Problem) -> list[tuple[int, int]]:
    """The drawn positions, 0..j-1 along each axis."""
    generator = torch.Generator().manual_seed(derive_seed(problem.seed, "jitter"))
    drawn = torch.randint(problem.jitter, (problem.iterations, 2), generator=generator).tolist()
    return [(top, left) for top, left in drawn]


def variation(x: Tensor) -> Tensor:
    down, right = x[..., 1:, :] - x[..., :-1, :], x[..., 1:] - x[..., :-1]
    return (down.square().sum() + right.square().sum()) / (x.shape[-1] * x.shape[-2])


@pytest.mark.parametrize("convention", ["window", "canvas", "zero_padded"])
@pytest.mark.parametrize("until", [None, 3])
def test_each_canvas_is_plain_torch_adam_on_the_objective_in_its_words(
    double: Classifier, photographs: Tensor, convention: str, until: int | None
) -> None:
    given = base(double, photographs, jitter_canvas=convention, jitter_until=until, initial=photographs[1])
    target = given.matches[0].target
    start = photographs[1].double()[None]
    x = (start if convention == "zero_padded" else F.pad(start, (1, 2, 1, 2), mode="replicate")).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.05)
    still = 0 if convention == "zero_padded" else 1
    objectives = []
    for step, (top, left) in enumerate(shifts(given)):
        if until is not None and step >= until:
            top = left = still
        if convention == "zero_padded":
            seen = F.pad(x, (left, 0, top, 0))[..., :SIZE, :SIZE]
        else:
            seen = x[..., top : top + SIZE, left : left + SIZE]
        phi = double.features(seen, ["conv1/relu"])["conv1/relu"][0]
        energy = variation(seen if convention == "window" else x)
        loss = (phi - target).square().sum() / target.square().sum() + 0.7 * energy
        objectives.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = x.detach()[0] if convention == "zero_padded" else x.detach()[0, :, 1 : 1 + SIZE, 1 : 1 + SIZE]
    result = solve(double, [given], SIZE, dtype=torch.float64, record_every=1)[0]
    torch.testing.assert_close(result.image, found.clamp(0, 1), rtol=0, atol=1e-10)
    assert result.curves["objective"][:6] == pytest.approx(objectives, rel=1e-10)
    assert result.losses["tv"] == pytest.approx(float(variation(found)), rel=1e-9)


def test_rows_of_all_conventions_are_the_same_alone_and_together(double: Classifier, photographs: Tensor) -> None:
    kinds = [("window", 3), ("canvas", 4), ("zero_padded", 3), ("canvas", 2), ("zero_padded", 4), ("canvas", 4)]
    rows = [
        base(
            double,
            photographs,
            jitter=jitter,
            jitter_canvas=kind,
            seed=seed,
            coarse_to_fine=((0, 3), (4, 1)) if seed in (1, 2) else (),
            terms=(
                Term("tv", TotalVariation(), 0.2 * seed, schedule=Schedule(((0, 1.0), (2, 0.0), (4, 2.0)))),
                Term("map", TotalVariation(), 0.1, layer="conv1/lin"),
            ),
        )
        for seed, (kind, jitter) in enumerate(kinds)
    ]
    together = solve(double, rows, SIZE, dtype=torch.float64, record_every=2)
    for row, batch in zip(rows, together, strict=True):
        alone = solve(double, [row], SIZE, dtype=torch.float64, record_every=2)[0]
        assert float((batch.image - alone.image).abs().max()) < 1e-12
        assert batch.curves["objective"] == pytest.approx(alone.curves["objective"], rel=1e-9)


# Starting noise


def start(classifier: Classifier, photographs: Tensor, **overrides: object) -> Tensor:
    """The starting picture minus the mean colour; small enough that no value is clamped."""
    given = base(classifier, photographs, jitter=1, snapshots=(0,), iterations=1, **overrides)
    picture = solve(classifier, [given], SIZE, dtype=torch.float64)[0].snapshots[0]
    return picture - torch.tensor(classifier.mean, dtype=torch.float64).reshape(3, 1, 1)


def test_uniform_noise_has_mv16s_quantile(double: Classifier, photographs: Tensor) -> None:
    spread = 80 / (0.95 * 3 * 255)  # of uniform noise in 0..255 units whose 95 % quantile is B / sqrt(3), B = 80
    noise = start(double, photographs, initial_noise="uniform", initial_std=spread)
    assert float((255 * noise).abs().quantile(0.95)) == pytest.approx(80 / 3**0.5, rel=1e-5)
    assert float(noise.abs().max()) == pytest.approx(80 / 3**0.5 / 0.95 / 255, rel=0.03)
    counts = torch.histc(noise, 8) / noise.numel()
    assert float((counts - 1 / 8).abs().max()) < 0.03


def test_unit_norm_noise_has_mv15s_norm(double: Classifier, photographs: Tensor) -> None:
    sigma = 2.7098e4 * SIZE / 227 / 4  # a quarter of the papers' norm at this size, so that nothing is clamped
    spread = sigma / (255 * (3 * SIZE**2) ** 0.5)
    noise = start(double, photographs, initial_noise="unit_norm", initial_std=spread)
    assert float((255 * noise).norm()) == pytest.approx(sigma, rel=1e-5)
    values = noise.flatten().sort().values / spread
    assert float(values[int(0.841 * len(values))]) == pytest.approx(1.0, abs=0.1)  # as of a normal distribution


def test_normal_noise_lies_around_the_mid_grey(double: Classifier, photographs: Tensor) -> None:
    noise = start(double, photographs, initial_std=0.05)
    grey = 0.5 - torch.tensor(double.mean, dtype=torch.float64)
    torch.testing.assert_close(noise.mean((1, 2)), grey, rtol=0, atol=0.01)
    assert float(noise.std((1, 2)).mean()) == pytest.approx(0.05, rel=0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"jitter_canvas": "windwo"}, "unknown jitter_canvas 'windwo'; did you mean 'window'?"),
        ({"initial_noise": "normla"}, "unknown initial_noise 'normla'; did you mean 'normal'?"),
        ({"momentum": 1.0}, r"momentum must lie in \[0, 1\), but got 1.0"),
    ],
)
def test_unknown_conventions_are_refused(
    double: Classifier, photographs: Tensor, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        solve(double, [base(double, photographs, **change)], SIZE)


def test_an_unknown_normalization_is_refused(double: Classifier, photographs: Tensor) -> None:
    given = base(double, photographs)
    match = replace(given.matches[0], normalization="dot")
    with pytest.raises(InputError, match="unknown normalization 'dot'; valid: squared_norm, dot_product, mean_squared"):
        solve(double, [replace(given, matches=(match,))], SIZE)
