"""MLflow's database: whole or not there, whoever makes it and whenever it is stopped. MLflow itself is the witness."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from sweeps.tracking import check, sync
from sweeps.tracking.client import quiet_mlflow
from sweeps.tracking.database import DatabaseState, UnusableDatabase, ensure, examine
from tests.sweeps.tracking import asked
from tests.sweeps.tracking.stored_sweep import new_sweep

pytestmark = pytest.mark.slow

# In the middle of MLflow's history: has experiments and runs, and lacks most of the tables of today.
_EARLIER = "451aebb31d03"


def initial_tables(path: Path) -> None:
    """Leave the file as MLflow does that is killed right after its first tables."""
    from mlflow.store.tracking.dbmodels.initial_models import Base

    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    engine.dispose()


def earlier_tables(path: Path) -> None:
    """Leave the file as an earlier MLflow made it, or today's that was killed between two migrations."""
    import mlflow

    initial_tables(path)
    config = Config()
    config.set_main_option("script_location", str(Path(mlflow.__file__).parent / "store" / "db_migrations"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{path}")
    command.upgrade(config, _EARLIER)


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def schema(path: Path) -> list[tuple[str, list[str]]]:
    """Return name and columns of every table and index; the order of constraints varies from run to run in MLflow."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, coalesce(sql, '') FROM sqlite_master").fetchall()
    connection.close()
    return sorted((name, sorted(line.strip(" ,") for line in sql.splitlines())) for name, sql in rows)


def python(code: str, *arguments: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_the_tables_are_those_that_mlflow_makes_itself(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.db", tmp_path / "theirs.db"
    assert examine(ours) == DatabaseState.MISSING
    ensure(ours)
    assert examine(ours) == DatabaseState.WHOLE
    with quiet_mlflow():
        asked.client(f"sqlite:///{theirs}").search_experiments(max_results=1)
        found = asked.client(f"sqlite:///{ours}").search_experiments()
    assert [experiment.name for experiment in found] == ["Default"]
    assert schema(ours) == schema(theirs)
    assert examine(theirs) == DatabaseState.WHOLE


def test_an_empty_file_is_filled_and_a_whole_one_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    path.touch()
    assert examine(path) == DatabaseState.EMPTY
    ensure(path)
    before = path.stat().st_mtime_ns
    ensure(path)
    assert (examine(path), path.stat().st_mtime_ns) == (DatabaseState.WHOLE, before)


def test_tables_without_mlflows_default_experiment_get_it(tmp_path: Path, empty_mlflow: Path) -> None:
    path = tmp_path / "mlflow.db"
    shutil.copy(empty_mlflow, path)
    execute(path, "DELETE FROM experiments")
    ensure(path)
    assert examine(path) == DatabaseState.WHOLE


@pytest.mark.parametrize("cut", ["first tables", "between migrations", "in a migration"])
def test_a_half_made_file_is_named_by_sync_and_check_and_left_as_it_is(tmp_path: Path, cut: str) -> None:
    path = tmp_path / "mlflow.db"
    if cut == "first tables":
        initial_tables(path)
    else:
        earlier_tables(path)
    if cut == "in a migration":
        execute(path, "CREATE TABLE _alembic_tmp_experiments (experiment_id INTEGER)")
    os.utime(path, (0, 0))  # long ago: nobody is at it any more
    before = path.read_bytes()
    made = new_sweep(tmp_path)
    with pytest.raises(UnusableDatabase, match=r"mlflow\.db is half made.*move it away, then `restoration sweep sync`"):
        sync(made.url, f"sqlite:///{path}")
    status = check(f"sqlite:///{path}")
    assert not status.reachable
    assert "half made" in status.reason
    assert path.read_bytes() == before


def test_an_earlier_mlflows_database_is_brought_up_to_date_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    earlier_tables(path)
    execute(path, "INSERT INTO experiments VALUES (7, 'kept', './mlruns/7', 'active')")
    assert examine(path) == DatabaseState.OLDER
    assert check(f"sqlite:///{path}").reachable
    assert examine(path) == DatabaseState.OLDER
    ensure(path)
    assert examine(path) == DatabaseState.WHOLE
    with quiet_mlflow():
        assert asked.client(f"sqlite:///{path}").get_experiment("7").name == "kept"


def test_an_earlier_database_that_cannot_be_brought_up_to_date_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "mlflow.db"
    earlier_tables(path)
    # A later migration makes a table of this name.
    in_the_way = "CREATE TABLE trace_info (mine INTEGER)"
    execute(path, "INSERT INTO experiments VALUES (7, 'kept', './mlruns/7', 'active')", in_the_way)
    before = schema(path)
    with pytest.raises(UnusableDatabase, match=r"cannot be brought up to date .*trace_info.*it is as it was"):
        ensure(path)
    assert schema(path) == before
    assert examine(path) == DatabaseState.OLDER


def test_other_peoples_files_are_named(tmp_path: Path) -> None:
    foreign, newer, text = tmp_path / "foreign.db", tmp_path / "newer.db", tmp_path / "text.db"
    execute(foreign, "CREATE TABLE songs (id INTEGER)")
    ensure(newer)
    execute(newer, "UPDATE alembic_version SET version_num = 'ffffffffffff'")
    text.write_text("not a database, but long enough to be looked at" * 30)
    for path, what in ((foreign, "not MLflow's"), (newer, "newer MLflow"), (text, "cannot be read")):
        before = path.read_bytes()
        with pytest.raises(UnusableDatabase, match=what):
            ensure(path)
        assert path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(0o500)
    with pytest.raises(OSError, match=r"MLflow's database .*closed/mlflow\.db cannot be written"):
        ensure(folder / "mlflow.db")


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"MLflow's database .*gone/mlflow\.db cannot be written: unable to open"):
        ensure(tmp_path / "gone" / "mlflow.db")


@pytest.mark.slow
def test_a_full_disk_leaves_nothing_half_made(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path; from sweeps.tracking.database import ensure, examine\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); path = Path(sys.argv[1])\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)\n"
        "for size in (0, 4096, 300_000):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))\n"
        "    try: ensure(path)\n"
        "    except OSError as error: print('written' if 'cannot be written' in str(error) else 'other')\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))\n"
        "    print(examine(path).name)\n"
        "ensure(path); print(examine(path).name)\n"
    )
    said = python(code, str(tmp_path / "mlflow.db"))
    assert said[:6:2] == ["written"] * 3
    assert set(said[1:6:2]) <= {"EMPTY", "MISSING"}
    assert said[-1] == "WHOLE"


@pytest.mark.slow
def test_a_maker_killed_at_any_moment_leaves_nothing_half_made(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, time; from pathlib import Path; import mlflow.store.tracking.sqlalchemy_store\n"
        "from sweeps.tracking.database import ensure, examine\n"
        "for number in range(5):\n"
        "    path = Path(sys.argv[1], f'{number}.db'); pid = os.fork()\n"
        "    if pid == 0: ensure(path); os._exit(0)\n"
        "    time.sleep(0.02 + 0.1 * number); os.kill(pid, signal.SIGKILL); os.waitpid(pid, 0)\n"
        "    print(examine(path).name)\n"
        "    ensure(path); assert examine(path).name == 'WHOLE'\n"
    )
    found = python(code, str(tmp_path))
    assert len(found) == 5
    assert set(found) <= {"MISSING", "EMPTY", "WHOLE"}


@pytest.mark.slow
def test_several_makers_at_once_make_one_database(tmp_path: Path) -> None:
    made = new_sweep(tmp_path)
    made.complete(0, 0.1)
    code = (
        "import sys; import mlflow.store.tracking.sqlalchemy_store; from sweeps.tracking import sync\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "report = sync(sys.argv[1], sys.argv[2]); print(report.failed, report.error)\n"
    )
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", code, made.url, uri], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(3)
    ]
    _answers(makers)
    for maker in makers:
        assert maker.stdin is not None
        maker.stdin.write("go\n")
        maker.stdin.flush()
    assert _answers(makers) == ["0 None\n"] * 3
    for maker in makers:
        maker.communicate()
    sync(made.url, uri)
    assert sorted(asked.trials(uri)) == [0]


def _answers(processes: Iterable[subprocess.Popen[str]]) -> list[str]:
    return [process.stdout.readline() for process in processes if process.stdout is not None]
