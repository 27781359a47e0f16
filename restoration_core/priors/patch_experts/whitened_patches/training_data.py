"""Whitened patches to train on. Maps are read twice: for the moments, then for the patches themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.maps import MapSource, check_contrast
from restoration_core.priors.patch_experts.channel_subset import check_channels
from restoration_core.priors.patch_experts.recipe import PATCHES_PER_DIMENSION, Recipe
from restoration_core.priors.patch_experts.whitened_patches.moments import PatchMoments
from restoration_core.priors.patch_experts.whitened_patches.patches import PatchPlan, plan_patches, stream_patches
from restoration_core.priors.patch_experts.whitened_patches.whitening import Whitening, noise_level, whiten
from restoration_core.seeds import derive_seed

_MOST_DIMENSIONS = 10_000
"""A covariance of so many dimensions takes 0.8 GB in float64, and its eigenvectors two or three times that."""


@dataclass(frozen=True)
class Layout:
    """How a patch is cut into groups of channels, each of which is whitened by itself.

    Attributes:
        channels: of a patch.
        groups: 1 for filters over all channels, else one for each channel.
        group_dims: raw dimensions of a group.
        dims: whitened dimensions that are kept of a group.
    """

    channels: int
    groups: int
    group_dims: int
    dims: int


def layout(recipe: Recipe, source: MapSource) -> Layout:
    """Return the layout of a recipe on a source of maps.

    Raises:
        InputError: channels or dimensions that the maps do not have, too many dimensions to whiten, or too few patches.
    """
    if recipe.channels is not None:
        check_channels(recipe.channels, source.channels)
    channels = source.channels if recipe.channels is None else len(recipe.channels)
    groups = 1 if recipe.bank == "full" else channels
    each = channels // groups
    group_dims = each * recipe.patch_size**2
    rank = group_dims - each if recipe.remove_dc else group_dims
    if group_dims > _MOST_DIMENSIONS:
        raise InputError(
            f"patch_size: patches of {channels} x {recipe.patch_size} x {recipe.patch_size} have {group_dims}"
            f" dimensions, but at most {_MOST_DIMENSIONS} can be whitened; valid: smaller patches, fewer channels, or a"
            " channelwise bank"
        )
    if recipe.dims is not None and recipe.dims > rank:
        raise InputError(f"dims: 1 <= dims <= {rank} must hold for these patches, but got {recipe.dims}")
    dims = rank if recipe.dims is None else recipe.dims
    modelled = dims * groups if recipe.bank == "separable" else dims
    wanted = max(PATCHES_PER_DIMENSION * modelled, 2 * group_dims)
    if recipe.patches < wanted:
        raise InputError(
            f"patches: at least {wanted} are needed to learn {modelled} of {group_dims * groups} dimensions"
            f" ({PATCHES_PER_DIMENSION} for each that is kept), but got {recipe.patches}; valid: more patches, fewer"
            " dims or smaller patches"
        )
    return Layout(channels, groups, group_dims, dims)


class Noise:
    """White noise on patches, drawn as it is after whitening.

    Args:
        whitening: the transform.
        level: standard deviation before whitening.
        diagonal: the whitened noise is uncorrelated, as after PCA. Then it is drawn directly in whitened coordinates,
            with the norms of the transform's rows as deviations; raw coordinates may be thousands more.
    """

    def __init__(self, whitening: Whitening, level: float, *, diagonal: bool) -> None:
        self._spread = level * whitening.transforms
        self._deviations = self._spread.norm(dim=2).reshape(-1) if diagonal else None

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Return noise ``(count, groups * M)`` in whitened coordinates."""
        if self._deviations is not None:
            return torch.randn(count, len(self._deviations), generator=generator) * self._deviations
        groups, _, dims = self._spread.shape
        raw = torch.randn(count, groups * dims, generator=generator).tensor_split(groups, dim=1)
        return torch.cat([part @ matrix.T for part, matrix in zip(raw, self._spread, strict=True)], dim=1)


@dataclass(frozen=True)
class TrainingData:
    """The patches of a training.

    Attributes:
        shown: whitened patches to learn from, ``(N, groups * M)``, without noise.
        held_out: whitened patches to judge by, with noise.
        whitening: the transform, float32.
        level: standard deviation of the noise in the unit of the maps.
        noise: draws noise for ``shown``.
    """

    shown: Tensor
    held_out: Tensor
    whitening: Whitening
    level: float
    noise: Noise

    def to_keep(self) -> dict[str, Tensor]:
        """Return the tensors for a checkpoint, with which the whitening need not be computed again."""
        level = torch.tensor(self.level, dtype=torch.float64)
        return {
            "whitening.mean": self.whitening.mean,
            "whitening.transforms": self.whitening.transforms,
            "whitening.level": level,
        }


def prepare(
    recipe: Recipe,
    source: MapSource,
    generator: torch.Generator,
    kept: Mapping[str, Tensor] = MappingProxyType({}),
) -> TrainingData:
    """Cut out and whiten the patches of a recipe, and hold a tenth of them out.

    Maps are read a few at a time, once for the moments and once for the patches; only whitened patches are kept.

    Args:
        recipe: says which patches, and how they are whitened.
        source: maps.
        generator: draws the noise of the held-out patches.
        kept: holds what :meth:`TrainingData.to_keep` gave for this recipe before; empty for a new training.

    Raises:
        InputError: as :func:`layout`, and for maps with too few places or without contrast.
    """
    laid = layout(recipe, source)
    plan = plan_patches(source.sizes, recipe.patch_size, recipe.patches, derive_seed(recipe.seed, "patches"))
    held = max(1, recipe.patches // 10)
    if "whitening.mean" not in kept:
        check_contrast(source)
        whitening, level = _fit(recipe, source, laid, plan, held)
    else:
        whitening = Whitening(kept["whitening.mean"], kept["whitening.transforms"])
        level = float(kept["whitening.level"])
    # After PCA noise stays uncorrelated. For pictures it is drawn on the pixels, as when the bundled priors were
    # trained.
    diagonal = recipe.maps is not None and recipe.whitening == "pca"
    noise = Noise(whitening, level, diagonal=diagonal)
    raw = None if diagonal else level * torch.randn(held, laid.groups * laid.group_dims, generator=generator)
    dims = whitening.transforms.shape[0] * whitening.transforms.shape[1]
    held_out, shown = torch.empty(held, dims), torch.empty(recipe.patches - held, dims)
    for places, patches in stream_patches(source, plan, recipe.channels):
        first = int((places < held).sum())
        before = patches[:first] if raw is None else patches[:first] + raw[places[:first]]
        held_out[places[:first]] = whitening.apply(before)
        shown[places[first:] - held] = whitening.apply(patches[first:])
    if raw is None:
        held_out += noise.draw(held, generator)
    return TrainingData(shown, held_out, whitening, level, noise)


def _fit(recipe: Recipe, source: MapSource, laid: Layout, plan: PatchPlan, held: int) -> tuple[Whitening, float]:
    moments = PatchMoments(laid.channels, recipe.patch_size**2, laid.groups, remove_dc=recipe.remove_dc)
    for places, patches in stream_patches(source, plan, recipe.channels):
        moments.add(patches[places >= held])
    relative = recipe.maps is not None
    level = noise_level(moments.finish()[1], recipe.sigma, relative=relative)
    fitted = whiten(moments, kind=recipe.whitening, sigma=level, dims=recipe.dims)
    return Whitening(fitted.mean.float(), fitted.transforms.float()), level
