"""A field of patch experts: a learned energy over all overlapping patches of a picture, with its exact gradient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.experts import Expert
from restoration_core.priors.prior import Prior

# Memory of the patches worked on at once: on a CPU small enough for caches and large enough for the matrix product to
# run at full speed (measured: flat from 3 to 8 MiB); an accelerator wants more work in a launch.
_CPU_CHUNK_BYTES = 6 << 20
_ACCELERATOR_CHUNK_BYTES = 256 << 20
_SCRATCH_ROWS = 32


@dataclass(frozen=True)
class _Grid:
    """Patches of some rows of a batch: top-left corners at ``top + stride * i``, ``left + stride * j``."""

    pictures: slice
    top: int
    left: int
    rows: int
    columns: int
    stride: int


class PatchExperts(Prior):
    """``E(x) = 1/P sum_p sum_k alpha_k (-G(w_k . x_p + b_k))`` over all ``P`` overlapping patches ``x_p`` of ``x``.

    It is minus the log-density of the learned Markov random field, divided by the number of patches, so that it does
    not grow with the picture (thesis eq. 9). The gradient is
    ``1/P sum_p R_p^T sum_k alpha_k (-g(s_kp)) w_k``, where ``R_p`` cuts patch ``p`` out.

    Patches are cut, multiplied and put back a few rows at a time in buffers that are used again, so that memory does
    not depend on the size of the picture.

    Args:
        filters: ``w``, ``(K, C, size, size)``, acting on raw patches (whitening folded in).
        alphas: ``(K,)``, positive.
        bias: ``b``, ``(K,)``: what removing the data set's mean leaves.
        expert: gives ``G`` and ``g``.
        patch_stride: with a stride ``t`` above 1, :meth:`gradient_at` takes one patch in ``t^2``; :meth:`energy` and
            :meth:`gradient` are always the full sums.

    Raises:
        InputError: shapes that do not fit, an alpha that is not positive, values that are not finite.
    """

    def __init__(self, filters: Tensor, alphas: Tensor, bias: Tensor, expert: Expert, *, patch_stride: int = 1) -> None:
        if filters.ndim != 4 or filters.shape[2] != filters.shape[3]:
            raise InputError(f"filters: shape (K, C, size, size) is needed, but got {tuple(filters.shape)}")
        count = len(filters)
        if alphas.shape != (count,) or bias.shape != (count,):
            raise InputError(
                f"alphas and bias: shape ({count},) is needed, one a filter, but got {tuple(alphas.shape)} and"
                f" {tuple(bias.shape)}"
            )
        if not all(bool(torch.isfinite(part).all()) for part in (filters, alphas, bias)):
            raise InputError("filters, alphas and bias: finite values are needed, but got some that are not")
        if not bool((alphas > 0).all()):
            raise InputError(f"alphas: alpha > 0 must hold for every expert, but got {float(alphas.min())}")
        if patch_stride < 1:
            raise InputError(f"patch_stride: patch_stride >= 1 must hold, but got {patch_stride}")
        self.filters = filters
        self.alphas = alphas
        self.bias = bias
        self.expert = expert
        self.patch_stride = patch_stride
        flat = filters.reshape(count, -1)
        # The bias is one more column, met by a row of ones: adding it apart would be one more pass over the responses.
        self._forward = torch.cat([flat, bias[:, None]], dim=1)
        # The back-projection carries alpha and the expert's constant, so that no pass over the responses is needed.
        self._back = (flat * (alphas * expert.influence_gain)[:, None]).T.contiguous()

    @property
    def patch_size(self) -> int:
        """Side of a patch in pixels."""
        return self.filters.shape[2]

    @property
    def channels(self) -> int:
        """Channels of a patch."""
        return self.filters.shape[1]

    def with_stride(self, patch_stride: int) -> PatchExperts:
        """Return this prior with another ``patch_stride``, sharing its tensors."""
        return PatchExperts(self.filters, self.alphas, self.bias, self.expert, patch_stride=patch_stride)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> PatchExperts:
        if self.filters.device == torch.device(device) and self.filters.dtype == dtype:
            return self
        filters, alphas, bias = (tensor.to(device, dtype) for tensor in (self.filters, self.alphas, self.bias))
        return PatchExperts(filters, alphas, bias, self.expert, patch_stride=self.patch_stride)

    @torch.no_grad()
    def energy(self, x: Tensor) -> Tensor:
        energy, _ = self._full(x, with_energy=True, with_gradient=False)
        return energy

    @torch.no_grad()
    def gradient(self, x: Tensor) -> Tensor:
        _, gradient = self._full(x, with_energy=False, with_gradient=True)
        return gradient

    @torch.no_grad()
    def energy_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._full(x, with_energy=True, with_gradient=True)

    @torch.no_grad()
    def gradient_at(self, x: Tensor, offsets: Tensor) -> Tensor:
        """Return the gradient over one patch in ``patch_stride^2``, scaled so that it is unbiased.

        Row ``b`` takes the patches whose top-left corners lie at ``offsets[b] + patch_stride * (i, j)``, and the sum
        is multiplied by ``patch_stride^2 / P``: the mean over all ``patch_stride^2`` offsets is :meth:`gradient`.

        Args:
            x: ``(B, C, H, W)``.
            offsets: ``(B, 2)`` integers (down, right) in ``[0, patch_stride)``, drawn anew at each step.

        Returns:
            ``(B, C, H, W)``.

        Raises:
            InputError: a picture smaller than a patch, other channels, or offsets of another shape or range.
        """
        rows, columns = self._places(x)
        stride = self.patch_stride
        places = offsets.tolist()
        if offsets.shape != (len(x), 2) or any(not 0 <= place < stride for pair in places for place in pair):
            raise InputError(f"offsets: shape ({len(x)}, 2) with values in [0, {stride}) is needed, but got {places}")
        gradient = torch.zeros_like(x, memory_format=torch.contiguous_format)
        buffers: dict[str, Tensor] = {}
        for row, (top, left) in enumerate(places):
            down, right = -(-(rows - top) // stride), -(-(columns - left) // stride)
            if down < 1 or right < 1:
                continue
            for grid in self._chunks(
                x, slice(row, row + 1), _Grid(slice(row, row + 1), top, left, down, right, stride)
            ):
                self._add_gradient(self._responses(x, grid, buffers), grid, gradient, buffers)
        return gradient.mul_(stride**2 / (rows * columns))

    def _full(self, x: Tensor, *, with_energy: bool, with_gradient: bool) -> tuple[Tensor, Tensor]:
        rows, columns = self._places(x)
        energy = x.new_zeros(len(x))
        gradient = torch.zeros_like(x if with_gradient else x[:0], memory_format=torch.contiguous_format)
        buffers: dict[str, Tensor] = {}
        together = self._pictures_together(x, rows * columns)
        for first in range(0, len(x), together):
            pictures = slice(first, min(first + together, len(x)))
            for grid in self._chunks(x, pictures, _Grid(pictures, 0, 0, rows, columns, 1)):
                responses = self._responses(x, grid, buffers)
                if with_energy:
                    energy[pictures] -= self._log_density(responses).reshape(len(energy[pictures]), -1).sum(dim=1)
                if with_gradient:
                    self._add_gradient(responses, grid, gradient, buffers)
        return energy.div_(rows * columns), gradient.div_(rows * columns)

    def check(self, shape: tuple[int, ...]) -> None:
        size = self.patch_size
        if len(shape) != 3 or shape[0] != self.channels:
            got = ", ".join(map(str, shape))
            raise InputError(f"x: shape (B, {self.channels}, H, W) is needed by this prior, but got (B, {got})")
        if min(shape[1:]) < size:
            raise InputError(
                f"x: a picture of {shape[2]} x {shape[1]} px is smaller than the prior's patches; valid: at least"
                f" {size} x {size} px"
            )

    def _places(self, x: Tensor) -> tuple[int, int]:
        """Return how many patches fit down and across."""
        self.check(tuple(x.shape[1:]))
        return x.shape[2] - self.patch_size + 1, x.shape[3] - self.patch_size + 1

    def _pictures_together(self, x: Tensor, patches: int) -> int:
        # On a CPU a chunk never spans two pictures, so that a row's bits do not depend on the rows beside it.
        return 1 if x.device.type == "cpu" else max(1, self._chunk_patches(x) // patches)

    def _chunk_patches(self, x: Tensor) -> int:
        budget = _CPU_CHUNK_BYTES if x.device.type == "cpu" else _ACCELERATOR_CHUNK_BYTES
        return max(1, budget // (sum(self._forward.shape) * x.element_size()))

    def _chunks(self, x: Tensor, pictures: slice, grid: _Grid) -> Iterator[_Grid]:
        """Split a grid into bands of whole rows of patches, as even as can be."""
        across = grid.columns * (pictures.stop - pictures.start)
        bands = -(-grid.rows // max(1, self._chunk_patches(x) // across))
        for band in range(bands):
            first, last = grid.rows * band // bands, grid.rows * (band + 1) // bands
            yield _Grid(pictures, grid.top + grid.stride * first, grid.left, last - first, grid.columns, grid.stride)

    def _responses(self, x: Tensor, grid: _Grid, buffers: dict[str, Tensor]) -> Tensor:
        """Return ``s``, ``(K, patches)``, of the patches of a grid."""
        size, stride = self.patch_size, grid.stride
        height, width = (grid.rows - 1) * stride + size, (grid.columns - 1) * stride + size
        window = x.detach()[grid.pictures, :, grid.top : grid.top + height, grid.left : grid.left + width]
        # (B, C, rows, columns, size, size) -> (C, size, size, B, rows, columns): whole rows of pixels are copied.
        patches = window.unfold(2, size, stride).unfold(3, size, stride).permute(1, 4, 5, 0, 2, 3)
        count, dims = patches[0, 0, 0].numel(), len(self._back)
        columns = _buffer(buffers, "patches", (dims + 1, count), x)
        columns[:dims].view(patches.shape).copy_(patches)
        columns[dims] = 1.0
        return torch.mm(self._forward, columns, out=_buffer(buffers, "responses", (len(self.alphas), count), x))

    def _log_density(self, responses: Tensor) -> Tensor:
        """Return ``sum_k alpha_k G(s_k)`` of each patch, a few filters at a time to stay in the cache."""
        total = responses.new_zeros(responses.shape[1])
        for block, alphas in zip(responses.split(_SCRATCH_ROWS), self.alphas.split(_SCRATCH_ROWS), strict=True):
            total += alphas @ self.expert.log_density(block)
        return total

    def _add_gradient(self, responses: Tensor, grid: _Grid, gradient: Tensor, buffers: dict[str, Tensor]) -> None:
        """Add the patches' gradients to the pictures they were cut from; overwrites ``responses``."""
        rows = min(len(responses), _SCRATCH_ROWS)
        scratch = _buffer(buffers, "scratch", (rows, responses.shape[1]), responses)
        influence = self.expert.influence_(responses, scratch)
        size, stride, count = self.patch_size, grid.stride, grid.pictures.stop - grid.pictures.start
        # The patches of this chunk are no longer needed: their buffer takes their gradients.
        columns = _buffer(buffers, "patches", (len(self._back), responses.shape[1]), responses)
        torch.mm(self._back, influence, out=columns)
        # Put back down first and then across, 2 * size additions instead of size^2: shifted sums of whole blocks.
        parts = columns.reshape(self.channels, size, size, count, grid.rows, grid.columns)
        height, width = (grid.rows - 1) * stride + 1, (grid.columns - 1) * stride + 1
        shape = (self.channels, size, count, height + size - 1, grid.columns)
        strips = _buffer(buffers, "strips", shape, responses).zero_()
        for down in range(size):
            strips[:, :, :, down : down + height : stride] += parts[:, down]
        target = gradient[grid.pictures, :, grid.top : grid.top + height + size - 1]
        for right in range(size):
            left = grid.left + right
            target[:, :, :, left : left + width : stride] += strips[:, right].transpose(0, 1)


def _buffer(buffers: dict[str, Tensor], name: str, shape: tuple[int, ...] | torch.Size, like: Tensor) -> Tensor:
    """Return a tensor of ``shape``, cut from one that is kept in ``buffers`` and grows when it must."""
    needed = 1
    for length in shape:
        needed *= length
    held = buffers.get(name)
    if held is None or held.numel() < needed:
        held = buffers[name] = like.new_empty(needed)
    return held[:needed].view(shape)
