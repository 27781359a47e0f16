"""Which finished trials are best: the one place that says so, for the search, the store, MLflow and the dashboard.

By one metric a trial is better when its value is; of equal ones the lower number. By several a trial is on the front
when no other is as good in every metric and better in one; equal ones are on the front together. Where only one can be
named, it is the front's best in the first metric. What is not finite is never best.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Placed:
    """A finished trial with its metrics in the sweep's order."""

    number: int
    values: tuple[float, ...]


class Standing:
    """The best trials of those added so far: one, or with several metrics the front.

    Args:
        goals: ``minimize`` or ``maximize`` for each metric.

    Attributes:
        front: the trials that none of the others beats, as they were added.
    """

    def __init__(self, goals: Sequence[str]) -> None:
        self._goals = tuple(goals)
        self.front: list[Placed] = []

    def add(self, number: int, values: Sequence[float | None]) -> bool:
        """Add a trial, in any order of numbers; return whether none so far beats it."""
        new = _placed(number, values)
        if new is None or any(self._beats(old, new) for old in self.front):
            return False
        self.front = [old for old in self.front if not self._beats(new, old)] + [new]
        return True

    @property
    def best(self) -> Placed | None:
        """The trial to name where only one can be; None without one."""
        return min(self.front, key=self._order, default=None)

    def ranked(self) -> list[Placed]:
        """Return the front, the trial to name first."""
        return sorted(self.front, key=self._order)

    def copy(self) -> Standing:
        """Return a standing that goes its own way."""
        twin = Standing(self._goals)
        twin.front = list(self.front)
        return twin

    def _beats(self, one: Placed, other: Placed) -> bool:
        mine, theirs = _costs(one.values, self._goals), _costs(other.values, self._goals)
        if len(self._goals) == 1:
            return (mine, one.number) < (theirs, other.number)
        return _dominates(mine, theirs)

    def _order(self, item: Placed) -> tuple[tuple[float, ...], int]:
        return _costs(item.values, self._goals), item.number


def ranked(trials: Iterable[tuple[int, Sequence[float | None]]], goals: Sequence[str]) -> list[Placed]:
    """Return the trials from best to worst; with several metrics those on the front, the one to name first.

    Args:
        trials: number and metrics of each; one with a metric that is missing or not finite is left out.
        goals: ``minimize`` or ``maximize`` for each metric.
    """
    found = [item for number, values in trials if (item := _placed(number, values)) is not None]
    sorted_costs = sorted(((_costs(item.values, goals), item.number, item) for item in found), key=lambda row: row[:2])
    if len(goals) == 1:
        return [item for _, _, item in sorted_costs]
    front: list[tuple[tuple[float, ...], Placed]] = []
    # In this order no trial dominates an earlier one.
    for costs, _, item in sorted_costs:
        if not any(_dominates(other, costs) for other, _ in front):
            front.append((costs, item))
    return [item for _, item in front]


def best(trials: Iterable[tuple[int, Sequence[float | None]]], goals: Sequence[str]) -> Placed | None:
    """Return the trial to name as the best, None without one; see `ranked`."""
    return next(iter(ranked(trials, goals)), None)


def is_better(value: float, other: float, goal: str) -> bool:
    """Return whether a value is better than another, by one metric."""
    return -value < -other if goal == "maximize" else value < other


def _dominates(mine: tuple[float, ...], theirs: tuple[float, ...]) -> bool:
    return mine != theirs and all(a <= b for a, b in zip(mine, theirs, strict=True))


def _placed(number: int, values: Sequence[float | None]) -> Placed | None:
    found = tuple(float(value) for value in values if value is not None and math.isfinite(value))
    return Placed(number, found) if values and len(found) == len(values) else None


def _costs(values: Sequence[float], goals: Sequence[str]) -> tuple[float, ...]:
    return tuple(-value if goal == "maximize" else value for value, goal in zip(values, goals, strict=True))
