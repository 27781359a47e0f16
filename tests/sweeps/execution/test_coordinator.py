"""The coordinator against a real SQLite store: exactly once, fenced, never a NaN."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps.execution.protocol import Report
from sweeps.search.space import SearchSpace
from sweeps.store.errors import StoreMoved
from sweeps.store.leases import LeaseHeld, StaleLease
from sweeps.store.reader import open_reader
from sweeps.store.records import NewTrial
from sweeps.store.writer import open_writer
from tests.sweeps.execution.coordinating import start, states
from tests.sweeps.sweeps_in_store import coordinate, make_spec, make_sweep, record, store


def test_a_trial_is_in_the_store_before_it_is_handed_out(url: str) -> None:
    coordinator = start(url)
    items = coordinator.ask(3, "pack-1")
    assert [item.number for item in items] == [0, 1, 2]
    assert states(url) == {0: "running", 1: "running", 2: "running"}
    assert items[0].baseline == "none"
    coordinator.close()


def test_every_trial_is_handed_out_once_and_counts_once(url: str) -> None:
    coordinator = start(url)
    items = coordinator.ask(100, "a")
    assert [item.number for item in items] == list(range(7))  # one baseline, six searched
    assert coordinator.ask(100, "b") == []
    answers = coordinator.finish([record(item, 1.0 / (1 + item.number)) for item in items])
    assert all(answer.accepted for answer in answers)
    again = coordinator.finish([record(items[0], 0.0)])
    assert (again[0].accepted, again[0].reason) == (True, "already committed")
    progress = coordinator.progress()
    assert (progress["complete"], progress["running"], progress["left"]) == (7, 0, 0)
    assert (progress["best_number"], progress["best"]) == (6, {"image_mse": pytest.approx(1 / 7)})
    coordinator.close()


def test_threads_that_ask_at_once_never_get_the_same_trial(url: str) -> None:
    coordinator = start(url, method={"sampler": "random", "trials": 40})
    seen: list[int] = []

    def work(name: str) -> None:
        while items := coordinator.ask(3, name):
            seen.extend(item.number for item in items)
            coordinator.finish([record(item, 1.0) for item in items])

    threads = [threading.Thread(target=work, args=(f"w{index}",)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == list(range(41))
    assert set(states(url).values()) == {"complete"}
    coordinator.close()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_non_finite_metric_is_a_failed_trial_with_a_reason_and_never_the_best(url: str, value: float) -> None:
    coordinator = start(url, metric={"name": "image_mse", "goal": "maximize"})
    first, second = coordinator.ask(2, "a")
    coordinator.finish([record(first, value), record(second, 0.5)])
    progress = coordinator.progress()
    assert (progress["failed"], progress["complete"], progress["best_number"]) == (1, 1, 1)
    reader = open_reader(url)
    assert reader.trial("test", 0).failure == f"the metric 'image_mse' is {value}"
    reader.close()
    coordinator.close()


def test_a_missing_metric_and_a_packs_own_reason_fail_the_trial(url: str) -> None:
    coordinator = start(url)
    first, second = coordinator.ask(2, "a")
    coordinator.finish([record(first, 0.1, metrics={"psnr": 3.0}), record(second, 0.1, failure="out of memory")])
    reader = open_reader(url)
    assert reader.trial("test", 0).failure == "the metric 'image_mse' was not computed"
    assert reader.trial("test", 1).failure == "out of memory"
    reader.close()
    coordinator.close()


def test_trials_of_a_lost_pack_come_back_under_their_numbers_and_its_late_results_are_refused(url: str) -> None:
    coordinator = start(url)
    lost, kept = coordinator.ask(2, "lost"), coordinator.ask(1, "kept")
    assert coordinator.lost("lost") == 2
    assert coordinator.progress()["running"] == 1
    again = coordinator.ask(2, "other")
    assert [item.number for item in again] == [0, 1]
    assert [item.parameters for item in again] == [item.parameters for item in lost]
    assert [item.seed for item in again] == [item.seed for item in lost]
    assert coordinator.report([Report(0, lost[0].token, 5, 1.0), Report(0, again[0].token, 5, 1.0)]) == [0]
    late = coordinator.finish([record(lost[0], 0.0)])[0]
    assert not late.accepted
    assert late.reason == "stale token 1, the current one is 2"
    assert coordinator.finish([record(again[0], 0.3), record(kept[0], 0.2)])[0].accepted
    assert coordinator.progress()["best_number"] == 2
    coordinator.close()


def test_progress_counts_the_share_of_iterations_of_trials_in_flight(url: str) -> None:
    coordinator = start(url)
    first, second, third = coordinator.ask(3, "a")
    assert coordinator.progress()["in_flight_share"] == 0
    coordinator.report(
        [Report(first.number, first.token, 3, 1.0, 0.25), Report(second.number, second.token, 6, 1, 0.5)]
    )
    assert coordinator.progress()["in_flight_share"] == pytest.approx(0.75)
    coordinator.report([Report(third.number, third.token + 1, 6, 1.0, 0.9)])  # a stale attempt does not count
    coordinator.finish([record(first, 0.5)])
    assert coordinator.progress()["in_flight_share"] == pytest.approx(0.5)
    coordinator.lost("a")
    assert coordinator.progress()["in_flight_share"] == 0
    coordinator.close()


def test_an_older_versions_steps_are_handed_out_again_as_the_spec_lists_them(url: str) -> None:
    stepped = {"distribution": "q_uniform", "min": 1.0, "max": 3.0, "step": 0.1}
    spec = make_spec(parameters={"total_variation.beta": stepped}, baselines=[])
    sweep_id = make_sweep(url, spec)
    with open_writer(url) as writer:
        lease = writer.acquire_lease(sweep_id, "old", 60.0)
        space = SearchSpace.from_spec(spec)
        old = NewTrial(0, 1, {"total_variation.beta": 1.0 + 7 * 0.1}, space.encode(), seed=5)
        writer.insert_trials(sweep_id, lease, [old])
        writer.release_lease(sweep_id, lease)
    coordinator = coordinate(url, spec)
    (item,) = coordinator.ask(1, "a")
    assert (item.number, item.parameters["total_variation.beta"]) == (0, 1.7)
    coordinator.close()


def test_a_resumed_coordinator_hands_out_the_dead_ones_trials_first_and_fences_it_off(url: str) -> None:
    dead = start(url)
    flying = dead.ask(3, "a")
    dead.finish([record(flying[1], 0.5)])
    # Under the dead one's name, as one that Ray restarts: the lease changes hands though it has not run out.
    alive = coordinate(url, make_spec(), holder=dead.holder)
    assert [item.number for item in alive.ask(10, "b")] == [0, 2, 3, 4, 5, 6]
    with pytest.raises(StaleLease, match="was taken over"):
        dead.finish([record(flying[0], 0.1)])
    with pytest.raises(StaleLease, match="was taken over"):
        dead.ask(1, "a")
    assert states(url)[0] == "running"
    alive.close()


def test_a_resumed_search_suggests_what_the_interrupted_one_would_have(url: str, tmp_path: Path) -> None:
    def run(url: str, interrupted_after: int | None) -> list[dict[str, object]]:
        spec = make_spec(method={"sampler": "tpe", "trials": 20, "seed": 5})
        make_sweep(url, spec)
        coordinator = coordinate(url, spec)
        seen: dict[int, dict[str, object]] = {}
        count = 0
        while items := coordinator.ask(2, "a"):
            seen |= {item.number: dict(item.parameters) for item in items}
            count += 1
            if count == interrupted_after:
                coordinator.close()
                coordinator = coordinate(url, spec)
                continue
            coordinator.finish([record(item, abs(1 - item.parameters["total_variation.weight"])) for item in items])
        coordinator.close()
        return [seen[number] for number in sorted(seen)]

    other = store(tmp_path / "b")
    (tmp_path / "b").mkdir()
    assert run(url, None) == run(other, 8)


@pytest.mark.slow
def test_a_live_sweep_is_not_taken_over(url: str) -> None:
    spec = make_spec()
    make_sweep(url, spec)
    coordinator = coordinate(url, spec, ttl_s=0.6)
    time.sleep(1.0)  # longer than the lease: it is renewed
    with pytest.raises(LeaseHeld, match="is being run by"):
        coordinate(url, spec, ttl_s=0.6)
    coordinator.close()
    coordinate(url, spec).close()


def until_it_fails(call: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        call()
        time.sleep(0.01)


@pytest.mark.parametrize("what", ["progress", "report"])
def test_a_store_that_was_replaced_ends_the_run_at_the_next_renewal(url: str, tmp_path: Path, what: str) -> None:
    """The packs are solving and write nothing meanwhile: it is the renewal that notices."""
    spec = make_spec()
    make_sweep(url, spec)
    coordinator = coordinate(url, spec, ttl_s=0.2)
    coordinator.ask(1, "a")
    (tmp_path / "store.db").unlink()
    ask = coordinator.progress if what == "progress" else lambda: coordinator.report([])
    with pytest.raises(StoreMoved, match="was deleted, moved or replaced while it was open"):
        until_it_fails(ask)
    coordinator.close()
    assert not (tmp_path / "store.db").exists()


def test_a_sweep_that_changed_hands_is_noticed_between_results(url: str) -> None:
    spec = make_spec()
    make_sweep(url, spec)
    coordinator = coordinate(url, spec, holder="me", ttl_s=0.2)
    with open_writer(url) as writer:
        writer.acquire_lease(writer.find_sweep("test"), "me", 60.0)
    with pytest.raises(StaleLease, match="was taken over"):
        until_it_fails(lambda: coordinator.report([]))
    coordinator.close()


def test_no_new_trial_starts_when_the_hours_are_used_up_but_running_ones_finish(url: str) -> None:
    coordinator = start(url, budget={"iterations": 12, "hours": 1e-5})
    items = coordinator.ask(2, "a")
    time.sleep(0.05)
    assert coordinator.ask(2, "a") == []
    assert coordinator.finish([record(item, 0.1) for item in items])[0].accepted
    assert coordinator.progress()["hours_used_up"]
    coordinator.close()


def test_the_hours_of_a_run_go_on_when_its_coordinator_restarts_and_begin_anew_with_the_next_run(url: str) -> None:
    spec = make_spec(budget={"iterations": 12, "hours": 1.0})
    make_sweep(url, spec)
    began = time.time() - 3599.0
    with_time_left = coordinate(url, spec, started_at=began)
    assert with_time_left.ask(1, "a")
    with_time_left.close()
    restarted = coordinate(url, spec, started_at=began - 2.0, adopt=True)
    assert restarted.progress()["hours_used_up"]
    assert restarted.ask(1, "a") == []
    restarted.close()
    resumed = coordinate(url, spec)
    assert len(resumed.ask(2, "a")) == 2
    resumed.close()


def test_a_coordinator_that_restarts_beneath_living_packs_accepts_their_results(url: str) -> None:
    first = start(url)
    items = first.ask(2, "a")
    restarted = coordinate(url, make_spec(), holder=first.holder, adopt=True)
    assert [item.number for item in restarted.ask(1, "b")] == [2]
    assert all(answer.accepted for answer in restarted.finish([record(item, 0.1) for item in items]))
    assert restarted.lost() == 1  # what no living pack brings back comes again
    restarted.close()
