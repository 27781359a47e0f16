"""Ray Tune as runner: the contract, the same trials as in process, and what survives lost processes."""

from __future__ import annotations

import os
import signal
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from ray.tune.search import Searcher

from restoration_core.errors import Failure
from sweeps.execution.pack_searcher import PackSearcher
from sweeps.execution.protocol import Assignment
from sweeps.lifecycle.launch import start
from sweeps.store.errors import StoreFull
from sweeps.store.leases import StaleLease
from sweeps.store.reader import open_reader
from sweeps.store.writer import open_writer
from tests.contracts.runner_contract import RunnerContract
from tests.sweeps.execution.runners.test_inprocess import all_that_was_found
from tests.sweeps.processes import descendants
from tests.sweeps.store.filled_disk import small_disk
from tests.sweeps.sweeps_in_store import make_spec, store


@pytest.mark.slow
class TestRayTune(RunnerContract):
    runner = "ray"


@pytest.mark.slow
def test_ray_with_one_actor_gives_the_numbers_suggestions_and_pixels_of_one_process(tmp_path: Path) -> None:
    urls = []
    for name in ("ray", "process"):
        (tmp_path / name).mkdir()
        urls.append(store(tmp_path / name))
    method = {"sampler": "tpe", "trials": 16, "seed": 4}
    over_ray = all_that_was_found(urls[0], "ray", method=method)
    assert over_ray == all_that_was_found(urls[1], "inprocess", method=method)


def called(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except OSError:
        return ""


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["Trainable", "CoordinatorActor"])
def test_a_killed_actor_costs_attempts_but_no_trial(tmp_path: Path, victim: str) -> None:
    killed: list[int] = []

    def kill(state: Any) -> None:
        if state["complete"] >= 2 and not killed:
            pids = [
                pid for pid in descendants(os.getpid()) if called(pid).startswith("ray::") and victim in called(pid)
            ]
            if pids:
                killed.append(pids[0])
                os.kill(pids[0], signal.SIGKILL)

    spec = make_spec(
        budget={"iterations": 250},
        method={"sampler": "random", "trials": 12, "seed": 2},
        resources={"actors": 1, "pack": 2},
    )
    outcome = start(spec, runner="ray", store_url=store(tmp_path), mlflow_uri=None, verdict=False, progress=kill)
    assert killed
    reader = open_reader(store(tmp_path))
    rows = reader.trial_rows("test")
    reader.close()
    assert [row["number"] for row in rows] == list(range(13))
    assert {row["state"] for row in rows} == {"complete"}
    assert outcome.run is not None
    if victim == "Trainable":
        assert outcome.run.lost_packs == 1
        assert max(row["attempt"] for row in rows) == 2


@pytest.mark.slow
def test_an_error_of_the_coordinator_arrives_as_the_one_line_it_is(tmp_path: Path) -> None:
    url = store(tmp_path)
    taken: list[int] = []

    def take_over(state: Any) -> None:
        if state["running"] and not taken:
            with open_writer(url) as writer:
                sweep_id = writer.find_sweep("test")
                writer.release_lease(sweep_id, held_token(tmp_path))
                taken.append(writer.acquire_lease(sweep_id, "somebody else", 100.0))

    spec = make_spec(budget={"iterations": 100}, method={"sampler": "random", "trials": 12}, resources={"actors": 1})
    with pytest.raises(StaleLease, match="was taken over") as caught:
        start(spec, runner="ray", store_url=url, mlflow_uri=None, verdict=False, progress=take_over)
    assert type(caught.value) is StaleLease
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_when_every_pack_is_killed_the_run_stops_with_the_reason_and_no_trial_is_failed(tmp_path: Path) -> None:
    url = store(tmp_path)

    def kill(state: Any) -> None:
        if state["running"]:
            for pid in descendants(os.getpid()):
                if called(pid).startswith("ray::") and "Trainable" in called(pid):
                    os.kill(pid, signal.SIGKILL)

    spec = make_spec(
        budget={"iterations": 100_000}, method={"sampler": "random", "trials": 4}, resources={"actors": 1, "pack": 2}
    )
    with pytest.raises(Failure, match=r"trial 0 failed 3 times .*a process was killed or crashed.*stay to be run"):
        start(spec, runner="ray", store_url=url, mlflow_uri=None, verdict=False, progress=kill)
    reader = open_reader(url)
    assert {row["state"] for row in reader.trial_rows("test")} == {"running"}
    assert reader.sweep("test").status == "interrupted"
    reader.close()


def held_token(folder: Path) -> int:
    with sqlite3.connect(folder / "store.db") as connection:
        return int(connection.execute("select fencing_token from sweeps").fetchone()[0])


class Trials:
    """A coordinator with a number of trials that records which packs were lost."""

    def __init__(self, count: int) -> None:
        self.left = count
        self.orphans = 0
        self.losses: list[str | None] = []

    def ask(self, k: int, worker: str) -> list[Assignment]:
        handed, self.left = min(k, self.left), self.left - min(k, self.left)
        return [Assignment(number, 1, {}, 0) for number in range(handed)]

    def lost(self, worker: str | None = None) -> int:
        self.losses.append(worker)
        found, self.orphans = (self.orphans, 0) if worker is None else (0, self.orphans)
        self.left += found
        return found


def test_the_searcher_opens_packs_waits_for_living_ones_and_then_finishes() -> None:
    trials = Trials(5)
    searcher = PackSearcher(trials, width=3, quota=12)
    first, second = searcher.suggest("a"), searcher.suggest("b")
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert [len(order["first"]) for order in (first, second)] == [3, 2]
    assert (first["quota"], first["width"], first["pack"]) == (12, 3, "a")
    assert searcher.suggest("c") is None
    searcher.on_trial_complete("a", {})
    searcher.on_trial_complete("b", error=True)
    assert trials.losses == ["a", "b"]
    assert searcher.lost_packs == 1
    assert searcher.suggest("c") == Searcher.FINISHED


def test_the_searcher_takes_up_trials_that_no_pack_has_before_it_finishes() -> None:
    trials = Trials(0)
    trials.orphans = 2
    order = PackSearcher(trials, width=3, quota=12).suggest("a")
    assert isinstance(order, dict)
    assert len(order["first"]) == 2


@pytest.mark.slow
def test_a_full_disk_ends_the_run_at_once_with_its_reason(tmp_path: Path) -> None:
    """It is not the packs' fault, so that no others are opened and no trial is blamed."""
    (tmp_path / "disk").mkdir()
    with small_disk(tmp_path / "disk", megabytes=1):
        url = store(tmp_path / "disk")
        with open_writer(url):
            (tmp_path / "disk" / "filling").write_bytes(bytes(600_000))
        save = {"images": "all", "curves_every": 1, "steps": list(range(1, 12))}
        spec = make_spec(method={"sampler": "random", "trials": 12}, save=save)
        with pytest.raises(StoreFull, match=r"is full .*make room on the disk"):
            start(spec, runner="ray", store_url=url, mlflow_uri=None, verdict=False)
        (tmp_path / "disk" / "filling").unlink()
        reader = open_reader(url)
        assert reader.sweep("test").status == "interrupted"
        assert set(reader.trials("test")["state"]) <= {"running", "complete"}
        reader.close()
