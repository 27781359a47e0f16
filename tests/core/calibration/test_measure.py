"""Measuring a calibration: each number against the same number computed directly."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from restoration_core.calibration.calibration import KINDS, QUANTILES
from restoration_core.calibration.curvature import curvature_curve, feature_gradient, prior_gradient
from restoration_core.calibration.level import local_rmse
from restoration_core.calibration.measure import Calibrator, Squares, load_squares
from restoration_core.calibration.recipe import LEVELS, ErrorRun
from restoration_core.errors import InputError, InputErrors
from restoration_core.images import load_image
from restoration_core.networks import Classifier
from restoration_core.objectives import feature_targets
from restoration_core.priors.hand_crafted.isotropic_range import IsotropicRange
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.priors.prior import Prior
from restoration_core.reconstruction import FeatureMatch, Problem, Schedule, Term, solve
from restoration_core.seeds import derive_seed
from tests.core.calibration.test_curvature import Shrinkage

SIZE = 12
RUN = ErrorRun(photographs=2, iterations=20)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3))
    names = {"conv1/lin": "0", "pool1": "2", "conv2/lin": "3"}
    return Classifier(module, "small", names, (0.4, 0.4, 0.4), (0.2, 0.2, 0.2), SIZE)


def squares(count: int = 3) -> Squares:
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    smooth = nn.functional.interpolate(coarse, size=SIZE, mode="bilinear")
    return Squares("sha256:test", smooth)


def calibrator(classifier: Classifier, layer: str = "pool1", **settings: object) -> Calibrator:
    return Calibrator(classifier, layer, squares(), error_run=RUN, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("level", ["rmse", "local"])
def test_the_level_is_the_error_of_reconstructions(classifier: Classifier, level: str) -> None:
    run = dataclasses.replace(RUN, level=level)
    measuring = Calibrator(classifier, "pool1", squares(), error_run=run)
    terms: tuple[Term, ...] = ()
    if level == "local":
        # At the start level total variation has the curvature of the features.
        tv = measuring.calibrate(TotalVariation(2.0), "tv")
        weight = tv.features.at(run.start_level) / tv.prior.at(run.start_level)
        terms = (Term("tv", TotalVariation(2.0), weight),)
    originals = squares().pictures[:2]
    problems = [
        Problem(
            (FeatureMatch("pool1", feature_targets(classifier, picture, ["pool1"])["pool1"]),),
            terms,
            iterations=20,
            learning_rate=Schedule(((0, 0.1), (12, 0.3 * 0.1), (17, 0.1 * 0.1))),
            betas=(0.8, 0.9),
            seed=derive_seed(0, "calibration", number),
        )
        for number, picture in enumerate(originals)
    ]
    restored = torch.stack([result.image for result in solve(classifier, problems, SIZE)])
    if level == "rmse":
        assert measuring.level == measuring.error == pytest.approx(float((restored - originals).square().mean().sqrt()))
    else:
        assert measuring.level == pytest.approx(local_rmse(restored, originals), rel=1e-3)
        assert measuring.level < measuring.error


def test_the_level_is_held_within_the_levels(classifier: Classifier) -> None:
    run = dataclasses.replace(RUN, start_level=0.0015)
    low = Calibrator(classifier, "pool1", squares(), levels=(0.001, 0.002), error_run=run)
    assert low.level == 0.002


@pytest.mark.parametrize("noise", ["white", "pink"])
def test_curves_are_means_over_photographs_and_draws(classifier: Classifier, noise: str) -> None:
    from restoration_core.calibration.curvature import draw_noise

    found = calibrator(classifier, noise=noise, draws=3).calibrate(TotalVariation(1.0), "tv")
    x = squares().pictures
    draws = [draw_noise(noise, x, torch.Generator().manual_seed(derive_seed(0, "noise", d))) for d in range(3)]
    gradients = {
        "prior": prior_gradient(TotalVariation(1.0), None, classifier),
        "features": feature_gradient(classifier, "pool1", x),
    }
    for name, gradient in gradients.items():
        expected = torch.stack([curvature_curve(gradient, x, n, LEVELS) for n in draws]).mean(dim=(0, 2))
        assert getattr(found, name).values == pytest.approx(expected.tolist(), rel=1e-4)


def test_spreads_are_quantiles_of_energies_and_gradient_norms(classifier: Classifier) -> None:
    prior = IsotropicRange(4.0, classifier.mean)
    found = calibrator(classifier).calibrate(prior, "range")
    x = squares().pictures
    energies = np.quantile(prior.energy(x).numpy(), QUANTILES)
    assert found.energies["natural"].quantiles == pytest.approx(energies.tolist(), rel=1e-5)
    norms = np.quantile(prior.gradient(x).flatten(1).norm(dim=1).numpy(), QUANTILES)
    assert found.gradient_norms["natural"].quantiles == pytest.approx(norms.tolist(), rel=1e-5)
    assert tuple(found.energies) == tuple(found.gradient_norms) == KINDS


def test_smooth_pictures_vary_least_and_noise_is_likelier_than_nothing_of_it(classifier: Classifier) -> None:
    found = calibrator(classifier).calibrate(TotalVariation(2.0), "tv")
    natural, noisy, noise = (found.energies[kind].median for kind in KINDS)
    assert natural < min(noisy, noise)
    # White noise of level s adds 2 s^2 a channel for each of the two differences (less at the far edges).
    inside = 2 * 3 * 2 * (1 - 1 / SIZE)
    assert noisy - natural == pytest.approx(inside * found.level**2, rel=0.2)


def test_a_prior_on_a_map_is_measured_there_and_pulled_back(classifier: Classifier) -> None:
    prior = TotalVariation(2.0)
    found = calibrator(classifier, "conv2/lin").calibrate(prior, "tv", "conv1/lin", name="TV of conv1")
    assert (found.recipe.prior_layer, found.prior_name) == ("conv1/lin", "TV of conv1")
    x = squares().pictures.clone().requires_grad_()
    energy = prior.differentiable(classifier.features(x, ["conv1/lin"])["conv1/lin"])
    (gradient,) = torch.autograd.grad(energy.sum(), x)
    expected = np.quantile(energy.detach().numpy(), QUANTILES)
    assert found.energies["natural"].quantiles == pytest.approx(expected.tolist(), rel=1e-4)
    norms = np.quantile(gradient.flatten(1).norm(dim=1).numpy(), QUANTILES)
    assert found.gradient_norms["natural"].quantiles == pytest.approx(norms.tolist(), rel=1e-4)


def test_a_residual_without_energy_is_calibrated_too(classifier: Classifier) -> None:
    found = calibrator(classifier).calibrate(Shrinkage(), "shrinkage")
    assert found.energies == {}
    curvatures = found.features.at(found.level) / found.prior.at(found.level)
    assert found.raw_weight(1.0) == pytest.approx(curvatures * (found.error / found.level) ** 2)


def test_twice_a_prior_needs_half_the_weight_and_has_the_same_calibrated_objective(classifier: Classifier) -> None:
    class Twice(Prior):
        def energy(self, x: Tensor) -> Tensor:
            return 2 * TotalVariation(2.0).energy(x)

        def gradient(self, x: Tensor) -> Tensor:
            return 2 * TotalVariation(2.0).gradient(x)

    both = calibrator(classifier)
    once, twice = both.calibrate(TotalVariation(2.0), "once"), both.calibrate(Twice(), "twice")
    assert twice.raw_weight(0.3) == pytest.approx(once.raw_weight(0.3) / 2, rel=1e-5)
    assert once.key != twice.key


def test_what_does_not_depend_on_the_prior_is_measured_once(classifier: Classifier) -> None:
    said: list[str] = []
    measuring = calibrator(classifier, progress=said.append)
    first = measuring.calibrate(TotalVariation(2.0), "a")
    second = measuring.calibrate(TotalVariation(1.0), "b")
    assert sum("reconstructions from pool1 alone" in line for line in said) == 1
    assert sum("curvature of the features of pool1" in line for line in said) == 1
    assert (first.level, first.features) == (second.level, second.features)


def test_chunks_of_pictures_give_the_same_numbers(classifier: Classifier, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = calibrator(classifier).calibrate(TotalVariation(1.0), "tv")
    monkeypatch.setattr("restoration_core.calibration.measure.PIXELS_AT_ONCE", SIZE * SIZE)
    parts = calibrator(classifier).calibrate(TotalVariation(1.0), "tv")
    assert parts.prior.values == pytest.approx(whole.prior.values, rel=1e-4)
    assert parts.features.values == pytest.approx(whole.features.values, rel=1e-4)
    assert parts.energies["noise"].quantiles == pytest.approx(whole.energies["noise"].quantiles, rel=1e-4)


@pytest.mark.parametrize(
    ("layer", "settings", "kind", "message"),
    [
        ("pool9", {}, InputError, "unknown layer of small 'pool9'; did you mean 'pool1'"),
        ("pool1", {"noise": "red"}, InputErrors, "unknown noise 'red'"),
        ("pool1", {"draws": 0}, InputErrors, "draws: draws >= 1 must hold"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_measured(
    classifier: Classifier, layer: str, settings: dict[str, object], kind: type[InputError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        calibrator(classifier, layer, **settings)


def test_a_prior_that_does_not_take_the_map_is_refused(classifier: Classifier) -> None:
    with pytest.raises(InputError, match=r"isotropic_range\.mean has 3 values for 4 channels"):
        calibrator(classifier).calibrate(IsotropicRange(6.0, classifier.mean), "range", "conv1/lin")


def test_squares_are_named_by_their_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(tmp_path / f"{number}.png")
    found = load_squares(tmp_path, SIZE)
    assert torch.equal(found.pictures[1], torch.from_numpy(load_image(tmp_path / "1.png", SIZE)))
    assert load_squares(tmp_path, SIZE).identity == found.identity
    assert load_squares(tmp_path, SIZE - 1).identity != found.identity
    two = load_squares(tmp_path, SIZE, limit=2)
    assert len(two.pictures) == 2
    assert two.identity != found.identity
    (tmp_path / "1.png").rename(tmp_path / "1b.png")
    assert load_squares(tmp_path, SIZE).identity == found.identity


def test_the_sample_pictures_are_the_default() -> None:
    found = load_squares(None, SIZE)
    assert len(found.pictures) == 6
    assert not math.isclose(float(found.pictures.std()), 0)


@pytest.mark.parametrize(("limit", "message"), [(0, "limit: limit >= 1 must hold, but got 0"), (1, "no such folder")])
def test_a_limit_below_one_and_a_missing_folder_are_refused(tmp_path: Path, limit: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_squares(tmp_path / "nowhere", SIZE, limit)
