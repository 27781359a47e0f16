"""The in-process runner keeps the contract, and gives the same sweep twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeps.lifecycle.launch import start
from sweeps.store.reader import open_reader
from tests.contracts.runner_contract import RunnerContract
from tests.sweeps.sweeps_in_store import make_spec, store

pytestmark = pytest.mark.slow


class TestInProcess(RunnerContract):
    runner = "inprocess"


def all_that_was_found(url: str, runner: str, **changes: Any) -> list[tuple[int, dict[str, Any], list[str]]]:
    sections = {"save": {"images": "all"}, "resources": {"actors": 1, "pack": 4}} | changes
    spec = make_spec(**sections)
    start(spec, runner=runner, store_url=url, mlflow_uri=None, verdict=False)
    reader = open_reader(url)
    numbers = [row["number"] for row in reader.trial_rows("test")]
    trials = [reader.trial("test", number) for number in numbers]
    reader.close()
    return [(trial.number, trial.parameters, [picture.sha256 for picture in trial.pictures]) for trial in trials]


def test_the_same_spec_and_seed_give_the_same_suggestions_and_pixels(tmp_path: Path) -> None:
    urls = []
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        urls.append(store(tmp_path / name))
    method = {"sampler": "tpe", "trials": 16, "seed": 4}
    first = all_that_was_found(urls[0], "inprocess", method=method)
    assert first == all_that_was_found(urls[1], "inprocess", method=method)
    other = all_that_was_found(urls[2], "inprocess", method=method | {"seed": 5})
    assert [trial[1] for trial in first[1:]] != [trial[1] for trial in other[1:]]
    assert len({tuple(trial[2]) for trial in first}) == 17


def test_two_metrics_are_searched_as_a_front(tmp_path: Path) -> None:
    metrics = [{"name": "image_mse", "goal": "minimize"}, {"name": "feature_error", "goal": "minimize"}]
    spec = make_spec(metric=metrics, method={"sampler": "nsga2", "trials": 12, "seed": 1})
    outcome = start(spec, runner="inprocess", store_url=store(tmp_path), mlflow_uri=None, verdict=False)
    assert outcome.progress["complete"] == 13
    reader = open_reader(store(tmp_path))
    front = reader.best("test", 20)
    reader.close()
    assert len(front) == outcome.progress["front"] >= 1


def test_progress_moves_while_a_pack_is_being_solved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sweeps.execution.pack.REPORT_EVERY_S", 0.0)
    seen: list[float] = []
    spec = make_spec(method={"sampler": "random", "trials": 1}, resources={"pack": 2})
    start(
        spec,
        runner="inprocess",
        store_url=store(tmp_path),
        mlflow_uri=None,
        verdict=False,
        progress=lambda state: seen.append(state["in_flight_share"]),
    )
    assert 0 < max(seen) < 2  # two trials in one pack, neither of which has ended yet
    assert seen[-1] == 0
