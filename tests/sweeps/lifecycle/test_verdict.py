"""The verdict: paired by picture, on pictures that were not searched, in words that say how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sweeps.lifecycle.bootstrap_interval import bootstrap_interval
from sweeps.lifecycle.comparison import compare, in_words
from sweeps.lifecycle.launch import start
from sweeps.lifecycle.verdict import METRICS, Contestant, search_in_words
from sweeps.store import open_reader
from tests.sweeps.sweeps_in_store import make_spec, store

pytestmark = pytest.mark.slow

AHEAD = "the winner beats mv2016"
HINT = "(95 % interval of its lead +0.50 to +1.10 dB; with so few pictures only a hint)"
UNCLEAR = "(95 % interval of its lead -0.50 to +0.10 dB; which holds 0: no clear difference)"
CLEAR = "(95 % interval of its lead +0.10 to +0.90 dB; which leaves out 0)"


def test_the_interval_agrees_with_scipys_bootstrap() -> None:
    differences = np.random.default_rng(0).normal(0.5, 1.0, size=40)
    reference = stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=10_000, rng=np.random.default_rng(1)
    ).confidence_interval
    low, high = bootstrap_interval(differences, 3)
    assert low == pytest.approx(reference.low, abs=0.03)
    assert high == pytest.approx(reference.high, abs=0.03)
    assert bootstrap_interval(np.full(5, 0.25), 0) == (0.25, 0.25)


def test_differences_are_paired_and_counted_in_the_direction_of_each_metric() -> None:
    winner = {name: np.array([[3.0, 1.0], [5.0, 5.0], [1.0, 1.0]]) for name in METRICS}
    rival = {name: np.array([[1.0, 1.0], [6.0, 6.0], [0.0, 0.0]]) for name in METRICS}
    found = compare(winner, rival, ["a", "b", "c"], seed=0)
    assert found["psnr"]["difference"] == pytest.approx(1 / 3)
    assert found["psnr"]["better_on"] == 2
    assert found["image_mse"]["better_on"] == 1
    assert found["psnr"]["by_picture"]["a"] == {"winner": 2.0, "baseline": 1.0}


@pytest.mark.parametrize(
    ("difference", "interval", "better", "count", "sentence"),
    [
        (0.8, [0.8, 0.8], 1, 1, f"{AHEAD} by 0.80 dB (one picture, so no interval: only a hint)"),
        (0.8, [0.5, 1.1], 3, 3, f"{AHEAD} by 0.80 dB, is better on 3 of 3 pictures {HINT}"),
        (-0.2, [-0.5, 0.1], 5, 12, f"the winner loses to mv2016 by 0.20 dB, is better on 5 of 12 pictures {UNCLEAR}"),
        (0.4, [0.1, 0.9], 11, 12, f"{AHEAD} by 0.40 dB, is better on 11 of 12 pictures {CLEAR}"),
    ],
)  # fmt: skip
def test_the_sentence_says_by_how_much_and_how_sure(
    difference: float, interval: list[float], better: int, count: int, sentence: str
) -> None:
    found = {"psnr": {"difference": difference, "interval": interval, "better_on": better, "pictures": count}}
    assert in_words("mv2016", found) == sentence


def test_a_sweep_ends_with_its_winner_judged_on_pictures_that_were_not_searched(tmp_path: Path) -> None:
    spec = make_spec(
        images=["sample:coffee"],
        validate_on=["sample:rocket", "sample:chelsea"],
        baselines=["none", "mv2016"],
        budget={"iterations": 40},
        method={"sampler": "random", "trials": 4, "seed": 0},
    )
    outcome = start(spec, runner="inprocess", store_url=store(tmp_path), mlflow_uri=None)
    verdict = outcome.verdict
    assert verdict is not None
    assert verdict["pictures"] == ["sample:rocket", "sample:chelsea"]
    assert set(verdict["comparisons"]) == {"none", "mv2016"}
    reader = open_reader(store(tmp_path))
    searched = [row for row in reader.trial_rows(spec.name) if row["baseline"] is None]
    reader.close()
    assert verdict["winner"] == min(searched, key=lambda row: row["objectives"][0])["number"]
    for found in verdict["comparisons"].values():
        psnr = found["psnr"]
        means = [np.mean([row[who] for row in psnr["by_picture"].values()]) for who in ("winner", "baseline")]
        assert psnr["winner"] - psnr["baseline"] == pytest.approx(psnr["difference"])
        assert means == pytest.approx([psnr["winner"], psnr["baseline"]])
        assert psnr["interval"][0] <= psnr["difference"] <= psnr["interval"][1]


def test_a_baseline_is_never_the_winner_and_its_lead_in_the_search_is_said(tmp_path: Path) -> None:
    spec = make_spec(
        validate_on=["sample:rocket"],
        baselines=["none", {"name": "tuned", "parameters": {"total_variation.weight": 1.0, "learning_rate": 0.05}}],
        parameters={
            "total_variation.weight": {"distribution": "uniform", "min": 1e4, "max": 1e5},
            "learning_rate": {"value": 1e-6},
        },
        budget={"iterations": 30},
        method={"sampler": "random", "trials": 2, "seed": 0},
    )
    verdict = start(spec, runner="inprocess", store_url=store(tmp_path), mlflow_uri=None).verdict
    assert verdict is not None
    assert verdict["winner"] in {2, 3}
    assert set(verdict["comparisons"]) == {"none", "tuned"}
    assert "the winner loses to tuned by" in verdict["summary"]
    assert "; in the search itself tuned was better than the winner (image_mse 0." in verdict["summary"]


@pytest.mark.parametrize(("goal", "better"), [("minimize", ["a"]), ("maximize", ["c"])])
def test_better_in_the_search_means_in_the_metrics_direction(goal: str, better: list[str]) -> None:
    winner = Contestant(3, {}, (2.0,))
    rivals = [Contestant(n, {}, (value,), name) for n, (name, value) in enumerate([("a", 1.0), ("b", 2.0), ("c", 3.0)])]
    said = search_in_words(winner, rivals, "psnr", goal)
    assert [sentence.split()[4] for sentence in said] == better


def test_when_only_baselines_were_completed_there_is_no_winner(tmp_path: Path) -> None:
    spec = make_spec(
        baselines=["none"],
        validate_on=["sample:rocket"],
        parameters={"total_variation.weight": {"value": 1e38}},
        method={"sampler": "random", "trials": 1, "seed": 0},
    )
    verdict = start(spec, runner="inprocess", store_url=store(tmp_path), mlflow_uri=None).verdict
    assert verdict == {"summary": "no verdict: no searched trial was completed, only baselines"}


def test_without_validation_pictures_it_says_so(tmp_path: Path) -> None:
    spec = make_spec(method={"sampler": "random", "trials": 1})
    outcome = start(spec, runner="inprocess", store_url=store(tmp_path), mlflow_uri=None)
    assert outcome.verdict is not None
    assert outcome.verdict["summary"] == "no verdict: the spec names no pictures under validate_on"


def test_the_verdict_speaks_of_every_metric_of_the_sweep_and_keeps_the_usual_ones_beside(tmp_path: Path) -> None:
    spec = make_spec(
        validate_on=["sample:rocket", "sample:chelsea"],
        metric=[{"name": "feature_error", "goal": "minimize"}, {"name": "ssim", "goal": "maximize"}],
        method={"sampler": "random", "trials": 2, "seed": 0},
    )
    verdict = start(spec, runner="inprocess", store_url=store(tmp_path), mlflow_uri=None).verdict
    assert verdict is not None
    (found,) = verdict["comparisons"].values()
    assert list(found) == ["feature_error", "ssim", "psnr", "image_mse"]
    in_features, in_ssim = verdict["summary"].split("; the winner ")
    assert " none by " in in_features
    assert " in feature_error (" in in_features
    assert " in ssim, is better on " in in_ssim


def test_a_lead_in_a_metric_that_is_minimised_is_said_in_its_direction() -> None:
    found = {
        "image_mse": {"difference": -0.01, "interval": [-0.03, -0.002], "better_on": 11, "pictures": 12},
        "psnr": {"difference": 0.8},
    }
    assert in_words("none", found, ["image_mse"]) == (
        "the winner beats none by 0.01 in image_mse (+0.80 dB), is better on 11 of 12 pictures "
        "(95 % interval of its lead +0.002 to +0.03; which leaves out 0)"
    )
    assert in_words("none", {}, ["image_mse"]).startswith("the winner and none cannot be compared in image_mse")


def test_the_verdict_solves_in_batches_of_the_packs_size_and_tells_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sweeps.execution.pack_batch

    widest: list[int] = []

    class Watched(sweeps.execution.pack_batch.BatchSolver):  # type: ignore[type-arg]
        def advance(self, *steps: int) -> object:
            widest.append(len(self.keys))
            return super().advance(*steps)

    monkeypatch.setattr(sweeps.execution.pack_batch, "BatchSolver", Watched)
    spec = make_spec(
        validate_on=["sample:rocket", "sample:chelsea", "sample:astronaut"],
        method={"sampler": "random", "trials": 1, "seed": 0},
        resources={"pack": 2},
    )
    states: list[Mapping[str, Any]] = []
    start(spec, runner="inprocess", store_url=store(tmp_path), mlflow_uri=None, progress=states.append)
    assert max(widest) == 2
    told = [state for state in states if state.get("stage") == "verdict"]
    assert {state["planned"] for state in told} == {2 * 3 * 3}
    done = [state["complete"] + state["in_flight_share"] for state in told]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, 18)


def test_batches_give_the_scores_that_one_picture_at_a_time_gives(tmp_path: Path) -> None:
    scores = []
    for pack in (1, 8):
        spec = make_spec(
            validate_on=["sample:rocket", "sample:chelsea"],
            method={"sampler": "random", "trials": 1, "seed": 0},
            resources={"pack": pack},
        )
        folder = tmp_path / str(pack)
        folder.mkdir()
        verdict = start(spec, runner="inprocess", store_url=store(folder), mlflow_uri=None).verdict
        assert verdict is not None
        scores.append(verdict["comparisons"]["none"]["psnr"]["by_picture"])
    assert scores[0] == scores[1]


def test_a_progress_callback_that_raises_ends_nothing(tmp_path: Path) -> None:
    def progress(state: Mapping[str, Any]) -> None:
        raise OSError("the terminal is gone")

    spec = make_spec(
        validate_on=["sample:rocket"],
        method={"sampler": "random", "trials": 1, "seed": 0},
    )
    outcome = start(spec, runner="inprocess", store_url=store(tmp_path), mlflow_uri=None, progress=progress)
    assert outcome.status == "complete"
    assert outcome.verdict is not None
    assert "comparisons" in outcome.verdict
