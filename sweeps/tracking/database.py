"""MLflow's SQLite file: made, and brought up to date, in one transaction, so that it is whole or not there at all.

MLflow itself makes its tables in some sixty migrations that are committed one by one and without a lock. A second
starter, a kill or a full disk in the middle leaves a file that no MLflow ever opens again. Here the same migrations
run inside one SQLite transaction: whoever comes second waits for the lock, and what is cut off never happened.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import StaticPool, create_engine

from restoration_core.errors import InputError, in_one_line

_DEFAULT_EXPERIMENT = 0
_LOCK_TIMEOUT_S = 120.0
_SETTLING_S = 3.0
_ELSEWHERE = "then `restoration sweep sync` makes a new one and fills it from the store"


class DatabaseState(StrEnum):
    """What a file is as an MLflow database."""

    MISSING = "missing"
    EMPTY = "empty"
    HALF_MADE = "half made"
    FOREIGN = "of another program"
    OLDER = "older"  # or lacks MLflow's default experiment
    WHOLE = "whole"
    NEWER = "newer"


class UnusableDatabase(InputError):
    """The file is there, but no MLflow can work with it, and waiting does not help."""


def examine(path: Path) -> DatabaseState:
    """Say what the file is; nothing is made or changed.

    Raises:
        UnusableDatabase: no database at all, or one that cannot be read.
    """
    if not path.exists():
        return DatabaseState.MISSING
    try:
        try:
            with contextlib.closing(_open(path, "ro")) as connection:
                return _state(connection)
        except sqlite3.OperationalError:
            # What a killed writer left beside the file is taken back by the next who may write.
            with contextlib.closing(_open(path, "rw")) as connection:
                return _state(connection)
    except sqlite3.Error as error:
        raise UnusableDatabase(f"MLflow's database {path} cannot be read: {error}") from error


def refuse_unusable(path: Path) -> DatabaseState:
    """Return what the file is when MLflow can work with it, or could make it.

    Raises:
        UnusableDatabase: it cannot be read, or is half made, another program's, or a newer MLflow's.
    """
    return _usable(path, examine(path))


def ensure(path: Path) -> None:
    """Make the file's tables, or bring those of an older MLflow up to date; all of it or nothing.

    Several processes may call this at once, and one may die here at any moment.

    Raises:
        UnusableDatabase: see `refuse_unusable`, or the tables of an older MLflow cannot be brought up to date.
        OSError: the folder or the file cannot be written, the disk is full, or another process kept the file locked.
    """
    if _usable(path, _settled(path)) == DatabaseState.WHOLE:
        return
    try:
        with contextlib.closing(_open(path, "rwc")) as connection:
            _make_whole(connection, path)
    except sqlite3.Error as error:
        raise OSError(f"MLflow's database {path} cannot be written: {error}") from error


def _make_whole(connection: sqlite3.Connection, path: Path) -> None:
    # Pages stay in memory until the commit: a maker that is killed leaves an empty file.
    connection.execute("PRAGMA cache_spill = OFF")
    connection.execute("BEGIN IMMEDIATE")
    state = _usable(path, _state(connection))  # asked again: another process may have been first
    if state == DatabaseState.WHOLE:
        return
    try:
        _migrate(connection, initial=state == DatabaseState.EMPTY)
        _enter_default_experiment(connection, path)
    except Exception as error:
        cause = getattr(error, "orig", error)
        if isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise cause from error  # the disk is full, not writable, or broken: no matter of tables
        why = in_one_line(cause)[:200]
        raise UnusableDatabase(
            f"MLflow's database {path} is older than this MLflow and cannot be brought up to date ({why}); "
            f"it is as it was: move it away, {_ELSEWHERE}"
        ) from error
    connection.execute("COMMIT")


class _Held(sqlite3.Connection):
    """A connection whose commits and rollbacks are left to us, as statements: MLflow's migrations commit often."""

    def commit(self) -> None:
        """Nothing is committed before all is there."""

    def rollback(self) -> None:
        """Closing the connection takes everything back."""


def _open(path: Path, mode: str) -> sqlite3.Connection:
    # Our own transactions (isolation_level None); used by one thread at a time, though alembic may be in another.
    return sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=_LOCK_TIMEOUT_S if mode == "rwc" else 10.0,
        isolation_level=None,
        check_same_thread=False,
        factory=_Held,
    )


def _usable(path: Path, state: DatabaseState) -> DatabaseState:
    if state == DatabaseState.HALF_MADE:
        raise UnusableDatabase(
            f"MLflow's database {path} is half made: whoever made it was stopped in the middle, and MLflow cannot "
            f"mend it; move it away, {_ELSEWHERE}"
        )
    if state == DatabaseState.FOREIGN:
        raise UnusableDatabase(f"{path} is a database, but not MLflow's; give MLflow a file of its own with --mlflow")
    if state == DatabaseState.NEWER:
        raise UnusableDatabase(
            f"MLflow's database {path} was written by a newer MLflow than the one here; "
            "update mlflow, or give another file with --mlflow"
        )
    return state


def _settled(path: Path) -> DatabaseState:
    """Examine the file; one that is half made is given time while another MLflow goes on making it."""
    state = examine(path)
    while state == DatabaseState.HALF_MADE and time.time() - path.stat().st_mtime < _SETTLING_S:
        time.sleep(0.2)
        state = examine(path)
    return state


def _state(connection: sqlite3.Connection) -> DatabaseState:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if any(name.startswith("_alembic_tmp_") for name in tables):
        return DatabaseState.HALF_MADE
    row = None
    if "alembic_version" in tables:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if not tables - {"alembic_version"} and row is None:
        return DatabaseState.EMPTY
    if "experiments" not in tables:
        return DatabaseState.FOREIGN
    if "runs" not in tables or row is None:
        return DatabaseState.HALF_MADE
    experiments = {number for (number,) in connection.execute("SELECT experiment_id FROM experiments")}
    scripts = ScriptDirectory.from_config(_scripts())
    if row[0] == scripts.get_current_head():
        return DatabaseState.WHOLE if _DEFAULT_EXPERIMENT in experiments else DatabaseState.OLDER
    if row[0] not in {script.revision for script in scripts.walk_revisions()}:
        return DatabaseState.NEWER
    # MLflow enters its default experiment when all tables are there: a file without one was never finished.
    return DatabaseState.OLDER if experiments else DatabaseState.HALF_MADE


def _enter_default_experiment(connection: sqlite3.Connection, path: Path) -> None:
    """Enter the experiment that MLflow expects, before MLflow does: of two that do so at once it lets one fail, and a
    quote in the path breaks its statement."""
    now_ms = time.time_ns() // 1_000_000
    connection.execute(
        "INSERT OR IGNORE INTO experiments (experiment_id, name, artifact_location, lifecycle_stage, creation_time, "
        "last_update_time) VALUES (?, 'Default', ?, 'active', ?, ?)",
        (_DEFAULT_EXPERIMENT, (path.parent / "mlruns" / str(_DEFAULT_EXPERIMENT)).as_uri(), now_ms, now_ms),
    )


def _scripts() -> Config:
    found = find_spec("mlflow")
    assert found is not None
    assert found.origin is not None
    config = Config()
    folder = Path(found.origin).parent / "store" / "db_migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    return config


def _migrate(connection: sqlite3.Connection, initial: bool) -> None:
    """Run MLflow's own migrations in the transaction that is open."""
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    if initial:
        Base.metadata.create_all(engine)
    config = _scripts()
    with engine.connect() as migrating, _quietly():
        config.attributes["connection"] = migrating
        command.upgrade(config, "heads")


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep what the migrations print away from the user."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
