"""A sweep is told to its own MLflow, and by one process at a time, so that no run is there twice."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sweeps.execution.holder import new_holder
from sweeps.store import open_reader
from sweeps.store.models import NOT_TRACKED
from sweeps.tracking import destination, note_destination, start_tracker, sync, tracked_at
from sweeps.tracking.address import parse_mlflow_uri
from sweeps.tracking.claim import ClaimHeld, SweepClaim
from sweeps.tracking.client import open_client, quiet_mlflow
from sweeps.tracking.delivery import Deliverer
from sweeps.tracking.drain import Drain
from sweeps.tracking.source import Source
from tests.sweeps.tracking import asked
from tests.sweeps.tracking.stored_sweep import StoredSweep, new_sweep

pytestmark = pytest.mark.slow

SERVER = "http://mlflow.example:5000"


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[StoredSweep]:
    made = new_sweep(tmp_path)
    for number in range(3):
        made.complete(number, 0.1 * (1 + number))
    yield made
    made.writer.close()


def drain(sweep: StoredSweep, uri: str) -> Drain:
    address = parse_mlflow_uri(uri)
    return Drain(sweep.writer, Source(sweep.url), Deliverer(open_client(address), address))


@pytest.mark.parametrize("elsewhere", [NOT_TRACKED, SERVER])
def test_a_tracker_leaves_alone_what_is_tracked_elsewhere_or_nowhere(
    sweep: StoredSweep, mlflow_uri: str, elsewhere: str
) -> None:
    note_destination(sweep.url, "conv2", elsewhere)
    with quiet_mlflow():
        assert drain(sweep, mlflow_uri).step().idle
        note_destination(sweep.url, "conv2", destination(mlflow_uri))
        assert drain(sweep, mlflow_uri).step().delivered == 4


def test_sync_writes_a_sweep_that_was_run_with_tracking_off_and_says_so(sweep: StoredSweep, mlflow_uri: str) -> None:
    note_destination(sweep.url, "conv2", NOT_TRACKED)
    report = sync(sweep.url, mlflow_uri, each_to_its_own=True)
    assert (report.delivered, report.failed) == (4, 0)
    (note,) = report.notes
    assert note.startswith("conv2: was run with tracking off; written to sqlite:///")
    assert open_reader(sweep.url).sweep("conv2").mlflow_uri == NOT_TRACKED


def test_sync_to_an_mlflow_that_is_named_leaves_the_sweeps_own_to_its_tracker(
    sweep: StoredSweep, mlflow_uri: str
) -> None:
    note_destination(sweep.url, "conv2", SERVER)
    report = sync(sweep.url, mlflow_uri)
    assert report.delivered == 4
    assert f"is tracked at {SERVER}; written to sqlite:///" in report.notes[0]
    # What the outbox owes the server is still owed.
    assert sweep.pending() == 4
    assert open_reader(sweep.url).sweep("conv2").mlflow_run_id is None


def test_sync_without_an_address_writes_each_sweep_where_it_is_tracked(
    sweep: StoredSweep, mlflow_uri: str, tmp_path: Path
) -> None:
    note_destination(sweep.url, "conv2", destination(mlflow_uri))
    other = f"sqlite:///{tmp_path / 'other.db'}"
    report = sync(sweep.url, other, each_to_its_own=True)
    assert (report.delivered, len(asked.trials(mlflow_uri))) == (4, 3)
    assert "where it is tracked" in report.notes[0]
    assert not (tmp_path / "other.db").exists()


def test_sync_without_an_address_falls_back_where_the_sweeps_own_folder_is_gone(
    sweep: StoredSweep, mlflow_uri: str, tmp_path: Path
) -> None:
    note_destination(sweep.url, "conv2", f"sqlite:///{tmp_path}/gone/mlflow.db")
    report = sync(sweep.url, mlflow_uri, each_to_its_own=True)
    assert report.delivered == 4
    assert "which is gone; written to" in report.notes[0]


def test_a_destination_holds_no_password_and_one_mlflow_has_one_name(tmp_path: Path) -> None:
    assert destination("http://ada:s3cret@mlflow.example:5000/") == SERVER
    assert destination(None) == NOT_TRACKED
    assert destination(f"sqlite:///{tmp_path}/m.db") == destination(f"sqlite:///{tmp_path}/./m.db")


def test_a_sweep_goes_on_where_it_was_tracked_when_nobody_names_a_place() -> None:
    secret = SERVER.replace("//", "//ada:s3cret@")
    assert tracked_at(None, SERVER) == SERVER
    assert tracked_at(NOT_TRACKED, SERVER) is None
    assert tracked_at(SERVER, None) == SERVER
    assert tracked_at(SERVER, "sqlite:///mlflow.db") == SERVER
    assert tracked_at(SERVER, secret) == secret


def test_a_live_claim_holds_off_tracker_and_sync_and_a_dead_ones_ends_at_once(
    sweep: StoredSweep, mlflow_uri: str
) -> None:
    with SweepClaim(sweep.writer, sweep.id, new_holder()):
        with quiet_mlflow():
            result = drain(sweep, mlflow_uri).step()
        assert (result.delivered, result.held) == (0, 1)
        report = sync(sweep.url, mlflow_uri, wait_s=0.1)
        assert (report.delivered, report.failed) == (0, 4)
        assert report.error == "another process is writing this sweep to MLflow; it goes on by itself"
    code = "from sweeps.execution.holder import new_holder; print(new_holder())"
    dead = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert sweep.writer.claim_tracking(sweep.id, dead, 3600.0) == dead
    assert sync(sweep.url, mlflow_uri, wait_s=0.0).delivered == 4


def test_who_was_stopped_until_its_claim_ran_out_writes_no_further(sweep: StoredSweep) -> None:
    with SweepClaim(sweep.writer, sweep.id, "ada", renew_s=0.0) as claim:
        claim.renew()
        assert sweep.writer.claim_tracking(sweep.id, "bob", 60.0, instead_of="ada") == "bob"
        with pytest.raises(ClaimHeld, match="has taken over"):
            claim.renew()
    assert sweep.writer.claim_tracking(sweep.id, "eve", 60.0) == "bob"


@pytest.mark.slow
def test_several_trackers_and_sync_at_once_make_every_run_once(sweep: StoredSweep, mlflow_uri: str) -> None:
    trackers = [start_tracker(sweep.url, mlflow_uri, "conv2") for _ in range(3)]
    for number in range(3, 30):
        sweep.complete(number, 0.01 * number)
    assert sync(sweep.url, mlflow_uri).failed == 0
    sweep.end()
    reports = [tracker.stop(60.0) for tracker in trackers]
    assert [(report.pending, report.error) for report in reports] == [(0, None)] * 3
    assert sorted(asked.trials(mlflow_uri)) == list(range(30))
    # None was made and thrown away again.
    assert len(asked.runs(mlflow_uri, deleted_too=True)) == 31


def test_a_report_tells_what_is_pending_though_the_tracker_is_gone(sweep: StoredSweep) -> None:
    tracker = start_tracker(sweep.url, "http://127.0.0.1:9", "conv2")
    assert tracker.pid is not None
    subprocess.run(["kill", "-9", str(tracker.pid)], check=True)
    report = tracker.stop(10.0)
    assert (report.delivered, report.pending) == (0, 4)
    assert report.error is not None
    assert "`sync` delivers what is left" in report.error
