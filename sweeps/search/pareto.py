"""Which finished trials are the best so far: one, or with several metrics the ones that none dominates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Placed:
    """A finished trial with its metrics in the sweep's order."""

    number: int
    values: tuple[float, ...]


class Standing:
    """The front of the trials added so far; ties stay with the earlier one.

    Args:
        goals: ``minimize`` or ``maximize`` for each metric.
    """

    def __init__(self, goals: Sequence[str]) -> None:
        self._signs = tuple(1.0 if goal == "minimize" else -1.0 for goal in goals)
        self.front: list[Placed] = []

    def add(self, number: int, values: Sequence[float]) -> bool:
        """Add a trial; return whether none before it is as good or better in every metric."""
        new = Placed(number, tuple(float(value) for value in values))
        if any(self._covers(old, new) for old in self.front):
            return False
        self.front = [old for old in self.front if not self._covers(new, old)] + [new]
        return True

    @property
    def best(self) -> Placed | None:
        """The trial to name where only one can be: the front's best in the first metric."""
        return min(self.front, key=lambda item: (self._signs[0] * item.values[0], item.number), default=None)

    def copy(self) -> Standing:
        """Return a standing that goes its own way."""
        twin = Standing(())
        twin._signs = self._signs
        twin.front = list(self.front)
        return twin

    def _covers(self, one: Placed, other: Placed) -> bool:
        pairs = zip(self._signs, one.values, other.values, strict=True)
        return all(sign * a <= sign * b for sign, a, b in pairs)
