"""Feature losses of rows matched at one layer under one normalisation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.networks.feature_network import FeatureNetwork
from restoration_core.reconstruction.problem import DOT_PRODUCT, MEAN_SQUARED_ERROR, Problem


@dataclass(frozen=True)
class MatchGroup:
    """``w ||phi - phi_0||^2 / d`` for k rows at one layer.

    Attributes:
        layer: resolved name.
        places: rows of the batch.
        index: the same as a tensor; None for all rows in order.
        targets: phi_0, ``(k, ...)``.
        inverses: ``1 / d``, ``(k,)``; None where d is the dot product, which depends on phi.
        weights: ``(k,)``.
    """

    layer: str
    places: list[int]
    index: Tensor | None
    targets: Tensor
    inverses: Tensor | None
    weights: Tensor

    def loss(self, features: Tensor) -> Tensor:
        """Return the unweighted losses ``(k,)`` of the rows' features ``(k, ...)``."""
        squared = (features - self.targets).square_().flatten(1).sum(1)
        return squared * self.inverses if self.inverses is not None else squared / self._dots(features)

    def loss_and_slope(self, features: Tensor, wanted: bool) -> tuple[Tensor | None, Tensor]:
        """Return the unweighted losses ``(k,)``, if wanted, and the gradient of the weighted ones ``(k, ...)``.

        With ``d = phi_0 . phi`` the gradient is ``w (2 (phi - phi_0) / d - ||phi - phi_0||^2 / d^2 phi_0)``.
        """
        difference = features - self.targets
        squared = None
        if wanted or self.inverses is None:
            squared = difference.square().flatten(1).sum(1)
        if self.inverses is not None:
            loss = None if squared is None else squared * self.inverses
            return loss, difference.mul_(self._shaped(2 * self.weights * self.inverses))
        assert squared is not None
        dots = self._dots(features)
        loss = squared / dots
        difference.mul_(self._shaped(2 * self.weights / dots))
        return loss, difference.sub_(self.targets * self._shaped(self.weights * loss / dots))

    def _dots(self, features: Tensor) -> Tensor:
        return (features * self.targets).flatten(1).sum(1)

    def _shaped(self, values: Tensor) -> Tensor:
        return values.reshape(-1, *[1] * (self.targets.ndim - 1))


def group_matches(
    network: FeatureNetwork, problems: Sequence[Problem], index: Callable[[list[int]], Tensor | None]
) -> list[MatchGroup]:
    """Group the feature losses of a batch, so that each layer's map is taken once.

    Args:
        network: on the device and in the dtype of the batch.
        problems: one per row that passes through the network.
        index: turns rows into what picks them, None for all in order.
    """
    found: dict[tuple[str, str], list[tuple[int, Tensor, float]]] = {}
    for place, problem in enumerate(problems):
        for match in problem.matches:
            key = network.resolve(match.layer), match.normalization
            found.setdefault(key, []).append((place, match.target, match.weight))
    groups = []
    for (layer, normalization), entries in found.items():
        places = [place for place, _, _ in entries]
        targets = torch.stack([target.detach().to(network.device, network.dtype) for _, target, _ in entries])
        if targets.ndim == 4:  # as the network hands its maps out
            targets = targets.contiguous(memory_format=torch.channels_last)
        weights = torch.tensor([weight for _, _, weight in entries], dtype=network.dtype, device=network.device)
        inverses: Tensor | None
        if normalization == DOT_PRODUCT:
            inverses = None
        elif normalization == MEAN_SQUARED_ERROR:
            inverses = torch.full_like(weights, 1 / targets[0].numel())
        else:
            inverses = targets.square().flatten(1).sum(1).reciprocal_()
        groups.append(MatchGroup(layer, places, index(places), targets, inverses, weights))
    return groups
