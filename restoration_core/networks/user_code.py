"""Code of a user's that is run for them: whatever ends it is told in one line."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from restoration_core.errors import InputError, in_one_line
from restoration_core.interruption import Interrupted, telling_interruption


class EndedByUserCode(Exception):
    """A user's code tried to end the program: by `sys.exit`, or by an exception that looks like Ctrl-C."""


@contextlib.contextmanager
def user_code(what: str, valid: str) -> Iterator[None]:
    """Turn what a user's code raises inside into an ``InputError``; a real Ctrl-C stays one.

    Args:
        what: what failed, for the message.
        valid: what would be valid, for the message.
    """
    try:
        with kept_from_ending():
            yield
    except InputError:
        raise
    except EndedByUserCode as error:
        raise InputError(f"{what} ({error}); valid: {valid}") from error
    except Exception as error:  # a user's code may raise anything
        raise InputError(f"{what} ({_said(error)}); valid: {valid}") from error


@contextlib.contextmanager
def kept_from_ending() -> Iterator[None]:
    """Let code of a user's raise nothing but an `Exception`, which is then said like any other.

    ``sys.exit`` and a ``KeyboardInterrupt`` that the code raises itself would otherwise end the command without a word.

    Raises:
        EndedByUserCode: in place of these.
        KeyboardInterrupt: Ctrl-C was pressed, or another signal asked the process to stop.
    """
    with telling_interruption() as pressed:
        try:
            yield
        except Exception:
            raise
        except BaseException as error:
            if isinstance(error, Interrupted) or pressed():
                raise
            if isinstance(error, SystemExit):
                raise EndedByUserCode(f"it called sys.exit({error.code!r})") from error
            raise EndedByUserCode(f"it raised {type(error).__name__}") from error


def _said(error: BaseException) -> str:
    text = in_one_line(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
