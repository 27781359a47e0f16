"""Several processes on one SQLite file: nothing is lost, nothing half-read; a killed writer leaves all or nothing."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from multiprocessing.synchronize import Semaphore
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from sweeps.store import Reader, StaleLease, StoreLocked, Writer, open_reader, open_writer
from sweeps.store import writer as writer_module
from tests.contracts.store_contract import finished, new_sweep, new_trials

# Children fork from a server that has this module loaded and holds neither connections nor threads of the test process;
# starting interpreters would take most of the tests' time.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__])
PACKS, PACK = 12, 5


def write_sweep(url: str, name: str, looks: Semaphore | None = None) -> None:
    """Run a whole sweep: packs are asked and finished one after the other; each waits for a look of the reader's."""
    with open_writer(url) as writer:
        sweep = writer.create_sweep(new_sweep(name))
        lease = writer.acquire_lease(sweep, name, 60)
        for pack in range(PACKS):
            if looks is not None:
                looks.acquire()
            numbers = range(pack * PACK, (pack + 1) * PACK)
            writer.insert_trials(sweep, lease, new_trials(*numbers))
            writer.finish_trials(sweep, lease, [finished(number) for number in numbers])


def check_finished_trials_are_whole(url: str, name: str) -> dict[str, int]:
    """Every complete trial has all its parts, every other has none; return the counts by state."""
    reader = open_reader(url)
    frame = reader.trials(name)
    for number, state in zip(frame["number"], frame["state"], strict=True):
        trial = reader.trial(name, number)
        sizes = (len(trial.image_metrics), len(trial.curves), len(trial.pictures), len(trial.metrics))
        assert sizes == ((4, 6, 4, 2) if state == "complete" else (0, 0, 0, 0)), f"trial {number} is {state}"
        for item in trial.pictures:
            assert reader.picture(item.sha256)
    order = sorted(frame["finish_order"].dropna())
    assert order == list(range(1, len(order) + 1))
    counts = frame["state"].value_counts().to_dict()
    assert reader.outbox_pending(name) == 1 + counts.get("complete", 0)
    reader.close()
    return counts


@pytest.mark.slow
def test_two_processes_write_their_sweeps_at_once(url: str) -> None:
    processes = [PROCESSES.Process(target=write_sweep, args=(url, name)) for name in ("a", "b")]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    for name in ("a", "b"):
        assert check_finished_trials_are_whole(url, name) == {"complete": PACKS * PACK}


def test_a_reader_sees_whole_packs_while_they_are_written(url: str, writer: Writer, reader: Reader) -> None:
    looks = PROCESSES.Semaphore(0)
    process = PROCESSES.Process(target=write_sweep, args=(url, "a", looks))
    process.start()
    seen: set[int] = set()
    while process.is_alive():
        looks.release()
        frame = reader.sweeps()
        if not frame.empty:
            row = frame.iloc[0]
            assert row["complete"] % PACK == 0
            assert row["complete"] + row["running"] <= PACKS * PACK
            best = reader.best("a")
            assert best["objective"].is_monotonic_increasing
            seen.add(int(row["complete"]))
            looks.release()
    process.join()
    assert process.exitcode == 0
    assert len(seen) > 1, "the reader never looked while the writer was at work"
    assert reader.sweeps()["complete"].tolist() == [PACKS * PACK]


def test_of_two_coordinators_only_the_one_with_the_lease_writes(url: str, writer: Writer) -> None:
    sweep = writer.create_sweep(new_sweep("a"))
    old = writer.acquire_lease(sweep, "old", -1)  # its holder went silent
    writer.insert_trials(sweep, old, new_trials(*range(20)))
    with open_writer(url) as second:
        new = second.acquire_lease(sweep, "new", 60)
        outcome: list[str] = []

        def late() -> None:
            try:
                writer.finish_trials(sweep, old, [finished(number) for number in range(20)])
            except StaleLease as error:
                outcome.append(str(error))

        thread = threading.Thread(target=late)
        thread.start()
        second.finish_trials(sweep, new, [finished(number) for number in range(10)])
        thread.join()
    assert outcome == [f"sweep {sweep} was taken over: lease {old} is stale, the current one is {new}"]
    assert check_finished_trials_are_whole(url, "a") == {"complete": 10, "running": 10}


