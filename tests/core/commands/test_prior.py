"""The command ``restoration prior``: train, list and show through the real command line function."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from restoration_core.cli import main
from restoration_core.priors.blobs import from_blob
from restoration_core.priors.prior_library import PriorLibrary

QUICK = ["--patch-size", "3", "--experts", "6", "--patches", "600", "--iterations", "5", "--short-side", "24"]


def run(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["prior", *map(str, arguments)])
    return int(ended.value.code or 0)


def test_train_keeps_the_prior_and_writes_it_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    library, out = tmp_path / "library", tmp_path / "prior.safetensors"
    assert run("train", *QUICK, "--expert", "student_t", "--library", library, "--out", out) == 0
    printed = capsys.readouterr()
    trained = from_blob(out.read_bytes())
    assert trained.recipe.key in printed.out
    assert "step 5 of 5: held-out loss" in printed.err
    assert torch.equal(PriorLibrary(library).load(trained.recipe.key).filters, trained.prior.filters)
    assert (trained.recipe.expert, trained.recipe.experts, trained.recipe.pictures) == ("student_t", 6, "samples")


def test_train_a_second_time_reads_the_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", *QUICK, "--library", tmp_path) == 0
    capsys.readouterr()
    assert run("train", *QUICK, "--library", tmp_path) == 0
    said = capsys.readouterr().err
    assert "step" not in said
    assert "the library has this prior already" in said
    assert [path.suffix for path in tmp_path.iterdir()] == [".safetensors"]  # no lock is left behind


def test_train_from_a_folder_names_its_content(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (50, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(photos / "one.png")
    assert run("train", *QUICK, "--images", photos, "--library", tmp_path / "library") == 0
    (entry,) = [entry for entry in PriorLibrary(tmp_path / "library").list() if not entry.bundled]
    assert entry.recipe.pictures.startswith("sha256:")
    assert str(tmp_path) not in entry.path.read_bytes().decode("latin1")


def test_list_is_a_table_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list", "--library", tmp_path) == 0
    table = capsys.readouterr().out
    assert "logistic-8x8-512" in table
    assert run("list", "--json", "--library", tmp_path) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["logistic-8x8-512", "student_t-8x8-512"]
    assert rows[0]["recipe"]["experts"] == 512
    assert all(row["key"] in table for row in rows)


def test_show_draws_all_filters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "filters.png"
    assert run("show", "student_t-8x8-512", "--to", to, "--columns", "32", "--scale", "2", "--library", tmp_path) == 0
    with Image.open(to) as drawn:
        assert drawn.size == (32 * 17 + 1, 16 * 17 + 1)
    assert "filters of student_t-8x8-512" in capsys.readouterr().out


def test_show_without_a_file_prints_what_it_was_made_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", "logistic-8x8-512", "--library", tmp_path) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) < 80  # a loss a line
    shown = json.loads(printed)
    assert shown["recipe"]["sigma"] == 0.006
    assert len(shown["report"]["losses"]) == 41


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", *QUICK, "--expert", "logistik"], "unknown expert 'logistik'; did you mean 'logistic'?"),
        (["train", *QUICK, "--images", "nowhere"], "nowhere: no such folder"),
        (["train", "--patch-size", "64"], "patch_size: 2 <= patch_size <= 32 must hold, but got 64"),
        (["train", *QUICK, "--patches", "5000000"], "patches of 3 x 3"),
        (["train", *QUICK, "--out", "nowhere/p.safetensors"], "--out nowhere/p.safetensors: no folder nowhere"),
        (["show", "nobody"], "unknown prior 'nobody'"),
        (["show", "logistic-8x8-512", "--to", "filters.txt"], "unknown kind of picture '.txt'"),
    ],
    ids=["expert", "folder", "patch-size", "too-many-patches", "out", "name", "suffix"],
)
def test_bad_input_is_one_line_exit_2_and_leaves_no_prior(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--library", tmp_path / "library") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len([line for line in error.splitlines() if line.startswith("error:")]) == 1
    assert not list(tmp_path.rglob("*.safetensors"))
