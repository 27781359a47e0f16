"""Mean and covariance of patches that come in batches and are not kept."""

from __future__ import annotations

import torch
from torch import Tensor


class PatchMoments:
    """Sums over patches, in float64, from which their mean and covariance follow.

    Each group of channels has a covariance of its own: there is one group for filters over all channels, and a group
    for each channel for filters on one. The mean is one value per channel, the same at every pixel of a patch.

    Args:
        channels: of a patch.
        pixels: of a patch, ``size^2``.
        groups: number of groups, of equal numbers of channels.
        remove_dc: subtract each patch's own mean per channel first.
    """

    def __init__(self, channels: int, pixels: int, groups: int = 1, *, remove_dc: bool = False) -> None:
        self.count = 0
        self._channels, self._pixels, self._groups = channels, pixels, groups
        self._remove_dc = remove_dc
        dims = channels // groups * pixels
        self._second = torch.zeros(groups, dims, dims, dtype=torch.float64)
        self._first = torch.zeros(groups * dims, dtype=torch.float64)
        self._centre: Tensor | None = None
        self._additions = 0

    @property
    def projection(self) -> Tensor:
        """The matrix ``(dims, dims)`` that removes the mean per channel from a group of a patch, or the identity."""
        dims = self._second.shape[1]
        if not self._remove_dc:
            return torch.eye(dims, dtype=torch.float64)
        block = torch.eye(self._pixels, dtype=torch.float64) - 1.0 / self._pixels
        return torch.block_diag(*[block] * (self._channels // self._groups))

    def add(self, patches: Tensor) -> None:
        """Add patches ``(N, channels * pixels)``, flattened channel by channel."""
        if not len(patches):
            return
        data = patches.double()
        if self._centre is None:
            self._centre = self._channel_means(data.reshape(len(data), self._channels, self._pixels).mean(dim=(0, 2)))
        data = data - self._centre
        self._first += data.sum(dim=0)
        self.count += len(data)
        self._additions += 1
        for group, part in enumerate(data.tensor_split(self._groups, dim=1)):
            seen = part @ self.projection if self._remove_dc else part
            self._second[group] += seen.T @ seen

    def finish(self) -> tuple[Tensor, Tensor]:
        """Return the mean ``(channels * pixels,)`` and the covariances about it, ``(groups, dims, dims)``."""
        assert self._centre is not None, "no patches were added"
        if self._additions == 1:
            return self._centre, self._second / self.count
        # From sums about the mean c of the first batch to sums about the mean m of all, with e = m - c:
        # sum (x - m)(x - m)^T = sum (x - c)(x - c)^T - r e^T - e r^T + n e e^T with r = sum (x - c).
        shift = self._channel_means(self._first.reshape(self._channels, self._pixels).mean(dim=1) / self.count)
        mean, second = self._centre + shift, self._second
        if not self._remove_dc:  # where each patch's mean is removed, a shift of a channel makes no difference
            r, e = self._first.reshape(self._groups, -1, 1), shift.reshape(self._groups, -1, 1)
            cross = r @ e.transpose(1, 2)
            second = second - cross - cross.transpose(1, 2) + self.count * e @ e.transpose(1, 2)
        return mean, second / self.count

    def _channel_means(self, values: Tensor) -> Tensor:
        return values.repeat_interleave(self._pixels)
