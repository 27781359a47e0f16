"""Progress of long work on standard error: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from restoration_core.informing import guarded

LINE_EVERY_S = 5.0
SELDOM_S = 60.0
_LEAST_BAR, _MOST_BAR = 4, 60
_REFRESH_PER_S = 4


class WorkDisplay:
    """Shows how far a piece of work is, how long it took and how long it still takes.

    On a terminal two lines that stay: a bar with the times, and what there is to say. Elsewhere a line every five
    seconds at first and every minute later, and one at the end. Times are those since the first call about this piece
    of work. A display that cannot be drawn goes silent.

    Args:
        stream: where to; standard error by default.
        line_every_s: least seconds between plain lines, in place of the times above.
    """

    def __init__(self, stream: TextIO | None = None, line_every_s: float | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._line_every_s = line_every_s
        self._live: Live | None = None
        self._name, self._words = "", ""
        self._first, self._done, self._total = 0.0, 0.0, 0.0
        self._since = self._until = time.monotonic()
        self._last_line, self._last_text = float("-inf"), ""
        self._show = guarded(self._show_now)

    def __enter__(self) -> WorkDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def show(self, name: str, done: float, total: float, words: str) -> None:
        """Show the state of a piece of work; another name is another piece, with times of its own.

        Args:
            name: of the work.
            done, total: how much of it is done, in any unit.
            words: what there is to say about it.
        """
        self._show(name, done, total, words)

    def stop(self) -> None:
        """Leave the terminal as it stands; may be called twice."""
        if self._live is not None:
            guarded(self._live.stop)()
            self._live = None

    def frame(self, width: int) -> RenderableType:
        """Return what the terminal shows now, for lines of ``width`` characters."""
        share = min(self._done / self._total, 1.0) if self._total > 0 else 0.0
        now = self._until if share >= 1 else time.monotonic()
        times = f"{share:4.0%}  {_clock(now - self._since)}"
        left = self.left_s()
        if share < 1:
            times += f"  {_clock(left)} left" if left is not None else "  -:--:-- left"
        # The times are the last to go where there is little room.
        name = self._name[: max(min(width // 3, width - len(times) - 1), 0)]
        bar = min(width - len(name) - len(times) - 2, _MOST_BAR)
        line = Table.grid(padding=(0, 1, 0, 0))
        line.add_row(
            *([Text(name, no_wrap=True)] if name else []),
            *([ProgressBar(1.0, share, width=bar)] if bar >= _LEAST_BAR else []),
            Text(times, no_wrap=True, overflow="crop"),
        )
        return Group(line, Text(self._words, no_wrap=True, overflow="crop"))

    def left_s(self) -> float | None:
        """Return the seconds that are left at the speed so far; None before anything was done."""
        done, now = self._done - self._first, time.monotonic()
        if done <= 0 or self._total <= self._done:
            return 0.0 if self._total <= self._done and self._total > 0 else None
        # Between two calls the time left runs down.
        return max((self._until - self._since) / done * (self._total - self._done) - (now - self._until), 0.0)

    def _show_now(self, name: str, done: float, total: float, words: str) -> None:
        now = time.monotonic()
        if name != self._name:
            self.stop()
            self._name, self._first, self._since = name, done, now
            self._last_line, self._last_text = float("-inf"), ""
        if done != self._done or done >= total:
            self._until = now
        self._done, self._total, self._words = done, total, words
        if self._stream.isatty():
            self._draw()
        else:
            self._line(now)

    def _draw(self) -> None:
        if self._live is None:
            console = Console(file=self._stream)
            self._live = Live(
                get_renderable=lambda: self.frame(console.width), console=console, refresh_per_second=_REFRESH_PER_S
            )
            self._live.start()
        if self._done >= self._total:
            self._live.refresh()

    def _line(self, now: float) -> None:
        elapsed, over = now - self._since, self._done >= self._total
        pause = self._line_every_s
        if pause is None:
            pause = min(max(elapsed / 12, LINE_EVERY_S), SELDOM_S)
        if not over and now - self._last_line < pause:
            return
        if over and self._last_text == self._words:
            return
        self._last_line, self._last_text = now, self._words if over else ""
        left = None if over else self.left_s()
        times = duration(elapsed) if left is None else f"{duration(left)} left after {duration(elapsed)}"
        print(f"{self._name}: {self._words}, {times}", file=self._stream, flush=True)


@contextmanager
def show_progress(total: int, quiet: bool) -> Iterator[Callable[[int, str], None]]:
    """Give what is to be called with the steps done and a word on what is being done.

    Args:
        total: steps in all.
        quiet: show nothing.
    """
    with WorkDisplay() as display:

        def show(done: int, what: str) -> None:
            if not quiet:
                display.show("reconstructing", done, total, f"{done} of {total} steps, {what}")

        yield show


def duration(seconds: float) -> str:
    """Return seconds as a person says them: ``45 s``, ``12 min``, ``3.5 h``."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _clock(seconds: float | None) -> str:
    return str(timedelta(seconds=round(seconds or 0.0)))
