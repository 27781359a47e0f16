"""Output that only informs: a closed terminal, a reader that went away or a full disk behind it must not end a run.

:func:`protect_output` makes standard output and standard error unbreakable for the whole process, so that whatever
writes there (the commands, progress bars, warnings, log handlers, libraries) needs no care of its own.
:func:`guarded` does the same for callbacks.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Callable
from typing import Any, ParamSpec

import click

_P = ParamSpec("_P")
_PATIENCE_S = 10.0


class UnbreakableWriter(io.RawIOBase):
    """Writes to a file descriptor until that fails, and from then on to nowhere.

    Args:
        descriptor: an open file descriptor; it is not closed with this object.

    Attributes:
        error: what went wrong, None as long as all is well.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.name = {1: "<stdout>", 2: "<stderr>"}.get(descriptor, str(descriptor))
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return self.error is None and os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        content = bytes(data)
        if self.error is None:
            try:
                return os.write(self._descriptor, content)
            except BlockingIOError as error:
                # Another program made this terminal or pipe non-blocking, and it is full for the moment.
                _, ready, _ = select.select([], [self._descriptor], [], _PATIENCE_S)
                if ready:
                    return self.write(content)
                self.error = error
            except OSError as error:
                self.error = error
        return len(content)


class PrintingCommand(click.Command):
    """A command whose result is what it prints: it fails when that could not be written, as ``cat`` and ``ls`` do.

    A reader that has seen enough (``| head -1``) or an output that was closed on purpose is no failure.
    """

    def invoke(self, ctx: click.Context) -> Any:
        result = super().invoke(ctx)
        error = output_error()
        if error is not None and error.errno not in {errno.EPIPE, errno.EBADF}:
            click.echo(f"error: standard output cannot be written: {error.strerror}", err=True)
            ctx.exit(1)
        return result


def protect_output() -> None:
    """Make standard output and standard error of this process unbreakable; streams that a caller put there stay.

    Closed descriptors are opened on the null device: the next file to be opened, a database perhaps, would take their
    number, and whatever a library writes to standard error would end up in it. What an encoding does not have is
    written as an escape sequence.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if stream is None or stream is getattr(sys, f"__{name}__"):
            setattr(sys, name, _unbreakable(stream, descriptor))


def output_error() -> OSError | None:
    """Return why standard output could not be written, None when it could."""
    try:
        sys.stdout.flush()
        raw = getattr(sys.stdout.buffer, "raw", None)
    except (AttributeError, OSError, ValueError):
        return None
    return raw.error if isinstance(raw, UnbreakableWriter) else None


def guarded(callback: Callable[_P, object]) -> Callable[_P, None]:
    """Return a callback that never raises: once it has failed it is not called again."""
    broken = False

    def call(*args: _P.args, **kwargs: _P.kwargs) -> None:
        nonlocal broken
        if broken:
            return
        try:
            callback(*args, **kwargs)
        except Exception:
            broken = True

    return call


def _unbreakable(stream: Any, descriptor: int) -> io.TextIOWrapper:
    encoding = stream.encoding if stream is not None else "utf-8"
    buffer = io.BufferedWriter(UnbreakableWriter(descriptor))
    by_line = descriptor == 2 or os.isatty(descriptor)
    unbreakable = io.TextIOWrapper(buffer, encoding, "backslashreplace", line_buffering=by_line)
    # Ray hands objects that hold a stream to other processes, and takes it for a standard stream only when it is of
    # this very type and has a name and a mode, as Python's own have.
    vars(unbreakable)["mode"] = "w"
    return unbreakable
