from datetime import datetime

import pandas as pd
import pytest

from dashboard.sections.verdict import by_picture, differences, metrics_compared, sentences
from dashboard.tables import metrics_by_picture, parameter_table, sweeps_table, trials_columns
from sweeps.store import open_reader
from tests.dashboard.filling import VERDICT, fill_demo, store_at


def test_sweeps_show_progress_and_last_until_now_while_they_run(tmp_path):
    fill_demo(store_at(tmp_path), running=True, planned=8)
    frame = open_reader(store_at(tmp_path)).sweeps()
    started = frame.iloc[0]["created_at"]
    row = sweeps_table(frame, started.to_pydatetime() + pd.Timedelta(seconds=75)).iloc[0]
    assert (row["Sweep"], row["Status"], row["Trials"]) == ("demo", "running", "3 / 8")
    assert row["Progress"] == 37.5
    assert row["Duration"] == "1 min 15 s"


def test_an_empty_store_gives_an_empty_table(tmp_path):
    frame = pd.DataFrame(
        {name: pd.Series(dtype="object") for name in ["name", "status", "owner", "metric_names"]}
        | {name: pd.Series(dtype="int64") for name in ["complete", "pruned", "failed", "running", "trials_planned"]}
        | {name: pd.Series(dtype="datetime64[us]") for name in ["created_at", "finished_at"]}
        | {"best_number": pd.Series(dtype="Int64"), "best_objective": pd.Series(dtype="float64")}
    )
    assert sweeps_table(frame, datetime(2026, 1, 1)).empty


def test_the_objective_stands_for_the_only_metric_and_for_none_of_several():
    columns = ["number", "objective", "params.a", "metrics.mse", "metrics.psnr", "raw.a"]
    one = trials_columns(columns, "mse")
    assert one[:6] == ["number", "state", "baseline", "objective", "params.a", "metrics.psnr"]
    several = trials_columns(columns, None)
    assert "objective" not in several
    assert {"metrics.mse", "metrics.psnr"} <= set(several)


def test_parameters_pair_searched_with_raw_values():
    table = parameter_table({"a": 0.5, "b": "x"}, {"a": 2.0, "c": 3})
    assert table.to_numpy().tolist() == [["a", "0.5", "2"], ["b", "x", "–"], ["c", "–", "3"]]


def test_metrics_by_picture_end_with_their_mean():
    long = pd.DataFrame({"image": ["p", "q"], "name": ["mse", "mse"], "value": [1.0, 3.0]})
    assert metrics_by_picture(long).to_numpy().tolist() == [["p", 1.0], ["q", 3.0], ["mean", 2.0]]


def test_a_verdict_sets_the_winner_beside_each_baseline_picture_by_picture():
    assert metrics_compared(VERDICT) == ["psnr"]
    table = by_picture(VERDICT, "psnr")
    assert list(table.columns) == ["Picture", "trial 9 (winner)", "mv2016", "none"]
    assert table["Picture"].tolist() == ["sample:chelsea", "sample:rocket", "mean"]
    assert table["mv2016"].tolist() == pytest.approx([18.8, 19.8, 19.3])
    lead = differences(VERDICT, "psnr").iloc[0].tolist()
    assert lead == ["mv2016", "+1.6", "+1.2 to +2", "2 of 2 pictures"]


def test_one_picture_has_no_interval():
    one = {"difference": 0.5, "interval": [0.5, 0.5], "better_on": 1, "pictures": 1}
    shown = differences({"comparisons": {"none": {"psnr": one}}}, "psnr").iloc[0].tolist()
    assert shown == ["none", "+0.5", "– (one picture)", "1 of 1 pictures"]


def test_a_verdict_without_comparisons_has_no_tables():
    assert metrics_compared({"summary": "no verdict: the spec names no baselines"}) == []


def test_a_verdict_reads_as_one_sentence_a_baseline():
    summary = "the winner beats a (1; few); the winner loses to b (2; few)"
    assert sentences(summary) == ["The winner beats a (1; few)", "The winner loses to b (2; few)"]
    assert sentences("") == []
