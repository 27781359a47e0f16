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
from sweeps.shown_address import show_url
from sweeps.store.address import parse_url, sqlite_path
from sweeps.store.engine import READING, make_engine
from sweeps.store.errors import one_line
from sweeps.store.models import Base

# MLflow may keep its tables in the same database and owns the name alembic_version.
VERSION_TABLE = "restoration_alembic_version"
HEAD = "0003"  # revisions are numbered, so that older and newer can be told apart


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
            _refuse_foreign_tables(connection, name)
        with engine.connect() as connection, _foreign_keys_off(connection), connection.begin():
            _upgrade(connection, name)
    except DatabaseError as error:
        raise InputError(f"store {name} cannot be set up: {one_line(error)}; give a file of its own") from error


def check_before_writing(url: str, create: bool) -> None:
    """Refuse what must not be written, before it is opened for writing, which already changes a SQLite file.

    Args:
        create: an address without a store is welcome, unless another program's tables are in the way.

    Raises:
        InputError: another program's database, a newer schema, a file that is no database or is damaged; no store
            there and ``create`` is False.
    """
    path = sqlite_path(parse_url(url))
    if create and (path is None or not path.is_file() or path.stat().st_size == 0):
        return
    name = show_url(url)
    with _reading(url) as connection:
        version = current_version(connection)
        if version is None and not create:
            raise InputError(_no_store(name))
        if version is None:
            _refuse_foreign_tables(connection, name)
        elif version > HEAD:
            raise InputError(newer(name, version))


def _refuse_foreign_tables(connection: Connection, name: str) -> None:
    if current_version(connection) is None:
        taken = sorted(set(inspect(connection).get_table_names()) & set(Base.metadata.tables))
        if taken:
            raise InputError(
                f"store {name} cannot be set up: table {taken[0]} already exists and is another program's; "
                "give a file of its own"
            )


@contextlib.contextmanager
def _reading(url: str) -> Iterator[Connection]:
    engine = make_engine(url, read_only=True)
    try:
        with engine.begin() as connection:
            yield connection
    finally:
        engine.dispose()


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
