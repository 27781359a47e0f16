"""Fields over all overlapping patches of a map: cutting patches out, and putting their gradients back."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.expert_functions import Expert
from restoration_core.priors.prior import Prior
from restoration_core.priors.tensor_checks import check_channels_of

CPU_CHUNK_BYTES = 6 << 20
"""Memory of the patches that are computed at once. On a CPU it is small enough for the caches and large enough for the
matrix product to run at full speed (3 to 8 MiB were measured to be equally fast)."""
_ACCELERATOR_CHUNK_BYTES = 256 << 20
_SCRATCH_ROWS = 32

Buffers = dict[str, Tensor]


@dataclass(frozen=True)
class _Grid:
    """Patches of some pictures of a batch, with top-left corners at ``top + stride * i``, ``left + stride * j``."""

    pictures: slice
    top: int
    left: int
    rows: int
    columns: int
    stride: int


class PatchField(Prior):
    """``E(x) = 1/P sum_p sum_k alpha_k (-G(s_kp))`` over all ``P`` overlapping patches ``p`` of ``x``.

    The responses ``s_kp`` are affine functions of the patch, which each kind of bank computes in its own way. The
    energy is minus the log-density of the learned Markov random field, divided by the number of patches, so that it
    does not grow with the map (thesis eq. 9).

    Patches are cut out, multiplied and added back a few rows at a time, in buffers that are used again, so that memory
    does not depend on the size of the map.

    Args:
        channels: of the maps.
        patch_size: side of a patch in positions of the map.
        groups: number of groups of channels (of equal size) that filters see separately; 1 for all together.
        alphas: ``(R,)``, one for each response, positive.
        expert: gives ``G`` and ``g``.
        patch_stride: with a stride ``t``, :meth:`gradient_at` and :meth:`energy_at` use one patch in ``t^2``.
            :meth:`energy` and :meth:`gradient` always use all patches.

    Raises:
        InputError: an alpha that is not positive, or a stride below 1.
    """

    def __init__(
        self, channels: int, patch_size: int, groups: int, alphas: Tensor, expert: Expert, patch_stride: int
    ) -> None:
        if not bool((alphas > 0).all()):
            raise InputError(f"alphas: alpha > 0 must hold for every expert, but got {float(alphas.min())}")
        if patch_stride < 1:
            raise InputError(f"patch_stride: patch_stride >= 1 must hold, but got {patch_stride}")
        self.expert = expert
        self.patch_stride = patch_stride
        self._channels, self._patch_size, self._groups = channels, patch_size, groups
        self._dims = channels // groups * patch_size**2
        self._weights = alphas

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels, or in positions of a feature map."""
        return self._patch_size

    @property
    def channels(self) -> int:
        """Channels of a patch."""
        return self._channels

    @abc.abstractmethod
    def parts(self) -> dict[str, Tensor]:
        """Return the tensors that the prior was made of, by the names of the constructor's arguments."""

    @abc.abstractmethod
    def made_of(self, parts: Mapping[str, Tensor], patch_stride: int) -> Self:
        """Return a prior of this kind and expert from other :meth:`parts`."""

    def with_stride(self, patch_stride: int) -> Self:
        """Return this prior with another ``patch_stride``, sharing its tensors."""
        return self.made_of(self.parts(), patch_stride)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> Self:
        if self._weights.device == torch.device(device) and self._weights.dtype == dtype:
            return self
        return self.made_of({name: part.to(device, dtype) for name, part in self.parts().items()}, self.patch_stride)

    @abc.abstractmethod
    def dense_filters(self) -> tuple[Tensor, Tensor]:
        """Return filters ``(R, C or 1, size, size)`` and their alphas ``(R,)``, to be drawn."""

    @abc.abstractmethod
    def _respond(self, columns: Tensor, buffers: Buffers) -> Tensor:
        """Return the responses ``(R, P)`` of patches ``(groups, dims + 1, P)``, whose last row is 1 for the bias."""

    @abc.abstractmethod
    def _project_back(self, influence: Tensor, out: Tensor, buffers: Buffers) -> None:
        """Write ``sum_k alpha_k gain w_k influence_kp`` of responses ``(R, P)`` into ``out``, ``(groups, dims, P)``."""

    @torch.no_grad()
    def energy(self, x: Tensor) -> Tensor:
        energy, _ = self._sum(x, self._all_patches(x), with_energy=True, with_gradient=False)
        return energy

    @torch.no_grad()
    def gradient(self, x: Tensor) -> Tensor:
        _, gradient = self._sum(x, self._all_patches(x), with_energy=False, with_gradient=True)
        return gradient

    @torch.no_grad()
    def energy_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._sum(x, self._all_patches(x), with_energy=True, with_gradient=True)

    @torch.no_grad()
    def energy_at(self, x: Tensor, offsets: Tensor) -> Tensor:
        """Return the energy ``(B,)`` over the patches that :meth:`gradient_at` uses, and with its scale.

        Its gradient is :meth:`gradient_at`, its mean over all offsets :meth:`energy`. Args and Raises as there.
        """
        energy, _ = self._sum(x, self._few_patches(x, offsets), with_energy=True, with_gradient=False)
        return energy.mul_(self.patch_stride**2)

    @torch.no_grad()
    def gradient_at(self, x: Tensor, offsets: Tensor) -> Tensor:
        """Return an unbiased estimate of the gradient from one patch in ``patch_stride^2``.

        For row ``b`` these are the patches with top-left corners at ``offsets[b] + patch_stride * (i, j)``. The sum is
        multiplied by ``patch_stride^2 / P``, so that the mean over all ``patch_stride^2`` offsets is :meth:`gradient`.

        Args:
            x: ``(B, C, H, W)``.
            offsets: ``(B, 2)`` integers (down, right) in ``[0, patch_stride)``, to be drawn anew at each step.

        Returns:
            ``(B, C, H, W)``.

        Raises:
            InputError: a picture smaller than a patch, other channels, or offsets of another shape or range.
        """
        _, gradient = self._sum(x, self._few_patches(x, offsets), with_energy=False, with_gradient=True)
        return gradient.mul_(self.patch_stride**2)

    def _all_patches(self, x: Tensor) -> list[_Grid]:
        rows, columns = self._places(x)
        together = self.pictures_together(x, rows * columns)
        return [
            _Grid(slice(first, min(first + together, len(x))), 0, 0, rows, columns, 1)
            for first in range(0, len(x), together)
        ]

    def _few_patches(self, x: Tensor, offsets: Tensor) -> list[_Grid]:
        rows, columns = self._places(x)
        stride = self.patch_stride
        places = offsets.tolist()
        if offsets.shape != (len(x), 2) or any(not 0 <= place < stride for pair in places for place in pair):
            raise InputError(f"offsets: shape ({len(x)}, 2) with values in [0, {stride}) is needed, but got {places}")
        return [
            _Grid(slice(row, row + 1), top, left, -(-(rows - top) // stride), -(-(columns - left) // stride), stride)
            for row, (top, left) in enumerate(places)
            if top < rows and left < columns
        ]

    def _sum(
        self, x: Tensor, grids: Sequence[_Grid], *, with_energy: bool, with_gradient: bool
    ) -> tuple[Tensor, Tensor]:
        """Return energy and gradient summed over the patches of the grids, divided by the number of all patches."""
        x = _in_rows(x.detach())
        energy = x.new_zeros(len(x))
        gradient = torch.zeros_like(x if with_gradient else x[:0])
        buffers: Buffers = {}
        for grid in grids:
            for band in self._bands(x, grid):
                responses = self._responses(x, band, buffers)
                if with_energy:
                    energies = energy[band.pictures]
                    energies -= self._log_density(responses).reshape(len(energies), -1).sum(dim=1)
                if with_gradient:
                    self._add_gradient(responses, band, gradient, buffers)
        rows, columns = self._places(x)
        return energy.div_(rows * columns), gradient.div_(rows * columns)

    def check(self, shape: tuple[int, ...]) -> None:
        size = self.patch_size
        check_channels_of(shape, self.channels)
        if min(shape[1:]) < size:
            raise InputError(
                f"x: a picture of {shape[2]} x {shape[1]} px is smaller than the prior's patches; valid: at least"
                f" {size} x {size} px"
            )

    def _places(self, x: Tensor) -> tuple[int, int]:
        """Return how many patches fit down and across."""
        self.check(tuple(x.shape[1:]))
        return x.shape[2] - self.patch_size + 1, x.shape[3] - self.patch_size + 1

    def pictures_together(self, x: Tensor, patches: int) -> int:
        """Return how many pictures, of so many ``patches`` each, are computed in one matrix product.

        On a CPU always one, so that a row's bits do not depend on the rows beside it.
        """
        return 1 if x.device.type == "cpu" else max(1, self._chunk_patches(x) // patches)

    def _chunk_patches(self, x: Tensor) -> int:
        budget = CPU_CHUNK_BYTES if x.device.type == "cpu" else _ACCELERATOR_CHUNK_BYTES
        rows = len(self._weights) + self._groups * (self._dims + 1)
        return max(1, budget // (rows * x.element_size()))

    def _bands(self, x: Tensor, grid: _Grid) -> Iterator[_Grid]:
        """Split a grid into bands of about equal numbers of rows that fit the memory budget."""
        across = grid.columns * (grid.pictures.stop - grid.pictures.start)
        bands = -(-grid.rows // max(1, self._chunk_patches(x) // across))
        for band in range(bands):
            first, last = grid.rows * band // bands, grid.rows * (band + 1) // bands
            yield replace(grid, top=grid.top + grid.stride * first, rows=last - first)

    def _responses(self, x: Tensor, grid: _Grid, buffers: Buffers) -> Tensor:
        """Return ``s``, ``(R, patches)``, of the patches of a grid."""
        size, stride = self.patch_size, grid.stride
        height, width = (grid.rows - 1) * stride + size, (grid.columns - 1) * stride + size
        window = x[grid.pictures, :, grid.top : grid.top + height, grid.left : grid.left + width]
        # (B, C, rows, columns, size, size) -> (C, size, size, B, rows, columns): whole rows of pixels are copied.
        patches = window.unfold(2, size, stride).unfold(3, size, stride).permute(1, 4, 5, 0, 2, 3)
        count, groups, dims = patches[0, 0, 0].numel(), self._groups, self._dims
        columns = buffer(buffers, "patches", (groups, dims + 1, count), x)
        patches = patches.unflatten(0, (groups, self.channels // groups))
        columns[:, :dims].view(patches.shape).copy_(patches)
        # A bias is one more column of the filters, met by a row of ones: adding it apart would be one more pass.
        columns[:, dims] = 1.0
        return self._respond(columns, buffers)

    def _log_density(self, responses: Tensor) -> Tensor:
        """Return ``sum_k alpha_k G(s_k)`` of each patch, computed a few filters at a time to stay in the cache."""
        total = responses.new_zeros(responses.shape[1])
        for block, alphas in zip(responses.split(_SCRATCH_ROWS), self._weights.split(_SCRATCH_ROWS), strict=True):
            total += alphas @ self.expert.log_density(block)
        return total

    def _add_gradient(self, responses: Tensor, grid: _Grid, gradient: Tensor, buffers: Buffers) -> None:
        """Add the patches' gradients to the pictures that they were cut from; overwrites ``responses``."""
        rows = min(len(responses), _SCRATCH_ROWS)
        scratch = buffer(buffers, "scratch", (rows, responses.shape[1]), responses)
        influence = self.expert.influence_(responses, scratch)
        size, stride, count = self.patch_size, grid.stride, grid.pictures.stop - grid.pictures.start
        # The patches are not needed any more, so their buffer is used for their gradients.
        columns = buffer(buffers, "patches", (self._groups, self._dims, responses.shape[1]), responses)
        self._project_back(influence, columns, buffers)
        # Added up down first and then across, which takes 2 * size additions of whole blocks instead of size^2.
        parts = columns.reshape(self.channels, size, size, count, grid.rows, grid.columns)
        height, width = (grid.rows - 1) * stride + 1, (grid.columns - 1) * stride + 1
        shape = (self.channels, size, count, height + size - 1, grid.columns)
        strips = buffer(buffers, "strips", shape, responses).zero_()
        for down in range(size):
            strips[:, :, :, down : down + height : stride] += parts[:, down]
        target = gradient[grid.pictures, :, grid.top : grid.top + height + size - 1]
        for right in range(size):
            left = grid.left + right
            target[:, :, :, left : left + width : stride] += strips[:, right].transpose(0, 1)


def _in_rows(x: Tensor) -> Tensor:
    """Return ``x`` contiguous, so that patches are cut out as whole rows (networks give channels_last maps)."""
    if x.is_contiguous() or x.device.type != "cpu" or not x.is_contiguous(memory_format=torch.channels_last):
        return x.contiguous()
    found = torch.empty_like(x, memory_format=torch.contiguous_format)
    for row, pixels in zip(found.flatten(2), x.permute(0, 2, 3, 1).flatten(1, 2), strict=True):
        row.copy_(pixels.t())  # six times as fast as a copy between the memory layouts
    return found


def buffer(buffers: Buffers, name: str, shape: tuple[int, ...] | torch.Size, like: Tensor) -> Tensor:
    """Return a tensor of ``shape`` in memory that ``buffers`` keeps under ``name`` and enlarges where needed."""
    needed = 1
    for length in shape:
        needed *= length
    held = buffers.get(name)
    if held is None or held.numel() < needed:
        held = buffers[name] = like.new_empty(needed)
    return held[:needed].view(shape)
