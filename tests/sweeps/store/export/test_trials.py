"""Exported tables: what a program reads back is what the store holds; what a spreadsheet opens runs nothing."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from restoration_core.errors import InputError
from sweeps.store import NewTrial, Reader, Writer, export_trials
from tests.contracts.store_contract import finished, new_sweep
from tests.sweeps.store.conftest import OBJECTIVES, fill


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json", "CSV"])
def test_one_row_a_trial_with_state_attempts_parameters_and_metrics(
    writer: Writer, reader: Reader, tmp_path: Path, suffix: str
) -> None:
    fill(writer, "low")
    path = tmp_path / f"trials.{suffix}"
    assert export_trials(reader, "low", path) == 8
    readers = {"csv": pd.read_csv, "parquet": pd.read_parquet, "json": pd.read_json}
    frame = readers[suffix.lower()](path)
    assert list(frame.columns[:5]) == ["number", "state", "attempts", "baseline", "objective"]
    assert list(frame["number"]) == list(range(8))
    assert list(frame["state"]) == ["complete"] * 5 + ["failed", "pruned", "running"]
    assert list(frame["attempts"]) == [1] * 8
    assert frame["objective"].tolist()[:5] == list(OBJECTIVES.values())
    assert frame["params.total_variation.weight"].tolist() == pytest.approx([0.1 * number for number in range(8)])
    assert frame["metrics.metric_0"].tolist()[:2] == pytest.approx([0.01, 0.02])
    assert frame["metrics.metric_0"].isna().tolist()[5:] == [True] * 3
    assert frame["failure"].tolist()[5] == "out of memory"
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".part"] == []


def dangerous(writer: Writer) -> None:
    sweep = writer.create_sweep(new_sweep("odd"))
    lease = writer.acquire_lease(sweep, "me", 60)
    values = ["=1+1", "+cmd", "-2", "@SUM(A1)", "\tx", 'say "hi", twice\nplease', [5, 8], None, -3.5, True]
    writer.insert_trials(sweep, lease, [NewTrial(n, 1, {"choice": value}) for n, value in enumerate(values)])
    writer.finish_trials(sweep, lease, [finished(0, worker="=HYPERLINK(1)")])


def test_csv_cells_that_a_spreadsheet_would_run_are_quoted(writer: Writer, reader: Reader, tmp_path: Path) -> None:
    dangerous(writer)
    export_trials(reader, "odd", tmp_path / "odd.csv")
    with (tmp_path / "odd.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["params.choice"] for row in rows] == [
        "'=1+1", "'+cmd", "'-2", "'@SUM(A1)", "'\tx", 'say "hi", twice\nplease', "[5,8]", "", "-3.5", "True",
    ]  # fmt: skip
    assert rows[0]["worker"] == "'=HYPERLINK(1)"


def test_json_and_parquet_keep_values_as_they_are(writer: Writer, reader: Reader, tmp_path: Path) -> None:
    dangerous(writer)
    export_trials(reader, "odd", tmp_path / "odd.json")
    rows = json.loads((tmp_path / "odd.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert [row["params.choice"] for row in rows][4:] == ["\tx", 'say "hi", twice\nplease', [5, 8], None, -3.5, True]
    assert rows[0]["params.choice"] == "=1+1"
    assert rows[1]["objective"] is None
    # Parquet columns have one type: mixed values are JSON text.
    export_trials(reader, "odd", tmp_path / "odd.parquet")
    column = pd.read_parquet(tmp_path / "odd.parquet")["params.choice"].tolist()
    assert [json.loads(column[index]) for index in (0, 6, 8, 9)] == ["=1+1", [5, 8], -3.5, True]


def test_a_sweep_without_trials_has_its_columns(writer: Writer, reader: Reader, tmp_path: Path) -> None:
    writer.create_sweep(new_sweep("empty"))
    for suffix in ("csv", "parquet", "json"):
        assert export_trials(reader, "empty", tmp_path / f"empty.{suffix}") == 0
    assert (tmp_path / "empty.csv").read_text().startswith("number,state,attempts,baseline,objective,")
    assert list(pd.read_parquet(tmp_path / "empty.parquet").columns)[:3] == ["number", "state", "attempts"]
    assert json.loads((tmp_path / "empty.json").read_text()) == []


def test_a_bad_target_is_refused_before_anything_is_written(writer: Writer, reader: Reader, tmp_path: Path) -> None:
    fill(writer, "low")
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"unknown suffix '\.xlsx'; valid: \.csv, \.parquet, \.json"):
        export_trials(reader, "low", tmp_path / "trials.xlsx")
    with pytest.raises(InputError, match=r"cannot export to .*the folder .*nowhere does not exist; make it first"):
        export_trials(reader, "low", tmp_path / "nowhere" / "trials.csv")
    with pytest.raises(InputError, match="unknown sweep 'lwo'; did you mean 'low'"):
        export_trials(reader, "lwo", tmp_path / "trials.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InputError, match=r"cannot export to .*it is a folder"):
        export_trials(reader, "low", tmp_path / "folder.csv")
    assert set(tmp_path.iterdir()) == before | {tmp_path / "folder.csv"}


def test_an_existing_file_is_replaced_whole(writer: Writer, reader: Reader, tmp_path: Path) -> None:
    fill(writer, "low")
    target = tmp_path / "trials.csv"
    target.write_text("old\n" * 1000)
    export_trials(reader, "low", target)
    assert "old" not in target.read_text()
