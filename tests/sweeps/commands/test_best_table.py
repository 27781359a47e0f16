"""The best trials, at 80 columns and wider, with one metric and with several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweeps.search.pareto import Standing
from tests.sweeps.commands.tiny import invoke
from tests.sweeps.sweeps_in_store import coordinate, make_spec, make_sweep, record, store

pytestmark = pytest.mark.slow

EIGHT: dict[str, Any] = {
    f"priors.conv{n}/relu.weight": {"distribution": "log_uniform", "min": 1e-3, "max": 1e2} for n in range(1, 6)
} | {
    "total_variation.weight": {"distribution": "log_uniform", "min": 1e-3, "max": 1e2},
    "learning_rate": {"value": 0.05},
    "jitter": {"value": 4},
}


def filled(folder: Path, **changes: Any) -> str:
    """Return a store with a finished sweep `test`; its trials are made up."""
    url, spec = store(folder), make_spec(**changes)
    make_sweep(url, spec)
    coordinator = coordinate(url, spec)
    for place, item in enumerate(coordinator.ask(20, "me")):
        values = {name: 0.1 + (place if row == 0 else -place) / 100 for row, name in enumerate(spec.metric_names)}
        coordinator.finish([record(item, 0.0, metrics=values, image_metrics={"sample:coffee": values})])
    coordinator.close()
    return url


@pytest.mark.parametrize("width", [40, 80, 200])
def test_eight_parameters_are_whole_and_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    url = filled(tmp_path, parameters=EIGHT, baselines=[])
    monkeypatch.setenv("COLUMNS", str(width))
    said = invoke("best", "test", "--store", url)
    assert max(map(len, said.splitlines())) <= width
    words = said.replace(":", " ").split()
    # A header, or a name in each of six trials; fixed parameters once.
    assert all(words.count(name) in ((1,) if name in {"learning_rate", "jitter"} else (1, 6)) for name in EIGHT)


def test_what_all_trials_share_is_said_once_above_them(tmp_path: Path) -> None:
    title, same, values, header, *rows = invoke("best", "test", "--store", filled(tmp_path, baselines=[])).splitlines()
    assert title == "Best trials of test: 6"
    assert (same, values) == ("the same in all:", "    learning_rate: 0.05")
    assert header.split() == ["trial", "image_mse", "total_variation.weight"]
    assert len(rows) == 6


def test_the_number_of_complete_trials_is_said_where_not_all_are_shown(tmp_path: Path) -> None:
    said = invoke("best", "test", "-k", "2", "--store", filled(tmp_path))
    assert said.splitlines()[0] == "Best trials of test: 2 of 7"


def test_several_metrics_give_a_pareto_front_under_that_name(tmp_path: Path) -> None:
    metrics = [{"name": "image_mse", "goal": "minimize"}, {"name": "feature_error", "goal": "minimize"}]
    url = filled(tmp_path, metric=metrics, method={"sampler": "random", "trials": 5, "seed": 0}, baselines=[])
    front = Standing(["minimize", "minimize"])
    for place in range(5):
        front.add(place, (0.1 + place / 100, 0.1 - place / 100))
    assert len(front.front) == 5
    said = invoke("best", "test", "--store", url).splitlines()
    assert said[0] == "Pareto front of test: 5 trials"
    assert "image_mse  feature_error" in said[3]
    assert invoke("best", "test", "--k", "2", "--store", url).startswith("Pareto front of test: 2 of 5 trials")
    assert "Best in image_mse, of 5 on the Pareto front" in invoke("status", "test", "--store", url)


def test_a_pipe_gets_one_line_a_trial_however_wide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    said = invoke("best", "test", "--store", filled(tmp_path, parameters=EIGHT, baselines=[]))
    assert len(said.splitlines()) == 4 + 6


def test_a_metric_of_ones_own_is_in_the_table(tmp_path: Path) -> None:
    url = filled(tmp_path, metric=[{"name": "gram_distance", "goal": "minimize"}])
    assert "gram_distance" in invoke("best", "test", "--store", url)
