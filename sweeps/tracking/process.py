"""Tracking in a process of its own, so that MLflow's slowness and failures never reach the sweep.

The parent writes one line of JSON to the child's stdin (addresses may hold passwords, which have no business in a
process list), later perhaps ``stop SECONDS``; the end of the stream means that the parent died. The child answers
``stop`` with one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from typing import IO

from sweeps.store.writer import open_writer
from sweeps.tracking.address import Address, parse_mlflow_uri
from sweeps.tracking.client import one_line, open_client, quiet_mlflow
from sweeps.tracking.delivery import Deliverer
from sweeps.tracking.drain import Drain, Pass
from sweeps.tracking.source import Source

TRACKER_NICENESS = 10  # the sweep goes first: what MLflow is told can wait
_POLL_S = 0.5
_LONGEST_PAUSE_S = 10.0
_GRACE_S = 3.0
_TURN_S = 0.1


@dataclass(frozen=True)
class TrackerReport:
    """How tracking ended.

    Attributes:
        delivered: outbox entries delivered by this tracker.
        pending: entries left in the outbox, for `sync`; None when the store cannot be asked.
        error: the last thing that went wrong, None when all went well.
    """

    delivered: int
    pending: int | None
    error: str | None = None


class TrackerHandle:
    """A running tracker. Nothing here raises: results are in the store whatever becomes of MLflow."""

    def __init__(self, job: _Job, process: subprocess.Popen[str] | None, error: str | None = None) -> None:
        self._job = job
        self._process = process
        self._report = None if process is not None else TrackerReport(0, _count(job), error)

    @property
    def pid(self) -> int | None:
        """The tracker's process id, None when it could not be started."""
        return self._process.pid if self._process is not None else None

    @property
    def alive(self) -> bool:
        """Whether the tracker is running."""
        return self._process is not None and self._process.poll() is None

    def stop(self, timeout_s: float = 30.0) -> TrackerReport:
        """Let the tracker deliver what is pending for at most ``timeout_s``, then end it; twice is the same as once.

        While MLflow cannot be reached there is no waiting: what is left stays in the outbox for `sync`.
        """
        if self._report is None:
            assert self._process is not None
            self._report = _stop(self._job, self._process, timeout_s)
        return self._report


def note_destination(store_url: str, sweep: str, destination: str) -> None:
    """Write to the store where a sweep is tracked from now on; `NOT_TRACKED` for nowhere."""
    with open_writer(store_url, create=False) as writer:
        writer.set_destination(writer.find_sweep(sweep), destination)


@dataclass(frozen=True)
class _Job:
    """What a tracker is told."""

    store_url: str
    mlflow_uri: str
    sweep: str | None

    @property
    def address(self) -> Address:
        return parse_mlflow_uri(self.mlflow_uri)


def start_tracker(store_url: str, mlflow_uri: str, sweep: str | None = None) -> TrackerHandle:
    """Start a process that writes to MLflow what the outbox holds for it, until it is stopped or its parent dies.

    It delivers what belongs to the sweeps that are tracked at this address (see `sweeps.tracking.destination`), those
    of former runs included. Several may run at once: a sweep is written by one of them at a time.

    Args:
        store_url: the sweeps' store, which exists.
        mlflow_uri: ``sqlite:///mlflow.db`` or ``http(s)://HOST:PORT``.
        sweep: the one that is tracked here from now on. It goes first, and the report tells what is pending of it; None
            tells of all.

    Raises:
        InputError: the MLflow address is not valid (whether MLflow answers does not matter here).
    """
    address = parse_mlflow_uri(mlflow_uri, store_url)
    job = _Job(store_url, address.uri, sweep)
    if sweep is not None:
        note_destination(store_url, sweep, address.destination)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "sweeps.tracking"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # Ctrl-C is for the sweep, which then stops the tracker in good order.
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(job)) + "\n")
        process.stdin.flush()
    except OSError as error:
        return TrackerHandle(job, None, f"tracking could not be started: {one_line(error)}")
    return TrackerHandle(job, process)


