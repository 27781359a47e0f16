"""What the disk, the file or the server does to a store: one line each, and what was committed is still there."""

from __future__ import annotations

import os
import pickle
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from sweeps.store import (
    StoreDamaged,
    StoreFailed,
    StoreFull,
    StoreLocked,
    StoreMoved,
    StoreReadOnly,
    SweepStatus,
    Writer,
    make_engine,
    open_reader,
    open_writer,
)
from sweeps.store.errors import store_failure
from tests.contracts.store_contract import finished, new_sweep, new_trials
from tests.sweeps.store.conftest import fill
from tests.sweeps.store.filled_disk import pages_at_most


def test_a_full_disk_keeps_what_was_committed_and_the_same_results_count_once_there_is_room(url: str) -> None:
    with open_writer(url) as writer:
        sweep = writer.create_sweep(new_sweep())
        lease = writer.acquire_lease(sweep, "me", 60)
        writer.insert_trials(sweep, lease, new_trials(*range(40)))
        writer.finish_trials(sweep, lease, [finished(0)])
    with pages_at_most(60), open_writer(url) as writer:
        with pytest.raises(
            StoreFull, match=r"store sqlite:.* is full \(database or disk is full\): make room on"
        ) as said:
            writer.finish_trials(sweep, lease, [finished(number) for number in range(1, 40)])
        assert "\n" not in str(said.value)
        assert [trial.finish_order for trial in writer.load_trials(sweep) if trial.finish_order] == [1]
        writer.set_sweep_status(sweep, lease, SweepStatus.INTERRUPTED)  # what needs no room is still written
    with open_writer(url) as writer:
        answers = writer.finish_trials(sweep, lease, [finished(number) for number in range(40)])
        assert [answer.reason for answer in answers] == ["already committed"] + [""] * 39


def test_a_store_that_cannot_be_made_for_want_of_room_says_so(url: str) -> None:
    with pages_at_most(10), pytest.raises(StoreFull, match="is full"):
        open_writer(url)
    open_writer(url).close()


