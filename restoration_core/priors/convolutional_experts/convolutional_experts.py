"""A convolutional field of experts over several scales and noise levels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.errors import InputError, unknown
from restoration_core.priors.convolutional_experts.convolution import (
    BOUNDARIES,
    back_project,
    margins,
    pad_reflect,
    pad_reflect_adjoint,
    pool,
    pool_adjoint,
    row_kernels,
)
from restoration_core.priors.expert_functions import Expert
from restoration_core.priors.prior import Prior
from restoration_core.priors.tensor_checks import check_channels_of, check_parts, check_square

CPU_CHUNK_BYTES = 4 << 20
"""Memory of the responses that are computed at once: on a CPU they should fit its caches."""
_ACCELERATOR_CHUNK_BYTES = 256 << 20


class ConvolutionalExperts(Prior):
    """``E(x) = 1/(H W) sum_s sum_p sum_k alpha_sk (-G(gamma_sk ((w_k * P_s x)_p + b_k)))`` over all places ``p``.

    ``P_s`` averages blocks of ``2^s x 2^s`` pixels, so that the same filters see structures of several sizes; ``*`` is
    the correlation that ``conv2d`` computes. Filters may have any norm. ``-H W E(x)`` is the log-density of the field
    up to a constant, and ``-H W grad E(x)`` is its score. With ``^T`` for the adjoint, the gradient is
    ``1/(H W) sum_s P_s^T sum_k w_k *^T (alpha_sk gamma_sk (-g(.)))``.

    The weights ``alpha`` and ``gamma`` are trained for several noise levels ``sigma``. At each level the field models
    natural pictures plus white noise of that deviation. :meth:`at_noise` gives the field of another level; between
    trained levels the logarithms of ``alpha`` and ``gamma`` are interpolated linearly in ``log sigma``.

    Boundary: with ``reflect`` the picture is mirrored at its edges by half a filter, at every scale, so that a filter
    is centred on every pixel. With ``valid`` filters lie wholly inside the picture, and pixels near the edge are
    covered by fewer of them. Where ``2^s`` does not divide the size, the last blocks hold fewer pixels.

    Args:
        filters: ``w``, ``(K, C, f, f)``, acting on pictures in [0, 1] or on raw feature maps.
        bias: ``b``, ``(K,)``.
        alphas: ``(L, S, K)``, positive: noise levels, scales from fine to coarse, experts.
        gammas: ``(L, S, K)``, positive.
        noise_levels: the L standard deviations, rising, in the unit of the maps.
        expert: gives ``G`` and ``g``.
        boundary: ``reflect`` or ``valid``.
        noise: the noise level to model; the middle one when None.

    Raises:
        InputError: shapes that do not fit, values that are not finite or not positive, an unknown boundary, or a noise
            outside the trained levels.

    Source: thesis eq. 9 as a field; Roth & Black 2005, eq. 4.
    """

    def __init__(
        self,
        filters: Tensor,
        bias: Tensor,
        alphas: Tensor,
        gammas: Tensor,
        noise_levels: Sequence[float],
        expert: Expert,
        *,
        boundary: str = "reflect",
        noise: float | None = None,
    ) -> None:
        check_square("filters", filters, "K, C")
        count, levels = len(filters), tuple(float(level) for level in noise_levels)
        if not levels or levels[0] <= 0 or sorted(set(levels)) != list(levels):
            raise InputError(f"noise_levels: positive values, rising, are needed, but got {list(levels)}")
        if alphas.ndim != 3 or alphas.shape[::2] != (len(levels), count) or gammas.shape != alphas.shape:
            raise InputError(
                f"alphas and gammas: shape ({len(levels)}, scales, {count}) is needed, noise levels x scales x filters,"
                f" but got {tuple(alphas.shape)} and {tuple(gammas.shape)}"
            )
        check_parts(
            filters=(filters, tuple(filters.shape)),
            bias=(bias, (count,)),
            alphas=(alphas, tuple(alphas.shape)),
            gammas=(gammas, tuple(gammas.shape)),
        )
        if not bool((alphas > 0).all() and (gammas > 0).all()):
            raise InputError("alphas and gammas: values > 0 must hold, but got some that are not")
        if boundary not in BOUNDARIES:
            raise InputError(unknown("boundary", boundary, BOUNDARIES))
        self.filters, self.bias, self.level_alphas, self.level_gammas = filters, bias, alphas, gammas
        self.noise_levels, self.expert, self.boundary = levels, expert, boundary
        self.noise = levels[len(levels) // 2] if noise is None else float(noise)
        here, self._gammas = (self._interpolated(part) for part in (alphas, gammas))
        self._alphas = here
        # gamma, alpha and the expert's constant are multiplied into the kernels here, once.
        self._forward = [
            (scale[:, None, None, None] * filters).contiguous(memory_format=torch.channels_last)
            for scale in self._gammas
        ]
        self._shifts = [scale * bias for scale in self._gammas]
        self._back = [
            row_kernels((alpha * scale * expert.influence_gain)[:, None, None, None] * filters)
            for alpha, scale in zip(here, self._gammas, strict=True)
        ]

    @property
    def patch_size(self) -> int:
        """Side of a filter in pixels of its scale."""
        return self.filters.shape[2]

    @property
    def channels(self) -> int:
        """Channels of a filter."""
        return self.filters.shape[1]

    @property
    def scales(self) -> int:
        """Number of scales, each half the size of the one before."""
        return self.level_alphas.shape[1]

    @property
    def alphas(self) -> Tensor:
        """Weight of each expert at the present noise level, summed over the scales, ``(K,)``."""
        return self._alphas.sum(dim=0)

    def at_noise(self, noise: float) -> ConvolutionalExperts:
        """Return this prior at another noise level, sharing its filters.

        Args:
            noise: standard deviation in the unit of the maps, from the lowest to the highest trained level.

        Raises:
            InputError: outside the trained levels.
        """
        return self if noise == self.noise else self._like(self.filters.device, self.filters.dtype, noise)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> ConvolutionalExperts:
        if self.filters.device == torch.device(device) and self.filters.dtype == dtype:
            return self
        return self._like(device, dtype, self.noise)

    def _like(self, device: torch.device | str, dtype: torch.dtype, noise: float) -> ConvolutionalExperts:
        return ConvolutionalExperts(
            self.filters.to(device, dtype),
            self.bias.to(device, dtype),
            self.level_alphas.to(device, dtype),
            self.level_gammas.to(device, dtype),
            self.noise_levels,
            self.expert,
            boundary=self.boundary,
            noise=noise,
        )

    def _interpolated(self, values: Tensor) -> Tensor:
        """Return ``values``, ``(L, S, K)``, interpolated to the present noise level, ``(S, K)``."""
        levels, noise = self.noise_levels, self.noise
        if noise in levels:
            return values[levels.index(noise)]
        if not levels[0] < noise < levels[-1]:
            raise InputError(
                f"noise: {levels[0]} <= noise <= {levels[-1]} must hold, the levels this prior was trained at, but got"
                f" {noise}"
            )
        above = next(index for index, level in enumerate(levels) if level > noise)
        low, high = levels[above - 1], levels[above]
        share = math.log(noise / low) / math.log(high / low)
        return torch.lerp(values[above - 1].log(), values[above].log(), share).exp()

    def check(self, shape: tuple[int, ...]) -> None:
        check_channels_of(shape, self.channels)
        # To mirror a margin takes one pixel more than its width; without margins a whole filter must fit.
        fits = self.patch_size // 2 + 1 if self.boundary == "reflect" else self.patch_size
        side = (fits - 1) * 2 ** (self.scales - 1) + 1
        if min(shape[1:]) < side:
            raise InputError(
                f"x: a map of {shape[2]} x {shape[1]} px is too small for filters of {self.patch_size} x"
                f" {self.patch_size} on {self.scales} scales; valid: at least {side} x {side} px"
            )

    @torch.no_grad()
    def energy(self, x: Tensor) -> Tensor:
        return self._evaluate(x, with_energy=True, with_gradient=False)[0]

    @torch.no_grad()
    def gradient(self, x: Tensor) -> Tensor:
        return self._evaluate(x, with_energy=False, with_gradient=True)[1]

    @torch.no_grad()
    def energy_and_gradient(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self._evaluate(x, with_energy=True, with_gradient=True)

    def _evaluate(self, x: Tensor, *, with_energy: bool, with_gradient: bool) -> tuple[Tensor, Tensor]:
        self.check(tuple(x.shape[1:]))
        x = x.detach()
        energy = x.new_zeros(len(x))
        gradient = torch.zeros_like(x if with_gradient else x[:0], memory_format=torch.contiguous_format)
        # On a CPU one picture at a time, so that a row's bits do not depend on the rows beside it.
        together = 1 if x.device.type == "cpu" else len(x)
        for pictures in (slice(first, first + together) for first in range(0, len(x), together)):
            for scale in range(self.scales):
                self._add_scale(
                    x[pictures], scale, energy[pictures] if with_energy else None, gradient[pictures], with_gradient
                )
        pixels = x.shape[2] * x.shape[3]
        return energy.div_(pixels), gradient.div_(pixels)

    def _add_scale(self, x: Tensor, scale: int, energy: Tensor | None, gradient: Tensor, with_gradient: bool) -> None:
        """Add one scale's energy and gradient, not yet divided by the number of pixels."""
        size, edges = self.patch_size, margins(self.patch_size, self.boundary)
        coarse = pad_reflect(pool(x, 2**scale), *edges)
        slopes = torch.zeros_like(coarse) if with_gradient else None
        for band in self._bands(coarse):
            window = coarse[:, :, band.start : band.stop + size - 1]
            responses = F.conv2d(window, self._forward[scale], self._shifts[scale])
            if energy is not None:
                weighted = self.expert.log_density(responses).sum(dim=(2, 3)) @ self._alphas[scale]
                energy -= weighted
            if slopes is not None:
                flat = responses.flatten(0, 1).flatten(1)
                influence = self.expert.influence_(flat, torch.empty_like(flat[:32])).reshape(responses.shape)
                slopes[:, :, band.start : band.stop + size - 1] += back_project(influence, self._back[scale])
        if slopes is not None:
            fine = pool_adjoint(pad_reflect_adjoint(slopes, *edges), 2**scale, *x.shape[2:])
            gradient += fine

    def _bands(self, coarse: Tensor) -> Iterator[slice]:
        """Split the rows of responses into bands of about equal height that fit the memory budget."""
        rows, columns = (length - self.patch_size + 1 for length in coarse.shape[2:])
        budget = CPU_CHUNK_BYTES if coarse.device.type == "cpu" else _ACCELERATOR_CHUNK_BYTES
        row_bytes = len(coarse) * len(self.filters) * columns * coarse.element_size()
        bands = -(-rows // max(1, budget // row_bytes))
        for band in range(bands):
            yield slice(rows * band // bands, rows * (band + 1) // bands)
