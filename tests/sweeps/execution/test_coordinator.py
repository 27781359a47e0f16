"""The coordinator against a real SQLite store: exactly once, fenced, never a NaN."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sweeps.execution.coordination.setbacks import MAX_ATTEMPTS, STOP_AFTER
from sweeps.execution.protocol import Assignment, CurveRecord, Report, TrialRecord
from sweeps.search.space import SearchSpace
from sweeps.store.errors import StoreMoved
from sweeps.store.leases import LeaseHeld, StaleLease
from sweeps.store.reader import open_reader
from sweeps.store.records import NewTrial
from sweeps.store.writer import Writer, open_writer
from tests.sweeps.sweeps_in_store import HeldCoordinator, coordinate, make_spec, make_sweep, record, store, with_picture


@pytest.fixture
def url(tmp_path: Path) -> str:
    return store(tmp_path)


def start(url: str, **changes: object) -> HeldCoordinator:
    spec = make_spec(**changes)
    make_sweep(url, spec)
    return coordinate(url, spec)


def states(url: str) -> dict[int, str]:
    reader = open_reader(url)
    rows = reader.trial_rows("test")
    reader.close()
    return {row["number"]: row["state"] for row in rows}


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


def failed_by_the_machine(item: Assignment, reason: str = "MemoryError: 9 GiB") -> TrialRecord:
    return TrialRecord(item.number, item.token, failure=reason, of_the_machine=True)


def test_a_trial_that_keeps_losing_its_worker_fails_when_others_get_through(url: str) -> None:
    coordinator = start(url, baselines=[], method={"sampler": "random", "trials": 4})
    for _ in range(MAX_ATTEMPTS):
        (bad,) = coordinator.ask(1, "w")
        assert bad.number == 0
        (good,) = coordinator.ask(1, "other")
        coordinator.lost("w")
        coordinator.finish([record(good, 0.5)])
    assert coordinator.ask(1, "w") == []
    reader = open_reader(url)
    assert reader.trial("test", 0).failure == "its worker was lost (3 times, while other trials ran through)"
    reader.close()
    assert (coordinator.progress()["left"], coordinator.progress()["stopped"]) == (0, None)
    coordinator.close()


def test_when_every_pack_is_lost_the_run_stops_and_no_trial_is_charged(url: str) -> None:
    coordinator = start(url)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        items = coordinator.ask(2, f"w{attempt}")
        assert [(item.number, item.attempt) for item in items] == [(0, attempt), (1, attempt)]
        coordinator.lost(f"w{attempt}")
    assert coordinator.ask(2, "w") == []
    progress = coordinator.progress()
    assert progress["stopped"] == "trial 0 failed 3 times and no other trial got through: its worker was lost"
    assert (progress["left"], progress["failed"]) == (0, 0)
    coordinator.close()
    assert set(states(url).values()) == {"running"}
    resumed = coordinate(url, make_spec())
    assert [item.number for item in resumed.ask(3, "w")] == [0, 1, 2]
    resumed.close()


def test_a_node_that_takes_several_packs_with_it_does_not_stop_the_run(url: str) -> None:
    coordinator = start(url, method={"sampler": "random", "trials": 20})
    for pack in range(8):
        coordinator.ask(2, f"pack-{pack}")
    for pack in range(8):
        coordinator.lost(f"pack-{pack}")
    items = coordinator.ask(30, "other")
    assert [item.number for item in items] == [*range(16), *range(16, 21)]
    assert coordinator.progress()["stopped"] is None
    coordinator.close()


@pytest.mark.parametrize("trials", [1, 30])
def test_several_failures_of_the_machine_in_a_row_stop_the_run_and_a_resume_runs_the_trials(
    url: str, trials: int
) -> None:
    method = {"sampler": "random", "trials": trials}
    coordinator = start(url, baselines=[], method=method)
    handed = 0
    while items := coordinator.ask(1, "w"):
        handed += 1
        assert coordinator.finish([failed_by_the_machine(item) for item in items])[0].accepted
    assert handed <= STOP_AFTER
    stopped = coordinator.progress()["stopped"]
    assert stopped is not None
    assert "MemoryError: 9 GiB" in stopped
    coordinator.close()
    assert set(states(url).values()) == {"running"}
    resumed = coordinate(url, make_spec())
    while items := resumed.ask(4, "w"):
        resumed.finish([record(item, 0.5) for item in items])
    assert (resumed.progress()["complete"], resumed.progress()["failed"]) == (trials, 0)
    resumed.close()


def test_a_trial_that_is_too_big_for_the_machine_fails_while_the_others_complete(url: str) -> None:
    coordinator = start(url, baselines=[], method={"sampler": "random", "trials": 9})
    tries = 0
    while items := coordinator.ask(3, "w"):
        bad = [item for item in items if item.number == 1]
        tries += len(bad)
        coordinator.finish([failed_by_the_machine(item) for item in bad])
        coordinator.finish([record(item, 0.5) for item in items if item not in bad])
    assert tries == MAX_ATTEMPTS
    progress = coordinator.progress()
    assert (progress["complete"], progress["failed"], progress["stopped"]) == (8, 1, None)
    reader = open_reader(url)
    assert reader.trial("test", 1).failure == "MemoryError: 9 GiB (3 times, while other trials ran through)"
    reader.close()
    coordinator.close()


def test_a_machine_that_fails_for_a_moment_costs_no_trial(url: str) -> None:
    coordinator = start(url)
    first = coordinator.ask(4, "w")
    assert coordinator.finish([failed_by_the_machine(item) for item in first[:3]])[2].reason == "to be run again"
    coordinator.finish([record(first[3], 0.5)])
    while items := coordinator.ask(4, "w"):
        coordinator.finish([record(item, 0.5) for item in items])
    assert set(states(url).values()) == {"complete"}
    coordinator.close()


def test_while_a_pack_still_has_a_trial_the_run_is_not_given_up(url: str) -> None:
    coordinator = start(url)
    (flying,) = coordinator.ask(1, "other")
    items = coordinator.ask(STOP_AFTER, "w")
    coordinator.finish([failed_by_the_machine(item) for item in items])
    assert coordinator.ask(1, "w") == []
    assert coordinator.progress()["stopped"] is None
    coordinator.finish([record(flying, 0.5)])
    assert coordinator.ask(1, "w") != []
    coordinator.close()


def test_a_late_failure_of_the_machine_says_nothing_of_the_next_attempt(url: str) -> None:
    coordinator = start(url)
    (late,) = coordinator.ask(1, "w")
    coordinator.lost("w")
    (again,) = coordinator.ask(1, "other")
    answer = coordinator.finish([failed_by_the_machine(late)])[0]
    assert (answer.accepted, answer.reason) == (False, "no pack has this attempt any more")
    assert coordinator.finish([record(again, 0.5)])[0].accepted
    coordinator.close()


class LostAcknowledgement:
    """Makes one of the writer's methods commit and then raise, or raise before it does anything."""

    def __init__(self, patch: pytest.MonkeyPatch, method: str, committed: bool = True, times: int = 1) -> None:
        original, left = getattr(Writer, method), iter(range(times))

        def failing(writer: Writer, *arguments: Any) -> Any:
            broken = next(left, None) is not None
            if broken and not committed:
                raise OSError("disk full")
            answer = original(writer, *arguments)
            if broken:
                raise ConnectionError("server closed the connection")
            return answer

        patch.setattr(Writer, method, failing)


