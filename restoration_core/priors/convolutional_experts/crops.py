"""Random crops of maps that a field is trained on, and the basis in which its filters are expressed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.errors import InputError
from restoration_core.priors.convolutional_experts.recipe import FieldRecipe
from restoration_core.priors.maps import MapSource, check_contrast, in_batches
from restoration_core.seeds import derive_seed

_READ_TOGETHER = 16
_HELD_OUT_CROPS = 48
_BASIS_CROPS = 128
_BASIS_PATCHES = 40_000
# With fewer training values for each weight the filters would be learned by heart.
_VALUES_PER_WEIGHT = 10


class Crops:
    """Crops of ``recipe.crop`` pixels from the maps of ``source``, a tenth of the maps being held out.

    Args:
        source: maps of ``(C, H, W)``.
        recipe: says how large the crops are, how many, and with which seed they are drawn.

    Raises:
        InputError: fewer than two maps, too few values for the number of weights, maps without contrast, or maps
            smaller than a crop.
    """

    def __init__(self, source: MapSource, recipe: FieldRecipe) -> None:
        if len(source) < 2:
            raise InputError(f"pictures: at least two are needed, one of them held out, but got {len(source)}")
        self._source, self._recipe = source, recipe
        generator = torch.Generator().manual_seed(derive_seed(recipe.seed, "held-out"))
        order = torch.randperm(len(source), generator=generator).tolist()
        split = max(1, len(order) // 10)
        self._held_out_maps, self._shown_maps = order[:split], order[split:]
        self._check_amount()
        check_contrast(source)

    def _check_amount(self) -> None:
        recipe, some = self._recipe, self._shown_maps[:_READ_TOGETHER]
        seen = sum(map_.numel() for map_ in self._source.maps(some))
        values = seen * len(self._shown_maps) // len(some)
        wanted = _VALUES_PER_WEIGHT * recipe.experts * self._source.channels * recipe.filter_size**2
        if values < wanted:
            raise InputError(
                f"pictures: {recipe.experts} filters of {self._source.channels} x {recipe.filter_size} x"
                f" {recipe.filter_size} need about {wanted} values to learn from, but the pictures give about"
                f" {values}; valid: more or larger pictures, or fewer or smaller filters"
            )

    def shown(self, step: int) -> Tensor:
        """Return the crops that are learned from at ``step``, ``(batch, C, crop, crop)``."""
        generator = torch.Generator().manual_seed(derive_seed(self._recipe.seed, "crops", step))
        chosen = torch.randint(len(self._shown_maps), (self._recipe.batch,), generator=generator).tolist()
        return self._cut([self._shown_maps[index] for index in chosen], generator)

    def held_out(self) -> Tensor:
        """Return the crops on which the held-out loss is computed, the same at every check."""
        generator = torch.Generator().manual_seed(derive_seed(self._recipe.seed, "held-out crops"))
        levels = len(self._recipe.noise_levels)
        count = max(1, _HELD_OUT_CROPS // levels) * levels
        maps = self._held_out_maps
        return self._cut([maps[index % len(maps)] for index in range(count)], generator)

    def noise_levels(self) -> Tensor:
        """Return the recipe's noise levels in the unit of the maps, ``(L,)`` (feature maps: times their deviation)."""
        levels = torch.tensor(self._recipe.noise_levels)
        if self._recipe.maps is None:
            return levels
        crops, _ = self._sample()
        deviation = crops.double().var(dim=(0, 2, 3)).mean().sqrt().float()
        if not deviation > 0:
            raise InputError(f"maps: {self._recipe.maps} has the same value everywhere; valid: another layer")
        return levels * deviation

    def whitened_basis(self) -> Tensor:
        """Return ``D^(-1/2) diag(v + s^2)^(-1/2) U^T``, ``(D, D)``, of the patches' second moments ``U diag(v) U^T``.

        ``s`` is the geometric mean of :meth:`noise_levels`; ``D = C f^2``. A filter whose D coordinates in this basis
        are standard normal has responses of about unit variance to noisy maps.
        """
        recipe = self._recipe
        crops, generator = self._sample()
        places = (recipe.crop - recipe.filter_size + 1) ** 2
        share = min(places, max(1, _BASIS_PATCHES // _BASIS_CROPS))
        total = torch.zeros(())
        for crop in crops:
            patches = F.unfold(crop[None], recipe.filter_size)[0]
            picked = patches[:, torch.randperm(places, generator=generator)[:share]].double()
            if recipe.zero_mean:
                picked = picked.unflatten(0, (len(crop), -1))
                picked = (picked - picked.mean(dim=1, keepdim=True)).flatten(0, 1)
            total = total + picked @ picked.T
        # Second moments and not the covariance, because filters see the maps with their means and biases start at zero.
        values, vectors = torch.linalg.eigh(total / (share * _BASIS_CROPS))
        sigma = self.noise_levels().double().log().mean().exp()
        basis = vectors.T / (values.clamp(min=0) + sigma**2).sqrt()[:, None]
        return (basis / len(basis) ** 0.5).float()

    def _sample(self) -> tuple[Tensor, torch.Generator]:
        """Return the crops from which statistics are computed, and the generator that drew them."""
        generator = torch.Generator().manual_seed(derive_seed(self._recipe.seed, "basis"))
        chosen = torch.randint(len(self._shown_maps), (_BASIS_CROPS,), generator=generator).tolist()
        return self._cut([self._shown_maps[index] for index in chosen], generator), generator

    def _cut(self, indices: list[int], generator: torch.Generator) -> Tensor:
        """Return one crop at a random place of each map named."""
        crop, found = self._recipe.crop, []
        for batch in in_batches(len(indices), _READ_TOGETHER):
            for map_ in self._source.maps([indices[place] for place in batch]):
                rows, columns = map_.shape[1] - crop + 1, map_.shape[2] - crop + 1
                if min(rows, columns) < 1:
                    raise InputError(
                        f"crop: a map of {map_.shape[2]} x {map_.shape[1]} px is smaller than crops of {crop} px;"
                        " valid: smaller crops or larger pictures"
                    )
                top = int(torch.randint(rows, (), generator=generator))
                left = int(torch.randint(columns, (), generator=generator))
                found.append(map_[:, top : top + crop, left : left + crop])
        return torch.stack(found).float()
