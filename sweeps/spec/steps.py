"""The values of a stepped parameter, as a person would write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import overload

_TOLERANCE = 1e-6
"""Part of a step by which a computed value may miss the one it stands for."""


@dataclass(frozen=True)
class Steps(Sequence[float]):
    """``low``, ``low + step``, ... up to ``high``, none of them kept in memory.

    Adding floats gives 1.7000000000000002 where 1.7 is meant, so the values are worked out in decimals.
    """

    low: Decimal
    step: Decimal
    size: int

    @classmethod
    def between(cls, low: float, high: float, step: float) -> Steps:
        """Return the steps from ``low`` that do not go beyond ``high``."""
        first, last, width = (Decimal(str(number)) for number in (low, high, step))
        return cls(first, width, int((last - first) // width) + 1)

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice) -> list[float]: ...

    def __getitem__(self, index: int | slice) -> float | list[float]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(self.size))]
        place = index + self.size if index < 0 else index
        if not 0 <= place < self.size:
            raise IndexError(index)
        return float(self.low + place * self.step)

    def nearest(self, value: float) -> float:
        """Return the value that lies nearest."""
        place = round((value - float(self.low)) / float(self.step))
        return self[min(max(place, 0), self.size - 1)]

    def meant_by(self, value: float) -> float | None:
        """Return the value that ``value`` is but for rounding, None where it is none of them."""
        found = self.nearest(value)
        return found if abs(value - found) <= _TOLERANCE * float(self.step) else None
