"""How a running sweep shows itself: its search, then its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, TextIO

from restoration_core.commands.progress import WorkDisplay
from restoration_core.commands.tables import cell

_VERDICT = "verdict"


class ProgressDisplay:
    """Called with the coordinator's ``progress()`` a few times a second, from any thread, and with the verdict's.

    Args:
        name: of the sweep.
        stream, line_every_s: see :class:`WorkDisplay`.

    Attributes:
        name: as shown.
        begun: whether the sweep has reported anything yet.
    """

    def __init__(self, name: str, stream: TextIO | None = None, line_every_s: float | None = None) -> None:
        self.begun = False
        self.name = name
        self._display = WorkDisplay(stream, line_every_s)

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __call__(self, state: Mapping[str, Any]) -> None:
        self.begun = True
        planned, ended = int(state.get("planned", 0)), _ended(state)
        # Trials in flight count by the share of their iterations, so that the bar moves before the first pack ends.
        done = min(ended + float(state.get("in_flight_share", 0.0)), planned)
        name = f"{self.name}: {_VERDICT}" if state.get("stage") == _VERDICT else self.name
        self._display.show(name, done, planned, describe(state))

    def stop(self) -> None:
        """Leave the terminal as it stands; may be called twice."""
        self._display.stop()


def describe(state: Mapping[str, Any]) -> str:
    """Return the state in words: trials done, the best so far, what runs and what failed."""
    share, planned = float(state.get("in_flight_share", 0.0)), state.get("planned", "?")
    of_work = f" ({min((_ended(state) + share) / planned, 1.0):.0%})" if share and planned and planned != "?" else ""
    if state.get("stage") == _VERDICT:
        return f"{_ended(state)}/{planned} reconstructions{of_work} of pictures that were not searched on"
    parts = [f"{_ended(state)}/{planned} trials{of_work}", f"{state.get('running', 0)} running"]
    parts += [f"{state[key]} {key}" for key in ("failed", "pruned") if state.get(key)]
    best = state.get("best")
    if isinstance(best, Mapping) and best:
        values = ", ".join(f"{name} {cell(value)}" for name, value in best.items())
        several = f", {state.get('front')} on the Pareto front" if len(best) > 1 else ""
        parts.append(f"best {values} (trial {state.get('best_number')}){several}")
    return ", ".join(parts)


def _ended(state: Mapping[str, Any]) -> int:
    return sum(int(state.get(key, 0)) for key in ("complete", "failed", "pruned"))
