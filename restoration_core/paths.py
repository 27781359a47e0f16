"""Paths that users give: the home folder's ``~``, names as text, and which files may be opened at all."""

from __future__ import annotations

import errno
import os
import re
import stat
import unicodedata
from pathlib import Path

from restoration_core.errors import InputError

_LONGEST_SHOWN = 160
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that turn the direction of what follows, so that a name looks like another."""
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def user_path(text: str | os.PathLike[str]) -> Path:
    """Return the path that a user means, with ``~`` and ``~user`` expanded as a shell does.

    A name that only begins with ``~`` stays as it is when there is no such user: editors and office programs write
    files like ``~photo.jpg``. ``./~photo.jpg`` is never expanded.
    """
    written = os.fspath(text)
    path = Path(written)
    if not written.startswith("~"):
        return path
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def as_text(path: str | os.PathLike[str]) -> str:
    r"""Return a path as text that any terminal, database or JSON file takes.

    Bytes that are not UTF-8, control characters and line ends are written as ``\xNN``; :func:`from_text` takes that
    back.

    >>> as_text("caf\udce9.jpg")
    'caf\\xe9.jpg'
    """
    written = os.fspath(path)
    try:
        raw = os.fsencode(written)
    except UnicodeEncodeError:  # half of a surrogate pair, which no file system holds
        raw = written.encode("utf-8", "backslashreplace")
    text = raw.decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(map(_printable, text))


def from_text(text: str) -> Path:
    r"""Return the path that :func:`as_text` wrote as ``text``: the one of that very name, if there is such a file."""
    path = Path(text)
    if "\\x" not in text or os.path.lexists(path):
        return path
    try:
        raw = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), os.fsencode(text))
    except UnicodeEncodeError:
        return path
    decoded = Path(os.fsdecode(raw))
    return decoded if as_text(decoded) == str(path) else path


def shown(path: str | os.PathLike[str]) -> str:
    """Return a path for a message: as text, a very long one without its middle."""
    text = as_text(path)
    if len(text) <= _LONGEST_SHOWN:
        return text
    half = (_LONGEST_SHOWN - 3) // 2
    return f"{text[:half]}...{text[-half:]}"


def is_file(path: Path) -> bool:
    """Return whether there is a regular file, or a link to one; never raises."""
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def check_file(path: Path, kind: str, valid: str) -> None:
    """Check that a path can be opened as a file without waiting for ever, as a named pipe would.

    Args:
        path: of the file.
        kind: what it should be, for the message: ``picture``.
        valid: what would be valid, for the message.

    Raises:
        InputError: nothing there, or something that is no regular file.
    """
    fault = _fault(path, kind)
    if fault is not None:
        raise InputError(f"{shown(path)}: {fault}; valid: {valid}")


def _fault(path: Path, kind: str) -> str | None:
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte, half a surrogate pair
        return f"no such {kind}"
    except OSError as error:
        return f"no {kind} that can be read ({reason(error)})"
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return f"is a folder, not a {kind}"
    what = {stat.S_ISFIFO: "a named pipe", stat.S_ISSOCK: "a socket"}
    name = next((name for test, name in what.items() if test(mode)), "a device")
    return f"is {name}, not a {kind}"


def reason(error: OSError) -> str:
    """Return why the system refused a file, in a few words and without the path."""
    if error.errno == errno.ELOOP:
        return "its links lead in a circle"
    return (error.strerror or str(error) or type(error).__name__).lower()


def _printable(character: str) -> str:
    if unicodedata.category(character) not in {"Cc", "Zl", "Zp"} and character not in _TURNING:
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode())
