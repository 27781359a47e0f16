"""Whose fault a failure is: a trial's, or the machine's, which stops the run and charges no trial."""

from __future__ import annotations

import pytest

from sweeps.execution.coordination.setbacks import MAX_ATTEMPTS, STOP_AFTER
from sweeps.execution.protocol import Assignment, TrialRecord
from sweeps.store.reader import open_reader
from tests.sweeps.execution.coordinating import start, states
from tests.sweeps.sweeps_in_store import coordinate, make_spec, record


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
