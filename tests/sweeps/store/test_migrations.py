"""The schema's history: it leads to the models, old stores open, newer ones are refused."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect

import sweeps.store.migrations as migrations
from restoration_core.errors import InputError
from sweeps.store import open_reader, open_writer
from sweeps.store.engine import make_engine
from sweeps.store.models import Base
from tests.contracts.store_contract import new_sweep
from tests.sweeps.store.test_concurrency import PROCESSES

pytestmark = pytest.mark.slow

DATA = Path(__file__).parents[2] / "data"


def test_the_history_ends_in_the_models_schema(url: str) -> None:
    migrations.upgrade(url)
    engine = make_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": migrations.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, Base.metadata) == []
        # What compare_metadata does not see: keys, and what happens to children.
        found = inspect(connection)
        for table in Base.metadata.sorted_tables:
            assert found.get_pk_constraint(table.name)["constrained_columns"] == [c.name for c in table.primary_key]
            expected = {
                (tuple(key.column_keys), key.referred_table.name, key.ondelete) for key in table.foreign_key_constraints
            }
            assert expected == {
                (tuple(key["constrained_columns"]), key["referred_table"], key["options"].get("ondelete"))
                for key in found.get_foreign_keys(table.name)
            }
    engine.dispose()


def test_head_is_the_last_revision_and_revisions_are_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    assert scripts.get_current_head() == migrations.HEAD
    revisions = [script.revision for script in scripts.walk_revisions()][::-1]
    assert revisions == [f"{number:04d}" for number in range(1, len(revisions) + 1)]


def test_upgrading_twice_changes_nothing(url: str, tmp_path: Path) -> None:
    migrations.upgrade(url)
    before = (tmp_path / "store.db").read_bytes()
    migrations.upgrade(url)
    assert (tmp_path / "store.db").read_bytes() == before


def test_processes_that_make_one_store_at_once_do_not_collide(url: str) -> None:
    processes = [PROCESSES.Process(target=migrations.upgrade, args=(url,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert open_reader(url).sweeps().empty


@pytest.mark.parametrize("version", ["0001", "0002"])
def test_a_store_of_a_former_version_opens_with_its_contents(tmp_path: Path, version: str) -> None:
    """The file was written by that version and is never written again; the copy goes through all later revisions."""
    shutil.copy(DATA / f"store_{version}.db", tmp_path / "store.db")
    url = f"sqlite:///{tmp_path / 'store.db'}"
    open_writer(url).close()
    reader = open_reader(url)
    assert list(reader.trials("kept")["state"]) == ["complete", "failed", "running"]
    trial = reader.trial("kept", 0)
    assert (trial.objective, trial.parameters) == (0.25, {"total_variation.weight": 0.5})
    assert reader.picture(trial.pictures[0].sha256).startswith(b"\x89PNG")
    assert reader.get_prior("k1") == b"blob"


def test_of_an_older_store_only_what_was_tracked_is_told_to_mlflow(tmp_path: Path) -> None:
    for run_id, stored in ((None, "off"), ("abc", None)):
        path = tmp_path / f"{stored}.db"
        shutil.copy(DATA / "store_0002.db", path)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE sweeps SET mlflow_run_id = ?", (run_id,))
            connection.commit()
        url = f"sqlite:///{path}"
        open_writer(url).close()
        assert open_reader(url).sweep("kept").mlflow_uri == stored


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table but those that tell of the schema itself."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = sorted(set(names) - {migrations.VERSION_TABLE, "sqlite_sequence"})
        return {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1, 2').fetchall() for name in kept}


def test_rebuilding_tables_keeps_every_row_and_every_reference(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    shutil.copy(DATA / "store_0001.db", path)
    before = content(path)
    assert all(before.values())
    migrations.upgrade(f"sqlite:///{path}")
    after = content(path)
    for name, rows in before.items():
        assert [row[: len(rows[0])] for row in after[name]] == rows
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_an_upgraded_store_gives_no_id_twice(tmp_path: Path) -> None:
    shutil.copy(DATA / "store_0001.db", tmp_path / "store.db")
    with open_writer(f"sqlite:///{tmp_path / 'store.db'}") as writer:
        old = writer.find_sweep("kept")
        writer.delete_sweep("kept")
        assert writer.create_sweep(new_sweep("kept")) > old


@pytest.mark.parametrize("version", ["9999", f"{int(migrations.HEAD) + 1:04d}"])
def test_a_newer_store_is_refused_by_both(url: str, tmp_path: Path, version: str) -> None:
    open_writer(url).close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute(f"UPDATE {migrations.VERSION_TABLE} SET version_num = '{version}'")
    for open_store in (open_reader, open_writer):
        with pytest.raises(InputError, match=f"has schema {version}, newer than this version's .*; update"):
            open_store(url)


def test_an_older_store_is_upgraded_by_writers_only(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_writer(url).close()
    has = migrations.HEAD
    monkeypatch.setattr(migrations, "HEAD", "9998")
    with pytest.raises(
        InputError, match=f"has schema {has}, this version reads 9998; `restoration sweep sync` upgrades"
    ):
        open_reader(url)


def test_another_programs_database_is_no_store(url: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("CREATE TABLE trials (id INTEGER)")
    with pytest.raises(InputError, match="is a database but no sweep store"):
        open_reader(url)
    with pytest.raises(InputError, match=r"cannot be set up: table trials already exists.*; give a file of its own"):
        open_writer(url)
    with sqlite3.connect(tmp_path / "store.db") as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
    assert tables == ["trials"]  # the attempt left nothing behind


def test_mlflows_tables_may_live_in_the_same_database(url: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('abc123')")
    open_writer(url).close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("abc123",)]
