"""Feature losses of rows that match the same layer with the same normalisation, evaluated together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.networks import FeatureNetwork
from restoration_core.reconstruction.batch.row_index import RowIndex
from restoration_core.reconstruction.problem import DOT_PRODUCT, MEAN_SQUARED_ERROR, Problem


@dataclass(frozen=True)
class MatchGroup:
    """``w ||phi - phi_0||^2 / d`` for k rows at one layer.

    Attributes:
        layer: resolved name.
        places: the rows' places in the batch.
        index: the same as an index.
        targets: phi_0, ``(k, ...)``.
        weights: ``(k,)``.
        inverses: ``1 / d``, ``(k,)``; None where d is the dot product, which depends on phi.
        scales: ``2 w / d``, ``(k, 1, ...)``, the factor of the gradient; None where ``inverses`` is.
    """

    layer: str
    places: list[int]
    index: RowIndex
    targets: Tensor
    weights: Tensor
    inverses: Tensor | None
    scales: Tensor | None

    def loss(self, features: Tensor) -> Tensor:
        """Return the unweighted losses ``(k,)`` of the rows' features ``(k, ...)``."""
        squared = (features - self.targets).square_().flatten(1).sum(1)
        return squared * self.inverses if self.inverses is not None else squared / self._dots(features)

    def loss_and_slope(self, features: Tensor, wanted: bool) -> tuple[Tensor | None, Tensor]:
        """Return the unweighted losses ``(k,)``, if wanted, and the gradient of the weighted ones ``(k, ...)``.

        With ``d = phi_0 . phi`` the gradient is ``w (2 (phi - phi_0) / d - ||phi - phi_0||^2 / d^2 phi_0)``.
        """
        difference = features - self.targets
        if self.inverses is not None and self.scales is not None:
            loss = difference.square().flatten(1).sum(1).mul_(self.inverses) if wanted else None
            return loss, difference.mul_(self.scales)
        dots = self._dots(features)
        loss = difference.square().flatten(1).sum(1) / dots
        difference.mul_(_like(2 * self.weights / dots, difference))
        return loss, difference.sub_(self.targets * _like(self.weights * loss / dots, difference))

    def _dots(self, features: Tensor) -> Tensor:
        return (features * self.targets).flatten(1).sum(1)


def group_matches(
    network: FeatureNetwork, problems: Sequence[Problem], index: Callable[[list[int]], RowIndex]
) -> list[MatchGroup]:
    """Group the feature losses of a batch by layer and normalisation.

    Args:
        network: on the device and in the dtype of the batch.
        problems: one per row that passes through the network.
        index: makes an index of rows.
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
        if targets.ndim == 4:  # the layout of the network's maps
            targets = targets.contiguous(memory_format=torch.channels_last)
        weights = torch.tensor([weight for _, _, weight in entries], dtype=network.dtype, device=network.device)
        inverses: Tensor | None
        if normalization == DOT_PRODUCT:
            inverses = None
        elif normalization == MEAN_SQUARED_ERROR:
            inverses = torch.full_like(weights, 1 / targets[0].numel())
        else:
            inverses = targets.square().flatten(1).sum(1).reciprocal_()
        scales = None if inverses is None else _like(2 * weights * inverses, targets)
        groups.append(MatchGroup(layer, places, index(places), targets, weights, inverses, scales))
    return groups


def _like(values: Tensor, rows: Tensor) -> Tensor:
    """Return ``(k,)`` values as ``(k, 1, ...)``, to be multiplied with ``rows``."""
    return values.reshape(-1, *[1] * (rows.ndim - 1))
