"""Errors that a user can cause: one clear line each."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class InputError(ValueError):
    """Something given from outside is invalid. The message is one line: what, where, what would be valid."""


class InputErrors(InputError):
    """Several faults found together.

    Attributes:
        lines: one message per fault.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


def unknown(kind: str, name: object, valid: Iterable[object]) -> str:
    """Return the message for an unknown name: the nearest match first, then all that is valid.

    >>> unknown("layer", "conv1/rleu", ["conv1/lin", "conv1/relu"])
    "unknown layer 'conv1/rleu'; did you mean 'conv1/relu'? valid: conv1/lin, conv1/relu"
    """
    names = [str(item) for item in valid]
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"unknown {kind} {str(name)!r}; {hint}valid: {', '.join(names)}"
