"""Patch experts whose filters span all channels of a patch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor

from restoration_core.priors.expert_functions import Expert
from restoration_core.priors.patch_experts.patch_field import Buffers, PatchField, buffer
from restoration_core.priors.tensor_checks import check_parts, check_square


class PatchExperts(PatchField):
    """``E(x) = 1/P sum_p sum_k alpha_k (-G(w_k . x_p + b_k))`` over all ``P`` overlapping patches ``x_p`` of ``x``.

    It is minus the log-density of the learned Markov random field, divided by the number of patches, so that it does
    not grow with the picture (thesis eq. 9). The gradient is
    ``1/P sum_p R_p^T sum_k alpha_k (-g(s_kp)) w_k``, where ``R_p`` cuts patch ``p`` out.

    Args:
        filters: ``w``, ``(K, C, size, size)``, acting on raw patches (the whitening is part of them).
        alphas: ``(K,)``, positive.
        bias: ``b``, ``(K,)``; it subtracts the data set's mean.
        expert: gives ``G`` and ``g``.
        patch_stride: see :class:`PatchField`.

    Raises:
        InputError: shapes that do not fit, an alpha that is not positive, values that are not finite.
    """

    def __init__(self, filters: Tensor, alphas: Tensor, bias: Tensor, expert: Expert, *, patch_stride: int = 1) -> None:
        check_square("filters", filters, "K, C")
        count = len(filters)
        check_parts(filters=(filters, tuple(filters.shape)), alphas=(alphas, (count,)), bias=(bias, (count,)))
        super().__init__(filters.shape[1], filters.shape[2], 1, alphas, expert, patch_stride)
        self.filters, self.alphas, self.bias = filters, alphas, bias
        flat = filters.reshape(count, -1)
        self._forward = torch.cat([flat, bias[:, None]], dim=1)
        # alpha and the expert's constant are part of the back-projection, which saves a pass over the responses.
        self._back = (flat * (alphas * expert.influence_gain)[:, None]).T.contiguous()

    def parts(self) -> dict[str, Tensor]:
        return {"filters": self.filters, "alphas": self.alphas, "bias": self.bias}

    def made_of(self, parts: Mapping[str, Tensor], patch_stride: int) -> Self:
        return type(self)(**parts, expert=self.expert, patch_stride=patch_stride)

    def dense_filters(self) -> tuple[Tensor, Tensor]:
        return self.filters, self.alphas

    def _respond(self, columns: Tensor, buffers: Buffers) -> Tensor:
        shape = (len(self.alphas), columns.shape[2])
        return torch.mm(self._forward, columns[0], out=buffer(buffers, "responses", shape, columns))

    def _project_back(self, influence: Tensor, out: Tensor, buffers: Buffers) -> None:
        torch.mm(self._back, influence, out=out[0])
