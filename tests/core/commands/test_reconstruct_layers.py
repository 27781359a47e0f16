"""``restoration reconstruct`` over layers: contact sheet, layers left out, and going on where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from restoration_core.cli import main
from restoration_core.images.contact_sheet import GAP, LINE

PICTURES = ("sample:coffee", "sample:rocket")
LAYERS = ("conv1/relu", "pool1", "conv2/relu")
QUICK = ["--size", "24", "--iterations", "4", "--preset", "mv2016-adam"]


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["reconstruct", *map(str, arguments)])
    return int(ended.value.code or 0)


def given(*layers: str) -> list[str]:
    return [word for layer in layers for word in ("--layer", layer)]


def records(out: Path) -> list[dict[str, Any]]:
    return list(json.loads((out / "metrics.json").read_text()))


def files(out: Path) -> dict[str, tuple[int, bytes]]:
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in out.glob("*-reconstruction.png")}


def test_the_sheets_cells_hold_the_originals_and_the_layers_reconstructions(tmp_path: Path) -> None:
    # Given out of order: columns follow the forward pass.
    assert run(*PICTURES, *QUICK, *given("conv2/relu", "conv1/relu", "pool1"), "--out", tmp_path) == 0
    sheet = np.asarray(Image.open(tmp_path / "contact_sheet.png"))
    below = sheet.shape[0] - LINE - GAP - LINE - 4
    for row, name in enumerate(("coffee", "rocket")):
        columns = [f"{name}-original", *(f"{name}-{layer.replace('/', '_')}-reconstruction" for layer in LAYERS)]
        for column, stem in enumerate(columns):
            top = LINE + GAP + LINE + 4 + row * below // 2
            cell = sheet[top : top + 96 : 4, GAP + column * (96 + GAP) :][:, :96:4]
            assert (cell == np.asarray(Image.open(tmp_path / f"{stem}.png"))).all(), stem


def test_layers_that_refuse_the_size_are_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    size = ["--size", "40", "--iterations", "1", "--layers", "fc6*", "--layer", "conv5/relu"]
    assert run("sample:coffee", *size, "--out", tmp_path, "--json") == 0
    printed = capsys.readouterr()
    assert [row["layer"] for row in json.loads(printed.out)] == ["conv5/relu"]
    for layer in ("fc6/lin", "fc6/relu"):
        assert f"{layer} is left out: layer '{layer}' of cifar_alexnet does not take pictures of 40 x 40" in printed.err
    assert run("sample:coffee", "--size", "40", "--layers", "fc*", "--out", tmp_path / "none") == 2


def test_what_is_there_with_the_same_settings_is_not_done_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("sample:coffee", *QUICK, *given("conv1/relu"), "--out", tmp_path) == 0
    before = files(tmp_path)
    capsys.readouterr()
    assert run(*PICTURES, *QUICK, *given("conv1/relu", "pool1"), "--out", tmp_path) == 0
    assert "1 of 4 are in" in capsys.readouterr().err
    assert files(tmp_path).items() >= before.items()
    assert [(row["name"], row["layer"]) for row in records(tmp_path)] == [
        ("coffee", "conv1/relu"),
        ("rocket", "conv1/relu"),
        ("coffee", "pool1"),
        ("rocket", "pool1"),
    ]


@pytest.mark.parametrize(
    "changed",
    [
        ["--seed", "1"],
        ["--iterations", "5"],
        ["--prior", "alpha_norm", "--weight", "0.1"],
        ["--jitter", "3"],
        ["--gap"],
        ["--weights", "random"],
    ],
)
def test_other_settings_are_done_again(tmp_path: Path, capsys: pytest.CaptureFixture[str], changed: list[str]) -> None:
    quick = ["sample:coffee", "--size", "16", "--iterations", "2", "--preset", "mv2016-adam", *given("conv1/relu")]
    assert run(*quick, "--no-gap", "--out", tmp_path) == 0
    settings = records(tmp_path)[0]["settings"]
    capsys.readouterr()
    assert run(*quick, "--no-gap", *changed, "--out", tmp_path) == 0
    assert "already" not in capsys.readouterr().err
    (row,) = records(tmp_path)
    assert row["settings"] != settings


def test_a_file_that_is_gone_is_made_again(tmp_path: Path) -> None:
    assert run("sample:coffee", *QUICK, *given("conv1/relu"), "--out", tmp_path) == 0
    before = files(tmp_path)
    (tmp_path / "coffee-conv1_relu-reconstruction.png").unlink()
    assert run("sample:coffee", *QUICK, *given("conv1/relu"), "--out", tmp_path) == 0
    assert {name: content for name, (_, content) in files(tmp_path).items()} == {
        name: content for name, (_, content) in before.items()
    }


def test_records_whose_original_is_replaced_by_another_size_are_forgotten(tmp_path: Path) -> None:
    quick = ["--iterations", "2", "--preset", "none", "--out", tmp_path]
    assert run("sample:coffee", "--size", "16", *given("conv1/relu", "pool1"), *quick) == 0
    assert run("sample:coffee", "sample:rocket", "--size", "20", *given("pool1"), *quick) == 0
    assert [(row["name"], row["layer"], row["size"]) for row in records(tmp_path)] == [
        ("coffee", "pool1", 20),
        ("rocket", "pool1", 20),
    ]
    assert Image.open(tmp_path / "coffee-original.png").size == (20, 20)


def test_a_folder_with_a_damaged_record_is_refused_and_left_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "metrics.json").write_text('[{"name":')
    assert run("sample:coffee", *QUICK, *given("conv1/relu"), "--out", tmp_path) == 2
    assert "its metrics.json cannot be read" in capsys.readouterr().err
    assert (tmp_path / "metrics.json").read_text() == '[{"name":'


@pytest.mark.slow
def test_an_interrupted_command_keeps_what_is_done_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A shell without job control starts what runs in the background with SIGINT ignored, and the tests with it.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler);"
        " from restoration_core.cli import main; main(['reconstruct', *sys.argv[1:]])"
    )
    settings = ["--size", "16", "--preset", "none", "--iterations", "2000", "--no-gap", "--out", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "sample:coffee", *given("conv1/relu", "conv3/relu"), *settings],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "conv3/relu" in line:  # a tenth of the steps into the second layer at least, four tenths before its end
            break
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait(60) == 130
    assert f"interrupted: 1 of 2 are done and kept in {tmp_path}; the same command goes on from there" in said
    assert "Traceback" not in said
    assert [row["layer"] for row in records(tmp_path)] == ["conv1/relu"]
    assert run("sample:coffee", *given("conv1/relu"), *settings) == 0
    assert "1 of 1 are in" in capsys.readouterr().err
