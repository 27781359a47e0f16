"""The schema's history (Alembic) and where a database stands in it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DatabaseError

from restoration_core.errors import InputError
from sweeps.store.engine import READING, make_engine, one_line, show_url

# MLflow may keep its tables in the same database and owns the name alembic_version.
VERSION_TABLE = "restoration_alembic_version"
HEAD = "0002"  # revisions are numbered, so that older and newer can be told apart


def upgrade(url: str) -> None:
    """Bring the database at ``url`` to this code's schema, creating it when it is empty.

    Raises:
        InputError: the database cannot be opened or was written by a newer version.
    """
    engine = make_engine(url)
    try:
        upgrade_engine(engine, show_url(url))
    finally:
        engine.dispose()


def upgrade_engine(engine: Engine, name: str) -> None:
    """Bring an open database to HEAD in one transaction; processes that do so at once wait for each other.

    Raises:
        InputError: a newer schema, tables of another program in the way, a file we may not write, or one that
            another process keeps locked.
    """
    try:
        # Nearly always there is nothing to do; then this waits for no other writer.
        with engine.execution_options(**{READING: True}).begin() as connection:
            if not _is_behind(connection, name):
                return
        with engine.connect() as connection, _foreign_keys_off(connection), connection.begin():
            _upgrade(connection, name)
    except DatabaseError as error:
        remedy = "wait for the other process" if "locked" in one_line(error) else "give a file of its own"
        raise InputError(f"store {name} cannot be set up: {one_line(error)}; {remedy}") from error


@contextlib.contextmanager
def _foreign_keys_off(connection: Connection) -> Iterator[None]:
    """Let SQLite rebuild a table without deleting the rows that refer to it; to be called before the transaction."""
    if connection.dialect.name != "sqlite":
        yield
        return
    raw = connection.connection.driver_connection
    assert raw is not None
    raw.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        raw.execute("PRAGMA foreign_keys = ON")


def _upgrade(connection: Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(739251)"))
    if _is_behind(connection, name):  # asked again: another process may have been first
        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _is_behind(connection: Connection, name: str) -> bool:
    version = current_version(connection)
    if version is not None and version > HEAD:
        raise InputError(newer(name, version))
    return version != HEAD


def check_version(connection: Connection, name: str) -> None:
    """Refuse a database that this code cannot read.

    Raises:
        InputError: no store at all, an older schema (with what upgrades it) or a newer one.
    """
    version = current_version(connection)
    if version is None:
        raise InputError(_no_store(name))
    if version > HEAD:
        raise InputError(newer(name, version))
    if version < HEAD:
        raise InputError(
            f"store {name} has schema {version}, this version reads {HEAD}; `restoration sweep sync` upgrades it"
        )


def require_store(url: str) -> None:
    """Refuse an address without a store, of whatever version, and leave it as it is.

    Raises:
        InputError: no file, or a database of something else.
    """
    engine = make_engine(url, read_only=True)
    try:
        with engine.begin() as connection:
            if current_version(connection) is None:
                raise InputError(_no_store(show_url(url)))
    except DatabaseError as error:
        raise InputError(f"store {show_url(url)} cannot be read: {one_line(error)}") from error
    finally:
        engine.dispose()


def newer(name: str, version: str) -> str:
    """Return the message for a database from the future."""
    return f"store {name} has schema {version}, newer than this version's {HEAD}; update deep-restoration"


def current_version(connection: Connection) -> str | None:
    """Return the database's revision, None when it holds no store."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()
    return found


def _no_store(name: str) -> str:
    return f"{name} is a database but no sweep store; `restoration sweep run SPEC.yaml` makes one"
