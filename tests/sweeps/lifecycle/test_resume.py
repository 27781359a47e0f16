"""Kill -9 in the middle, then resume: every number once, none running, none lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from restoration_core.errors import InputError
from sweeps.lifecycle.launch import start
from sweeps.lifecycle.resume import resume
from sweeps.store.reader import open_reader
from sweeps.store.writer import open_writer
from tests.sweeps.killed_sweep import TRIALS, kill_in_the_middle, numbers, run
from tests.sweeps.sweeps_in_store import make_spec, store


def check_killed_and_resumed(folder: Path, runner: str) -> None:
    done = kill_in_the_middle(folder, runner, complete=4, timeout_s=200)
    running = numbers(folder, "running")
    assert running, "it was killed with trials in flight"
    before = {number: final_pixels(folder, number) for number in done}
    resume(store(folder), "test", runner=runner, mlflow_uri=None, verdict=False)
    reader = open_reader(store(folder))
    rows = reader.trial_rows("test")
    view = reader.sweep("test")
    reader.close()
    assert [row["number"] for row in rows] == list(range(TRIALS + 1))
    assert {row["state"] for row in rows} == {"complete"}
    again = {row["number"] for row in rows if row["attempt"] > 1}
    # Ray's actors outlive a killed driver for a moment, in which a trial in flight may still be handed in.
    assert again <= running if runner == "ray" else again == running
    assert len({row["finish_order"] for row in rows}) == TRIALS + 1
    assert view.status == "complete"
    assert before == {number: final_pixels(folder, number) for number in done}


def final_pixels(folder: Path, number: int) -> list[str]:
    reader = open_reader(store(folder))
    found = [picture.sha256 for picture in reader.trial("test", number).pictures]
    reader.close()
    return found


@pytest.mark.slow
def test_a_killed_in_process_sweep_is_resumed_to_what_it_would_have_been(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    killed.mkdir()
    whole.mkdir()
    check_killed_and_resumed(killed, "inprocess")
    run(str(whole), "inprocess")
    for number in range(TRIALS + 1):
        assert final_pixels(killed, number) == final_pixels(whole, number), number


@pytest.mark.slow
def test_a_killed_ray_sweep_is_resumed(tmp_path: Path) -> None:
    check_killed_and_resumed(tmp_path, "ray")


def test_resuming_needs_the_store_alone_and_a_finished_sweep_is_left_as_it_is(tmp_path: Path) -> None:
    picture = tmp_path / "mine.png"
    from restoration_core.images import encode_png, load_image

    picture.write_bytes(encode_png(load_image("sample:coffee", 32)))
    spec = make_spec(images=[str(picture)], method={"sampler": "random", "trials": 2})

    def interrupt(state: dict[str, int]) -> None:
        if state["running"]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start(spec, runner="inprocess", store_url=store(tmp_path), mlflow_uri=None, progress=interrupt)
    picture.unlink()
    outcome = resume(store(tmp_path), "test", runner="inprocess", mlflow_uri=None)
    assert outcome.progress["complete"] == 3
    assert outcome.verdict is not None
    assert outcome.verdict["summary"].startswith("no verdict: the spec names no pictures")
    again = resume(store(tmp_path), "test", runner="inprocess", mlflow_uri=None)
    assert again.run is None
    assert again.verdict == outcome.verdict


def test_a_missing_verdict_is_made_up_for(tmp_path: Path) -> None:
    spec = make_spec(validate_on=["sample:rocket"], method={"sampler": "random", "trials": 2})
    url = store(tmp_path)
    assert start(spec, runner="inprocess", store_url=url, mlflow_uri=None, verdict=False).verdict is None
    outcome = resume(url, "test", runner="inprocess", mlflow_uri=None)
    assert outcome.run is None
    assert outcome.verdict is not None
    reader = open_reader(url)
    assert reader.sweep("test").verdict == outcome.verdict
    reader.close()


def test_other_weights_than_the_sweeps_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = store(tmp_path)
    network = {"name": "cifar_alexnet", "weights": "random", "seed": 1}
    spec = make_spec(network=network, method={"sampler": "random", "trials": 1})
    start(spec, runner="inprocess", store_url=url, mlflow_uri=None, verdict=False)
    from restoration_core.networks import open_network

    monkeypatch.setattr(
        "sweeps.lifecycle.stored_sweep.open_network", lambda *given: open_network("cifar_alexnet", "random", 2)
    )
    with pytest.raises(InputError, match="was started with weights"):
        resume(url, "test", runner="inprocess", mlflow_uri=None)


def test_an_unknown_sweep_is_named(tmp_path: Path) -> None:
    open_writer(store(tmp_path)).close()
    with pytest.raises(InputError, match="unknown sweep 'nothing'"):
        resume(store(tmp_path), "nothing", runner="inprocess", mlflow_uri=None)