def damage(path: Path) -> None:
    """Overwrite the middle of the file, the first page stays."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


def test_damaged_pages_are_said_by_whoever_reads_or_writes(url: str, tmp_path: Path) -> None:
    with open_writer(url) as writer:
        sweep = fill(writer, "a")
    damage(tmp_path / "store.db")
    damaged = r"store sqlite:.* is damaged \(database disk image is malformed\); bring back a copy"
    reads: list[Callable[[], Any]] = [
        lambda: open_reader(url).trials("a"),
        lambda: open_reader(url).sweeps(),
        lambda: open_writer(url).load_trials(sweep),
        lambda: open_writer(url).acquire_lease(sweep, "me", 60),
    ]
    for read in reads:
        with pytest.raises(StoreDamaged, match=damaged) as said:
            read()
        assert "\n" not in str(said.value)


def test_a_file_that_is_cut_short_under_a_reader_is_one_line(url: str, tmp_path: Path) -> None:
    with open_writer(url) as writer:
        fill(writer, "a")
    reader = open_reader(url)
    with (tmp_path / "store.db").open("r+b") as file:
        file.truncate(8192)
    with pytest.raises(StoreFailed, match=r"store sqlite:.* (is damaged|failed) \(") as said:
        reader.trials("a")
    assert "\n" not in str(said.value)


def test_a_file_that_is_overwritten_before_a_later_connection_is_one_line(url: str, tmp_path: Path) -> None:
    open_writer(url).close()
    engine = make_engine(url, read_only=True)
    engine.dispose()
    (tmp_path / "store.db").write_bytes(b"no database" * 10_000)
    with pytest.raises(StoreFailed, match=r"store sqlite:.* is no database any more \(file is not a database\)"):
        engine.connect()


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    """Another store under the same name."""
    other = path.with_name("other.db")
    with open_writer(f"sqlite:///{other}") as writer:
        fill(writer, "a")
    other.rename(path)


def rename_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def copy_back(path: Path) -> None:
    """A restored copy has the same content, but what is written to the old file does not reach it."""
    shutil.copy(path, path.with_name("copy"))
    path.unlink()
    path.with_name("copy").rename(path)


@pytest.mark.parametrize("change", [remove, replace, rename_folder, copy_back])
def test_a_store_that_is_no_longer_under_its_name_is_not_written(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "store.db"
    with open_writer(f"sqlite:///{path}") as writer:
        sweep = writer.create_sweep(new_sweep())
        lease = writer.acquire_lease(sweep, "me", 60)
        change(path)
        writes: list[Callable[[], Any]] = [
            lambda: writer.renew_lease(sweep, lease, 60),
            lambda: writer.insert_trials(sweep, lease, new_trials(0)),
            lambda: writer.set_sweep_status(sweep, lease, SweepStatus.FAILED),
            lambda: writer.create_sweep(new_sweep("b")),
            lambda: writer.load_trials(sweep),
        ]
        for write in writes:
            with pytest.raises(StoreMoved, match=r"store sqlite:.* was deleted, moved or replaced while it was open"):
                write()
    assert path.exists() == (change in (replace, copy_back))  # no empty store is made in its place


def test_a_store_that_was_moved_alone_takes_all_that_was_committed_with_it(tmp_path: Path, url: str) -> None:
    """Its write-ahead log stays behind under the old name, and a store of that name must not find it."""
    with open_writer(url) as writer:
        fill(writer, "a")
        (tmp_path / "store.db").rename(tmp_path / "moved.db")
        with pytest.raises(StoreMoved, match="was deleted, moved or replaced"):
            writer.find_sweep("a")
    reader = open_reader(f"sqlite:///{tmp_path / 'moved.db'}")
    assert len(reader.trials("a")) == 8
    reader.close()
    with open_writer(url) as writer, pytest.raises(ValueError, match="unknown sweep 'a'; the store has none yet"):
        writer.find_sweep("a")


@pytest.mark.parametrize("kind", [StoreFailed, StoreFull, StoreLocked, StoreReadOnly, StoreDamaged, StoreMoved])
def test_an_error_crosses_processes_as_it_is(kind: type[StoreFailed]) -> None:
    error = pickle.loads(pickle.dumps(kind("store x is gone")))
    assert type(error) is kind
    assert str(error) == "store x is gone"


class Cause(Exception):
    """What psycopg raises: a message and PostgreSQL's code."""

    def __init__(self, message: str, sqlstate: str | None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("state", "kind", "message"),
    [
        ("53100", StoreFull, "is full .*make room on the server's disk"),
        ("57P01", StoreFailed, "does not answer .*see that the server runs"),
        ("08006", StoreFailed, "does not answer"),
        (None, StoreFailed, "does not answer"),
        ("25006", StoreReadOnly, "cannot be written .*give this user the right"),
        ("55P03", StoreLocked, "was locked by another transaction"),
        ("XX001", StoreDamaged, "is damaged .*see the server's log"),
    ],
)
def test_a_servers_failures_are_told_apart_by_its_codes(
    state: str | None, kind: type[StoreFailed], message: str
) -> None:
    error = OperationalError("SELECT 1", {}, Cause("two\nlines", state))
    failure = store_failure(error, "postgresql://me:***@host/db", None)
    assert type(failure) is kind
    with pytest.raises(kind, match=rf"store postgresql://me:\*\*\*@host/db {message}") as said:
        raise failure
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    "error",
    [
        IntegrityError("INSERT", {}, sqlite3.IntegrityError("UNIQUE constraint failed")),
        ProgrammingError("SELECT", {}, sqlite3.ProgrammingError("Incorrect number of bindings")),
        ProgrammingError("SELECT", {}, Cause("relation does not exist", "42P01")),
    ],
)
def test_errors_of_our_own_are_not_called_the_stores(error: IntegrityError | ProgrammingError) -> None:
    path = Path("store.db") if isinstance(error.orig, sqlite3.Error) else None
    assert store_failure(error, "store", path) is None


def test_a_constraint_is_still_the_callers_error(writer: Writer) -> None:
    sweep = writer.create_sweep(new_sweep())
    lease = writer.acquire_lease(sweep, "me", 60)
    with pytest.raises(ValueError, match="one of the trial numbers 0, 0 is taken"):
        writer.insert_trials(sweep, lease, [*new_trials(0), *new_trials(0)])
