"""A write whose outcome is not known is looked up in the store: nothing counts twice, nothing is lost."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sweeps.execution.protocol import CurveRecord
from sweeps.store.reader import open_reader
from sweeps.store.writer import Writer
from tests.sweeps.execution.coordinating import start, states
from tests.sweeps.sweeps_in_store import record


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
