"""Being told to stop: Ctrl-C, SIGTERM and a terminal that closes all end a command in the same good order."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
_received: int | None = None


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to stop.

    Attributes:
        signal_number: which one.
    """

    def __init__(self, signal_number: int) -> None:
        self.signal_number = signal_number
        super().__init__(signal_number)

    @property
    def exit_status(self) -> int:
        """As shells say it: 130 for Ctrl-C, 143 for SIGTERM, 129 for a closed terminal."""
        return 128 + self.signal_number


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` in the main thread when a signal asks to stop; signals that are ignored stay ignored."""
    global _received
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _received = None
    try:
        with _handling(_interrupt, [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]):
            yield
    finally:
        _received = None


def check_interruption() -> None:
    """Raise again what was raised and got lost.

    Python discards an exception that is raised in a finaliser or in a callback of a library, so that Ctrl-C at such a
    moment would be swallowed. Long work calls this between its steps.
    """
    if _received is not None:
        raise Interrupted(_received)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Let nothing interrupt the few statements of the block; a signal that comes meanwhile is raised at its end."""
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handling(lambda number, frame: came.append(number), [n for n in _SIGNALS if callable(signal.getsignal(n))]):
        yield
    for number in came:
        signal.raise_signal(number)


@contextlib.contextmanager
def telling_interruption() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether Ctrl-C was pressed in the block: code can raise KeyboardInterrupt too."""
    came: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield lambda: False
        return

    def handler(number: int, frame: FrameType | None) -> None:
        came.append(number)
        before(number, frame)

    with _handling(handler, [signal.SIGINT]):
        yield lambda: bool(came)


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], Any], numbers: list[signal.Signals]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _received
    _received = number
    raise Interrupted(number)
