"""Errors that are told to the user in one clear line each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class Portable(Exception):
    """An error that another process can raise again as it was: the same type, message and attributes.

    Python pickles an exception as its type and the message, and makes it anew by calling the type with that message.
    That fails for every class whose `__init__` takes something else.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return _made_again, (type(self), self.args, dict(self.__dict__))


class InputError(Portable, ValueError):
    """Something given from outside is invalid. The message is one line: what, where, what would be valid."""


class InputErrors(InputError):
    """Several faults found together.

    Attributes:
        lines: one message per fault.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


class Failure(Portable, RuntimeError):
    """Something failed that is nobody's input: a disk, a server, a worker. One line: what, and how to go on."""


_LONGEST_NAME = 60
_MOST_LISTED, _NEAREST = 24, 5


def unknown(kind: str, name: object, valid: Iterable[object], listing: str = "") -> str:
    """Return the message for an unknown name: the nearest match first, then what is valid.

    Of very many valid names only the five nearest are told, and what lists them all.

    >>> unknown("layer", "conv1/rleu", ["conv1/lin", "conv1/relu"])
    "unknown layer 'conv1/rleu'; did you mean 'conv1/relu'? valid: conv1/lin, conv1/relu"

    Args:
        kind: what the name is of.
        name: as it was given.
        valid: the names that there are.
        listing: the command or page that lists all of them.
    """
    given, names = str(name), [str(item) for item in valid]
    near = [name for name in names if name.lower() == given.lower()][:1]
    near = near or difflib.get_close_matches(given[:_LONGEST_NAME], names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    told = ", ".join(names)
    if len(names) > _MOST_LISTED:
        nearest = difflib.get_close_matches(given[:_LONGEST_NAME], names, n=_NEAREST, cutoff=0)
        told = f"{', '.join(nearest)} ... ({len(names)} in all{f': {listing}' if listing else ''})"
    return f"unknown {kind} {brief(given)}; {hint}valid: {told}"


def in_one_line(error: BaseException) -> str:
    """Return the message of another's error without its line breaks."""
    return " ".join(str(error).split())


def brief(value: object) -> str:
    """Return a value as Python writes it, a long one without its middle, for a message of one line."""
    text = repr(value)
    half = (_LONGEST_NAME - 3) // 2
    return text if len(text) <= _LONGEST_NAME + 2 else f"{text[:half]}...{text[-half:]}"


def _made_again(kind: type[Exception], args: tuple[Any, ...], attributes: Mapping[str, Any]) -> Exception:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error
