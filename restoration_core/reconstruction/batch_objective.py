"""The objective of many rows at once: one forward pass, one backward pass, priors in closed form."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.networks.classifier import Classifier
from restoration_core.priors.prior import Prior
from restoration_core.reconstruction.problem import FEATURE_LOSS, OBJECTIVE, Problem
from restoration_core.reconstruction.windows import cached_chunks


@dataclass(frozen=True)
class _Match:
    """Rows matched at one layer: targets ``(k, ...)``, ``1 / ||phi_0||^2`` and gradient scales, ``(k, 1, ...)``."""

    layer: str
    places: list[int]
    index: Tensor | None
    targets: Tensor
    inverse_norms: Tensor
    scales: Tensor


@dataclass(frozen=True)
class _Energy:
    """Terms of some rows that share one prior on one map; ``places`` and ``names`` run over the terms."""

    prior: Prior
    layer: str | None
    places: list[int]
    names: list[str]
    index: Tensor | None
    weights: Tensor


class BatchObjective:
    """``sum_l w_l ||phi_l(x) - phi_l0||^2 / ||phi_l0||^2 + sum_t w_t E_t`` for each row of a batch.

    Rows are grouped by layer and by prior, so that each is evaluated once per step for all that need it. Every row's
    numbers depend on that row alone.

    Args:
        classifier: on the device and in the dtype of the batch.
        problems: one per row, already checked.
        size: side of the pictures in pixels.
        pad_singletons: run a single row through the network twice. On CPUs a convolution over one row rounds
            differently from one over several; with this, a row's picture is the same to the last bit in any batch.
    """

    def __init__(
        self, classifier: Classifier, problems: Sequence[Problem], size: int, pad_singletons: bool = True
    ) -> None:
        self._classifier = classifier
        self._problems = tuple(problems)
        self._device, self._dtype = classifier.device, classifier.dtype
        self._padded = pad_singletons and len(problems) == 1
        self._passed = len(problems) + int(self._padded)
        self._matches = self._group_matches()
        self._energies = self._group_terms(only_weighted=False)
        self._weighted = self._group_terms(only_weighted=True)
        self._layers = sorted(
            {match.layer for match in self._matches}
            | {term.layer for term in self._energies if term.layer is not None},
            key=classifier.depth,
        )

    def _group_matches(self) -> list[_Match]:
        found: dict[str, list[tuple[int, Tensor, float]]] = {}
        problems = self._problems * (2 if self._padded else 1)
        for place, problem in enumerate(problems):
            for match in problem.matches:
                layer = self._classifier.resolve(match.layer)
                found.setdefault(layer, []).append((place, match.target, match.weight))
        groups = []
        for layer, entries in found.items():
            places = [place for place, _, _ in entries]
            targets = torch.stack([target.detach().to(self._device, self._dtype) for _, target, _ in entries])
            if targets.ndim == 4:  # as the network hands its maps out
                targets = targets.contiguous(memory_format=torch.channels_last)
            ones = [1] * (targets.ndim - 1)
            inverse = targets.square().flatten(1).sum(1).reciprocal_()
            weights = torch.tensor([weight for _, _, weight in entries], dtype=self._dtype, device=self._device)
            scales = (2 * weights * inverse).reshape(-1, *ones)
            index = self._index(places, self._passed)
            groups.append(_Match(layer, places, index, targets, inverse, scales))
        return groups

    def _group_terms(self, only_weighted: bool) -> list[_Energy]:
        found: dict[Hashable, tuple[Prior, str | None, list[tuple[int, str, float]]]] = {}
        for place, problem in enumerate(self._problems):
            for term in problem.terms:
                if not (term.weight > 0 if only_weighted else term.prior.has_energy):
                    continue
                layer = None if term.layer is None else self._classifier.resolve(term.layer)
                group = found.setdefault((_identity(term.prior), layer), (term.prior, layer, []))
                group[2].append((place, term.name, term.weight))
        groups = []
        for prior, layer, entries in found.values():
            places = [place for place, _, _ in entries]
            weights = torch.tensor([weight for _, _, weight in entries], dtype=self._dtype, device=self._device)
            index = self._index(places, len(self._problems) if layer is None else self._passed)
            moved = prior.to(self._device, self._dtype)
            groups.append(_Energy(moved, layer, places, [name for _, name, _ in entries], index, weights))
        return groups

    def _index(self, places: list[int], rows: int) -> Tensor | None:
        """Return the rows to pick, None for all in order."""
        return None if places == list(range(rows)) else torch.tensor(places, device=self._device)

    def gradient(
        self, x: Tensor, out: Tensor, patch_offsets: Sequence[dict[str, Tensor]], record: Sequence[int] = ()
    ) -> list[dict[str, float]]:
        """Write the objective's gradient with respect to every row into ``out``.

        Args:
            x: ``(B, 3, H, W)``, RGB in [0, 1] units, contiguous, no graph.
            out: same shape, overwritten.
            patch_offsets: per row and term name the corner ``(2,)`` of this step's patch grid.
            record: rows whose losses are wanted; an empty list costs neither energies nor a wait for the device.

        Returns:
            For each of ``record`` what :meth:`losses` returns.
        """
        with torch.enable_grad():
            leaf = self._pad(x).requires_grad_()
            maps = self._classifier.features(leaf, self._layers)
            outputs, slopes, differences = [], [], []
            for match in self._matches:
                map_ = maps[match.layer]
                difference = _pick(map_.detach(), match.index) - match.targets
                if record:
                    differences.append(difference.square().flatten(1).sum(1).mul_(match.inverse_norms))
                outputs.append(map_)
                slopes.append(_spread(difference.mul_(match.scales), match.index, map_))
            for term in self._weighted:
                if term.layer is not None:
                    outputs.append(term.prior.differentiable(_pick(maps[term.layer], term.index)))
                    slopes.append(term.weights)
        (gradient,) = torch.autograd.grad(outputs, [leaf], slopes)
        out.copy_(gradient[: len(out)])
        for term in self._weighted:
            if term.layer is None:
                self._add_prior_gradient(term, x, out, patch_offsets)
        return self._collect(x, maps, differences, record) if record else []

    def _add_prior_gradient(
        self, term: _Energy, x: Tensor, out: Tensor, patch_offsets: Sequence[dict[str, Tensor]]
    ) -> None:
        corners = None
        if getattr(term.prior, "patch_stride", 1) > 1:
            drawn = [patch_offsets[place][name] for place, name in zip(term.places, term.names, strict=True)]
            corners = torch.stack(drawn)
        picked = _pick(x, term.index)
        for chunk in cached_chunks(picked):
            if corners is None:
                gradient = term.prior.gradient(picked[chunk])
            else:
                gradient = term.prior.gradient_at(picked[chunk], corners[chunk])  # type: ignore[attr-defined]
            gradient.mul_(term.weights[chunk].reshape(-1, 1, 1, 1))
            if term.index is None:
                out[chunk].add_(gradient)
            else:
                out.index_add_(0, term.index[chunk], gradient)

    def losses(self, x: Tensor) -> list[dict[str, float]]:
        """Return for each row ``objective``, ``feature_loss`` and each term's unweighted energy by name.

        Args:
            x: ``(B, 3, H, W)``, RGB in [0, 1] units.
        """
        with torch.no_grad():
            maps = self._classifier.features(self._pad(x), self._layers)
            differences = [
                (_pick(maps[match.layer], match.index) - match.targets).square_().flatten(1).sum(1)
                * match.inverse_norms
                for match in self._matches
            ]
            return self._collect(x, maps, differences, range(len(x)))

    def _pad(self, x: Tensor) -> Tensor:
        return torch.cat([x, x]) if self._padded else x.detach()

    def _collect(
        self, x: Tensor, maps: dict[str, Tensor], differences: Sequence[Tensor], record: Sequence[int]
    ) -> list[dict[str, float]]:
        wanted = set(record)
        columns: list[Tensor] = list(differences)
        labels: list[tuple[int, str, str]] = [
            (place, "match", match.layer) for match in self._matches for place in match.places
        ]
        with torch.no_grad():
            for term in self._energies:
                chosen = [i for i, place in enumerate(term.places) if place in wanted]
                if not chosen:
                    continue
                places = [term.places[i] for i in chosen]
                source = x if term.layer is None else maps[term.layer].detach()
                columns.append(term.prior.energy(_pick(source, self._index(places, len(source)))))
                labels += [(place, "term", term.names[i]) for i, place in zip(chosen, places, strict=True)]
        values = torch.cat(columns).tolist()  # the only wait for the device
        found: dict[int, dict[tuple[str, str], float]] = {place: {} for place in wanted}
        for (place, kind, name), value in zip(labels, values, strict=True):
            if place in wanted:
                found[place][kind, name] = value
        return [self._sum_up(self._problems[place], found[place]) for place in record]

    def _sum_up(self, problem: Problem, values: dict[tuple[str, str], float]) -> dict[str, float]:
        matched = [(match.weight, values["match", self._classifier.resolve(match.layer)]) for match in problem.matches]
        energies = [
            (term.weight, term.name, values["term", term.name]) for term in problem.terms if term.prior.has_energy
        ]
        objective = sum(weight * value for weight, value in matched)
        objective += sum(weight * value for weight, _, value in energies if weight > 0)
        return {
            OBJECTIVE: objective,
            FEATURE_LOSS: sum(value for _, value in matched),
            **{name: value for _, name, value in energies},
        }


def _identity(prior: Prior) -> Hashable:
    """Return what equal priors share: themselves where they compare by value, else their address."""
    try:
        hash(prior)
    except TypeError:
        return id(prior)
    return prior


def _pick(rows: Tensor, index: Tensor | None) -> Tensor:
    return rows if index is None else rows.index_select(0, index)


def _spread(rows: Tensor, index: Tensor | None, like: Tensor) -> Tensor:
    return rows if index is None else torch.zeros_like(like).index_add_(0, index, rows)
