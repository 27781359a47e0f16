"""Code of a user's that is run for them: whatever ends it is told in one line."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from restoration_core.errors import InputError


@contextlib.contextmanager
def user_code(what: str, valid: str) -> Iterator[None]:
    """Turn what a user's code raises inside into an ``InputError``; a real Ctrl-C stays one.

    ``sys.exit`` and a ``KeyboardInterrupt`` that the code raises itself would otherwise end the command without a word.

    Args:
        what: what failed, for the message.
        valid: what would be valid, for the message.
    """
    with _pressed_keys() as pressed:
        try:
            yield
        except InputError:
            raise
        except KeyboardInterrupt as error:
            if pressed:
                raise
            raise InputError(f"{what} (it raised KeyboardInterrupt); valid: {valid}") from error
        except SystemExit as error:
            raise InputError(f"{what} (it called sys.exit({error.code!r})); valid: {valid}") from error
        except Exception as error:  # a user's code may raise anything
            raise InputError(f"{what} ({_said(error)}); valid: {valid}") from error


@contextlib.contextmanager
def _pressed_keys() -> Iterator[list[int]]:
    """Note each Ctrl-C that arrives inside; only the main thread gets any."""
    pressed: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield pressed
        return

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _said(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
