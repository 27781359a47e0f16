"""Training of fields: it learns, goes on bit by bit after a kill, stops on overfitting, refuses too little."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError, InputErrors
from restoration_core.priors.convolutional_experts.convolutional_experts import ConvolutionalExperts
from restoration_core.priors.convolutional_experts.recipe import FieldRecipe
from restoration_core.priors.convolutional_experts.training import train_convolutional_experts
from restoration_core.priors.library.blobs import from_blob, to_blob
from restoration_core.priors.maps.source import LayerMaps
from restoration_core.priors.training.checkpoint import Checkpoint
from restoration_core.priors.training.family import Trained

SMALL = FieldRecipe(
    filter_size=3,
    experts=6,
    scales=2,
    noise_levels=(0.05, 0.2),
    crop=12,
    batch=4,
    iterations=40,
    short_side=24,
    learning_rate=0.1,
)


class Steps:
    """Maps of flat pieces with sharp borders, which Gaussian priors fit badly."""

    identity, layer_maps, channels = "samples", None, 2

    def __init__(self, count: int = 12, side: int = 24) -> None:
        generator = torch.Generator().manual_seed(0)
        pieces = torch.rand(count, 2, side // 4, side // 4, generator=generator)
        self._maps = pieces.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)

    def __len__(self) -> int:
        return len(self._maps)

    def maps(self, indices: Sequence[int]) -> list[Tensor]:
        return [self._maps[index] for index in indices]


class Flat(Steps):
    """Every map of one colour, another each."""

    def maps(self, indices: Sequence[int]) -> list[Tensor]:
        return [map_[:, :1, :1].expand_as(map_) for map_ in super().maps(indices)]


def tensors(trained: Trained) -> list[Tensor]:
    prior = trained.prior
    assert isinstance(prior, ConvolutionalExperts)
    return [prior.filters, prior.bias, prior.level_alphas, prior.level_gammas]


@pytest.fixture(scope="module")
def uninterrupted() -> Trained:
    return train_convolutional_experts(SMALL, Steps())


def test_training_lowers_the_held_out_loss_and_reports_it(uninterrupted: Trained) -> None:
    report = uninterrupted.report
    assert [step for step, _ in report.losses] == list(range(41))
    assert report.best_loss == min(loss for _, loss in report.losses) < 0.8 * report.losses[0][1]
    assert (report.iterations, report.stopped, report.dims) == (40, "finished", 18)
    filters = tensors(uninterrupted)[0]
    assert float(filters.mean(dim=(2, 3)).abs().max()) < 1e-6
    assert float(filters.flatten(1).norm(dim=1).std()) > 0.1  # norms are free


def test_the_trained_step_denoises_pictures_that_were_not_seen(uninterrupted: Trained) -> None:
    prior = uninterrupted.prior
    assert isinstance(prior, ConvolutionalExperts)
    clean = torch.stack(Steps(24).maps(range(12, 24)))
    for noise in SMALL.noise_levels:
        y = clean + noise * torch.randn(clean.shape, generator=torch.Generator().manual_seed(3))
        restored = y - noise**2 * clean[0, 0].numel() * prior.at_noise(noise).gradient(y)
        assert float((restored - clean).square().mean()) < 0.8 * noise**2


def test_the_implicit_objective_learns_without_clean_maps() -> None:
    recipe = FieldRecipe(**{**vars(SMALL), "objective": "implicit"})
    report = train_convolutional_experts(recipe, Steps()).report
    assert report.best_loss < 0.8 * report.losses[0][1]


@pytest.mark.slow
def test_a_killed_training_goes_on_to_the_same_bits(tmp_path: Path, uninterrupted: Trained) -> None:
    path, seen = tmp_path / "state", []
    program = f"""
import os, signal
from pathlib import Path
from restoration_core.priors.training.checkpoint import Checkpoint
from restoration_core.priors.convolutional_experts.training import train_convolutional_experts
from tests.core.priors.convolutional_experts.test_training import SMALL, Steps
def progress(step, steps, loss):
    if step == 20:
        os.kill(os.getpid(), signal.SIGKILL)
