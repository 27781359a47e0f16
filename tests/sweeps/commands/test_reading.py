"""``sweep status``, ``best`` and ``export``: what a run found, for people and for machines."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from restoration_core.errors import InputError
from sweeps.cli import sweep
from sweeps.store import NewSweep, open_writer
from tests.sweeps.commands.tiny import SPEC, invoke


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["validate", "missing.yaml"], "cannot read missing.yaml: No such file"),
        (["status", "--store", "sqlite:///none.db"], "no store at"),
        (["best", "x", "--store", "nonsense"], "is not a database address"),
        (["sync", "--mlflow", "off"], "needs MLflow, but --mlflow is off"),
    ],
)
def test_what_cannot_be_had_is_an_input_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as caught:
        CliRunner().invoke(sweep, arguments, catch_exceptions=False)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_status_best_and_export_agree_on_what_a_run_found(store: str, tmp_path: Path) -> None:
    (row,) = json.loads(invoke("--store", store, "status", "--json"))
    assert (row["name"], row["status"], row["complete"]) == ("tiny", "complete", 4)
    one = json.loads(invoke("--store", store, "status", "tiny", "--json"))
    assert one["trials_planned"] == one["complete"] == 4
    best = json.loads(invoke("best", "tiny", "--store", store, "--k", "2", "--json"))
    assert len(best) == 2
    assert best[0]["objective"] <= best[1]["objective"]
    assert best[0]["number"] == one["best"]["number"] == row["best_number"]
    path = tmp_path / "trials.csv"
    assert "4 trials of tiny written" in invoke("export", "tiny", "--to", str(path), "--store", store)
    table = pd.read_csv(path)
    assert table["number"].tolist() == [0, 1, 2, 3]
    assert table.loc[0, "baseline"] == "none"
    assert table["objective"].min() == pytest.approx(best[0]["objective"])


def test_a_sweep_whose_runner_was_killed_is_told_from_one_that_runs(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'r.db'}"
    with open_writer(url) as writer:
        new = NewSweep("tiny", SPEC, {}, ["image_mse"], ["minimize"], 0, 3, "me", {}, [])
        lease = writer.acquire_lease(writer.create_sweep(new), "a runner", 100.0)
        assert "restoration sweep resume" not in invoke("status", "tiny", "--store", url)
        writer.renew_lease(writer.find_sweep("tiny"), lease, -1.0)
    assert "nobody is running it; to go on: restoration sweep resume tiny" in invoke("status", "tiny", "--store", url)
