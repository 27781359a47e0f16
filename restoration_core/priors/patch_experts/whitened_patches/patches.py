"""Patches drawn at random from pictures or feature maps, a few maps at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.maps import MapSource

CHUNK_BYTES = 256 << 20
"""Most memory of raw patches that are held at once."""


@dataclass(frozen=True)
class PatchPlan:
    """Which patches are cut from which map, and the place of each in the shuffled order.

    Attributes:
        size: side of a patch in positions of the map.
        corners: for every map the numbers of the chosen top-left corners, counted along the rows.
        order: for every map the places of its patches in the shuffled order.
    """

    size: int
    corners: tuple[NDArray[np.int64], ...]
    order: tuple[Tensor, ...]

    @property
    def count(self) -> int:
        """Patches in all."""
        return sum(len(chosen) for chosen in self.corners)


def plan_patches(sizes: Sequence[tuple[int, int]], size: int, count: int, seed: int) -> PatchPlan:
    """Choose square patches at random places of the maps, no place twice.

    Every map gives the same number of patches; where ``count`` does not divide, the first maps give one more.

    Args:
        sizes: height and width of every map.
        size: side of a patch.
        count: patches wanted.
        seed: decides the places and the order.

    Raises:
        InputError: no map, a map smaller than a patch, or maps with too few places.
    """
    if not sizes:
        raise InputError("pictures: at least one is needed to draw patches from, but got none")
    quotas = [count // len(sizes) + (index < count % len(sizes)) for index in range(len(sizes))]
    generator = np.random.default_rng(seed)
    corners = []
    for index, ((height, width), quota) in enumerate(zip(sizes, quotas, strict=True)):
        rows, columns = height - size + 1, width - size + 1
        places = max(rows, 0) * max(columns, 0)
        if min(rows, columns) < 1 or quota > places:
            raise InputError(
                f"picture {index} of {width} x {height} px has {places} patches of {size} x {size}"
                f" but {quota} are wanted of it; valid: larger or more pictures, or at most"
                f" {places * len(sizes)} patches"
            )
        corners.append(generator.choice(places, quota, replace=False))
    # Patch number i of all that are cut has the place at which the permutation holds i.
    order = torch.from_numpy(np.argsort(generator.permutation(count)))
    return PatchPlan(size, tuple(corners), order.split(quotas))


def stream_patches(
    source: MapSource, plan: PatchPlan, channels: Sequence[int] | None = None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the planned patches, as many at a time as 256 MiB hold.

    Args:
        source: maps of the sizes that were planned for.
        plan: which patches.
        channels: which channels, in this order; all when None.

    Returns:
        Pairs of places in the shuffled order ``(N,)``, rising, and patches ``(N, C * size^2)``, channel by channel.
    """
    taken = source.channels if channels is None else len(channels)
    most = max(1, CHUNK_BYTES // (4 * taken * plan.size**2))
    for run in _runs([len(chosen) for chosen in plan.corners], most):
        drawn = [_cut(source, plan, index, channels) for index in run]
        places = torch.cat([plan.order[index] for index in run])
        rising = places.argsort()
        yield places[rising], torch.cat(drawn)[rising]


def _cut(source: MapSource, plan: PatchPlan, index: int, channels: Sequence[int] | None) -> Tensor:
    (picture,) = source.maps([index])
    if channels is not None:
        picture = picture[list(channels)]
    chosen, size = torch.from_numpy(plan.corners[index]), plan.size
    columns = picture.shape[2] - size + 1
    windows = picture.unfold(1, size, 1).unfold(2, size, 1)
    return windows[:, chosen // columns, chosen % columns].transpose(0, 1).reshape(len(chosen), -1)


def _runs(quotas: Sequence[int], most: int) -> Iterator[range]:
    """Cut the maps into runs that give at most ``most`` patches each; a map that gives more is a run by itself."""
    first, held = 0, 0
    for index, quota in enumerate(quotas):
        if index > first and held + quota > most:
            yield range(first, index)
            first, held = index, 0
        held += quota
    yield range(first, len(quotas))
