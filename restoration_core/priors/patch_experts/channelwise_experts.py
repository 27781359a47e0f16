"""Channel-wise experts: a bank of filters for each channel of a map, each seeing its own channel only."""

from __future__ import annotations

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.expert_functions import Expert
from restoration_core.priors.patch_experts.patch_field import Buffers, PatchField, buffer, check_shapes


class ChannelwiseExperts(PatchField):
    """``E(x) = 1/P sum_p sum_c sum_k alpha_ck (-G(w_ck . x_cp + b_ck))``, ``x_cp`` being channel ``c`` of patch ``p``.

    The channels are independent under this density, which keeps the patches small where a layer has many of them. The
    gradient of channel ``c`` is ``1/P sum_p R_p^T sum_k alpha_ck (-g(s_ckp)) w_ck``.

    Args:
        filters: ``w``, ``(C, K, size, size)``, acting on raw patches (whitening folded in).
        alphas: ``(C, K)``, positive.
        bias: ``b``, ``(C, K)``.
        expert: gives ``G`` and ``g``.
        patch_stride: see :class:`PatchField`.

    Raises:
        InputError: shapes that do not fit, an alpha that is not positive, values that are not finite.
    """

    def __init__(self, filters: Tensor, alphas: Tensor, bias: Tensor, expert: Expert, *, patch_stride: int = 1) -> None:
        if filters.ndim != 4 or filters.shape[2] != filters.shape[3]:
            raise InputError(f"filters: shape (C, K, size, size) is needed, but got {tuple(filters.shape)}")
        channels, count = filters.shape[:2]
        wanted = (channels, count)
        parts = {"filters": (filters, tuple(filters.shape)), "alphas": (alphas, wanted), "bias": (bias, wanted)}
        check_shapes("filters, alphas and bias", parts)
        super().__init__(channels, filters.shape[2], channels, alphas.reshape(-1), expert, patch_stride)
        self.filters, self.alphas, self.bias = filters, alphas, bias
        flat = filters.reshape(channels, count, -1)
        self._forward = torch.cat([flat, bias[:, :, None]], dim=2)
        self._back = (flat * (alphas * expert.influence_gain)[:, :, None]).transpose(1, 2).contiguous()

    def with_stride(self, patch_stride: int) -> ChannelwiseExperts:
        return ChannelwiseExperts(self.filters, self.alphas, self.bias, self.expert, patch_stride=patch_stride)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> ChannelwiseExperts:
        if self.filters.device == torch.device(device) and self.filters.dtype == dtype:
            return self
        filters, alphas, bias = (tensor.to(device, dtype) for tensor in (self.filters, self.alphas, self.bias))
        return ChannelwiseExperts(filters, alphas, bias, self.expert, patch_stride=self.patch_stride)

    def dense_filters(self) -> tuple[Tensor, Tensor]:
        size = self.patch_size
        return self.filters.reshape(-1, 1, size, size), self.alphas.reshape(-1)

    def _respond(self, columns: Tensor, buffers: Buffers) -> Tensor:
        shape = (*self.alphas.shape, columns.shape[2])
        return torch.bmm(self._forward, columns, out=buffer(buffers, "responses", shape, columns)).flatten(0, 1)

    def _project_back(self, influence: Tensor, out: Tensor, buffers: Buffers) -> None:
        torch.bmm(self._back, influence.view(*self.alphas.shape, -1), out=out)