train_convolutional_experts(SMALL, Steps(), progress, Checkpoint(Path({str(path)!r}), SMALL.key))
"""
    root = Path(__file__).parents[4]
    child = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=False)
    assert child.returncode == -signal.SIGKILL, child.stderr
    resumed = train_convolutional_experts(
        SMALL, Steps(), lambda step, steps, loss: seen.append(step), Checkpoint(path, SMALL.key)
    )
    assert seen == list(range(21, 41))
    assert resumed.report.losses == uninterrupted.report.losses
    for one, other in zip(tensors(resumed), tensors(uninterrupted), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_it_stops_when_the_held_out_loss_only_rises() -> None:
    class Shifted(Steps):
        """The one map that is held out has other statistics than the one that is learned from."""

        def maps(self, indices: Sequence[int]) -> list[Tensor]:
            assert len(self) == 2
            steep = torch.arange(24.0) % 2 * torch.ones(2, 24, 1)
            return [self._maps[0] if index == learned else steep for index in indices]

    order = torch.randperm(2, generator=torch.Generator().manual_seed(_held_out_seed())).tolist()
    learned = order[1]
    recipe = FieldRecipe(**{**vars(SMALL), "iterations": 200, "experts": 2})
    report = train_convolutional_experts(recipe, Shifted(2)).report
    assert (report.stopped, report.iterations < 200) == ("overfitting", True)
    assert report.best_loss < report.losses[-1][1]


def _held_out_seed() -> int:
    from restoration_core.seeds import derive_seed

    return derive_seed(SMALL.seed, "held-out")


def test_a_trained_field_survives_its_file(uninterrupted: Trained) -> None:
    kept = from_blob(to_blob(uninterrupted, "steps"))
    assert kept.recipe == uninterrupted.recipe
    x = torch.stack(Steps().maps([0, 1]))
    torch.testing.assert_close(kept.prior.gradient(x), uninterrupted.prior.gradient(x), rtol=0, atol=0)


def test_noise_levels_on_feature_maps_are_relative_to_the_maps_own_deviation() -> None:
    layer = LayerMaps("cifar_alexnet", "ab12", "conv2/relu")

    class Louder(Steps):
        """The same maps, 40 times as strong."""

        layer_maps = layer

        def maps(self, indices: Sequence[int]) -> list[Tensor]:
            return [40 * map_ for map_ in super().maps(indices)]

    recipe = FieldRecipe(**{**vars(SMALL), "maps": layer, "iterations": 5, "noise": 0.1})
    trained = train_convolutional_experts(recipe, Louder())
    deviation = 40 * 12**-0.5  # of evenly distributed pieces
    prior = trained.prior
    assert isinstance(prior, ConvolutionalExperts)
    assert prior.noise_levels == pytest.approx([0.05 * deviation, 0.2 * deviation], rel=0.05)
    assert prior.noise == pytest.approx(2 * prior.noise_levels[0])
    kept = from_blob(to_blob(trained)).prior
    assert isinstance(kept, ConvolutionalExperts)
    assert (kept.noise_levels, kept.noise) == (prior.noise_levels, prior.noise)


@pytest.mark.parametrize(
    ("source", "changes", "message"),
    [
        (Steps(1), {}, "at least two are needed"),
        (Steps(30, 8), {}, r"a map of 8 x 8 px is smaller than crops of 12 px"),
        (Steps(3, 12), {"experts": 64}, r"64 filters of 2 x 3 x 3 need about 11520 values.*give about 576"),
        (Flat(), {}, "pictures: each is of one colour everywhere, so there is no variance to learn from"),
        (Steps(), {"learning_rate": 1e6}, "learning_rate: the loss diverged"),
    ],
)
def test_too_little_to_learn_from_is_refused(source: Steps, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        train_convolutional_experts(FieldRecipe(**{**vars(SMALL), **changes}), source)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("expert", "laplace", "unknown expert 'laplace'"),
        ("objective", "denoise", "did you mean 'denoising'"),
        ("noise_levels", (0.2, 0.1), "positive values, rising"),
        ("noise_levels", (), "positive values, rising"),
        ("noise", 0.5, r"0\.02 <= noise <= 0\.16 must hold"),
        ("batch", 3, "a crop a noise level"),
        ("crop", 27, "crop >= 28 must hold"),
        ("short_side", 40, r"short_side >= crop \(48\)"),
        ("learning_rate", 0.0, "learning_rate > 0"),
        ("scales", 0, "1 <= scales <= 6"),
    ],
)
def test_a_recipe_out_of_range_is_refused_in_one_line(field: str, value: object, message: str) -> None:
    with pytest.raises(InputErrors, match=message):
        FieldRecipe(**{field: value})


def test_a_recipe_comes_back_from_its_json_and_names_itself() -> None:
    layer = FieldRecipe(maps=LayerMaps("cifar_alexnet", "ab12", "conv2/relu"), crop=28)
    for recipe in (FieldRecipe(), layer):
        assert FieldRecipe.from_mapping(json.loads(recipe.to_json())) == recipe
    assert FieldRecipe().title == "field-student_t-7x7-64"
    assert layer.title == "field-student_t-7x7-64-cifar_alexnet-conv2-relu"
    assert FieldRecipe().key != FieldRecipe(noise_levels=(0.02, 0.04, 0.08)).key
    assert FieldRecipe(noise_levels=(1, 2)).key == FieldRecipe(noise_levels=(1.0, 2.0)).key
