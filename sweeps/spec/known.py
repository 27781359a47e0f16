"""What one parameter may be, with its default and its meaning in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from restoration_core.errors import brief, unknown


@dataclass(frozen=True)
class Known:
    """What one parameter may be.

    Attributes:
        kind: the type of its values; ``list`` for a structure of pairs, which cannot be searched.
        meaning: what it does, a sentence for the reference page.
        default: what holds when the spec is silent; None where nothing holds or ``otherwise`` tells it.
        otherwise: what holds when the spec is silent, in words, where it is no fixed value.
        low, high: inclusive range of a number.
        choices: valid texts; empty for numbers.
        above: True when ``low`` itself is excluded.
        refused: what to say of a value that exists but is not for sweeps.
    """

    kind: type
    meaning: str = ""
    default: bool | int | float | str | None = None
    otherwise: str = ""
    low: float = -math.inf
    high: float = math.inf
    choices: tuple[str, ...] = ()
    above: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)

    def fault(self, value: object) -> str | None:
        """Return what is wrong with ``value`` (rule, then value), or None; structures have rules of their own."""
        if self.kind is bool:
            return None if isinstance(value, bool) else f"must be true or false, but got {brief(value)}"
        if self.choices:
            if isinstance(value, str) and value in self.refused:
                return self.refused[value]
            return None if value in self.choices else unknown("value", value, self.choices)
        if self.kind is str:
            return None if isinstance(value, str) and value else f"must be a text, but got {brief(value)}"
        whole = self.kind is int
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            return f"must be {'a whole number' if whole else 'a number'}, but got {brief(value)}"
        if not math.isfinite(value):
            return f"must be finite, but got {brief(value)}"
        if value < self.low or (self.above and value <= self.low):
            return f"must be {'>' if self.above else '>='} {self.low:g}, but got {brief(value)}"
        return None if value <= self.high else f"must be <= {self.high:g}, but got {brief(value)}"
