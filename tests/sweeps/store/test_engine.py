"""Addresses and files: what opens, and what is refused in one line."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from restoration_core.errors import InputError
from sweeps.store import StoreReadOnly, open_reader, open_writer
from sweeps.store.engine import make_engine
from sweeps.store.strict_json import strict_json


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("store.db", "is not a database address; valid: sqlite:///FILE.db or postgresql"),
        ("", "is not a database address"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite://store.db", "names no file"),
        ("sqlite:///file:store.db?mode=ro&uri=true", "names no file"),
        ("mysql://host/database", "mysql is not supported; valid: sqlite"),
        ("nonsense://host/database", "nonsense is not supported|is not a database address"),
    ],
)
@pytest.mark.parametrize("open_store", [open_writer, open_reader])
def test_a_bad_address_is_one_line(open_store: object, url: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        open_store(url)  # type: ignore[operator]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("open_store", [open_writer, open_reader])
def test_what_is_no_database_is_one_line_and_stays_as_it_was(open_store: object, tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("remember the milk\n" * 100)
    with pytest.raises(InputError, match=r"notes\.txt cannot be .*file is not a database") as caught:
        open_store(f"sqlite:///{path}")  # type: ignore[operator]
    assert "\n" not in str(caught.value)
    assert path.read_text() == "remember the milk\n" * 100
    with pytest.raises(InputError, match="is a directory"):
        open_store(f"sqlite:///{tmp_path}")  # type: ignore[operator]


def test_a_missing_folder_or_file_is_said_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"folder .*/nowhere does not exist"):
        open_writer(f"sqlite:///{tmp_path}/nowhere/store.db")
    with pytest.raises(InputError, match=r"no store at .*store\.db; `restoration sweep run"):
        open_reader(f"sqlite:///{tmp_path}/store.db")
    assert list(tmp_path.iterdir()) == []


def test_a_writer_that_may_not_create_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no store at .*store\.db; `restoration sweep run"):
        open_writer(f"sqlite:///{tmp_path}/store.db", create=False)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty.db").touch()
    with pytest.raises(InputError, match="is a database but no sweep store"):
        open_writer(f"sqlite:///{tmp_path}/empty.db", create=False)
    assert (tmp_path / "empty.db").stat().st_size == 0
    url = f"sqlite:///{tmp_path}/store.db"
    open_writer(url).close()
    with open_writer(url, create=False) as writer:
        assert writer.pending_outbox() == []


def test_a_password_is_not_shown() -> None:
    with pytest.raises(InputError) as caught:
        open_writer("mysql://user:secret@host/database")
    assert "secret" not in str(caught.value)


def test_writers_use_wal_foreign_keys_and_a_busy_timeout(url: str) -> None:
    engine = make_engine(url)
    with engine.connect() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 10000}


def test_a_writer_takes_the_write_lock_when_it_begins(url: str, tmp_path: Path) -> None:
    engine = make_engine(url)
    other = sqlite3.connect(tmp_path / "store.db", timeout=0, isolation_level=None)
    with engine.begin() as connection:
        connection.execute(text("SELECT 1"))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    other.execute("BEGIN IMMEDIATE")
    other.close()
    engine.dispose()


def test_a_reader_cannot_write(url: str) -> None:
    open_writer(url).close()
    engine = make_engine(url, read_only=True)
    with pytest.raises(StoreReadOnly, match=r"cannot be written .*readonly database"), engine.begin() as connection:
        connection.execute(text("DELETE FROM sweeps"))
    engine.dispose()


def test_strict_json_takes_numpy_scalars_and_no_nan() -> None:
    assert strict_json({"a": np.float32(0.5), "b": np.int64(3), "c": [True, None]}) == '{"a":0.5,"b":3,"c":[true,null]}'
    for bad in (float("nan"), np.float32("inf"), [float("-inf")]):
        with pytest.raises(ValueError, match="Out of range float values"):
            strict_json({"a": bad})
    with pytest.raises(TypeError, match="object has no place in JSON"):
        strict_json(object())
