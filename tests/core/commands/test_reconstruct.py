"""``restoration reconstruct`` end to end on the bundled network, and its refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from restoration_core.calibration.calibration_library import CalibrationLibrary
from restoration_core.cli import main
from restoration_core.images import load_image

QUICK = ["--layer", "conv2/relu", "--size", "24", "--iterations", "12"]


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["reconstruct", *arguments])
    return int(ended.value.code or 0)


def test_it_writes_the_views_and_tells_the_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert run("sample:coffee", *QUICK, "--out", str(out), "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["status"] == "finished"
    assert set(row["files"]) == {"original", "reconstruction", "signed_difference", "absolute_difference"}
    original, reconstruction, signed, absolute = (
        np.asarray(Image.open(row["files"][view]), dtype=float) / 255
        for view in ("original", "reconstruction", "signed_difference", "absolute_difference")
    )
    assert np.allclose(original, load_image("sample:coffee", 24).transpose(1, 2, 0), atol=1e-6)
    error = reconstruction - original
    assert np.allclose(signed, np.clip(0.5 + error, 0, 1), atol=0.01)  # the shared scale is 0.5
    assert np.allclose(absolute, np.clip(np.abs(error) * 2, 0, 1), atol=0.02)
    assert row["metrics"]["psnr"] == pytest.approx(-10 * np.log10(np.mean(error**2)), abs=0.1)
    assert json.loads((out / "metrics.json").read_text()) == [row]


def test_a_folder_stands_for_its_pictures_and_equal_names_stay_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (30, 30), "teal").save(tmp_path / folder / "x.png")
    Image.effect_noise((30, 30), 50).convert("RGB").save(tmp_path / "a" / "y.png")
    (tmp_path / "a" / "notes.txt").write_text("no picture")
    out = tmp_path / "out"
    assert run(str(tmp_path / "a"), str(tmp_path / "b"), *QUICK, "--preset", "none", "--out", str(out)) == 0
    names = {path.name.removesuffix("-conv2_relu-reconstruction.png") for path in out.glob("*-reconstruction.png")}
    assert names == {"x", "x-2", "y"}
    assert "PSNR" in capsys.readouterr().out


def test_priors_given_join_the_presets_or_replace_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--preset", "mv2016", "--prior", "total_variation:1.5", "--weight", "0.5"]
    given += ["--prior", "alpha_norm", "--weight", "0.1"]
    assert run("sample:coffee", *QUICK, *given, "--out", str(tmp_path), "--json") == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert list(row["losses"]) == ["objective", "feature_loss", "isotropic_range", "total_variation", "alpha_norm"]


def test_a_run_that_breaks_down_exits_with_1_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--preset", "none", "--learning-rate", "1e38", "--prior", "alpha_norm", "--weight", "1"]
    assert run("sample:coffee", *QUICK, *arguments, "--out", str(tmp_path), "--json") == 1
    (row,) = json.loads(capsys.readouterr().out)
    assert row["status"].startswith("the objective became NaN or infinite")
    assert row["metrics"] == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sample:cofee", *QUICK], "unknown sample picture 'cofee'; did you mean 'coffee'?"),
        (["missing.png", *QUICK], "missing.png"),
        (["sample:coffee", "--layer", "conv3/rleu"], "did you mean 'conv3/relu'?"),
        (["sample:coffee", "--layer", "fc6/relu", "--size", "64"], "does not take pictures of 64 x 64"),
        (["sample:coffee", *QUICK, "--network", "alexnett"], "did you mean 'alexnet'?"),
        (["sample:coffee", *QUICK, "--preset", "mv2061"], "did you mean 'mv2016'?"),
        (["sample:coffee", *QUICK, "--prior", "total_variation"], "1 --prior and 0 --weight were given"),
        (["sample:coffee", *QUICK, "--prior", "total_variatoin", "--weight", "1"], "did you mean 'total_variation'?"),
        (["sample:coffee", *QUICK, "--prior", "total_variation:x", "--weight", "1"], "'x' is no number"),
        (["sample:coffee", *QUICK, "--prior", "total_variation", "--weight", "-1"], "must be finite and >= 0"),
        (["sample:coffee", *QUICK, "--prior", "logistic:77", "--weight", "1"], "no such prior is trained"),
        (["sample:coffee", *QUICK, "--learning-rate", "0"], "learning_rate must be finite and > 0"),
        (["sample:coffee", *QUICK, "--device", "abacus"], "--device abacus: cannot be used here"),
        (["sample:coffee", *QUICK, "--iterations", "0"], "0 is not in the range"),
        (["sample:coffee", "--layer", "pool1", "--size", "10"], "--size 10: too small to be scored; valid: 11"),
        (
            ["sample:coffee", *QUICK, *("--prior", "logistic:8", "--prior", "logistic"), *("--weight", "1") * 2],
            "--prior logistic: comes after --prior logistic:8; valid: each kind of prior once at a place",
        ),
        (["sample:coffee"], "no layer is given; valid: --layers all, or --layer of conv1/lin, conv1/relu"),
        (["sample:coffee", "--layers", "conv9*"], "--layers conv9*: no layer of cifar_alexnet fits; valid: all"),
        (["sample:coffee", *QUICK, "--optimizer", "adma"], "did you mean 'adam'?"),
        (
            ["sample:coffee", *QUICK, "--optimizer", "momentum"],
            "of preset best is for adam; valid: with --learning-rate",
        ),
        (
            ["sample:coffee", *QUICK, "--preset", "mv2016", "--optimizer", "lbfgs", "--no-bound", "--jitter", "3"],
            "--optimizer lbfgs: takes no jitter, which preset mv2016 has; valid: with --jitter 1",
        ),
        (["sample:coffee", *QUICK, "--mean", "0.5", "0.5", "0.5"], "mean: for a network of one's own only"),
        (
            ["sample:coffee", *QUICK, "--units", "calibrated"],
            "--units calibrated: is for the weights of --prior, and none is given; valid: with --prior and --weight",
        ),
        (["sample:coffee", *QUICK, "--restarts", "0"], "0 is not in the range"),
        (["sample:coffee", *QUICK, "--animate", "mp4"], "'mp4' is not one of 'gif', 'webp', 'apng'"),
    ],
)
def test_bad_input_gives_one_line_exit_2_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    out = tmp_path / "out"
    assert run(*arguments, "--out", str(out)) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert len(printed.strip().splitlines()) == 1
    assert not out.exists()


def test_an_output_folder_that_cannot_be_made_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert run("sample:coffee", *QUICK, "--out", str(tmp_path / "file" / "out")) == 2
    printed = capsys.readouterr().err
    assert f"{tmp_path / 'file'} cannot be written" in printed
    assert len(printed.strip().splitlines()) == 1


def test_the_piped_table_keeps_a_long_path_on_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"{'long' * 20}.png"
    Image.effect_noise((30, 30), 50).convert("RGB").save(path)
    assert run(str(path), *QUICK, "--out", str(tmp_path / "out")) == 0
    assert f"{path} " in capsys.readouterr().out


def test_a_network_of_ones_own_is_named_by_its_factory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_network_of_a_user.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.Conv2d(3, 8, 5), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU())\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    own = ["--network", "own_network_of_a_user:build", "--mean", "0.5", "0.5", "0.5", "--native-size", "32"]
    given = ["--layers", "[13]", "--size", "16", "--iterations", "20", "--json"]
    assert run("sample:coffee", *own, *given, "--out", str(tmp_path / "out")) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["layer"] for row in rows] == ["1", "3"]
    assert all(row["metrics"]["feature_error"] < 0.5 for row in rows)


def test_weights_in_calibrated_units_are_told_with_their_raw_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTORATION_PRIORS", str(tmp_path / "library"))
    given = ["--prior", "total_variation", "--weight", "0.3", "--units", "calibrated"]
    quick = ["--layer", "pool1", "--size", "16", "--iterations", "3", "--preset", "none"]
    assert run("sample:coffee", *quick, *given, "--out", str(tmp_path / "out")) == 0
    printed = capsys.readouterr()
    (calibration,) = CalibrationLibrary(tmp_path / "library").list()
    raw = calibration.raw_weight(0.3)
    assert f"total_variation at pool1: calibrated weight 0.3 is raw weight {raw:.4g}" in printed.out
    assert "curvature of total_variation" in printed.err
    (row,) = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert row["terms"] == [
        {"name": "total_variation", "layer": None, "weight": pytest.approx(raw), "calibrated_weight": 0.3}
    ]
    wanted = row["losses"]["feature_loss"] + raw * row["losses"]["total_variation"]
    assert row["losses"]["objective"] == pytest.approx(wanted, rel=1e-5)


TINY = ["--layer", "conv1/relu", "--size", "16", "--iterations", "2", "--no-gap"]


def test_long_and_odd_names_of_pictures_lose_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["l" * 250 + "1.png", "l" * 250 + "2.png", "[/b].png".replace("/", "\\"), "contact_sheet.png", "X.png"]
    names += ["x.png", "~photo.png", "sample:x.png", "line\nend.png", "caf\udce9.png", ":smile:.png", "._x.png"]
    (tmp_path / "in").mkdir()
    for name in names:
        Image.new("RGB", (20, 20), "teal").save(tmp_path / "in" / "plain.png")
        (tmp_path / "in" / "plain.png").rename(tmp_path / "in" / name)
    monkeypatch.chdir(tmp_path / "in")
    out = tmp_path / "out\udce9"
    assert run(".", *TINY, "--layer", "conv2/relu", "--out", str(out)) == 0
    printed = capsys.readouterr().out
    printed.encode()
    assert "[\\b].png" in printed
    assert ":smile:.png" in printed
    rows = json.loads((out / "metrics.json").read_text())
    assert len(rows) == 2 * (len(names) - 1)  # the hidden one is passed over
    files = [Path(file).name for row in rows for view, file in row["files"].items() if view != "original"]
    assert len({file.casefold() for file in files}) == len(files)
    assert {*files, "contact_sheet-original.png", "contact_sheet.png"} <= {path.name for path in out.iterdir()}
    assert run(".", *TINY, "--layer", "conv2/relu", "--out", str(out)) == 0
    assert f"{len(rows)} of {len(rows)} are in" in capsys.readouterr().err


def test_a_folder_that_cannot_take_the_results_is_refused_before_anything_is_solved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.symlink("circle", tmp_path / "circle")
    for out in (tmp_path / ("o" * 300), tmp_path / "circle"):
        assert run("sample:coffee", *TINY, "--out", str(out)) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "cannot be used (" in line


def test_a_picture_that_is_shrunk_to_the_networks_size_is_said_so_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (80, 60), "teal").save(tmp_path / "large.png")
    Image.new("RGB", (32, 32), "teal").save(tmp_path / "native.png")
    line = "the picture is shrunk from 60 to 32 px, the size of cifar_alexnet; --size N sets another"
    for name, options, said in (
        ("large.png", [], True),
        ("native.png", [], False),
        ("large.png", ["--size", "32"], False),
    ):
        arguments = [str(tmp_path / name), "--layer", "conv1/relu", "--iterations", "1", "--out", str(tmp_path / "out")]
        with pytest.raises(SystemExit):
            main(["reconstruct", *arguments, *options])
        assert (line in capsys.readouterr().err.splitlines()) == said
