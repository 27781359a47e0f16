"""How a running sweep shows itself: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from restoration_core.commands.tables import cell
from sweeps.commands.common import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LINE_EVERY_S = 5.0


class ProgressDisplay:
    """Called with the coordinator's ``progress()`` a few times a second, from any thread.

    Args:
        name: of the sweep.
        stream: where lines go; the bar is shown when it is a terminal. Standard error by default.
        line_every_s: least seconds between plain lines.

    Attributes:
        begun: whether the sweep has reported anything yet.
    """

    def __init__(self, name: str, stream: TextIO | None = None, line_every_s: float = LINE_EVERY_S) -> None:
        self.begun = False
        self._name = name
        self._stream = stream if stream is not None else sys.stderr
        self._line_every_s = line_every_s
        self._last_line = float("-inf")
        self._last_text = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __call__(self, state: Mapping[str, Any]) -> None:
        self.begun = True
        if self._stream.isatty():
            self._draw(state)
            return
        done = _done(state) >= int(state.get("planned", 0))
        now = time.monotonic()
        text = f"{self._name}: {describe(state)}"
        if text != self._last_text and (done or now - self._last_line >= self._line_every_s):
            self._last_line, self._last_text = now, text
            print(text, file=self._stream, flush=True)

    def stop(self) -> None:
        """Take the bar off the terminal; may be called twice."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self, state: Mapping[str, Any]) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[text]}", markup=False),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                console=Console(file=self._stream),
            )
            self._task = self._bar.add_task(self._name, total=None, text="")
            self._bar.start()
        assert self._task is not None
        self._bar.update(
            self._task, total=int(state.get("planned", 0)), completed=_done(state), text=describe(state, elapsed=False)
        )


def describe(state: Mapping[str, Any], elapsed: bool = True) -> str:
    """Return one line of progress: trials done, failed, running, the best so far."""
    parts = [f"{_done(state)}/{state.get('planned', '?')} trials", f"{state.get('running', 0)} running"]
    if state.get("failed"):
        parts.append(f"{state['failed']} failed")
    if state.get("pruned"):
        parts.append(f"{state['pruned']} pruned")
    best = state.get("best")
    if isinstance(best, Mapping) and best:
        values = ", ".join(f"{name} {cell(value)}" for name, value in best.items())
        parts.append(f"best {values} (trial {state.get('best_number')})")
    if elapsed and state.get("elapsed_s") is not None:
        parts.append(duration(float(state["elapsed_s"])))
    return ", ".join(parts)


def _done(state: Mapping[str, Any]) -> int:
    return sum(int(state.get(key, 0)) for key in ("complete", "failed", "pruned"))
