"""Banks of filters in training: their parameters in whitened coordinates, the loss, and the prior made of them."""

from __future__ import annotations

import abc
import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.priors.expert_functions import Expert
from restoration_core.priors.patch_experts.channelwise_experts import ChannelwiseExperts
from restoration_core.priors.patch_experts.patch_experts import PatchExperts
from restoration_core.priors.patch_experts.patch_field import PatchField
from restoration_core.priors.patch_experts.score_matching import grouped_score_matching_loss, score_matching_loss
from restoration_core.priors.patch_experts.separable_experts import SeparableExperts
from restoration_core.priors.patch_experts.whitened_patches.whitening import Whitening

BANKS = ("full", "channelwise", "separable")
_LARGEST_START = 4.0


class Bank(abc.ABC):
    """Filters and alphas in training.

    Alphas are ``softplus(a)``; filters have norm 1 in whitened coordinates unless ``free_norms``.

    Attributes:
        leaves: the tensors that the optimiser changes, by name.
    """

    def __init__(self, expert: Expert, free_norms: bool, leaves: Mapping[str, Tensor]) -> None:
        self._expert, self._free_norms = expert, free_norms
        self.leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items()}

    @abc.abstractmethod
    def loss(self, z: Tensor) -> Tensor:
        """Return the score-matching loss of whitened patches ``(N, groups * M)``."""

    @abc.abstractmethod
    def kept(self) -> dict[str, Tensor]:
        """Return copies of filters and alphas as they are now, from which :meth:`prior` makes the prior."""

    @abc.abstractmethod
    def prior(self, kept: Mapping[str, Tensor], whitening: Whitening, size: int) -> PatchField:
        """Return the prior on raw patches: the whitening becomes part of its filters."""

    def _alphas(self) -> Tensor:
        return F.softplus(self.leaves["softness"])


class FullBank(Bank):
    """``experts`` filters over all ``dims`` coordinates."""

    def __init__(self, experts: int, dims: int, expert: Expert, free_norms: bool, generator: torch.Generator) -> None:
        weights = torch.randn(experts, dims, generator=generator) / dims**0.5
        super().__init__(expert, free_norms, {"weights": weights, "softness": _softness((experts,), dims / experts)})

    def loss(self, z: Tensor) -> Tensor:
        return score_matching_loss(z, self._filters(), self._alphas(), self._expert)

    def kept(self) -> dict[str, Tensor]:
        return {"filters": self._filters().detach().clone(), "alphas": self._alphas().detach().clone()}

    def prior(self, kept: Mapping[str, Tensor], whitening: Whitening, size: int) -> PatchExperts:
        filters, bias = whitening.fold(kept["filters"])
        return PatchExperts(filters.reshape(len(filters), -1, size, size), kept["alphas"], bias, self._expert)

    def _filters(self) -> Tensor:
        weights = self.leaves["weights"]
        return weights if self._free_norms else F.normalize(weights, dim=1)


class ChannelwiseBank(Bank):
    """``experts`` filters for each of ``groups`` channels, over the ``dims`` coordinates of that channel."""

    def __init__(
        self, experts: int, groups: int, dims: int, expert: Expert, free_norms: bool, generator: torch.Generator
    ) -> None:
        weights = torch.randn(groups, experts, dims, generator=generator) / dims**0.5
        softness = _softness((groups, experts), dims / experts)
        super().__init__(expert, free_norms, {"weights": weights, "softness": softness})

    def loss(self, z: Tensor) -> Tensor:
        filters = self._filters()
        apart = z.reshape(len(z), len(filters), -1).transpose(0, 1)
        return grouped_score_matching_loss(apart, filters, self._alphas(), self._expert)

    def kept(self) -> dict[str, Tensor]:
        return {"filters": self._filters().detach().clone(), "alphas": self._alphas().detach().clone()}

    def prior(self, kept: Mapping[str, Tensor], whitening: Whitening, size: int) -> ChannelwiseExperts:
        filters = kept["filters"] @ whitening.transforms
        bias = -torch.bmm(filters, whitening.mean.reshape(len(filters), -1, 1))[:, :, 0]
        return ChannelwiseExperts(filters.unflatten(2, (size, size)), kept["alphas"], bias, self._expert)

    def _filters(self) -> Tensor:
        weights = self.leaves["weights"]
        return weights if self._free_norms else F.normalize(weights, dim=2)


class SeparableBank(Bank):
    """``experts`` filters that mix ``groups * multiplier`` depth-wise ones, each over ``dims`` coordinates.

    Each channel is whitened by itself, which keeps the filters separable; dependences between channels are learned by
    the mixing.
    """

    def __init__(
        self,
        experts: int,
        groups: int,
        multiplier: int,
        dims: int,
        expert: Expert,
        free_norms: bool,
        generator: torch.Generator,
    ) -> None:
        depthwise = torch.randn(groups, multiplier, dims, generator=generator) / dims**0.5
        pointwise = torch.randn(experts, groups * multiplier, generator=generator) / (groups * multiplier) ** 0.5
        softness = _softness((experts,), groups * dims / experts)
        leaves = {"depthwise": depthwise, "pointwise": pointwise, "softness": softness}
        super().__init__(expert, free_norms, leaves)

    def loss(self, z: Tensor) -> Tensor:
        filters = _compose(*self._stages())
        return score_matching_loss(z, filters, self._alphas(), self._expert)

    def kept(self) -> dict[str, Tensor]:
        depthwise, pointwise = self._stages()
        parts = {"depthwise": depthwise, "pointwise": pointwise, "alphas": self._alphas()}
        return {name: part.detach().clone() for name, part in parts.items()}

    def prior(self, kept: Mapping[str, Tensor], whitening: Whitening, size: int) -> SeparableExperts:
        depthwise = kept["depthwise"] @ whitening.transforms
        offsets = -torch.bmm(depthwise, whitening.mean.reshape(len(depthwise), -1, 1))
        bias = kept["pointwise"] @ offsets.reshape(-1)
        deep = depthwise.unflatten(2, (size, size))
        return SeparableExperts(deep, kept["pointwise"], kept["alphas"], bias, self._expert)

    def _stages(self) -> tuple[Tensor, Tensor]:
        """Return depth-wise filters of norm 1, and the mixing, which carries the norm of the whole filters."""
        depthwise, pointwise = F.normalize(self.leaves["depthwise"], dim=2), self.leaves["pointwise"]
        if not self._free_norms:
            pointwise = pointwise / _compose(depthwise, pointwise).norm(dim=1, keepdim=True).clamp(min=1e-12)
        return depthwise, pointwise


def _compose(depthwise: Tensor, pointwise: Tensor) -> Tensor:
    """Return ``w_k = (sum_m v_kcm d_cm)_c``, ``(K, groups * M)``, of ``(groups, m, M)`` and ``(K, groups * m)``."""
    mixing = pointwise.reshape(len(pointwise), *depthwise.shape[:2]).transpose(0, 1)
    return torch.bmm(mixing, depthwise).transpose(0, 1).flatten(1)


def _softness(shape: tuple[int, ...], dims_per_expert: float) -> Tensor:
    # With this alpha the experts together have about the curvature of white Gaussian data: sum_k alpha_k w_k w_k^T is
    # near the identity. The limit is for few filters, which cannot stand for all dimensions.
    alpha = 1.5 * min(dims_per_expert, _LARGEST_START)
    return torch.full(shape, alpha + math.log(-math.expm1(-alpha)))  # the inverse of softplus
