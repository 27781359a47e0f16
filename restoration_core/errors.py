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


def unknown(kind: str, name: object, valid: Iterable[object]) -> str:
    """Return the message for an unknown name: the nearest match first, then all that is valid.

    >>> unknown("layer", "conv1/rleu", ["conv1/lin", "conv1/relu"])
    "unknown layer 'conv1/rleu'; did you mean 'conv1/relu'? valid: conv1/lin, conv1/relu"
    """
    names = [str(item) for item in valid]
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {str(name)!r}; {hint}valid: {', '.join(names)}"


def _made_again(kind: type[Exception], args: tuple[Any, ...], attributes: Mapping[str, Any]) -> Exception:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error
