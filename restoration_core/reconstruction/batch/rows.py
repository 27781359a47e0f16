"""One running reconstruction: its problem, how far it is, and what it has recorded."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from restoration_core.networks import FeatureNetwork
from restoration_core.reconstruction.batch.windows import Offset
from restoration_core.reconstruction.optimizers import RULES, UpdateRule
from restoration_core.reconstruction.problem import WINDOW, ZERO_PADDED, Problem, Status
from restoration_core.reconstruction.starts import (
    canvas_side,
    centre_corner,
    random_generator,
    shrink,
    starting_variable,
    upsample,
)


@dataclass
class Row:
    """A problem in progress.

    While the row is in a :class:`VariableGroup`, its variable and states are kept there and are out of date here.

    Attributes:
        key: the caller's name for the row.
        problem: what is solved.
        size: side of the picture in pixels.
        variable: what is optimised, ``(C, h, w)``: the pre-image's canvas, or the canvas at 1/factor of its size.
        states: the update rule's state, shaped like ``variable``.
        factor: coarse-to-fine factor of the current stage.
        offsets: the window's corner on the canvas for every iteration; negative where zeros move in.
        patch_offsets: for each term with a patch stride the corners ``(iterations, 2)`` of its grid of patches.
        iteration: steps taken.
        age: steps since the states were last set to zero.
        status: how the row ended; None while it runs.
        steps: iterations at which losses were recorded.
        curves: the losses recorded, by name.
        snapshots: pictures kept, by iteration.
        compute_s: its share of the wall time so far.
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
        return canvas_side(self.problem, self.size)

    @property
    def priors_see_canvas(self) -> bool:
        """Whether image priors act on the canvas, not on the window that the network sees."""
        return self.problem.jitter_canvas != WINDOW and self.problem.jitter > 1

    @property
    def margin(self) -> int:
        """How many rows (and columns) of zeros may move in at the top (and left)."""
        return self.problem.jitter - 1 if self.problem.jitter_canvas == ZERO_PADDED else 0

    @property
    def rule(self) -> UpdateRule:
        return RULES[self.problem.optimizer]

    @property
    def last_iteration(self) -> int:
        """The iteration of the latest step (0 before the first), at which final losses look up their schedules."""
        return max(self.iteration - 1, 0)

    def steps_to_event(self) -> int:
        """Return the number of steps until a schedule or the stage changes, a snapshot is due, or the row ends."""
        problem = self.problem
        events = [start for start, _ in problem.learning_rate.pieces + problem.coarse_to_fine]
        events += [start for term in problem.terms if term.schedule for start, _ in term.schedule.pieces]
        return min(event for event in [*events, *problem.snapshots, problem.iterations] if event > self.iteration) - (
            self.iteration
        )

    def rate_changes(self) -> bool:
        """Return whether the coming step is the first at a new learning rate."""
        return self.iteration > 0 and any(start == self.iteration for start, _ in self.problem.learning_rate.pieces)

    def terms_change(self) -> bool:
        """Return whether the coming step is the first under a new factor of a term's schedule."""
        schedules = [term.schedule for term in self.problem.terms if term.schedule is not None]
        return any(start == self.iteration for schedule in schedules for start, _ in schedule.pieces)

    def next_factor(self) -> int:
        """Return the coarse-to-fine factor at the current iteration."""
        return factor_at(self.problem, self.iteration)

    def enter_stage(self) -> None:
        """Resize the variable to the current stage's resolution and set the update rule's state to zero."""
        target = self.next_factor()
        full = upsample(self.variable.unsqueeze(0), self.canvas)
        self.variable = shrink(full, target)[0]
        self.states = [torch.zeros_like(self.variable) for _ in self.states]
        self.factor, self.age = target, 0

    def picture(self, variable: Tensor) -> Tensor:
        """Return the picture ``(C, H, W)`` that ``variable`` stands for: its canvas's centre crop, not clamped."""
        canvas = upsample(variable.unsqueeze(0), self.canvas)[0]
        corner = centre_corner(self.problem)
        return canvas[:, corner : corner + self.size, corner : corner + self.size]

    def record(self, losses: dict[str, float]) -> None:
        """Add a point to the curves: NaN where ``losses`` lacks a name, as that of a term whose schedule is at 0."""
        for name in losses:
            self.curves.setdefault(name, [math.nan] * len(self.steps))
        self.steps.append(self.iteration)
        for name, values in self.curves.items():
            values.append(losses.get(name, math.nan))


def start_row(key: Hashable, problem: Problem, size: int, network: FeatureNetwork) -> Row:
    """Return a row at iteration 0; its noise and jitter depend on the problem's seed only."""
    factor = factor_at(problem, 0)
    variable = starting_variable(network, problem, size, factor)
    states = RULES[problem.optimizer].states if problem.optimizer in RULES else 0
    return Row(
        key=key,
        problem=problem,
        size=size,
        variable=variable,
        states=[torch.zeros_like(variable) for _ in range(states)],
        factor=factor,
        offsets=_jitter_offsets(problem),
        patch_offsets={
            term.name: torch.randint(
                stride, (problem.iterations, 2), generator=random_generator(problem.seed, "patches", term.name)
            )
            for term in problem.terms
            if (stride := getattr(term.prior, "patch_stride", 1)) > 1
        },
    )


def factor_at(problem: Problem, iteration: int) -> int:
    """Return the coarse-to-fine factor at ``iteration``: 1 before the first stage."""
    return next((factor for start, factor in reversed(problem.coarse_to_fine) if start <= iteration), 1)


def _jitter_offsets(problem: Problem) -> list[Offset]:
    drawn = torch.randint(problem.jitter, (problem.iterations, 2), generator=random_generator(problem.seed, "jitter"))
    if problem.jitter_canvas == ZERO_PADDED:  # a picture shifted down by t is seen through a window t above it
        drawn.neg_()
    until = problem.iterations if problem.jitter_until is None else problem.jitter_until
    drawn[until:] = centre_corner(problem)
    return [(top, left) for top, left in drawn.tolist()]
