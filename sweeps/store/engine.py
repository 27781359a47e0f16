"""Engines: SQLite in WAL mode with immediate writers and read-only readers, or PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.pool import QueuePool

from restoration_core.errors import InputError
from sweeps.shown_address import show_url
from sweeps.store.address import VALID, parse_url, sqlite_path
from sweeps.store.errors import StoreDamaged, StoreFull, StoreLocked, one_line, store_failure
from sweeps.store.file_watch import FileWatch
from sweeps.store.strict_json import strict_json

BUSY_TIMEOUT_S = 10.0
READING = "store_reading"  # execution option: this transaction only reads, so it takes no write lock
_WAL_TRIES = 10


def make_engine(url: str, read_only: bool = False) -> Engine:
    """Return an engine whose connections keep the store's promises.

    SQLite writers: WAL, foreign keys on, every transaction begins IMMEDIATE (two writers queue up instead of
    failing when one of them upgrades its read lock). Readers open the file with ``mode=ro``. JSON is strict on
    all databases: NaN never reaches a column. What fails later, in the disk, the file or the server, is raised as
    `StoreFailed` with one line.

    Raises:
        InputError: bad address, a missing file (readers), a directory, a file that is no database or cannot be
            written (writers), a server that does not answer.
        StoreFailed: a full disk, a file that stays locked or is damaged.
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
        raise InputError(f"store {show_url(url)} needs the package {error.name!r}; valid: pip install it") from error
    try:
        with engine.connect():
            pass
    except DatabaseError as error:
        engine.dispose()
        failure = store_failure(error, show_url(url), path)
        if isinstance(failure, StoreFull | StoreLocked | StoreDamaged):
            raise failure from error
        why = one_line(error)
        if path is not None and not os.access(path.parent, os.W_OK):
            why += f"; the folder {path.parent} is read-only and SQLite works beside its file: copy it to another"
        raise InputError(f"store {show_url(url)} cannot be opened: {why}") from error
    _tell_failures_in_one_line(engine, show_url(url), path)
    return engine


def empty_log(engine: Engine) -> None:
    """Move what a SQLite writer has committed from its write-ahead log into the file, as far as it can be done.

    For a file that was moved while it was open: its log stayed behind under the old name.
    """
    with contextlib.suppress(Exception):
        connection = engine.raw_connection()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()


def _tell_failures_in_one_line(engine: Engine, store: str, path: Path | None) -> None:
    @event.listens_for(engine, "handle_error")
    def tell(context: ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        if context.is_pre_ping or not isinstance(error, DBAPIError):
            return
        failure = store_failure(error, store, path)
        if failure is not None:
            raise failure from error


def _check_file(path: Path, read_only: bool) -> None:
    if path.is_dir():
        raise InputError(f"store {path} is a directory; {VALID}")
    if path.exists() and not path.is_file():
        raise InputError(f"store {path} is no file but a device or a pipe; {VALID}")
    if read_only and not path.exists():
        raise InputError(f"no store at {path}; `restoration sweep run SPEC.yaml` makes one, --store URL names another")
    if not path.parent.is_dir():
        raise InputError(f"store {path}: the folder {path.parent} does not exist; make it first")
    if not read_only and (fault := read_only_fault(path)) is not None:
        raise InputError(f"store {path} cannot be written: {fault}")


def read_only_fault(path: Path) -> str | None:
    """Return why a SQLite file cannot be written and what to do about it, None when it can or is still to be made."""
    if path.exists() and not os.access(path, os.W_OK):
        return "the file is read-only; make it writable, or give another --store"
    if path.parent.is_dir() and not os.access(path.parent, os.W_OK):
        return f"the folder {path.parent} is read-only and SQLite writes beside its file; make it writable"
    return None


def _sqlite_engine(path: Path, read_only: bool) -> Engine:
    address = path.as_uri() + (_reading_options(path) if read_only else "")
    watch = FileWatch(path)

    def connect() -> sqlite3.Connection:
        watch.check()  # a later connection must open the file that the first one opened, not one made in its place
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
        watch.start()
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, json_serializer=strict_json)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = read_only or connection.get_execution_options().get(READING, False)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _reading_options(path: Path) -> str:
    """Return how to open the file for reading.

    SQLite makes a file beside a database in WAL mode even to read it, which a read-only file system does not let it.
    There nobody writes either, so that it may do without.
    """
    log = path.with_name(path.name + "-wal")
    frozen = os.statvfs(path.parent).f_flag & os.ST_RDONLY and not log.exists()
    return "?mode=ro&immutable=1" if frozen else "?mode=ro"


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
