"""What an optimiser needs of a network: features of a variable, be it a picture or an earlier layer's map."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor


class FeatureNetwork(Protocol):
    """A network seen from its input ``(B, channels, size, size)``; a classifier or a classifier's tail.

    Attributes:
        name: what users call it.
        channels: of the input.
        mean: of the input, per channel; for pictures the network's mean colour, [0, 1] units.
        deviation: of the input, per channel, the unit of a starting map's noise; 1 for pictures.
        takes_pictures: whether the input is RGB in [0, 1].
    """

    name: str

    @property
    def channels(self) -> int: ...

    @property
    def mean(self) -> tuple[float, ...]: ...

    @property
    def deviation(self) -> tuple[float, ...]: ...

    @property
    def takes_pictures(self) -> bool: ...

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type it computes in."""

    def to(self, device: torch.device | str, dtype: torch.dtype) -> FeatureNetwork:
        """Return it on ``device`` in ``dtype``: itself when it is there, otherwise a copy."""

    def resolve(self, name: str) -> str:
        """Return the layer's own name; raise ``InputError`` for an unknown layer."""

    def features(self, x: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """Return feature maps by the names given, in the autograd graph of ``x``."""

    def shape(self, layer: str, size: int) -> tuple[int, ...]:
        """Return the layer's shape without the batch; raise ``InputError`` where it does not take this size."""

    def depth(self, layer: str) -> int:
        """Return the layer's place in the order of the forward pass."""
