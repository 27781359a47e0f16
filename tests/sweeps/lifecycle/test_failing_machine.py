"""A machine that fails the trials stops the run; a resume runs them, and failed ones when asked to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from restoration_core.errors import Failure
from restoration_core.reconstruction import BatchSolver
from sweeps.lifecycle.launch import start
from sweeps.lifecycle.resume import resume
from sweeps.store.reader import open_reader
from sweeps.store.views import SweepView
from tests.sweeps.sweeps_in_store import make_spec, store

ADVANCE = BatchSolver.advance


def raising(error: Exception, when: Callable[[Any], bool] = lambda solver: True) -> Callable[..., Any]:
    """Return a solver's step that raises for the batches chosen."""

    def advance(self: BatchSolver[Any], max_iterations: int | None = None) -> Any:
        if when(self):
            raise error
        return ADVANCE(self, max_iterations)

    return advance


def has_trial(number: int) -> Callable[[Any], bool]:
    return lambda solver: any(key[0] == number for key in solver.keys)


def sweep(url: str) -> tuple[SweepView, list[dict[str, Any]]]:
    reader = open_reader(url)
    try:
        return reader.sweep("test"), reader.trial_rows("test")
    finally:
        reader.close()


def begin(url: str) -> Any:
    return start(make_spec(), runner="inprocess", store_url=url, mlflow_uri=None, verdict=False)


def go_on(url: str, **options: Any) -> Any:
    return resume(url, "test", runner="inprocess", mlflow_uri=None, verdict=False, **options)


def test_a_run_without_memory_stops_and_leaves_its_trials_to_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(BatchSolver, "advance", raising(MemoryError("cannot allocate 9 GiB")))
        with pytest.raises(Failure, match=r"MemoryError: cannot allocate 9 GiB\); they stay to be run") as caught:
            begin(url)
    assert "\n" not in str(caught.value)
    view, rows = sweep(url)
    assert (view.status, view.lease_holder) == ("interrupted", None)
    assert {row["state"] for row in rows} == {"running"}
    assert go_on(url).status == "complete"
    assert [(row["number"], row["state"]) for row in sweep(url)[1]] == [(number, "complete") for number in range(7)]


def test_failed_trials_run_again_under_their_own_numbers_when_asked_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, whole = store(tmp_path), store(tmp_path / "whole")
    (tmp_path / "whole").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(BatchSolver, "advance", raising(RuntimeError("kernel died"), has_trial(2)))
        assert begin(url).status == "complete"
        failed = sweep(url)[1][2]
        assert (failed["state"], failed["failure"]) == ("failed", "RuntimeError: kernel died")
        go_on(url)
        assert sweep(url)[1][2] == failed  # a plain resume leaves it
    assert go_on(url, retry_failed=True).status == "complete"
    begin(whole)
    again, first = sweep(url)[1], sweep(whole)[1]
    assert [(row["state"], row["attempt"]) for row in again] == [("complete", 2 if row == 2 else 1) for row in range(7)]
    assert again[2]["failure"] is None
    # Later suggestions had not heard of trial 2; what was suggested before it is as in a whole run.
    assert [row["metrics"] for row in again[:3]] == [row["metrics"] for row in first[:3]]


def test_a_sweep_of_which_all_trials_failed_is_complete_after_a_retry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(BatchSolver, "advance", raising(RuntimeError("kernel died")))
        assert begin(url).status == "failed"
    outcome = go_on(url, retry_failed=True)
    assert (outcome.status, outcome.progress["complete"], outcome.progress["failed"]) == ("complete", 7, 0)


def test_a_network_that_does_not_fit_the_device_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise MemoryError("GPU 0 is full")

    monkeypatch.setattr("sweeps.execution.worker_context.keep_freed_memory", full)
    with pytest.raises(Failure, match="the network does not get onto the device: MemoryError: GPU 0 is full"):
        begin(store(tmp_path))
    assert sweep(store(tmp_path))[0].status == "interrupted"


def test_a_verdict_without_memory_is_one_line_and_comes_with_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = store(tmp_path)
    spec = make_spec(validate_on=["sample:rocket"], method={"sampler": "random", "trials": 2})
    options: dict[str, Any] = {"runner": "inprocess", "store_url": url, "mlflow_uri": None}
    with monkeypatch.context() as patch:
        of_the_verdict = raising(MemoryError(), lambda solver: solver.keys[0][1] == "sample:rocket")
        patch.setattr(BatchSolver, "advance", of_the_verdict)
        with pytest.raises(Failure, match=r"all trials have ended, but the verdict failed \(MemoryError\)"):
            start(spec, **options)
    assert sweep(url)[0].status == "interrupted"
    outcome = resume(url, "test", runner="inprocess", mlflow_uri=None)
    assert outcome.status == "complete"
    assert outcome.verdict is not None
