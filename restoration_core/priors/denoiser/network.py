"""A small convolutional network that predicts the noise in a map, at any noise level of a range."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

_KINDS = ("filters", "biases", "slopes")


@dataclass(frozen=True)
class NoiseNetwork:
    """``F(u, log sigma)``: the standard-normal noise in ``u = (x - centre) / sigma``.

    Blocks of ``factor x factor`` pixels are taken as channels, which leaves fewer places to work at and enlarges the
    receptive field. Then come 3 x 3 convolutions with zero padding: one in, residual blocks of two convolutions, each
    after a ReLU, with a short-cut past the block, and one out. In ``u`` the noise has the same size at every level; the
    level itself enters through the biases, ``b_l + v_l log sigma``, so that at a given level the network is a plain
    convolutional one.

    Attributes:
        filters: of each layer, ``(out, in, 3, 3)``; the first ``in`` and the last ``out`` are ``factor^2 C``.
        biases: ``b_l``, ``(out,)``.
        slopes: ``v_l``, ``(out,)``.
        factor: side of the blocks; 1 works on pixels.

    Source: Zhang, Zuo & Zhang 2018 (FFDNet) for the blocks; Zhang et al. 2017 (DnCNN) for predicting the noise; He et
    al. 2016 for short-cuts past convolutions that begin with the ReLU.
    """

    filters: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]
    slopes: tuple[Tensor, ...]
    factor: int

    @classmethod
    def drawn(cls, channels: int, width: int, depth: int, factor: int, generator: torch.Generator) -> NoiseNetwork:
        """Return an untrained network that predicts no noise.

        The filters are drawn as by He et al. (normal). Those of the first layer sum to zero over each channel, because
        the mean of ``u`` is large at low noise and tells nothing about the noise. The last layer is zero.

        Args:
            channels: C of the maps.
            width: channels of the hidden layers.
            depth: number of convolutions, even.
            factor: side of the blocks in pixels.
            generator: of the filters.
        """
        block = channels * factor**2
        sizes = [block, *[width] * (depth - 1), block]
        filters = [
            torch.randn(after, before, 3, 3, generator=generator) * math.sqrt(2 / (9 * before))
            for before, after in itertools.pairwise(sizes)
        ]
        parts = filters[0].view(width, channels, -1)
        filters[0] = (parts - parts.mean(dim=2, keepdim=True)).view(width, block, 3, 3)
        filters[-1].zero_()
        zeros = [torch.zeros(size) for size in sizes[1:]]
        return cls(tuple(filters), tuple(zeros), tuple(zero.clone() for zero in zeros), factor)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], factor: int) -> NoiseNetwork:
        """Return the network whose :meth:`tensors` are among ``tensors``; raises KeyError where one is missing."""
        depth = sum(name.startswith("filters.") for name in tensors)
        if depth == 0:
            raise KeyError("filters.0")
        parts = (tuple(tensors[f"{kind}.{layer}"] for layer in range(depth)) for kind in _KINDS)
        filters, biases, slopes = parts
        return cls(filters, biases, slopes, factor)

    def tensors(self) -> dict[str, Tensor]:
        """Return all tensors by name, ``filters.0`` and so on."""
        return {f"{kind}.{layer}": part for kind in _KINDS for layer, part in enumerate(getattr(self, kind))}

    @property
    def channels(self) -> int:
        """Channels of the maps."""
        return self.filters[0].shape[1] // self.factor**2

    @property
    def receptive_field(self) -> int:
        """Side in pixels of the window that the noise of a pixel is predicted from."""
        return self.factor * (2 * len(self.filters) + 1)

    def biases_at(self, sigma: float) -> tuple[Tensor, ...]:
        """Return the biases at one noise level, ``(out,)`` each."""
        return tuple(bias + slope * math.log(sigma) for bias, slope in zip(self.biases, self.slopes, strict=True))

    def biases_of(self, sigmas: Tensor) -> tuple[Tensor, ...]:
        """Return the biases of rows with levels ``(B,)``, ``(B, out)`` each."""
        logs = sigmas.log()[:, None]
        return tuple(bias + slope * logs for bias, slope in zip(self.biases, self.slopes, strict=True))

    def noise(self, scaled: Tensor, biases: Sequence[Tensor]) -> Tensor:
        """Return the noise predicted in ``scaled``.

        Args:
            scaled: ``u``, ``(B, C, H, W)``.
            biases: from :meth:`biases_at` or :meth:`biases_of`.

        Returns:
            ``(B, C, H, W)``, in units of the noise's standard deviation.
        """
        height, width = scaled.shape[-2:]
        down, right = -height % self.factor, -width % self.factor
        if down or right:  # fill up to whole blocks by repeating the edge
            scaled = F.pad(scaled, (0, right, 0, down), mode="replicate")
        hidden = F.pixel_unshuffle(scaled, self.factor).contiguous(memory_format=torch.channels_last)
        carried, last = hidden, len(self.filters) - 1
        for layer, (filters, bias) in enumerate(zip(self.filters, biases, strict=True)):
            if layer > 0:  # not in place: the short-cut still needs it
                hidden = F.relu(hidden)
            if bias.ndim == 1:
                hidden = F.conv2d(hidden, filters, bias, padding=1)
            else:
                hidden = F.conv2d(hidden, filters, padding=1).add_(bias[:, :, None, None])
            if layer == 0:
                carried = hidden
            elif layer % 2 == 0 and layer < last:
                carried = hidden = hidden.add_(carried)
        return F.pixel_shuffle(hidden, self.factor)[..., :height, :width]

    def to(self, device: torch.device | str, dtype: torch.dtype) -> NoiseNetwork:
        """Return the network with its tensors on ``device`` in ``dtype``, the filters in ``channels_last`` layout."""
        filters = tuple(part.to(device, dtype, memory_format=torch.channels_last) for part in self.filters)
        biases, slopes = (tuple(part.to(device, dtype) for part in parts) for parts in (self.biases, self.slopes))
        return NoiseNetwork(filters, biases, slopes, self.factor)
