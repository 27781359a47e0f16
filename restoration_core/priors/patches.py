"""Patches drawn at random from photographs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from restoration_core.errors import InputError


def sample_patches(pictures: Sequence[Tensor], size: int, count: int, seed: int) -> Tensor:
    """Return ``count`` square patches at places drawn evenly over the pictures, without drawing a place twice.

    Every picture gives the same number of patches (the first ones one more where ``count`` does not divide).

    Args:
        pictures: each ``(C, H, W)``, float, RGB in [0, 1]; sizes may differ.
        size: side of a patch in pixels.
        count: patches wanted.
        seed: of the places and of the order.

    Returns:
        ``(count, C * size^2)``, channel by channel, shuffled, in the pictures' dtype.

    Raises:
        InputError: no picture, a picture smaller than a patch, or pictures with too few places.
    """
    if not pictures:
        raise InputError("pictures: at least one is needed to draw patches from, but got none")
    quotas = [count // len(pictures) + (index < count % len(pictures)) for index in range(len(pictures))]
    generator = np.random.default_rng(seed)
    drawn: list[Tensor] = []
    for index, (picture, quota) in enumerate(zip(pictures, quotas, strict=True)):
        rows, columns = picture.shape[1] - size + 1, picture.shape[2] - size + 1
        places = max(rows, 0) * max(columns, 0)
        if min(rows, columns) < 1 or quota > places:
            raise InputError(
                f"picture {index} of {picture.shape[2]} x {picture.shape[1]} px has {places} patches of {size} x {size}"
                f" but {quota} are wanted of it; valid: larger or more pictures, or at most"
                f" {places * len(pictures)} patches"
            )
        chosen = torch.from_numpy(generator.choice(places, quota, replace=False))
        windows = picture.unfold(1, size, 1).unfold(2, size, 1)
        drawn.append(windows[:, chosen // columns, chosen % columns].transpose(0, 1).reshape(quota, -1))
    patches = torch.cat(drawn)
    return patches[torch.from_numpy(generator.permutation(len(patches)))]
