"""Training on feature maps: every bank, subsets of channels, streaming, the noise of the maps' own scale, refusals."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from restoration_core.errors import InputError, InputErrors
from restoration_core.networks import open_network
from restoration_core.priors.library.blobs import from_blob, to_blob
from restoration_core.priors.library.prior_library import PriorLibrary
from restoration_core.priors.maps.feature_maps import FeatureMaps, layer_maps
from restoration_core.priors.maps.photographs import Photographs
from restoration_core.priors.maps.source import BUNDLED_PICTURES, LayerMaps
from restoration_core.priors.patch_experts.default_recipes import default_recipe
from restoration_core.priors.patch_experts.recipe import Recipe
from restoration_core.priors.patch_experts.training import train_patch_experts
from restoration_core.priors.patch_experts.whitened_patches import patches as patches_module
from restoration_core.priors.prior import Prior

MAPS = LayerMaps("a network", "0123456789abcdef", "a layer")
SMALL = Recipe(
    "student_t",
    3,
    24,
    "sha256:smooth",
    short_side=40,
    sigma=0.1,
    patches=2000,
    iterations=60,
    batch=128,
    learning_rate=0.05,
    maps=MAPS,
)


@dataclasses.dataclass
class SmoothMaps:
    """Rectified smooth noise in six channels of different scales, as a layer gives; counts how often maps are read."""

    scale: float = 1.0
    count: int = 6
    identity: str = "sha256:smooth"
    channels: int = 6
    layer_maps: LayerMaps = MAPS
    read: int = 0

    @property
    def sizes(self) -> tuple[tuple[int, int], ...]:
        return ((26, 24),) * self.count

    def __len__(self) -> int:
        return self.count

    def maps(self, indices: Any) -> list[Tensor]:
        self.read += len(indices)
        return [self.scale * self._one(index) for index in indices]

    def _one(self, index: int) -> Tensor:
        noise = torch.randn(6, 28, 26, generator=torch.Generator().manual_seed(index))
        smooth = torch.nn.functional.avg_pool2d(noise, 3, 1)
        mixed = smooth + 0.5 * smooth.roll(1, dims=0)
        return (mixed + 0.2).relu() * torch.arange(1.0, 7.0)[:, None, None]


def with_bank(bank: str, **fields: Any) -> Recipe:
    # A separable bank learns 6 x 9 dimensions together: ten patches are needed for each.
    return dataclasses.replace(SMALL, bank=bank, **fields)


@pytest.mark.parametrize("bank", ["full", "channelwise", "separable"])
def test_every_bank_learns_and_survives_its_file(bank: str) -> None:
    recipe = with_bank(bank)
    trained = train_patch_experts(recipe, SmoothMaps())
    values = [loss for _, loss in trained.report.losses]
    assert trained.report.best_loss == min(values) < values[0] - 3
    assert trained.report.dims == 54
    (picture,) = SmoothMaps().maps([9])
    shuffled = picture.flatten(1)[:, torch.randperm(26 * 24, generator=torch.Generator().manual_seed(0))]
    natural, scrambled = trained.prior.energy(torch.stack([picture, shuffled.reshape(picture.shape)])).tolist()
    assert natural < scrambled
    again = from_blob(to_blob(trained, "maps"))
    assert again.recipe == recipe
    assert torch.equal(again.prior.gradient(picture[None]), trained.prior.gradient(picture[None]))


@pytest.mark.parametrize("bank", ["full", "channelwise", "separable"])
def test_a_subset_of_channels_is_learned_as_if_the_others_were_not_there(bank: str) -> None:
    recipe = with_bank(bank, channels=(4, 1, 2), iterations=20)
    trained = train_patch_experts(recipe, SmoothMaps())

    class Three(SmoothMaps):
        def maps(self, indices: Any) -> list[Tensor]:
            return [one[[4, 1, 2]] for one in super().maps(indices)]

    alone = train_patch_experts(dataclasses.replace(recipe, channels=None), Three(channels=3))
    picture = SmoothMaps().maps([9])[0][None]
    gradient = trained.prior.gradient(picture)
    assert torch.equal(gradient[:, [4, 1, 2]], alone.prior.gradient(picture[:, [4, 1, 2]]))
    assert not gradient[:, [0, 3, 5]].any()
    again = from_blob(to_blob(trained))
    assert torch.equal(again.prior.gradient(picture), gradient)
    with pytest.raises(InputError, match=r"shape \(B, 6, H, W\) is needed by this prior, but got \(B, 3"):
        again.prior.check((3, 26, 24))


@pytest.mark.parametrize("bank", ["full", "channelwise", "separable"])
def test_patches_in_small_batches_give_the_same_prior(bank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, source = with_bank(bank, iterations=10), SmoothMaps()
    whole = train_patch_experts(recipe, source).prior
    assert source.read == 1 + 2 * len(source)  # to see contrast, for the moments and for the patches
    monkeypatch.setattr(patches_module, "CHUNK_BYTES", 4 * 54 * 400)
    parts = train_patch_experts(recipe, SmoothMaps()).prior
    picture = SmoothMaps().maps([9])[0][None]
    torch.testing.assert_close(parts.gradient(picture), whole.gradient(picture), rtol=1e-3, atol=1e-7)


def test_prior_follows_the_scale_of_the_maps() -> None:
    # Noise is a share of the maps' deviation, so maps in another unit give the same density in that unit.
    recipe = dataclasses.replace(SMALL, iterations=20)
    one, hundred = (train_patch_experts(recipe, SmoothMaps(scale=scale)).prior for scale in (1.0, 128.0))
    picture = SmoothMaps().maps([9])[0][None]
    torch.testing.assert_close(hundred.energy(128.0 * picture), one.energy(picture), rtol=1e-4, atol=0)
    torch.testing.assert_close(128.0 * hundred.gradient(128.0 * picture), one.gradient(picture), rtol=1e-3, atol=1e-7)


def test_dims_kept_are_the_recipes() -> None:
    trained = train_patch_experts(dataclasses.replace(SMALL, dims=20, iterations=5), SmoothMaps())
    assert trained.report.dims == 20
    filters = trained.prior.filters.flatten(1)  # type: ignore[attr-defined]
    assert torch.linalg.matrix_rank(filters.double(), rtol=1e-5) == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dims": 55}, "1 <= dims <= 54 must hold for these patches, but got 55"),
        ({"bank": "channelwise", "dims": 10}, "1 <= dims <= 9 must hold"),
        ({"patches": 539}, r"at least 540 are needed to learn 54 of 54 dimensions \(10 for each .* but got 539"),
        ({"patches": 107, "dims": 5}, "at least 108 are needed to learn 5 of 54"),
        ({"bank": "separable", "patches": 539}, "at least 540 are needed to learn 54 of 54"),
        ({"patches": 4000}, "has 528 patches of 3 x 3 but 667 are wanted of it"),
        ({"channels": (0, 6)}, "the map has channels 0 to 5, but got 6"),
    ],
)
def test_what_the_maps_cannot_give_is_refused_in_a_line(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        train_patch_experts(dataclasses.replace(SMALL, **changes), SmoothMaps())
    assert "\n" not in str(caught.value)


def test_too_many_dimensions_to_whiten_are_refused_before_anything_is_read() -> None:
    source = SmoothMaps(channels=500)
    with pytest.raises(InputError, match="have 12500 dimensions, but at most 10000 can be whitened; valid: smaller"):
        train_patch_experts(dataclasses.replace(SMALL, patch_size=5, patches=10**6), source)
    assert source.read == 0


def test_recipes_of_maps_are_checked() -> None:
    with pytest.raises(InputErrors) as caught:
        Recipe("logistic", 3, 4, bank="channel", channels=(1, 1), multiplier=0, maps=MAPS)
    assert len(caught.value.lines) == 3
    assert "unknown bank 'channel'; did you mean 'channelwise'" in caught.value.lines[0]


@pytest.mark.parametrize("layer", ["conv1/relu", "conv2/relu"])
def test_layers_with_a_bundled_prior_train_nothing(layer: str, tmp_path: Path) -> None:
    recipe = default_recipe("student_t", layer=layer)
    assert recipe.pictures == BUNDLED_PICTURES
    prior = PriorLibrary(tmp_path / "none").get(recipe)
    assert not (tmp_path / "none").exists()
    network = open_network("cifar_alexnet")
    prior.check(network.shape(layer, 48))
    assert recipe.maps == layer_maps(network, layer)


def test_default_recipe_of_another_layer_learns_from_the_samples() -> None:
    recipe = default_recipe("logistic", layer="pool1", network=open_network("cifar_alexnet"))
    assert (recipe.pictures, recipe.patch_size, recipe.dims, recipe.experts) == ("samples", 3, 300, 512)


def test_a_missing_prior_of_the_bundled_network_is_trained_from_the_samples(tmp_path: Path) -> None:
    recipe = dataclasses.replace(
        default_recipe("student_t", layer="pool1"), dims=20, experts=8, patches=1000, iterations=3
    )
    prior = PriorLibrary(tmp_path).get(recipe)
    prior.check((48, 9, 9))
    with pytest.raises(
        InputError, match=r"was not given; valid: .*--layer 'a layer' --expert student_t --patch-size 3 "
    ):
        PriorLibrary(tmp_path).get(dataclasses.replace(recipe, maps=MAPS))


def test_half_precision_keeps_three_digits_and_half_the_bytes(tmp_path: Path) -> None:
    library, recipe = PriorLibrary(tmp_path), dataclasses.replace(SMALL, iterations=5)
    kept = library.get(recipe, SmoothMaps, half=True)
    exact = train_patch_experts(recipe, SmoothMaps())
    assert len(library.blob(recipe.key)) < 0.6 * len(to_blob(exact))
    picture = SmoothMaps().maps([9])[0][None]
    torch.testing.assert_close(kept.energy(picture), exact.prior.energy(picture), rtol=2e-3, atol=0)
    again: Prior = library.load(recipe.key)
    assert torch.equal(again.gradient(picture), kept.gradient(picture))


def test_source_of_a_real_layer_is_trained_on(tmp_path: Path) -> None:
    network = open_network("cifar_alexnet")
    generator = torch.Generator().manual_seed(0)
    pictures = Photographs("sha256:noise", [torch.rand(3, 24, 30, generator=generator) for _ in range(3)])
    source = FeatureMaps(network, "conv2/relu", pictures)
    recipe = dataclasses.replace(
        SMALL, pictures="sha256:noise", maps=source.layer_maps, channels=(0, 5, 9), patches=300, iterations=3
    )
    prior = PriorLibrary(tmp_path).get(recipe, lambda: source)
    x = torch.rand(2, 3, 24, 24, generator=generator, requires_grad=True)
    energy = prior.differentiable(network.features(x, ["conv2/relu"])["conv2/relu"])
    (gradient,) = torch.autograd.grad(energy.sum(), x)
    assert gradient.isfinite().all()
    assert gradient.any()
