"""Terms of several rows that share a prior and a map, so that they are evaluated together."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from restoration_core.networks import FeatureNetwork
from restoration_core.priors.prior import Prior, Reporting
from restoration_core.reconstruction.batch.row_index import RowIndex, pick
from restoration_core.reconstruction.batch.windows import cached_chunks
from restoration_core.reconstruction.problem import Problem, Term

PriorInput = tuple[int, int]
"""What the image priors of a row act on: the number of a stack of pictures, and the row's place in that stack."""

PatchOffsets = Sequence[Mapping[str, Tensor]] | None
"""For each row of the batch, by name of a term with a patch stride: the corner ``(2,)`` of this step's grid of patches.
None for all patches."""


@dataclass(frozen=True)
class TermGroup:
    """Terms of k rows that share a prior.

    Attributes:
        prior: on the device and in the dtype of the batch.
        layer: the map it acts on; None for the optimised variable.
        stack: the number of the stack of pictures it acts on, where ``layer`` is None.
        places: the rows' places in the batch.
        names: of the terms.
        labels: of the terms' curves; None where there is nothing to record.
        rows: the rows' places in the stack, or in the network's batch.
        index: the same as an index, see :func:`pick`.
        weights: ``(k,)``, times the schedules' factors.
    """

    prior: Prior
    layer: str | None
    stack: int
    places: list[int]
    names: list[str]
    labels: list[str | None]
    rows: list[int]
    index: RowIndex
    weights: Tensor

    def add_gradient(self, x: Tensor, out: Tensor, patch_offsets: PatchOffsets) -> None:
        """Add the weighted gradient with respect to ``x``, ``(B, C, H, W)``, to ``out`` of the same shape.

        Args:
            x: the stack, or the layer's map.
            out: changed.
            patch_offsets: of this step; None for all patches.
        """
        corners = self._corners(range(len(self.places)), patch_offsets)
        picked = pick(x, self.index)
        for chunk in cached_chunks(picked):
            if corners is None:
                gradient = self.prior.gradient(picked[chunk])
            else:
                gradient = self.prior.gradient_at(picked[chunk], corners[chunk])  # type: ignore[attr-defined]
            gradient.mul_(self.weights[chunk].reshape(-1, 1, 1, 1))
            if isinstance(self.index, Tensor):
                out.index_add_(0, self.index[chunk], gradient)
            else:
                pick(out, self.index)[chunk].add_(gradient)

    def record(self, picked: Tensor, chosen: Sequence[int], patch_offsets: PatchOffsets) -> Tensor:
        """Return the energies, or reports, of some of the terms.

        Args:
            picked: what they act on, ``(k, C, H, W)``.
            chosen: which of the group's terms, k of them.
            patch_offsets: of this step; None for all patches.
        """
        if not self.prior.has_energy:
            assert isinstance(self.prior, Reporting)
            return self.prior.report(picked)
        corners = self._corners(chosen, patch_offsets)
        energy: Tensor = (
            self.prior.energy(picked) if corners is None else self.prior.energy_at(picked, corners)  # type: ignore[attr-defined]
        )
        return energy

    def _corners(self, chosen: Sequence[int], patch_offsets: PatchOffsets) -> Tensor | None:
        if patch_offsets is None or getattr(self.prior, "patch_stride", 1) == 1:
            return None
        return torch.stack([patch_offsets[self.places[i]][self.names[i]] for i in chosen])


def group_terms(
    network: FeatureNetwork,
    problems: Sequence[Problem],
    iterations: Sequence[int],
    prior_inputs: Sequence[PriorInput],
    wanted: Callable[[Term, int], bool],
    moved: dict[Hashable, Prior],
    index: Callable[[list[int], int | None], RowIndex],
) -> list[TermGroup]:
    """Group terms by prior and by what they act on.

    Args:
        network: on the device and in the dtype of the batch.
        problems: one per row.
        iterations: the iteration of each row.
        prior_inputs: what the image priors of each row act on.
        wanted: says whether a term is wanted at an iteration.
        moved: priors that are on the batch's device already; those that are moved now are added.
        index: makes an index of rows of a stack (None: of the network's batch).
    """
    found: dict[Hashable, tuple[Prior, str | None, int, list[tuple[int, Term, float]]]] = {}
    for place, (problem, iteration) in enumerate(zip(problems, iterations, strict=True)):
        for term in problem.terms:
            if not wanted(term, iteration):
                continue
            layer = None if term.layer is None else network.resolve(term.layer)
            stack = prior_inputs[place][0] if layer is None else 0
            group = found.setdefault((_identity(term.prior), layer, stack), (term.prior, layer, stack, []))
            group[3].append((place, term, term.weight_at(iteration)))
    groups = []
    for prior, layer, stack, entries in found.values():
        identity = _identity(prior)
        if identity not in moved:
            moved[identity] = prior.to(network.device, network.dtype)
        places = [place for place, _, _ in entries]
        rows = places if layer is not None else [prior_inputs[place][1] for place in places]
        weights = torch.tensor([weight for _, _, weight in entries], dtype=network.dtype, device=network.device)
        picked = index(rows, stack if layer is None else None)
        names, labels = [term.name for _, term, _ in entries], [term.recorded_as for _, term, _ in entries]
        groups.append(TermGroup(moved[identity], layer, stack, places, names, labels, rows, picked, weights))
    return groups


def _identity(prior: Prior) -> Hashable:
    """Return a key that equal priors share: the prior where it can be hashed (by value or not), else its address."""
    try:
        hash(prior)
    except TypeError:
        return id(prior)
    return prior
