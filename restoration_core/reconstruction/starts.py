"""What a reconstruction starts from: noise drawn from its seed, or a given picture or map."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.networks import FeatureNetwork
from restoration_core.reconstruction.problem import NORMAL, UNIFORM, ZERO_PADDED, Problem
from restoration_core.seeds import derive_seed

MID_GREY = 0.5
_QUANTILE = 0.95


def starting_variable(network: FeatureNetwork, problem: Problem, size: int, factor: int) -> Tensor:
    """Return the starting canvas at 1/factor of its size, ``(C, h, w)``.

    Noise depends on the problem's seed alone: it is drawn in float32 on the host, on whatever device and in whatever
    dtype the problem is solved.

    Args:
        network: whose input is optimised; on any device.
        problem: with ``initial``, or with ``initial_noise``, ``initial_std`` and ``seed``.
        size: side of the picture or map.
        factor: of the coarse-to-fine stage.
    """
    canvas = canvas_side(problem, size)
    if problem.initial is not None:
        before = centre_corner(problem)
        after = canvas - size - before
        initial = problem.initial.to(network.device, network.dtype).unsqueeze(0)
        return shrink(F.pad(initial, (before, after, before, after), mode="replicate"), factor)[0].clone()
    side = -(-canvas // factor)
    generator = random_generator(problem.seed, "noise")
    shape = (network.channels, side, side)
    centre = network.mean
    if problem.initial_noise == NORMAL:
        noise = problem.initial_std * torch.randn(shape, generator=generator)
        if network.takes_pictures:
            centre = (MID_GREY,) * network.channels
    elif problem.initial_noise == UNIFORM:
        noise = 2 * torch.rand(shape, generator=generator) - 1
        noise *= problem.initial_std * 3**0.5 * _QUANTILE / noise.abs().quantile(_QUANTILE)
    else:
        noise = torch.randn(shape, generator=generator)
        noise *= problem.initial_std / noise.square().mean().sqrt()
    noise = noise * torch.tensor(network.deviation).reshape(-1, 1, 1) + torch.tensor(centre).reshape(-1, 1, 1)
    return noise.to(device=network.device, dtype=network.dtype)


def canvas_side(problem: Problem, size: int) -> int:
    """Return the side of the optimised canvas for pictures of ``size``."""
    return size if problem.jitter_canvas == ZERO_PADDED else size + problem.jitter - 1


def centre_corner(problem: Problem) -> int:
    """Return where the picture begins on the canvas, along both axes."""
    return 0 if problem.jitter_canvas == ZERO_PADDED else (problem.jitter - 1) // 2


def upsample(coarse: Tensor, side: int) -> Tensor:
    """Return ``(B, C, h, h)`` resized bilinearly to ``(B, C, side, side)``; a linear map, the identity at full size."""
    if coarse.shape[-1] == side:
        return coarse
    return F.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)


def shrink(full: Tensor, factor: int) -> Tensor:
    """Return the means of ``full`` over blocks of ``factor`` x ``factor`` pixels (the last ones smaller)."""
    if factor == 1:
        return full
    side = -(-full.shape[-1] // factor)
    return F.interpolate(full, size=(side, side), mode="area")


def random_generator(seed: int, *purpose: str) -> torch.Generator:
    """Return a generator on the host for one purpose (``noise``, ``jitter``), so that purposes do not share numbers."""
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))
