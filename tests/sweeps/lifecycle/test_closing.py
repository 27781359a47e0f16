"""One lease from a sweep's first row to its last status; a status however it ends; and MLflow told or named."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from restoration_core.errors import InputError
from sweeps.lifecycle.launch import SweepOutcome, start
from sweeps.lifecycle.resume import resume
from sweeps.store.leases import LeaseHeld, StaleLease
from sweeps.store.models import SweepStatus
from sweeps.store.reader import open_reader
from sweeps.store.views import SweepView
from sweeps.store.writer import open_writer
from tests.sweeps.sweeps_in_store import make_spec, store

pytestmark = pytest.mark.slow

JUDGED = {"validate_on": ["sample:rocket"], "method": {"sampler": "random", "trials": 2}}


def run(url: str, **options: Any) -> SweepOutcome:
    spec = options.pop("spec", None) or make_spec(**JUDGED)
    return start(spec, runner="inprocess", store_url=url, **{"mlflow_uri": None, **options})


def view_of(url: str) -> SweepView:
    reader = open_reader(url)
    try:
        return reader.sweep("test")
    finally:
        reader.close()


def change(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "store.db") as connection:
        connection.execute(statement)
    connection.close()


def taken_over(url: str, status: SweepStatus) -> None:
    """Let the sweep change hands, as when its driver was silent for too long, and end it in the other's name."""
    with open_writer(url) as writer:
        sweep_id = writer.find_sweep("test")
        holder = view_of(url).lease_holder
        assert holder is not None
        token = writer.acquire_lease(sweep_id, holder, 60.0)
        writer.set_sweep_status(sweep_id, token, status)
        writer.release_lease(sweep_id, token)


@pytest.mark.parametrize("moment", ["search", "verdict"])
def test_a_driver_that_wakes_after_another_has_ended_the_sweep_changes_nothing(tmp_path: Path, moment: str) -> None:
    url = store(tmp_path)
    took: list[bool] = []

    def sleep_over(state: Any) -> None:
        if not took and (state.get("stage") == "verdict") == (moment == "verdict") and state["running"]:
            took.append(True)
            taken_over(url, SweepStatus.COMPLETE)

    with pytest.raises(StaleLease, match="was taken over"):
        run(url, progress=sleep_over)
    assert took
    after = view_of(url)
    assert (after.status, after.verdict, after.lease_holder) == ("complete", None, None)


def test_a_sweep_that_ends_before_its_search_has_begun_is_not_left_running(tmp_path: Path) -> None:
    url, tracked = store(tmp_path), tmp_path / "tracked"
    tracked.mkdir()
    with pytest.raises(InputError, match="lies in a folder that does not exist"):
        run(url, mlflow_uri=f"sqlite:///{tracked}/mlflow.db", created=lambda name: tracked.rmdir())
    after = view_of(url)
    assert (after.status, after.lease_holder) == ("interrupted", None)


@pytest.mark.parametrize("moment", ["search", "verdict"])
def test_nobody_else_gets_the_sweep_between_its_first_row_and_its_last_status(tmp_path: Path, moment: str) -> None:
    url = store(tmp_path)
    refused: list[str] = []

    def try_to_take(state: Any) -> None:
        if not refused and (state.get("stage") == "verdict") == (moment == "verdict"):
            with open_writer(url) as writer, pytest.raises(LeaseHeld) as caught:
                writer.acquire_lease(writer.find_sweep("test"), "somebody else", 60.0)
            refused.append(str(caught.value))

    assert run(url, progress=try_to_take).status == "complete"
    assert len(refused) == 1
    after = view_of(url)
    assert (after.status, after.lease_holder) == ("complete", None)


def test_of_two_resumes_at_once_the_second_waits_and_finds_nothing_left(tmp_path: Path) -> None:
    url = store(tmp_path)
    begun = threading.Event()

    def interrupt(state: Any) -> None:
        if state["running"]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(url, progress=interrupt)
    ends: list[SweepOutcome | BaseException] = []

    def second() -> None:
        begun.wait(30.0)
        try:
            ends.append(resume(url, "test", runner="inprocess", mlflow_uri=None))
        except BaseException as error:
            ends.append(error)

    thread = threading.Thread(target=second)
    thread.start()
    first = resume(url, "test", runner="inprocess", mlflow_uri=None, progress=lambda state: begun.set())
    thread.join()
    (other,) = ends
    assert isinstance(other, SweepOutcome), other
    assert (first.status, other.status, other.before, other.run) == ("complete", "complete", "complete", None)
    assert view_of(url).status == "complete"
    assert other.verdict == first.verdict


@pytest.mark.parametrize("status", ["failed", "interrupted", "running"])
def test_a_sweep_whose_trials_are_all_there_is_concluded_whatever_its_status_says(tmp_path: Path, status: str) -> None:
    url = store(tmp_path)
    verdict = run(url).verdict
    change(tmp_path, f"update sweeps set status = '{status}', verdict = null, finished_at = null")
    outcome = resume(url, "test", runner="inprocess", mlflow_uri=None)
    assert (outcome.status, outcome.before, outcome.run) == ("complete", status, None)
    assert outcome.verdict == verdict
    after = view_of(url)
    assert (after.status, after.verdict) == ("complete", verdict)
    assert after.finished_at is not None


def test_an_interrupted_verdict_is_made_up_for(tmp_path: Path) -> None:
    url = store(tmp_path)

    def interrupt(state: Any) -> None:
        if state.get("stage") == "verdict":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(url, progress=interrupt)
    assert (view_of(url).status, view_of(url).verdict) == ("interrupted", None)
    outcome = resume(url, "test", runner="inprocess", mlflow_uri=None)
    assert outcome.status == "complete"
    assert outcome.verdict is not None


def test_a_sweep_without_a_complete_trial_stays_failed_and_is_not_touched(tmp_path: Path) -> None:
    url = store(tmp_path)
    spec = make_spec(
        baselines=[],
        method={"sampler": "random", "trials": 1},
        parameters={"total_variation.weight": {"value": 1e38}},
    )
    assert run(url, spec=spec).status == "failed"
    before = view_of(url)
    assert resume(url, "test", runner="inprocess", mlflow_uri=None).status == "failed"
    assert view_of(url).finished_at == before.finished_at


@pytest.mark.slow
def test_resuming_a_sweep_whose_trials_are_all_there_tells_mlflow_all_of_them(tmp_path: Path) -> None:
    url, tracked = store(tmp_path), f"sqlite:///{tmp_path / 'mlflow.db'}"
    run(url)
    outcome = resume(url, "test", runner="inprocess", mlflow_uri=tracked)
    assert (outcome.untracked, outcome.tracking_error) == (0, None)
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        runs = connection.execute("select status from runs").fetchall()
    connection.close()
    assert runs == [("FINISHED",)] * 4  # the sweep, a baseline and two trials


@pytest.mark.slow
@pytest.mark.parametrize("error", [KeyboardInterrupt, StaleLease])
def test_an_early_end_says_what_mlflow_has_not_been_told(tmp_path: Path, error: type[BaseException]) -> None:
    url = store(tmp_path)
    behind: list[tuple[int | None, str | None]] = []

    def stop(state: Any) -> None:
        if state["complete"]:
            if error is StaleLease:
                taken_over(url, SweepStatus.INTERRUPTED)
            else:
                raise error

    with pytest.raises(error):
        run(url, mlflow_uri="http://127.0.0.1:9", progress=stop, behind=lambda *told: behind.append(told))
    ((pending, why),) = behind
    assert pending is None or pending > 0
    assert why or pending
