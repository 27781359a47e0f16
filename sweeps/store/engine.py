"""Engines: SQLite in WAL mode with immediate writers and read-only readers, or PostgreSQL."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.pool import QueuePool

from restoration_core.errors import InputError
from sweeps.store.strict_json import strict_json

BUSY_TIMEOUT_S = 10.0
READING = "store_reading"  # execution option: this transaction only reads, so it takes no write lock
_WAL_TRIES = 10
_VALID = "valid: sqlite:///FILE.db or postgresql://USER@HOST/DATABASE"


def parse_url(url: str) -> URL:
    """Return the parsed store address.

    Raises:
        InputError: not an address, a database that is not supported, or SQLite without a file.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise InputError(f"store {url!r} is not a database address; {_VALID}") from error
    if backend not in {"sqlite", "postgresql"}:
        raise InputError(f"store {show_url(parsed)}: {backend} is not supported; {_VALID}")
    if backend == "sqlite" and (
        not parsed.database
        or parsed.database == ":memory:"
        or parsed.database.startswith("file:")
        or parsed.query
        or parsed.host
    ):
        raise InputError(f"store {url!r} names no file (three slashes, no options); {_VALID}")
    return parsed


def show_url(url: URL | str) -> str:
    """Return the address with its password hidden."""
    return make_url(url).render_as_string(hide_password=True)


def sqlite_path(url: URL) -> Path | None:
    """Return the file of a SQLite store, None for a server."""
    return Path(url.database or "").absolute() if url.get_backend_name() == "sqlite" else None


def make_engine(url: str, read_only: bool = False) -> Engine:
    """Return an engine whose connections keep the store's promises.

    SQLite writers: WAL, foreign keys on, every transaction begins IMMEDIATE (two writers queue up instead of
    failing when one of them upgrades its read lock). Readers open the file with ``mode=ro``. JSON is strict on
    all databases: NaN never reaches a column.

    Raises:
        InputError: bad address, a missing file (readers), a directory, a file that is no database, a server
            that does not answer.
    """
    parsed = parse_url(url)
    path = sqlite_path(parsed)
    try:
        if path is None:
            engine = create_engine(parsed, json_serializer=strict_json, pool_pre_ping=True)
            if read_only:
                engine = engine.execution_options(postgresql_readonly=True)
        else:
            _check_file(path, read_only)
            engine = _sqlite_engine(path, read_only)
    except ModuleNotFoundError as error:
        raise InputError(f"store {show_url(parsed)} needs the package {error.name!r}; valid: pip install it") from error
    try:
        with engine.connect():
            pass
    except DatabaseError as error:
        engine.dispose()
        raise InputError(f"store {show_url(parsed)} cannot be opened: {one_line(error)}") from error
    return engine


def one_line(error: DatabaseError) -> str:
    """Return what the database itself said, in one line."""
    return " ".join(str(error.orig).split())


def _check_file(path: Path, read_only: bool) -> None:
    if path.is_dir():
        raise InputError(f"store {path} is a directory; {_VALID}")
    if read_only and not path.exists():
        raise InputError(f"no store at {path}; `restoration sweep run SPEC.yaml` makes one, --store URL names another")
    if not path.parent.is_dir():
        raise InputError(f"store {path}: the folder {path.parent} does not exist; make it first")


def _sqlite_engine(path: Path, read_only: bool) -> Engine:
    address = path.as_uri() + ("?mode=ro" if read_only else "")

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            address,
            uri=True,
            timeout=BUSY_TIMEOUT_S,
            isolation_level=None,  # transactions are ours: see `begin` below
            check_same_thread=False,  # the pool hands a connection to one thread at a time
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            if read_only:
                connection.execute("PRAGMA query_only = ON")
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            else:
                _switch_to_wal(connection)
                # In WAL mode NORMAL survives a killed process; a power cut may lose the last packs, which
                # `resume` runs again.
                connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, json_serializer=strict_json)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = read_only or connection.get_execution_options().get(READING, False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Turn WAL on; the switch itself ignores the busy timeout, so that it is tried again for a while."""
    for attempt in range(_WAL_TRIES):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or attempt == _WAL_TRIES - 1:
                raise
            time.sleep(0.05 * (attempt + 1))
