"""Channel-wise experts: each channel of a map has filters of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor

from restoration_core.priors.expert_functions import Expert
from restoration_core.priors.patch_experts.patch_field import Buffers, PatchField, buffer
from restoration_core.priors.tensor_checks import check_parts, check_square


class ChannelwiseExperts(PatchField):
    """``E(x) = 1/P sum_p sum_c sum_k alpha_ck (-G(w_ck . x_cp + b_ck))``, ``x_cp`` being channel ``c`` of patch ``p``.

    The channels are independent under this density, so that patches have few dimensions even where a layer has many
    channels. The gradient of channel ``c`` is ``1/P sum_p R_p^T sum_k alpha_ck (-g(s_ckp)) w_ck``.

    Args:
        filters: ``w``, ``(C, K, size, size)``, acting on raw patches (the whitening is part of them).
        alphas: ``(C, K)``, positive.
        bias: ``b``, ``(C, K)``.
        expert: gives ``G`` and ``g``.
        patch_stride: see :class:`PatchField`.

    Raises:
        InputError: shapes that do not fit, an alpha that is not positive, values that are not finite.
    """

    def __init__(self, filters: Tensor, alphas: Tensor, bias: Tensor, expert: Expert, *, patch_stride: int = 1) -> None:
        check_square("filters", filters, "C, K")
        channels, count = filters.shape[:2]
        each = (channels, count)
        check_parts(filters=(filters, tuple(filters.shape)), alphas=(alphas, each), bias=(bias, each))
        super().__init__(channels, filters.shape[2], channels, alphas.reshape(-1), expert, patch_stride)
        self.filters, self.alphas, self.bias = filters, alphas, bias
        flat = filters.reshape(channels, count, -1)
        self._forward = torch.cat([flat, bias[:, :, None]], dim=2)
        self._back = (flat * (alphas * expert.influence_gain)[:, :, None]).transpose(1, 2).contiguous()

    def parts(self) -> dict[str, Tensor]:
        return {"filters": self.filters, "alphas": self.alphas, "bias": self.bias}

    def made_of(self, parts: Mapping[str, Tensor], patch_stride: int) -> Self:
        return type(self)(**parts, expert=self.expert, patch_stride=patch_stride)

    def dense_filters(self) -> tuple[Tensor, Tensor]:
        size = self.patch_size
        return self.filters.reshape(-1, 1, size, size), self.alphas.reshape(-1)

    def _respond(self, columns: Tensor, buffers: Buffers) -> Tensor:
        shape = (*self.alphas.shape, columns.shape[2])
        return torch.bmm(self._forward, columns, out=buffer(buffers, "responses", shape, columns)).flatten(0, 1)

    def _project_back(self, influence: Tensor, out: Tensor, buffers: Buffers) -> None:
        torch.bmm(self._back, influence.view(*self.alphas.shape, -1), out=out)
