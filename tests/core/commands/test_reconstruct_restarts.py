"""Restarts, the gap to the truth and the animation of ``restoration reconstruct``, against what is computed by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from restoration_core.cli import main
from restoration_core.images import load_image
from restoration_core.networks import open_network
from restoration_core.objectives import make_problem, open_preset
from restoration_core.reconstruction import Result, solve

LAYER, SIZE, ITERATIONS, SEEDS = "conv2/relu", 24, 12, (3, 4, 5, 6)
QUICK = ["--layer", LAYER, "--size", str(SIZE), "--iterations", str(ITERATIONS), "--preset", "mv2016-adam"]


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["reconstruct", *map(str, arguments)])
    return int(ended.value.code or 0)


def opened(path: str) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), dtype=float).transpose(2, 0, 1) / 255


def by_hand(seed: int, **changes: Any) -> Result:
    """One run solved alone through the core."""
    classifier = open_network()
    original = torch.from_numpy(load_image("sample:coffee", SIZE))
    preset = open_preset("mv2016-adam", classifier, LAYER).with_iterations(ITERATIONS)
    return solve(classifier, [make_problem(classifier, original, LAYER, preset, seed=seed, **changes)], SIZE)[0]


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("restarts")
    assert run("sample:coffee", *QUICK, "--seed", "3", "--restarts", "4", "--animate", "apng", "--out", out) == 0
    (found,) = json.loads((out / "metrics.json").read_text())
    return dict(found)


@pytest.fixture(scope="module")
def runs() -> list[Result]:
    return [by_hand(seed) for seed in SEEDS]


def test_each_restart_is_the_run_of_its_seed_and_the_best_has_the_lowest_objective(
    row: dict[str, Any], runs: list[Result]
) -> None:
    objectives = [run.losses["objective"] for run in runs]
    assert [each["seed"] for each in row["restarts"]] == list(SEEDS)
    assert [each["losses"]["objective"] for each in row["restarts"]] == pytest.approx(objectives, rel=1e-5)
    best = int(np.argmin(objectives))
    assert [each["best"] for each in row["restarts"]] == [place == best for place in range(4)]
    assert row["losses"]["objective"] == min(each["losses"]["objective"] for each in row["restarts"])
    assert opened(row["files"]["reconstruction"]) == pytest.approx(runs[best].image.numpy(), abs=0.51 / 255)
    assert row["metrics"] == row["restarts"][best]["metrics"]


def test_the_spread_is_numpys_standard_deviation_on_the_stated_scale(row: dict[str, Any], runs: list[Result]) -> None:
    pictures = np.stack([run.image.numpy() for run in runs]).astype(float)
    spread = np.sqrt((pictures.std(axis=0, ddof=1) ** 2).mean(axis=0))
    assert row["scales"]["spread"] == 0.25
    shown = opened(row["files"]["spread"])
    assert shown == pytest.approx(np.broadcast_to(np.clip(spread / 0.25, 0, 1), shown.shape), abs=0.6 / 255)
    assert row["spread"] == pytest.approx(np.sqrt((spread**2).mean()), rel=1e-4)


def test_the_mean_picture_is_that_of_the_runs_with_metrics_of_its_own(row: dict[str, Any], runs: list[Result]) -> None:
    mean = np.stack([run.image.numpy() for run in runs]).mean(axis=0)
    assert opened(row["files"]["mean"]) == pytest.approx(mean, abs=0.51 / 255)
    psnr = peak_signal_noise_ratio(load_image("sample:coffee", SIZE), mean, data_range=1)
    assert row["mean"]["metrics"]["psnr"] == pytest.approx(psnr, abs=1e-3)
    assert row["mean"]["metrics"]["psnr"] != row["metrics"]["psnr"]


def test_the_gap_is_the_quotient_of_two_solves(row: dict[str, Any], runs: list[Result]) -> None:
    truth = by_hand(3, initial=torch.from_numpy(load_image("sample:coffee", SIZE)))
    floor = truth.losses["objective"]
    wanted = [run.losses["objective"] / floor for run in runs]
    assert row["gap"]["ratios"] == pytest.approx(wanted, rel=1e-4)
    assert row["gap"]["ratio"] == min(row["gap"]["ratios"])
    assert row["gap"]["truth"]["losses"]["objective"] == pytest.approx(floor, rel=1e-5)
    psnr = peak_signal_noise_ratio(load_image("sample:coffee", SIZE), truth.image.numpy(), data_range=1)
    assert row["gap"]["truth"]["metrics"]["psnr"] == pytest.approx(psnr, abs=1e-3)


def test_the_animation_shows_the_best_run_at_the_steps_it_states(row: dict[str, Any], runs: list[Result]) -> None:
    steps = row["animation_steps"]
    assert steps[0] == 0
    assert steps[-1] == ITERATIONS
    assert steps == sorted(set(steps))
    best = min(range(4), key=lambda place: runs[place].losses["objective"])
    shorter = by_hand(SEEDS[best], snapshots=tuple(steps))
    with Image.open(row["files"]["animation"]) as film:
        assert getattr(film, "n_frames", 1) == len(steps)
        for number, step in enumerate(steps):
            film.seek(number)
            shown = np.asarray(film.convert("RGB"), dtype=float)[: 6 * SIZE : 6, : 6 * SIZE : 6].transpose(2, 0, 1)
            assert shown / 255 == pytest.approx(shorter.snapshots[step].numpy(), abs=0.51 / 255)


def test_the_gap_is_taken_unless_it_is_not_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def gaps(*arguments: str) -> list[bool]:
        assert run(*arguments, *QUICK, "--out", tmp_path, "--json") == 0
        return ["gap" in row for row in json.loads(capsys.readouterr().out)]

    assert gaps("sample:coffee") == [True]
    assert gaps("sample:coffee", "--no-gap") == [False]
    assert gaps("sample:coffee", "sample:rocket", "--layer", "conv1/relu") == [True] * 4
    assert gaps("sample:coffee", "sample:rocket", "--no-gap") == [False, False]
    assert gaps("sample:coffee", "--restarts", "2") == [True]
    assert run("sample:coffee", *QUICK, "--no-gap", "--out", tmp_path) == 0
    assert "objective / from truth" not in capsys.readouterr().out


def test_a_gap_beside_a_denoiser_says_that_no_objective_counts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["sample:coffee", *QUICK, "--out", tmp_path]
    assert run(*quick, "--prior", "denoiser", "--weight", "0.1") == 0
    note = "both objectives leave out priors.image: a denoiser steers the runs but has no energy"
    assert f"objective / from truth: {note}" in capsys.readouterr().out.splitlines()
    (row,) = json.loads((tmp_path / "metrics.json").read_text())
    assert row["gap"]["note"] == note
    assert "priors.image" not in row["losses"]
    assert run(*quick, "--prior", "student_t", "--weight", "0.1", "--json") == 0
    assert "note" not in json.loads(capsys.readouterr().out)[0]["gap"]


def test_lbfgs_that_has_converged_counts_as_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--layer", "conv1/lin", "--size", "12", "--iterations", "3000", "--preset", "none", "--no-gap"]
    assert run("sample:coffee", *arguments, "--optimizer", "lbfgs", "--out", tmp_path, "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["status"].startswith("converged")
    assert row["iterations"] < 3000
    assert math.isfinite(row["metrics"]["psnr"])


def test_the_table_says_which_feature_error_it_is_and_the_steps_of_animations(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("sample:coffee", *QUICK, "--restarts", "2", "--animate", "--frames", "3", "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert "PSNR of mean" in printed
    assert "||phi - phi0||^2 / ||phi0||^2 (the papers report its root)" in printed
    assert "animations show steps 0, 3, 12" in printed
    with Image.open(tmp_path / "coffee-conv2_relu-animation.gif") as film:
        assert getattr(film, "n_frames", 1) == 3