def test_a_result_whose_acknowledgement_was_lost_is_known_and_told_to_the_sampler(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(url: str, broken: bool) -> list[dict[str, Any]]:
        coordinator = start(url, method={"sampler": "tpe", "trials": 14, "seed": 3})
        with monkeypatch.context() as patch:
            if broken:
                LostAcknowledgement(patch, "finish_trials", times=100)
            suggested = []
            while items := coordinator.ask(2, "a"):
                suggested += [dict(item.parameters) for item in items]
                results = [record(item, abs(1 - item.parameters["total_variation.weight"])) for item in items]
                assert [answer.accepted for answer in coordinator.finish(results)] == [True] * len(items)
        progress = coordinator.progress()
        assert (progress["complete"], progress["running"]) == (15, 0)
        coordinator.close()
        return suggested

    other = url.replace("store.db", "other.db")
    assert run(url, True) == run(other, False)


def test_results_that_were_not_committed_raise_and_count_when_they_come_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = start(url)
    items = coordinator.ask(2, "a")
    LostAcknowledgement(monkeypatch, "finish_trials", committed=False)
    with pytest.raises(OSError, match="disk full"):
        coordinator.finish([record(item, 0.5) for item in items])
    assert coordinator.progress()["complete"] == 0
    assert [answer.accepted for answer in coordinator.finish([record(item, 0.5) for item in items])] == [True, True]
    coordinator.close()


def test_a_result_that_could_not_even_be_looked_up_is_found_later(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    coordinator = start(url)
    items = coordinator.ask(2, "a")
    with monkeypatch.context() as patch:
        LostAcknowledgement(patch, "finish_trials")
        LostAcknowledgement(patch, "load_trials", committed=False)
        with pytest.raises(ConnectionError, match="server closed the connection"):
            coordinator.finish([record(item, 0.5) for item in items])
    coordinator.lost("a")  # the pack died of the error
    assert [item.number for item in coordinator.ask(2, "b")] == [2, 3]
    assert coordinator.progress()["complete"] == 2
    coordinator.close()


def test_new_trials_whose_acknowledgement_was_lost_are_handed_out_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = start(url)
    LostAcknowledgement(monkeypatch, "insert_trials")
    assert [item.number for item in coordinator.ask(2, "a")] == [0, 1]
    assert [item.number for item in coordinator.ask(2, "a")] == [2, 3]
    assert states(url) == dict.fromkeys(range(4), "running")
    coordinator.close()


def test_new_trials_that_could_not_even_be_looked_up_are_handed_out_once(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = start(url)
    with monkeypatch.context() as patch:
        LostAcknowledgement(patch, "insert_trials")
        LostAcknowledgement(patch, "load_trials", committed=False)
        with pytest.raises(ConnectionError, match="server closed the connection"):
            coordinator.ask(3, "a")
    items = coordinator.ask(5, "a")
    assert [item.number for item in items] == [0, 1, 2, 3, 4]
    assert all(answer.accepted for answer in coordinator.finish([record(item, 0.5) for item in items]))
    assert states(url) == dict.fromkeys(range(5), "complete")
    coordinator.close()


def test_trials_started_again_whose_acknowledgement_was_lost_are_handed_out_under_their_new_tokens(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator = start(url)
    coordinator.ask(2, "lost")
    coordinator.lost("lost")
    LostAcknowledgement(monkeypatch, "start_again")
    again = coordinator.ask(2, "a")
    assert [(item.number, item.token, item.attempt) for item in again] == [(0, 2, 2), (1, 2, 2)]
    assert all(answer.accepted for answer in coordinator.finish([record(item, 0.5) for item in again]))
    coordinator.close()


@pytest.mark.parametrize("method", ["insert_trials", "start_again"])
def test_no_ask_gives_more_than_it_was_asked_for_after_one_that_failed(
    url: str, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    coordinator = start(url, method={"sampler": "random", "trials": 20})
    coordinator.ask(3, "lost")
    coordinator.lost("lost")
    LostAcknowledgement(monkeypatch, method, committed=False)
    with pytest.raises(OSError, match="disk full"):
        coordinator.ask(8, "a")
    assert [item.number for item in coordinator.ask(2, "a")] == [0, 1]
    assert [item.number for item in coordinator.ask(2, "a")] == [2, 3]
    coordinator.close()


def test_a_record_that_cannot_be_stored_fails_its_trial_and_the_others_count(url: str) -> None:
    coordinator = start(url)
    items = coordinator.ask(3, "a")
    bad_curve = record(items[0], 0.1, curves=(CurveRecord("sample:coffee", "objective", (0, 10), (1.0,)),))
    bad_weight = record(items[1], 0.1, raw_parameters={"total_variation.weight": math.nan})
    coordinator.finish([bad_curve, bad_weight, record(items[2], 0.1)])
    assert states(url) == {0: "failed", 1: "failed", 2: "complete"}
    reader = open_reader(url)
    assert "must have a value for each step" in str(reader.trial("test", 0).failure)
    assert "raw_parameters must be finite JSON" in str(reader.trial("test", 1).failure)
    reader.close()
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


def test_runs_that_were_killed_say_nothing_against_their_trials(url: str) -> None:
    sections = {"baselines": [], "method": {"sampler": "random", "trials": 1}}
    coordinator = start(url, **sections)
    for _ in range(MAX_ATTEMPTS + 1):
        assert [item.number for item in coordinator.ask(1, "w")] == [0]
        coordinator.close()
        coordinator = coordinate(url, make_spec(**sections))
    (item,) = coordinator.ask(1, "w")
    assert coordinator.finish([record(item, 0.5)])[0].accepted
    assert states(url) == {0: "complete"}
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


def pictures_of(url: str) -> dict[int, int]:
    reader = open_reader(url)
    counts = {number: len(reader.trial("test", number).pictures) for number in states(url)}
    reader.close()
    return counts


@pytest.mark.parametrize(
    ("policy", "kept"), [("all", [1, 1, 1, 1, 1]), ("none", [0, 0, 0, 0, 0]), ("best", [1, 1, 0, 1, 0])]
)
def test_pictures_are_kept_as_the_spec_says(url: str, policy: str, kept: list[int]) -> None:
    coordinator = start(url, save={"images": policy}, method={"sampler": "random", "trials": 4})
    values = [0.5, 0.4, 0.45, 0.3, 0.6]  # the first is the baseline
    items = coordinator.ask(5, "a")
    for pair in (slice(0, 3), slice(3, 5)):
        coordinator.finish([with_picture(item, values[item.number], item.number) for item in items[pair]])
    assert list(pictures_of(url).values()) == kept
    coordinator.close()


def test_a_baseline_keeps_its_pictures_though_it_is_not_the_best(url: str) -> None:
    coordinator = start(url, method={"sampler": "random", "trials": 1})
    baseline, searched = coordinator.ask(2, "a")
    coordinator.finish([with_picture(searched, 0.1, 1)])
    coordinator.finish([with_picture(baseline, 0.9, 2)])
    assert pictures_of(url) == {0: 1, 1: 1}
    coordinator.close()


def test_while_a_baseline_leads_the_best_searched_trial_keeps_its_pictures_in_one_call_and_after_a_resume(
    url: str,
) -> None:
    coordinator = start(url, method={"sampler": "random", "trials": 6})
    items = coordinator.ask(4, "a")
    values = [0.01, 0.5, 0.4, 0.45]
    coordinator.finish([with_picture(item, value, item.number) for item, value in zip(items, values, strict=True)])
    assert pictures_of(url) == {0: 1, 1: 1, 2: 1, 3: 0}
    coordinator.close()
    coordinator = coordinate(url, make_spec())
    later = coordinator.ask(2, "a")
    coordinator.finish([with_picture(later[0], 0.42, 4), with_picture(later[1], 0.39, 5)])
    assert pictures_of(url) == {0: 1, 1: 1, 2: 1, 3: 0, 4: 0, 5: 1}
    coordinator.close()


def test_with_two_metrics_the_front_is_kept_and_counted(url: str) -> None:
    metrics = [{"name": "image_mse", "goal": "minimize"}, {"name": "ssim", "goal": "maximize"}]
    coordinator = start(url, metric=metrics, baselines=[], method={"sampler": "nsga2", "trials": 3})
    items = coordinator.ask(3, "a")
    values = [(0.2, 0.5), (0.1, 0.4), (0.3, 0.45)]
    coordinator.finish(
        [
            TrialRecord(item.number, item.token, metrics={"image_mse": mse, "ssim": ssim})
            for item, (mse, ssim) in zip(items, values, strict=True)
        ]
    )
    progress = coordinator.progress()
    assert (progress["front"], progress["best_number"]) == (2, 1)
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
