"""A prior on some channels of a map, which leaves the others free."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.patch_experts.patch_field import PatchField
from restoration_core.priors.prior import Prior
from restoration_core.priors.tensor_checks import check_channels_of


class ChannelSubset(Prior):
    """``E(x) = F(x[chosen])`` for a field ``F`` over ``len(chosen)`` channels; the gradient is 0 in the others.

    Args:
        field: the prior on the chosen channels.
        chosen: their numbers, counted from 0, each once.
        channels: of the whole map.

    Raises:
        InputError: channel numbers that are out of range or repeated, or not as many as the field takes.
    """

    def __init__(self, field: PatchField, chosen: Sequence[int], channels: int) -> None:
        check_channels(chosen, channels)
        if len(chosen) != field.channels:
            raise InputError(f"channels: {field.channels} are needed by this prior, but got {len(chosen)}")
        self.field = field
        self.chosen = tuple(chosen)
        self.map_channels = channels

    @property
    def patch_size(self) -> int:
        """Side of a patch in positions of the map."""
        return self.field.patch_size

    @property
    def channels(self) -> int:
        """Channels of the whole map."""
        return self.map_channels

    @property
    def patch_stride(self) -> int:
        """See :class:`PatchField`."""
        return self.field.patch_stride

    def with_stride(self, patch_stride: int) -> ChannelSubset:
        """Return this prior with another ``patch_stride``, sharing its tensors."""
        return ChannelSubset(self.field.with_stride(patch_stride), self.chosen, self.map_channels)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> ChannelSubset:
        moved = self.field.to(device, dtype)
        assert isinstance(moved, PatchField)
        return self if moved is self.field else ChannelSubset(moved, self.chosen, self.map_channels)

    def check(self, shape: tuple[int, ...]) -> None:
        check_channels_of(shape, self.map_channels)
        self.field.check((len(self.chosen), *shape[1:]))

    def energy(self, x: Tensor) -> Tensor:
        return self.field.energy(self._pick(x))

    def gradient(self, x: Tensor) -> Tensor:
        return self._spread(x, self.field.gradient(self._pick(x)))

    def energy_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        energy, gradient = self.field.energy_and_gradient(self._pick(x))
        return energy, self._spread(x, gradient)

    def energy_at(self, x: Tensor, offsets: Tensor) -> Tensor:
        """Return the energy over one patch in ``patch_stride^2``; see :meth:`PatchField.energy_at`."""
        return self.field.energy_at(self._pick(x), offsets)

    def gradient_at(self, x: Tensor, offsets: Tensor) -> Tensor:
        """Return the gradient over one patch in ``patch_stride^2``; see :meth:`PatchField.gradient_at`."""
        return self._spread(x, self.field.gradient_at(self._pick(x), offsets))

    def _pick(self, x: Tensor) -> Tensor:
        self.check(tuple(x.shape[1:]))
        return x.detach()[:, self.chosen]

    def _spread(self, x: Tensor, gradient: Tensor) -> Tensor:
        whole = torch.zeros_like(x, memory_format=torch.contiguous_format)
        whole[:, self.chosen] = gradient
        return whole


def check_channels(chosen: Sequence[int], channels: int | None = None) -> None:
    """Refuse a choice of channels that is empty, negative, repeated, or beyond ``channels``.

    Raises:
        InputError: such a choice.
    """
    highest = max(chosen, default=-1)
    if not chosen or min(chosen) < 0 or len(set(chosen)) != len(chosen):
        raise InputError(f"channels: numbers from 0, each once, are needed, but got {list(chosen)}")
    if channels is not None and highest >= channels:
        raise InputError(f"channels: the map has channels 0 to {channels - 1}, but got {highest}")
