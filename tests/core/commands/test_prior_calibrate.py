"""``restoration prior calibrate`` through the real command line function."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from restoration_core.calibration.calibration_library import CalibrationLibrary
from restoration_core.calibration.recipe import hand_crafted_key
from restoration_core.cli import main
from restoration_core.priors.hand_crafted.total_variation import TotalVariation
from restoration_core.priors.library.prior_library import PriorLibrary

QUICK = ["--layer", "pool1", "--size", "16", "--iterations", "5", "--draws", "1", "--photographs", "2"]


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["prior", "calibrate", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_a_table_a_picture_of_each_prior_and_what_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    priors = ["total_variation:1", "isotropic_range", "student_t:8"]
    library, out = tmp_path / "library", tmp_path / "pictures"
    assert run(*priors, *QUICK, "--library", library, "--out", out) == 0
    printed = capsys.readouterr()
    kept = {calibration.prior_name: calibration for calibration in CalibrationLibrary(library).list()}
    assert sorted(kept) == ["isotropic_range", "student_t-8x8-256", "total_variation:1"]
    for name, calibration in kept.items():
        (row,) = [line for line in printed.out.splitlines() if line.startswith(name)]
        assert f"{calibration.raw_weight(1.0):.3g}" in row
        assert f"{calibration.energies['natural'].median:.3g}" in row
    assert kept["student_t-8x8-256"].recipe.prior == PriorLibrary().entry("student_t-8x8-256").key
    assert "error of reconstructions from pool1 alone" in printed.err
    drawn = sorted(out.iterdir())
    assert [path.stem.split("-at-")[0] for path in drawn] == ["isotropic_range", "student_t-8", "total_variation-1"]
    for path in drawn:
        assert str(path) in printed.out
        with Image.open(path) as picture:
            picture.load()


def test_json_is_the_calibration_and_a_second_run_measures_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows() -> list[dict[str, Any]]:
        assert run("total_variation:2", *QUICK, "--json", "--library", tmp_path) == 0
        printed = capsys.readouterr()
        said.append(printed.err)
        return json.loads(printed.out)

    said: list[str] = []
    (first,), (second,) = rows(), rows()
    assert first == second
    assert "curvature" in said[0]
    assert said[1] == ""
    (kept,) = CalibrationLibrary(tmp_path).list()
    assert first["raw_weight_of_1"] == kept.raw_weight(1.0)
    assert first["path"] == str(CalibrationLibrary(tmp_path).path(kept.recipe))
    assert first["recipe"]["prior"] == hand_crafted_key("total_variation", TotalVariation(2.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody", *QUICK], "unknown prior 'nobody'"),
        (["total_variation:x", *QUICK], "'x' is no number"),
        (["total_variation", "--layer", "pool9"], "unknown layer of cifar_alexnet 'pool9'"),
        (["total_variation", *QUICK, "--noise", "whyte"], "unknown noise 'whyte'; did you mean 'white'?"),
        (["total_variation", *QUICK, "--level", "rms"], "unknown error_run.level 'rms'; did you mean 'rmse'?"),
        (["total_variation", *QUICK, "--images", "nowhere"], "nowhere: no such folder"),
        (["total_variation", *QUICK, "--photographs", "0"], "limit: limit >= 1 must hold, but got 0"),
        (["total_variation", *QUICK, "--device", "abacus"], "--device abacus: cannot be used here"),
        (["logistic:8", "--layer", "pool1", "--size", "7"], "smaller than the prior's patches"),
    ],
    ids=["prior", "exponent", "layer", "noise", "level", "folder", "photographs", "device", "size"],
)
def test_bad_input_is_one_line_and_exit_2(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--library", tmp_path / "library") == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 1
    assert message in errors[0]
    assert not list(tmp_path.rglob("*.json"))


def test_an_output_that_is_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "out").touch()
    assert run("total_variation", *QUICK, "--out", tmp_path / "out", "--library", tmp_path) == 2
    assert "is a file; valid: a folder" in capsys.readouterr().err
