"""Separable experts: filters on each channel alone, then weighted sums of their outputs over the channels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor

from restoration_core.priors.expert_functions import Expert
from restoration_core.priors.patch_experts.patch_field import Buffers, PatchField, buffer
from restoration_core.priors.tensor_checks import check_parts, check_square


class SeparableExperts(PatchField):
    """``E(x) = 1/P sum_p sum_k alpha_k (-G(sum_cm v_kcm (d_cm . x_cp) + b_k))``: depth-wise, then point-wise.

    Channel ``c`` of a patch meets its ``M`` depth-wise filters ``d_cm``; expert ``k`` mixes the ``C M`` values with
    weights ``v_k``. It is the field of the filters ``w_kc = sum_m v_kcm d_cm`` over all channels, at a cost of
    ``C M (size^2 + K)`` instead of ``C size^2 K`` products a patch.

    Args:
        depthwise: ``d``, ``(C, M, size, size)``, acting on raw patches (the whitening is part of them).
        pointwise: ``v``, ``(K, C * M)``.
        alphas: ``(K,)``, positive.
        bias: ``b``, ``(K,)``.
        expert: gives ``G`` and ``g``.
        patch_stride: see :class:`PatchField`.

    Raises:
        InputError: shapes that do not fit, an alpha that is not positive, values that are not finite.
    """

    def __init__(
        self,
        depthwise: Tensor,
        pointwise: Tensor,
        alphas: Tensor,
        bias: Tensor,
        expert: Expert,
        *,
        patch_stride: int = 1,
    ) -> None:
        check_square("depthwise", depthwise, "C, M")
        channels, each = depthwise.shape[:2]
        count = len(alphas)
        check_parts(
            depthwise=(depthwise, tuple(depthwise.shape)),
            pointwise=(pointwise, (count, channels * each)),
            alphas=(alphas, (count,)),
            bias=(bias, (count,)),
        )
        super().__init__(channels, depthwise.shape[2], channels, alphas, expert, patch_stride)
        self.depthwise, self.pointwise, self.alphas, self.bias = depthwise, pointwise, alphas, bias
        self._deep = depthwise.reshape(channels, each, -1)
        self._mix = torch.cat([pointwise, bias[:, None]], dim=1)
        self._unmix = (pointwise * (alphas * expert.influence_gain)[:, None]).T.contiguous()

    def parts(self) -> dict[str, Tensor]:
        stages = {"depthwise": self.depthwise, "pointwise": self.pointwise}
        return {**stages, "alphas": self.alphas, "bias": self.bias}

    def made_of(self, parts: Mapping[str, Tensor], patch_stride: int) -> Self:
        return type(self)(**parts, expert=self.expert, patch_stride=patch_stride)

    def dense_filters(self) -> tuple[Tensor, Tensor]:
        channels, each = self.depthwise.shape[:2]
        mixing = self.pointwise.reshape(-1, channels, each)
        return torch.einsum("kcm,cmij->kcij", mixing, self.depthwise), self.alphas

    def _chunk_patches(self, x: Tensor) -> int:
        # The values between both stages take memory as well.
        rows = len(self.alphas) + len(self._unmix) + self._groups * (self._dims + 1)
        return max(1, super()._chunk_patches(x) * (rows - len(self._unmix)) // rows)

    def _respond(self, columns: Tensor, buffers: Buffers) -> Tensor:
        channels, each, count = *self._deep.shape[:2], columns.shape[2]
        between = buffer(buffers, "between", (channels * each + 1, count), columns)
        torch.bmm(self._deep, columns[:, :-1], out=between[:-1].view(channels, each, count))
        between[-1] = 1.0
        return torch.mm(self._mix, between, out=buffer(buffers, "responses", (len(self.alphas), count), columns))

    def _project_back(self, influence: Tensor, out: Tensor, buffers: Buffers) -> None:
        channels, each, count = *self._deep.shape[:2], influence.shape[1]
        between = buffer(buffers, "between", (channels * each, count), influence)
        torch.mm(self._unmix, influence, out=between)
        torch.bmm(self._deep.transpose(1, 2), between.view(channels, each, count), out=out)
