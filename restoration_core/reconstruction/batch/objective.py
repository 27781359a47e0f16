"""The objective of all rows of a batch: one forward pass, one backward pass, and the priors' own gradients."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial

import torch
from torch import Tensor

from restoration_core.networks import FeatureNetwork
from restoration_core.priors.prior import Prior
from restoration_core.reconstruction.batch.match_groups import group_matches
from restoration_core.reconstruction.batch.row_index import RowIndex, index_of, pick, spread
from restoration_core.reconstruction.batch.term_groups import PatchOffsets, PriorInput, TermGroup, group_terms
from restoration_core.reconstruction.problem import FEATURE_LOSS, OBJECTIVE, Problem, Term

Canvas = tuple[Tensor, Tensor]
"""Canvases ``(B', C, H', W')`` that image priors act on, and a tensor of that shape to add their gradient to."""


class BatchObjective:
    """``sum_l w_l ||phi_l(x) - phi_l0||^2 / d_l + sum_t w_t f_t(i) E_t`` for each row of a batch.

    Rows are grouped by layer and by prior, so that each layer and each prior is evaluated once a step for all the rows
    that use it. What comes out for a row depends on that row alone.

    Args:
        network: on the device and in the dtype of the batch.
        problems: one per row, already checked.
        iterations: the iteration of each row, at which its terms' schedules are looked up.
        pad_singletons: pass a single row through the network twice. On a CPU a convolution over one row rounds
            differently from one over several, so without this a row alone would give a slightly other picture.
        prior_inputs: what the image priors of each row act on: ``(0, place)`` is the window that the network sees,
            ``(n, k)`` is row k of the n-th canvases given to :meth:`gradient`, counted from 1. None: the windows.
    """

    def __init__(
        self,
        network: FeatureNetwork,
        problems: Sequence[Problem],
        iterations: Sequence[int],
        pad_singletons: bool = True,
        prior_inputs: Sequence[PriorInput] | None = None,
    ) -> None:
        self._network = network
        self._problems = tuple(problems)
        self._padded = pad_singletons and len(problems) == 1
        self._passed = len(problems) + int(self._padded)
        self._prior_inputs = tuple(prior_inputs or ((0, place) for place in range(len(problems))))
        self._moved: dict[Hashable, Prior] = {}
        passing = self._problems * (2 if self._padded else 1)
        self._matches = group_matches(network, passing, partial(self._index, count=self._passed))
        self.move_to(iterations)

    def move_to(self, iterations: Sequence[int]) -> None:
        """Take the terms' weights from their schedules at ``iterations``, one a row; terms at zero cost nothing."""
        self._iterations = tuple(iterations)
        self._weighted = self._group(lambda term, iteration: term.weight_at(iteration) > 0)
        self._energies = self._group(lambda term, iteration: term.recorded_as is not None and term.active(iteration))
        self._gradient_layers = self._layers(self._weighted)
        self._record_layers = self._layers([*self._weighted, *self._energies])

    def _group(self, wanted: Callable[[Term, int], bool]) -> list[TermGroup]:
        return group_terms(
            self._network, self._problems, self._iterations, self._prior_inputs, wanted, self._moved, self._pick_terms
        )

    def _layers(self, terms: Sequence[TermGroup]) -> list[str]:
        layers = {match.layer for match in self._matches} | {term.layer for term in terms if term.layer is not None}
        return sorted(layers, key=self._network.depth)

    def _index(self, rows: list[int], count: int) -> RowIndex:
        return index_of(rows, count, self._network.device)

    def _pick_terms(self, rows: list[int], stack: int | None) -> RowIndex:
        if stack is None:
            return self._index(rows, self._passed)
        return self._index(
            rows, sum(entry[0] == stack for entry in self._prior_inputs) if stack else len(self._problems)
        )

    def gradient(
        self,
        x: Tensor,
        out: Tensor,
        patch_offsets: PatchOffsets = None,
        record: Sequence[int] = (),
        canvases: Sequence[Canvas] = (),
    ) -> list[dict[str, float]]:
        """Write the objective's gradient with respect to every row into ``out``.

        Args:
            x: ``(B, C, H, W)``, what the network sees, contiguous, without a graph.
            out: same shape, overwritten.
            patch_offsets: of this step; None for all patches.
            record: rows whose losses are wanted. Without any, no energy is computed and the device is not waited for.
            canvases: for rows whose image priors act on a canvas; the gradient of those priors is added to them.

        Returns:
            For each of ``record`` what :meth:`losses` returns, without the terms whose schedule is at 0.
        """
        stacks = [(x, out), *canvases]
        with torch.enable_grad():
            leaf = self._pad(x).requires_grad_()
            maps = self._network.features(leaf, self._record_layers if record else self._gradient_layers)
            outputs, slopes, losses = [], [], []
            for match in self._matches:
                map_ = maps[match.layer]
                loss, slope = match.loss_and_slope(pick(map_.detach(), match.index), wanted=bool(record))
                if record:
                    assert loss is not None
                    losses.append(loss)
                outputs.append(map_)
                slopes.append(spread(slope, match.index, map_))
            for term in self._weighted:
                if term.layer is not None:
                    map_ = maps[term.layer]
                    slope = torch.zeros_like(map_)
                    term.add_gradient(map_.detach(), slope, patch_offsets)
                    outputs.append(map_)
                    slopes.append(slope)
        (gradient,) = torch.autograd.grad(outputs, [leaf], slopes)
        out.copy_(gradient[: len(out)])
        for term in self._weighted:
            if term.layer is None:
                term.add_gradient(*stacks[term.stack], patch_offsets)
        if not record:
            return []
        return self._collect([stack for stack, _ in stacks], maps, losses, self._energies, record, patch_offsets)

    def losses(self, x: Tensor) -> list[dict[str, float]]:
        """Return for each row ``objective``, ``feature_loss`` and each term's unweighted energy (or report) by name.

        Energies are of ``x`` itself and over all patches; they include terms whose schedule is at 0.

        Args:
            x: ``(B, C, H, W)``, pictures in [0, 1] units or maps.
        """
        windows = tuple((0, place) for place in range(len(self._problems)))
        energies = group_terms(
            self._network,
            self._problems,
            self._iterations,
            windows,
            lambda term, iteration: term.recorded_as is not None,
            self._moved,
            self._pick_terms,
        )
        with torch.no_grad():
            maps = self._network.features(self._pad(x), self._layers(energies))
            losses = [match.loss(pick(maps[match.layer], match.index)) for match in self._matches]
            return self._collect([x], maps, losses, energies, range(len(x)), None)

    def _pad(self, x: Tensor) -> Tensor:
        return torch.cat([x, x]) if self._padded else x.detach()

    def _collect(
        self,
        stacks: Sequence[Tensor],
        maps: dict[str, Tensor],
        losses: Sequence[Tensor],
        energies: Sequence[TermGroup],
        record: Sequence[int],
        patch_offsets: PatchOffsets,
    ) -> list[dict[str, float]]:
        wanted = set(record)
        columns: list[Tensor] = list(losses)
        labels: list[tuple[int, str, str]] = [
            (place, "match", match.layer) for match in self._matches for place in match.places
        ]
        with torch.no_grad():
            for term in energies:
                chosen = [i for i, place in enumerate(term.places) if place in wanted]
                if not chosen:
                    continue
                source = stacks[term.stack] if term.layer is None else maps[term.layer].detach()
                picked = pick(source, self._index([term.rows[i] for i in chosen], len(source)))
                columns.append(term.record(picked, chosen, patch_offsets))
                labels += [(term.places[i], "term", label) for i in chosen if (label := term.labels[i]) is not None]
        values = torch.cat(columns).tolist()  # the only wait for the device
        found: dict[int, dict[tuple[str, str], float]] = {place: {} for place in wanted}
        for (place, kind, name), value in zip(labels, values, strict=True):
            if place in wanted:
                found[place][kind, name] = value
        return [self._sum_up(place, found[place]) for place in record]

    def _sum_up(self, place: int, values: dict[tuple[str, str], float]) -> dict[str, float]:
        problem, iteration = self._problems[place], self._iterations[place]
        matched = [(match.weight, values["match", self._network.resolve(match.layer)]) for match in problem.matches]
        recorded = {name: value for (kind, name), value in values.items() if kind == "term"}
        objective = sum(weight * value for weight, value in matched)
        for term in problem.terms:
            weight = term.weight_at(iteration)
            if weight > 0 and term.name in recorded:  # a report is recorded under another name
                objective += weight * recorded[term.name]
        names = [term.recorded_as for term in problem.terms]
        return {
            OBJECTIVE: objective,
            FEATURE_LOSS: sum(value for _, value in matched),
            **{name: recorded[name] for name in names if name in recorded},
        }
