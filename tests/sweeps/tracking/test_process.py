"""The tracker's own process, with a real MLflow server that dies and comes back."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from restoration_core.errors import InputError
from sweeps.tracking import best_from_mlflow, check, start_tracker, sync
from tests.sweeps.tracking import asked
from tests.sweeps.tracking.stored_sweep import StoredSweep, new_sweep


def wait_for(condition: Callable[[], bool], timeout_s: float = 120.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


def gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


class Server:
    """`mlflow server` on a free port of this machine, with its files in ``folder``."""

    def __init__(self, folder: Path, database: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self._folder, self._database = folder, database
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ["server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        files = ["--backend-store-uri", self._database, "--artifacts-destination", str(self._folder / "server")]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *arguments, *files],
            cwd=self._folder,
            # The server's own background jobs are ten more processes that nobody here asks for.
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for(self._healthy)

    def kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1):
                return True
        except OSError:
            return False


def test_a_bad_address_is_refused_before_a_process_starts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"):
        start_tracker(f"sqlite:///{tmp_path}/store.db", "./mlruns")


@pytest.mark.slow
def test_the_tracker_writes_while_the_sweep_runs_and_stop_delivers_the_rest(tmp_path: Path, mlflow_uri: str) -> None:
    made = new_sweep(tmp_path)
    made.complete(0, 0.02)
    tracker = start_tracker(made.url, mlflow_uri)
    assert tracker.alive
    wait_for(lambda: made.pending() == 0)
    assert sorted(asked.trials(mlflow_uri)) == [0]
    for number in range(1, 5):
        made.complete(number, 0.01 / number)
    made.end()
    report = tracker.stop(60.0)
    assert (report.delivered, report.pending, report.error) == (7, 0, None)
    assert tracker.stop(60.0) == report
    assert not tracker.alive
    assert sorted(asked.trials(mlflow_uri)) == [0, 1, 2, 3, 4]
    assert sync(made.url, mlflow_uri).already == 6


@pytest.mark.slow
def test_the_tracker_dies_with_its_parent(tmp_path: Path, mlflow_uri: str) -> None:
    made = new_sweep(tmp_path)
    code = (
        "import sys, time; from sweeps.tracking import start_tracker; "
        "print(start_tracker(*sys.argv[1:]).pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, made.url, mlflow_uri], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    tracker_pid = int(parent.stdout.readline())
    wait_for(lambda: made.pending() == 0)
    assert not gone(tracker_pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: gone(tracker_pid), timeout_s=10.0)


@pytest.mark.slow
def test_addresses_are_not_in_the_process_list(tmp_path: Path, mlflow_uri: str) -> None:
    made = new_sweep(tmp_path)
    tracker = start_tracker(made.url, mlflow_uri)
    try:
        place = Path(f"/proc/{tracker.pid}/cmdline")
        wait_for(lambda: b"sweeps.tracking" in place.read_bytes(), timeout_s=10.0)  # empty for a moment at its start
        command = place.read_bytes()
        assert str(tmp_path).encode() not in command
    finally:
        tracker.stop(0.1)


@pytest.mark.slow
def test_a_tracker_that_was_killed_is_reported_and_sync_delivers_the_rest(tmp_path: Path, mlflow_uri: str) -> None:
    made = new_sweep(tmp_path)
    tracker = start_tracker(made.url, mlflow_uri)
    assert tracker.pid is not None
    os.kill(tracker.pid, signal.SIGKILL)
    made.complete(0, 0.1)
    report = tracker.stop(5.0)
    assert report.pending == 2
    assert report.error is not None
    assert "sync" in report.error
    assert sync(made.url, mlflow_uri).delivered == 2


@pytest.mark.slow
def test_a_server_killed_and_restarted_in_mid_sweep_loses_nothing_and_gets_nothing_twice(
    tmp_path: Path, mlflow_uri: str
) -> None:
    made: StoredSweep = new_sweep(tmp_path)
    server = Server(tmp_path, mlflow_uri)
    tracker = start_tracker(made.url, server.uri)
    try:
        # Not there yet: the sweep goes on.
        made.complete(0, 0.02)
        assert not check(server.uri).reachable
        server.start()
        assert check(server.uri).reachable
        wait_for(lambda: made.pending() == 0)
        for number in range(1, 8):
            made.complete(number, 0.01 / number, points=100)
        # Killed while it is being written to.
        wait_for(lambda: made.pending() < 7)
        server.kill()
        left = made.pending()
        assert left > 0
        made.complete(8, 0.5)
        assert made.pending() == left + 1
        server.start()
        wait_for(lambda: made.pending() == 0)
        made.end()
        report = tracker.stop(60.0)
        assert (report.pending, report.error) == (0, None)
        runs = asked.trials(server.uri)
        assert sorted(runs) == list(range(9))
        assert {run.info.status for run in runs.values()} == {"FINISHED"}
        histories = [
            len(asked.client(server.uri).get_metric_history(run.info.run_id, "curves/objective/sample_coffee"))
            for run in runs.values()
        ]
        assert sorted(histories) == [5, 5] + 7 * [100]
        assert all(run.info.artifact_uri.startswith("mlflow-artifacts:") for run in runs.values())
        assert len(asked.client(server.uri).list_artifacts(runs[8].info.run_id, "pictures")) == 2
        assert sync(made.url, server.uri).already == 10
        assert list(best_from_mlflow(server.uri, "conv2", 2)["number"]) == [7, 6]
    finally:
        tracker.stop(0.1)
        server.kill()


@pytest.mark.slow
def test_stopping_while_mlflow_is_down_does_not_wait_and_says_what_is_left(tmp_path: Path) -> None:
    made = new_sweep(tmp_path)
    made.complete(0, 0.1)
    tracker = start_tracker(made.url, "http://127.0.0.1:9")
    time.sleep(1.0)
    start = time.monotonic()
    report = tracker.stop(60.0)
    assert time.monotonic() - start < 50.0
    assert (report.delivered, report.pending) == (0, 2)
    assert report.error is not None
    assert "refused" in report.error