def main() -> None:
    """Run the tracker; only `start_tracker` calls this, by ``python -m sweeps.tracking``."""
    parent = os.getppid()
    answers = _take_stdout()
    line = sys.stdin.readline()
    if not line:
        return
    job = _Job(**json.loads(line))
    os.nice(TRACKER_NICENESS)
    orders = _Orders()
    threading.Thread(target=_watch_parent, args=(orders, parent), daemon=True).start()
    threading.Thread(target=_read_orders, args=(orders,), daemon=True).start()
    report = _track(job, orders)
    answers.write(json.dumps(asdict(report)) + "\n")
    answers.close()


class _Orders:
    """What the parent wants: ``stop`` is set with the deadline once it has asked."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.deadline = float("inf")


def _track(job: _Job, orders: _Orders) -> TrackerReport:
    delivered, error = 0, None
    address = job.address
    pause = _POLL_S
    drain: Drain | None = None
    try:
        writer, source = open_writer(job.store_url), Source(job.store_url)
    except Exception as failure:
        return TrackerReport(0, None, one_line(failure))
    with writer, contextlib.closing(source), quiet_mlflow():
        while time.monotonic() < orders.deadline:
            stopping = orders.stop.is_set()
            try:
                if drain is None:
                    drain = Drain(writer, source, Deliverer(open_client(address), address), first=job.sweep)
                result = drain.step()
            except Exception as failure:
                # The store is locked, or a SQLite MLflow cannot be opened.
                result = Pass(outage=one_line(failure), error=one_line(failure))
            delivered += result.delivered
            error = result.error or (None if result.delivered else error)
            if stopping and (result.outage or not (result.delivered or result.refused or result.held)):
                break
            if result.outage or result.idle:
                pause = min(2 * pause, _LONGEST_PAUSE_S) if result.outage else _POLL_S
                orders.stop.wait(pause)
            # Others that wait for a sweep's claim get their turn.
            time.sleep(_TURN_S)
    pending = _count(job)
    return TrackerReport(delivered, pending, error if pending or pending is None else None)


def _count(job: _Job) -> int | None:
    """Return how many entries are pending for the job's MLflow, None when the store cannot be asked."""
    try:
        with open_writer(job.store_url, create=False) as writer:
            return sum(writer.count_outbox(job.sweep, job.address.destination).values())
    except Exception:
        return None


def _read_orders(orders: _Orders) -> None:
    for line in sys.stdin:
        words = line.split()
        if len(words) == 2 and words[0] == "stop":
            orders.deadline = time.monotonic() + float(words[1])
            orders.stop.set()
    # The parent is gone. What was being written stays half written and is completed by `sync`.
    os._exit(0)


def _watch_parent(orders: _Orders, parent: int) -> None:
    # A process forked by the parent may hold the other end of stdin open after the parent's death.
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


def _take_stdout() -> IO[str]:
    """Keep stdout for the answer and send whatever libraries print to nowhere."""
    answers = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    return answers


def _stop(job: _Job, process: subprocess.Popen[str], timeout_s: float) -> TrackerReport:
    assert process.stdin is not None
    try:
        process.stdin.write(f"stop {timeout_s}\n")
        process.stdin.flush()
        # The stream stays open: its end would mean that this process died.
        output = _read_answer(process, timeout_s + _GRACE_S)
        return TrackerReport(**json.loads(output))
    except (OSError, ValueError, TypeError):
        code = process.poll()
        why = "did not answer in time" if code is None else f"had ended with code {code}"
        pending = _count(job)
        return TrackerReport(0, pending, None if pending == 0 else f"the tracker {why}; `sync` delivers what is left")
    finally:
        _end(process)


def _read_answer(process: subprocess.Popen[str], timeout_s: float) -> str:
    answer: list[str] = []
    assert process.stdout is not None
    stdout = process.stdout
    reader = threading.Thread(target=lambda: answer.append(stdout.readline()), daemon=True)
    reader.start()
    reader.join(timeout_s)
    return answer[0] if answer else ""


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
