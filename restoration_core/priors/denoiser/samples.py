"""What a denoiser learns from: crops of maps with white noise, decided by the recipe and the number of the step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.errors import InputError
from restoration_core.priors.denoiser.network import NoiseNetwork
from restoration_core.priors.denoiser.recipe import DenoiserRecipe
from restoration_core.priors.maps import MapSource, in_batches
from restoration_core.seeds import derive_seed

POOL_BYTES = 256 << 20
_POOL_STEPS = 50
_READ_TOGETHER = 8
_JUDGED_CROPS = 48


@dataclass(frozen=True)
class NoisyCrops:
    """A step's examples.

    Attributes:
        scaled: ``u = (x - centre) / sigma + noise``, ``(B, C, side, side)``: what the network is given.
        noise: same shape, standard normal: what the network should predict.
        sigmas: ``(B,)``, noise levels in the unit of the denoiser.
    """

    scaled: Tensor
    noise: Tensor
    sigmas: Tensor


class Crops:
    """Draws crops from some maps of a source, of which a limited pool is held in memory.

    The crops of a step depend on the recipe, the part and the number of the step only, so that a training that was
    killed sees the same ones when it goes on. Where the pool does not hold all maps, it is filled with others every 50
    steps.

    Args:
        recipe: says how crops are drawn.
        source: gives the maps.
        indices: the maps that may be used.
        part: a name (``shown``, ``held_out``), so that two parts draw different random numbers.

    Raises:
        InputError: maps smaller than a block of the network.
    """

    def __init__(self, recipe: DenoiserRecipe, source: MapSource, indices: Sequence[int], part: str) -> None:
        self._recipe, self._source, self._indices, self._part = recipe, source, tuple(indices), part
        self._scales = recipe.scales if recipe.maps is None else (1.0,)
        values = source.maps(self._indices[:1])[0].numel() * sum(scale**2 for scale in self._scales)
        self._pooled = min(len(self._indices), max(_READ_TOGETHER, int(POOL_BYTES / (4 * values))))
        self._pool: list[Tensor] = []
        self._held: int | None = None

    def clean(self, step: int, count: int) -> Tensor:
        """Return the clean crops of a step, ``(count, C, side, side)``, in the maps' own units."""
        recipe, pool = self._recipe, self._maps(step)
        side = min(recipe.crop, *(length for map_ in pool for length in map_.shape[1:]))
        side -= side % recipe.factor
        if side == 0:
            least = recipe.factor
            raise InputError(f"maps: at least {least} x {least} values are needed, but got {tuple(pool[0].shape[1:])}")
        generator = self._generator("crops", step)
        chosen = torch.randint(len(pool), (count,), generator=generator).tolist()
        places = torch.rand(count, 2, generator=generator).tolist()
        mirrored = (torch.rand(count, generator=generator) < 0.5).tolist()
        flips = recipe.flips and recipe.maps is None
        found = []
        for index, (down, right), mirror in zip(chosen, places, mirrored, strict=True):
            map_ = pool[index]
            top, left = (int(share * (n - side + 1)) for share, n in zip((down, right), map_.shape[1:], strict=True))
            crop = map_[:, top : top + side, left : left + side]
            found.append(crop.flip(2) if mirror and flips else crop)
        return torch.stack(found)

    def noisy(self, step: int, centre: Tensor, unit: float) -> NoisyCrops:
        """Return a step's examples, of maps shifted by ``centre`` and divided by ``unit``."""
        clean = (self.clean(step, self._recipe.batch) - centre[:, None, None]) / unit
        generator = self._generator("noise", step)
        low, high = (math.log(level) for level in self._recipe.levels)
        sigmas = torch.exp(low + (high - low) * torch.rand(len(clean), generator=generator))
        noise = torch.randn(clean.shape, generator=generator)
        return NoisyCrops(clean / sigmas[:, None, None, None] + noise, noise, sigmas)

    @torch.no_grad()
    def judge(self, network: NoiseNetwork, centre: Tensor, unit: float) -> list[float]:
        """Return the mean squared error of the predicted noise at each held-out level, always on the same crops."""
        clean = (self.clean(0, _JUDGED_CROPS) - centre[:, None, None]) / unit
        noise = torch.randn(clean.shape, generator=self._generator("judged"))
        losses = []
        for sigma in self._recipe.held_out_levels:
            biases = network.biases_at(sigma)
            parts = zip(clean.split(_READ_TOGETHER), noise.split(_READ_TOGETHER), strict=True)
            errors = [(network.noise(x / sigma + n, biases) - n).square_().sum(dtype=torch.float64) for x, n in parts]
            losses.append(float(torch.stack(errors).sum()) / clean.numel())
        return losses

    def _maps(self, step: int) -> list[Tensor]:
        turn = 0 if self._pooled == len(self._indices) else step // _POOL_STEPS
        if turn != self._held:
            self._pool = []  # free the old maps before the new ones are read
            order = torch.randperm(len(self._indices), generator=self._generator("pool", turn)).tolist()
            for run in in_batches(self._pooled, _READ_TOGETHER):
                for map_ in self._source.maps([self._indices[order[place]] for place in run]):
                    self._pool += [shown for scale in self._scales if (shown := self._at(map_, scale)) is not None]
            self._held = turn
        return self._pool

    def _at(self, map_: Tensor, scale: float) -> Tensor | None:
        """Return the map resized to a scale; None where it would be smaller than a crop."""
        if scale == 1:
            return map_.float()
        sides = [round(scale * side) for side in map_.shape[1:]]
        if min(sides) < self._recipe.crop:
            return None
        return F.interpolate(map_[None].float(), sides, mode="bicubic", antialias=True, align_corners=False)[0]

    def _generator(self, *names: object) -> torch.Generator:
        return torch.Generator().manual_seed(derive_seed(self._recipe.seed, self._part, *names))


def split(recipe: DenoiserRecipe, source: MapSource) -> tuple[Crops, Crops]:
    """Return the crops to learn from, and those of the held-out maps (a tenth, at least one).

    Raises:
        InputError: fewer than two maps.
    """
    if len(source) < 2:
        raise InputError(f"pictures: at least 2 are needed, one of them held out, but got {len(source)}")
    generator = torch.Generator().manual_seed(derive_seed(recipe.seed, "split"))
    order = torch.randperm(len(source), generator=generator).tolist()
    held_out = max(1, len(order) // 10)
    return Crops(recipe, source, order[held_out:], "shown"), Crops(recipe, source, order[:held_out], "held out")
