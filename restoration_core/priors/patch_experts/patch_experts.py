"""A field of patch experts: filters over all channels of a patch, on pictures or feature maps."""

from __future__ import annotations

import torch
from torch import Tensor

from restoration_core.errors import InputError
from restoration_core.priors.expert_functions import Expert
from restoration_core.priors.patch_experts.patch_field import Buffers, PatchField, buffer


class PatchExperts(PatchField):
    """``E(x) = 1/P sum_p sum_k alpha_k (-G(w_k . x_p + b_k))`` over all ``P`` overlapping patches ``x_p`` of ``x``.

    It is minus the log-density of the learned Markov random field, divided by the number of patches, so that it does
    not grow with the picture (thesis eq. 9). The gradient is
    ``1/P sum_p R_p^T sum_k alpha_k (-g(s_kp)) w_k``, where ``R_p`` cuts patch ``p`` out.

    Args:
        filters: ``w``, ``(K, C, size, size)``, acting on raw patches (whitening folded in).
        alphas: ``(K,)``, positive.
        bias: ``b``, ``(K,)``: what removing the data set's mean leaves.
        expert: gives ``G`` and ``g``.
        patch_stride: see :class:`PatchField`.

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
        super().__init__(filters.shape[1], filters.shape[2], 1, alphas, expert, patch_stride)
        self.filters = filters
        self.alphas = alphas
        self.bias = bias
        flat = filters.reshape(count, -1)
        self._forward = torch.cat([flat, bias[:, None]], dim=1)
        # The back-projection carries alpha and the expert's constant, so that no pass over the responses is needed.
        self._back = (flat * (alphas * expert.influence_gain)[:, None]).T.contiguous()

    def with_stride(self, patch_stride: int) -> PatchExperts:
        return PatchExperts(self.filters, self.alphas, self.bias, self.expert, patch_stride=patch_stride)

    def to(self, device: torch.device | str, dtype: torch.dtype) -> PatchExperts:
        if self.filters.device == torch.device(device) and self.filters.dtype == dtype:
            return self
        filters, alphas, bias = (tensor.to(device, dtype) for tensor in (self.filters, self.alphas, self.bias))
        return PatchExperts(filters, alphas, bias, self.expert, patch_stride=self.patch_stride)

    def dense_filters(self) -> tuple[Tensor, Tensor]:
        return self.filters, self.alphas

    def _respond(self, columns: Tensor, buffers: Buffers) -> Tensor:
        shape = (len(self.alphas), columns.shape[2])
        return torch.mm(self._forward, columns[0], out=buffer(buffers, "responses", shape, columns))

    def _project_back(self, influence: Tensor, out: Tensor, buffers: Buffers) -> None:
        torch.mm(self._back, influence, out=out[0])
