"""All who say which trial is best say the same: store, MLflow, verdict, experiment, dashboard, pictures kept."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dashboard.best import best_row, front_numbers
from sweeps.execution.coordination.picture_policy import PicturePolicy
from sweeps.lifecycle.verdict import contestants
from sweeps.search.pareto import ranked
from sweeps.store import FinishedTrial, TrialState, open_reader, open_writer
from sweeps.tracking import best_from_mlflow, sync
from tests.contracts.store_contract import new_sweep, new_trials, record

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("goals", [("minimize",), ("maximize",), ("minimize", "maximize")])
def test_all_who_say_which_trial_is_best_agree(goals: tuple[str, ...], tmp_path: Path, mlflow_uri: str) -> None:
    draw, url = random.Random(7), f"sqlite:///{tmp_path / 'store.db'}"
    trials = [(number, tuple(draw.choice([0.1, 0.2, 0.3]) for _ in goals)) for number in range(12)]
    order = trials.copy()
    draw.shuffle(order)  # they end in another order than they were asked in
    policy = PicturePolicy("best", goals)
    with open_writer(url) as writer:
        sweep = writer.create_sweep(new_sweep("first", goals))
        lease = writer.acquire_lease(sweep, "me", 60)
        writer.insert_trials(sweep, lease, new_trials(*range(12)))
        for number, values in order:
            names = {f"metric_{place}": value for place, value in enumerate(values)}
            done = record(number, metrics=names)
            single = values[0] if len(goals) == 1 else None
            writer.finish_trials(sweep, lease, [FinishedTrial(done, TrialState.COMPLETE, single, values)])
    kept = {number for number, values in order if policy.add(number, values, False)}
    expected = [item.number for item in ranked(trials, goals)]
    front = expected if len(goals) > 1 else expected[:1]
    reader = open_reader(url)
    assert list(reader.best("first", 99)["number"]) == expected
    assert set(front) <= kept
    winner, _, _ = contestants(url, "first", [f"metric_{place}" for place in range(len(goals))], goals)
    assert winner is not None
    assert winner.number == expected[0]
    sync(url, mlflow_uri)
    assert list(best_from_mlflow(mlflow_uri, "first", 99)["number"]) == expected
    assert list(best_from_mlflow(mlflow_uri, "first", 3)["number"]) == expected[:3]
    shown = reader.trials("first")
    if len(goals) == 1:
        assert reader.sweeps()["best_number"].tolist() == expected[:1]
        assert best_row(shown, "objective", goals[0])["number"] == expected[0]
    else:
        assert front_numbers(shown, ["metric_0", "metric_1"], list(goals)) == expected