def test_threads_share_one_writer(url: str, writer: Writer) -> None:
    sweep = writer.create_sweep(new_sweep("a"))
    lease = writer.acquire_lease(sweep, "me", 60)
    writer.insert_trials(sweep, lease, new_trials(*range(40)))
    threads = [
        threading.Thread(target=lambda first=first: [
            writer.finish_trials(sweep, lease, [finished(number)]) for number in range(first, 40, 4)
        ])
        for first in range(4)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert check_finished_trials_are_whole(url, "a") == {"complete": 40}


def test_a_locked_store_is_waited_for(url: str, writer: Writer, tmp_path: Path) -> None:
    holder = sqlite3.connect(tmp_path / "store.db", isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.5, lambda: holder.execute("ROLLBACK"))
    release.start()
    started = time.monotonic()
    writer.create_sweep(new_sweep("a"))
    assert time.monotonic() - started > 0.3
    release.join()
    holder.close()


def test_a_store_locked_for_good_is_said_in_one_line(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.store.engine.BUSY_TIMEOUT_S", 0.05)
    tries: list[float] = []
    monkeypatch.setattr(writer_module.time, "sleep", tries.append)
    with open_writer(url) as impatient:
        holder = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked, match=r"store .* was locked by another process for .* s; find what holds it"):
            impatient.create_sweep(new_sweep("a"))
        assert impatient.pending_outbox() == []  # reading needs no lock
        holder.close()
        impatient.create_sweep(new_sweep("a"))
    assert len(tries) == 3


def finish_and_die(url: str, statement: int) -> None:
    """Finish a pack, but die by SIGKILL before the given statement of the transaction."""
    with open_writer(url) as writer:
        sweep = writer.find_sweep("a")
        lease = writer.acquire_lease(sweep, "a", 60)
        count = 0

        def kill(connection: object, cursor: object, text: str, *rest: object) -> None:
            nonlocal count
            count += 1
            if count == statement:
                os.kill(os.getpid(), signal.SIGKILL)

        event.listen(Engine, "before_cursor_execute", kill)
        event.listen(Engine, "commit", lambda connection: kill(connection, None, "COMMIT"))
        writer.finish_trials(sweep, lease, [finished(number) for number in range(PACK)])
        os._exit(0)


@pytest.mark.slow
def test_kill_9_before_any_statement_of_a_pack_leaves_nothing_of_it(url: str, writer: Writer) -> None:
    sweep = writer.create_sweep(new_sweep("a"))
    writer.insert_trials(sweep, writer.acquire_lease(sweep, "a", 60), new_trials(*range(PACK)))
    killed = 0
    for statement in range(1, 30):
        process = PROCESSES.Process(target=finish_and_die, args=(url, statement))
        process.start()
        process.join(60)
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
        killed += 1
        assert check_finished_trials_are_whole(url, "a") == {"running": PACK}
    # BEGIN, lease, known trials, finish order, pictures, rows, metrics, curves, shown pictures, outbox, COMMIT.
    assert killed == 11
    assert check_finished_trials_are_whole(url, "a") == {"complete": PACK}


def write_and_die(url: str) -> None:
    """Write a sweep and die by SIGKILL with the connections open: all of it is in the write-ahead log."""
    writer = open_writer(url)
    sweep = writer.create_sweep(new_sweep("a"))
    lease = writer.acquire_lease(sweep, "a", 60)
    writer.insert_trials(sweep, lease, new_trials(0, 1))
    writer.finish_trials(sweep, lease, [finished(0)])
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_reader_opens_what_a_killed_writer_left(url: str, tmp_path: Path) -> None:
    process = PROCESSES.Process(target=write_and_die, args=(url,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert (tmp_path / "store.db-wal").stat().st_size > 0
    assert check_finished_trials_are_whole(url, "a") == {"complete": 1, "running": 1}


def test_opening_an_up_to_date_store_waits_for_no_writer(url: str, tmp_path: Path) -> None:
    open_writer(url).close()
    holder = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    open_writer(url).close()
    open_reader(url).close()
    assert time.monotonic() - started < 5
    holder.close()


@pytest.mark.slow
def test_kill_9_at_any_moment_leaves_whole_packs(url: str, writer: Writer) -> None:
    for attempt in range(8):
        name = f"sweep {attempt}"
        process = PROCESSES.Process(target=write_sweep, args=(url, name))
        process.start()
        while writer.pending_outbox(1, name) == [] and process.is_alive():
            time.sleep(0.002)
        time.sleep(0.013 * attempt)
        process.kill()
        process.join()
        counts = check_finished_trials_are_whole(url, name)
        assert counts.get("complete", 0) % PACK == 0
        # Whoever resumes goes on where it stopped.
        sweep = writer.find_sweep(name)
        lease = writer.acquire_lease(sweep, name, 60)
        running = [trial.number for trial in writer.load_trials(sweep) if trial.state == "running"]
        again = writer.start_again(sweep, lease, running)
        answers = writer.finish_trials(sweep, lease, [finished(item.number, item.token) for item in again])
        assert all(answer.accepted for answer in answers)
        assert check_finished_trials_are_whole(url, name).get("running", 0) == 0
