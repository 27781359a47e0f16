"""Where a store is: its address checked, and its file."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from restoration_core.errors import InputError
from sweeps.shown_address import show_url

VALID = "valid: sqlite:///FILE.db or postgresql://USER@HOST/DATABASE"


def parse_url(url: str) -> URL:
    """Return the parsed store address.

    Raises:
        InputError: not an address, a database that is not supported, or SQLite without a file.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise InputError(f"store {show_url(url)!r} is not a database address; {VALID}") from error
    if backend not in {"sqlite", "postgresql"}:
        raise InputError(f"store {show_url(url)}: {backend} is not supported; {VALID}")
    if backend == "sqlite" and (
        not parsed.database
        or parsed.database == ":memory:"
        or parsed.database.startswith("file:")
        or "?" in url
        or parsed.host
    ):
        raise InputError(
            f"store {show_url(url)!r} names no file (three slashes, no options; "
            f"in a path, % is written %25 and ? %3F); {VALID}"
        )
    return parsed


def sqlite_path(url: URL) -> Path | None:
    """Return the file of a SQLite store, None for a server."""
    return Path(url.database or "").absolute() if url.get_backend_name() == "sqlite" else None


def store_file(url: str) -> Path | None:
    """Return the file that a store's address names, quoted characters read once; None for a server.

    Raises:
        InputError: see `parse_url`.
    """
    return sqlite_path(parse_url(url))


def file_url(path: Path, scheme: str = "sqlite") -> str:
    """Return the address of a SQLite file, with the characters quoted that mean something in an address.

    Raises:
        InputError: a path that is no valid UTF-8, which no address can name.
    """
    try:
        return URL.create(scheme, database=str(path.absolute())).render_as_string()
    except UnicodeEncodeError as error:
        raise InputError(f"the path {os.fsencode(path)!r} is not UTF-8, so that no address can name it") from error
