"""One running reconstruction: its place in time, its randomness, what it has recorded."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from restoration_core.reconstruction.optimizers import RULES, UpdateRule
from restoration_core.reconstruction.problem import Problem, Status
from restoration_core.reconstruction.windows import Offset
from restoration_core.seeds import derive_seed

MID_GREY = 0.5


@dataclass
class Row:
    """A problem in progress. ``variable`` and ``states`` are current only while the row is outside a group.

    Attributes:
        key: under which the caller knows it.
        problem: what is solved.
        size: side of the picture in pixels.
        variable: the pre-image's parameters ``(3, h, w)``: the canvas, or the canvas at 1/factor.
        states: the update rule's state, shaped like ``variable``.
        factor: coarse-to-fine factor of the current stage.
        iteration: steps taken; ``age``: steps since the state was reset.
        offsets: window's corner for every iteration, drawn beforehand.
        patch_offsets: per term with a patch stride, ``(iterations, 2)`` corners of the patch grid.
        steps, curves: the record; ``snapshots``: pictures kept; ``compute_s``: share of the wall time so far.
    """

    key: Hashable
    problem: Problem
    size: int
    variable: Tensor
    states: list[Tensor]
    factor: int
    offsets: list[Offset]
    patch_offsets: dict[str, Tensor]
    iteration: int = 0
    age: int = 0
    status: Status | None = None
    steps: list[int] = field(default_factory=list)
    curves: dict[str, list[float]] = field(default_factory=dict)
    snapshots: dict[int, Tensor] = field(default_factory=dict)
    compute_s: float = 0.0

    @property
    def canvas(self) -> int:
        """Side of the row's own canvas in pixels."""
        return self.size + self.problem.jitter - 1

    @property
    def centre(self) -> int:
        """Corner of the centre crop on the canvas, along both axes."""
        return (self.problem.jitter - 1) // 2

    @property
    def rule(self) -> UpdateRule:
        return RULES[self.problem.optimizer]

    def steps_to_event(self) -> int:
        """Return the number of steps over which learning rate and stage are constant and nothing is to be kept."""
        problem = self.problem
        events = [start for start, _ in problem.learning_rate.pieces + problem.coarse_to_fine]
        return min(event for event in [*events, *problem.snapshots, problem.iterations] if event > self.iteration) - (
            self.iteration
        )

    def next_factor(self) -> int:
        """Return the coarse-to-fine factor at the current iteration."""
        return factor_at(self.problem, self.iteration)

    def enter_stage(self) -> None:
        """Carry the variable over to the current stage's resolution and restart the update rule's state."""
        target = self.next_factor()
        full = upsample(self.variable.unsqueeze(0), self.canvas)
        self.variable = shrink(full, target)[0]
        self.states = [torch.zeros_like(self.variable) for _ in range(self.rule.states)]
        self.factor, self.age = target, 0

    def picture(self, variable: Tensor) -> Tensor:
        """Return the centre crop ``(3, H, W)`` of the canvas that ``variable`` stands for, not clamped."""
        canvas = upsample(variable.unsqueeze(0), self.canvas)[0]
        return canvas[:, self.centre : self.centre + self.size, self.centre : self.centre + self.size]

    def record(self, losses: dict[str, float]) -> None:
        self.steps.append(self.iteration)
        for name, value in losses.items():
            self.curves.setdefault(name, []).append(value)


def start_row(key: Hashable, problem: Problem, size: int, dtype: torch.dtype, device: torch.device) -> Row:
    """Return a row at iteration 0; its noise and jitter depend on the problem's seed only."""
    canvas = size + problem.jitter - 1
    factor = factor_at(problem, 0)
    if problem.initial is None:
        side = -(-canvas // factor)
        # Drawn in float32 whatever the dtype, on the host whatever the device: one seed, one start.
        noise = torch.randn(3, side, side, generator=_generator(problem.seed, "noise"))
        variable = (MID_GREY + problem.initial_std * noise).to(device=device, dtype=dtype)
    else:
        before = (problem.jitter - 1) // 2
        after = problem.jitter - 1 - before
        initial = problem.initial.to(device=device, dtype=dtype).unsqueeze(0)
        variable = shrink(F.pad(initial, (before, after, before, after), mode="replicate"), factor)[0].clone()
    return Row(
        key=key,
        problem=problem,
        size=size,
        variable=variable,
        states=[torch.zeros_like(variable) for _ in range(RULES[problem.optimizer].states)],
        factor=factor,
        offsets=_jitter_offsets(problem),
        patch_offsets={
            term.name: torch.randint(
                stride, (problem.iterations, 2), generator=_generator(problem.seed, "patches", term.name)
            )
            for term in problem.terms
            if term.layer is None and (stride := getattr(term.prior, "patch_stride", 1)) > 1
        },
    )


def factor_at(problem: Problem, iteration: int) -> int:
    """Return the coarse-to-fine factor at ``iteration``: 1 before the first stage."""
    return next((factor for start, factor in reversed(problem.coarse_to_fine) if start <= iteration), 1)


def upsample(coarse: Tensor, side: int) -> Tensor:
    """Return ``(B, 3, h, h)`` resized bilinearly to ``(B, 3, side, side)``; a linear map, the identity at full size."""
    if coarse.shape[-1] == side:
        return coarse
    return F.interpolate(coarse, size=(side, side), mode="bilinear", align_corners=False)


def shrink(full: Tensor, factor: int) -> Tensor:
    """Return the means of ``full`` over blocks of ``factor`` x ``factor`` pixels (the last ones smaller)."""
    if factor == 1:
        return full
    side = -(-full.shape[-1] // factor)
    return F.interpolate(full, size=(side, side), mode="area")


def _generator(seed: int, *purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(seed, *purpose))


def _jitter_offsets(problem: Problem) -> list[Offset]:
    centre = (problem.jitter - 1) // 2
    drawn = torch.randint(problem.jitter, (problem.iterations, 2), generator=_generator(problem.seed, "jitter"))
    until = problem.iterations if problem.jitter_until is None else problem.jitter_until
    drawn[until:] = centre
    return [(top, left) for top, left in drawn.tolist()]
