"""What a user reads when the store fails under a command: one line, and the command that goes on."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, event

from sweeps.commands.common import Addresses
from sweeps.commands.doctor import Finding, examine
from sweeps.store import engine, open_reader, open_writer
from sweeps.store.migrations import VERSION_TABLE
from tests.sweeps.commands.called import restoration
from tests.sweeps.store.conftest import fill
from tests.sweeps.store.filled_disk import pages_at_most, small_disk

pytestmark = pytest.mark.slow

SPEC = """\
name: full
images: [sample:coffee]
image_size: 32
match: conv1/relu
method: {sampler: random, trials: 24}
budget: {iterations: 4}
save: {images: all, curves_every: 1}
parameters:
  total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 1e1}
"""


def test_on_a_full_disk_run_and_resume_say_how_to_go_on_and_with_room_all_trials_are_there(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.yaml").write_text(SPEC)
    inside = ("--runner", "inprocess", "--no-verdict", "--mlflow", "off")
    full = "store sqlite:///restoration.db is full (database or disk is full): make room on the disk of"
    with pages_at_most(80):
        run = restoration(capfd, "sweep", "run", "full.yaml", *inside)
        resume = restoration(capfd, "sweep", "resume", "full", *inside)
    for called in (run, resume):
        assert called.status == 1
        assert called.error.startswith(full)
        assert called.error.endswith("; to go on: restoration sweep resume full --mlflow off")
    status = restoration(capfd, "sweep", "status", "full", "--mlflow", "off")
    assert "to go on: restoration sweep resume full --mlflow off" in status.out
    reader = open_reader("sqlite:///restoration.db")
    before = reader.trials("full", ["complete"])["number"].tolist()
    assert 0 < len(before) < 24
    assert restoration(capfd, "sweep", "resume", "full", *inside).status == 0
    after = reader.trials("full")
    assert after["state"].tolist() == ["complete"] * 24
    assert after["attempt"][before].tolist() == [1] * len(before)  # none of them was computed again
    reader.close()


def folder(path: Path) -> None:
    path.mkdir()


def empty(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("remember the milk\n" * 1000)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def another_programs(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE trials (note TEXT)")
        connection.commit()


def damaged(path: Path) -> None:
    with open_writer(f"sqlite:///{path}") as writer:
        fill(writer, "tiny")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 3)
        file.write(os.urandom(size // 2))


def newer(path: Path) -> None:
    open_writer(f"sqlite:///{path}").close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
        connection.commit()


def missing(path: Path) -> None:
    """Nothing is there."""


COMMANDS = (
    ("sweep", "status"),
    ("sweep", "status", "tiny"),
    ("sweep", "best", "tiny"),
    ("sweep", "export", "tiny", "--to", "trials.csv"),
    ("sweep", "replay", "tiny", "0"),
    ("sweep", "resume", "tiny", "--runner", "inprocess"),
    ("sweep", "sync", "--mlflow", "sqlite:///mlflow.db"),
    ("sweep", "delete", "tiny", "--yes"),
)
RUN = ("sweep", "run", "full.yaml", "--runner", "inprocess", "--no-verdict")


@pytest.mark.parametrize(
    ("make", "status", "said", "run_too"),
    [
        (missing, 2, "no store at", False),
        (folder, 2, "is a directory", True),
        (empty, 2, "is a database but no sweep store", False),
        (text, 2, "file is not a database", True),
        (pipe, 2, "is no file but a device or a pipe", True),
        (another_programs, 2, "", True),
        (damaged, 1, "is damaged (database disk image is malformed)", False),
        (newer, 2, "has schema 9999, newer than this version's", True),
    ],
)
def test_every_command_refuses_what_is_no_store_in_one_line_and_leaves_it_as_it_is(
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], None],
    status: int,
    said: str,
    run_too: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.yaml").write_text(SPEC)
    path = tmp_path / "store.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    for command in (*COMMANDS, *([RUN] if run_too else [])):
        off = () if "--mlflow" in command else ("--mlflow", "off")
        called = restoration(capfd, *command, *off, "--store", "sqlite:///store.db")
        assert called.status == status, command
        assert said in called.error, command
        assert (path.read_bytes() if path.is_file() else None) == before, command
    left = {entry.name for entry in tmp_path.iterdir()} - {"full.yaml", "store.db", "store.db-wal", "store.db-shm"}
    assert not left


def test_a_number_or_a_name_beyond_all_bounds_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full.yaml").write_text(SPEC)
    with open_writer("sqlite:///restoration.db") as writer:
        fill(writer, "tiny")
    huge, long = "9" * 20, "x" * 10_000
    for command in (
        ("replay", "tiny", huge),
        ("best", "tiny", "--k", huge),
        ("status", long),
        ("best", long),
        ("resume", long),
        ("delete", long, "--yes"),
        ("run", "full.yaml", "--name", long),
    ):
        called = restoration(capfd, "sweep", *command, "--mlflow", "off")
        assert called.status == 2, command[0]
        assert len(called.error) < 500, command[0]


def test_a_name_that_is_no_text_is_a_sweep_that_there_is_not(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_writer("sqlite:///restoration.db") as writer:
        fill(writer, "cafe")
    for command in (("status",), ("best",), ("resume",), ("delete", "--yes"), ("export", "--to", "x.csv"), ("sync",)):
        called = restoration(capfd, "sweep", *command, os.fsdecode(b"caf\xe9"))
        assert called.status == 2, command
        assert called.error == r"unknown sweep 'caf\udce9'; did you mean 'cafe'? valid: cafe", command


def store_finding(url: str) -> Finding:
    (found,) = [finding for finding in examine(Addresses(url, None)) if finding.what == "store"]
    return found


def test_a_store_that_cannot_be_written_can_be_read_and_the_doctor_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, megabytes=4):
        url = f"sqlite:///{disk / 'store.db'}"
        with open_writer(url) as writer:
            fill(writer, "tiny")
            assert store_finding(url).ok
        subprocess.run(["mount", "-o", "remount,ro", disk], check=False, capture_output=True)
        if os.access(disk, os.W_OK):
            pytest.skip("this machine makes no file system read-only")
        assert restoration(capfd, "sweep", "best", "tiny", "--store", url).status == 0
        found = store_finding(url)
        assert not found.ok
        assert found.found.endswith("but it cannot be written")
        for command in (("delete", "tiny", "--yes"), ("sync",)):
            called = restoration(capfd, "sweep", *command, "--store", url)
            assert called.status == 2
            assert "cannot be written: the file is read-only; make it writable, or give another --store" in called.error


def test_a_store_that_stays_locked_is_one_line_with_the_way_on(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.05)
    (tmp_path / "full.yaml").write_text(SPEC)
    others: list[sqlite3.Connection] = []

    def lock(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
        """When the first results are about to be written, another program begins to write, and does not end."""
        if "UPDATE trials SET state" in statement and not others:
            connection.exec_driver_sql("ROLLBACK")
            others.append(sqlite3.connect(tmp_path / "restoration.db", isolation_level=None))
            others[0].execute("BEGIN IMMEDIATE")
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    event.listen(Engine, "before_cursor_execute", lock)
    try:
        called = restoration(capfd, *RUN, "--mlflow", "off")
    finally:
        event.remove(Engine, "before_cursor_execute", lock)
    others[0].close()
    assert called.status == 1
    assert "was locked by another process for" in called.error
    assert called.error.endswith("; to go on: restoration sweep resume full --mlflow off")
