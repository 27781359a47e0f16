"""A store that fails while it is used: its disk, its file, its server. One line each, with the cause and a remedy."""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError, IntegrityError

from restoration_core.errors import Failure

_FULL_BELOW_BYTES = 64 * 1024  # with less room than this, any failed write is for want of room
# PostgreSQL's codes (SQLSTATE) of what an administrator or the machine causes.
_FULL_STATES = ("53100",)
_LOCKED_STATES = ("55P03", "57014", "40001", "40P01")
_READ_ONLY_STATES = ("25006", "42501")


class StoreFailed(Failure):
    """The database cannot go on: nothing of the last transaction was kept, all that came before it was."""


class StoreFull(StoreFailed):
    """No room is left for the database to grow."""


class StoreLocked(StoreFailed):
    """Another process kept the database locked for too long."""


class StoreReadOnly(StoreFailed):
    """The database can be read, but not written."""


class StoreDamaged(StoreFailed):
    """The file holds what no database writes."""


class StoreMoved(StoreFailed):
    """The file that was opened is no longer under its name: deleted, moved or replaced by another."""


def one_line(error: DBAPIError) -> str:
    """Return what the database itself said, in one line."""
    return " ".join(str(error.orig).split())


def store_failure(error: DBAPIError, store: str, path: Path | None) -> StoreFailed | None:
    """Return what the database's error means to a user, None for an error of ours (a constraint, bad SQL).

    Args:
        error: what SQLAlchemy raised.
        store: the store's address as it may be shown.
        path: the file of a SQLite store, None for a server.
    """
    if isinstance(error, IntegrityError):
        return None
    if path is not None:
        return _sqlite_failure(error, store, path)
    return _server_failure(error, store)


def locked(store: str, patience_s: float) -> StoreLocked:
    """Return the error of a store that stayed locked for ``patience_s`` seconds."""
    return StoreLocked(
        f"store {store} was locked by another process for {patience_s:.0f} s; find what holds it open, then try again"
    )


def moved(store: str) -> StoreMoved:
    """Return the error of a store whose file is not the one that was opened."""
    return StoreMoved(
        f"store {store} was deleted, moved or replaced while it was open, and results would be lost with it; "
        "put the file back, or name where it is with --store"
    )


def _sqlite_failure(error: DBAPIError, store: str, path: Path) -> StoreFailed | None:
    cause = error.orig
    if not isinstance(cause, sqlite3.DatabaseError) or isinstance(cause, sqlite3.ProgrammingError):
        return None
    said = one_line(error)
    code = getattr(cause, "sqlite_errorcode", None)
    primary = code & 0xFF if code is not None else None
    if primary == sqlite3.SQLITE_FULL or (primary == sqlite3.SQLITE_IOERR and _is_full(path)):
        return StoreFull(f"store {store} is full ({said}): make room on the disk of {path.parent}")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreLocked(f"store {store} is locked by another process ({said}); find what holds it open")
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return moved(store)
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return StoreReadOnly(f"store {store} cannot be written ({said}): make the file and its folder writable")
    if primary == sqlite3.SQLITE_CORRUPT:
        return StoreDamaged(
            f"store {store} is damaged ({said}); bring back a copy, or read what is left: sqlite3 {path} .recover"
        )
    if primary == sqlite3.SQLITE_NOTADB:
        return StoreFailed(f"store {store} is no database any more ({said}): bring back a copy")
    if primary == sqlite3.SQLITE_CANTOPEN:
        return StoreFailed(f"store {store} cannot be opened any more ({said}): see that {path} is there and readable")
    if primary == sqlite3.SQLITE_IOERR:
        return StoreFailed(f"store {store} failed ({said}): see to the disk of {path.parent}")
    if isinstance(cause, sqlite3.OperationalError):
        return StoreFailed(f"store {store} failed ({said})")
    return None


def _server_failure(error: DBAPIError, store: str) -> StoreFailed | None:
    said = one_line(error)
    state = getattr(error.orig, "sqlstate", None) or ""
    if state in _FULL_STATES:
        return StoreFull(f"store {store} is full ({said}): make room on the server's disk")
    if state in _LOCKED_STATES:
        return StoreLocked(f"store {store} was locked by another transaction ({said}); try again")
    if state in _READ_ONLY_STATES:
        return StoreReadOnly(f"store {store} cannot be written ({said}): give this user the right to, or another store")
    if state.startswith("XX"):
        return StoreDamaged(f"store {store} is damaged ({said}); see the server's log")
    if error.connection_invalidated or state[:2] in ("08", "53", "57", "58") or not state:
        return StoreFailed(f"store {store} does not answer ({said}): see that the server runs")
    return None


def _is_full(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _FULL_BELOW_BYTES
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
