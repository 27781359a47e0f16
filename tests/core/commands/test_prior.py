"""The command ``restoration prior``: train, list and show through the real command line function."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from restoration_core.cli import main
from restoration_core.commands.prior_train import Announced
from restoration_core.priors.convolutional_experts.recipe import FieldRecipe
from restoration_core.priors.library.blobs import from_blob
from restoration_core.priors.library.prior_library import PriorLibrary
from restoration_core.priors.patch_experts.default_recipes import default_recipe, thesis_recipe
from restoration_core.priors.patch_experts.recipe import Recipe

QUICK = ["--patch-size", "3", "--experts", "6", "--patches", "600", "--iterations", "5", "--short-side", "24"]

FIELD = ["--family", "convolutional_experts"]


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


@pytest.mark.parametrize("what", [(), FIELD, ("--family", "denoiser"), ("--layer", "pool1")])
def test_pictures_of_one_colour_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: Sequence[str]
) -> None:
    for colour in ("teal", "navy"):
        Image.new("RGB", (60, 50), colour).save(tmp_path / f"{colour}.png")
    assert run("train", *what, "--images", tmp_path, "--short-side", "48", "--library", tmp_path / "library") == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert "pictures: each is of one colour everywhere, so there is no variance to learn from" in said[0]


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
    named = {row["name"]: row for row in rows}
    assert {"logistic-8x8-512", "student_t-8x8-512"} <= set(named)
    assert named["logistic-8x8-512"]["recipe"]["experts"] == 512
    assert all(row["key"] in table for row in rows)


MAPS = ["--layer", "pool2", "--channels", "0-3,7", "--short-side", "48", "--patches", "600", "--iterations", "4"]


@pytest.mark.parametrize("bank", ["full", "channelwise", "separable"])
def test_train_on_a_layers_maps_list_and_draw_it(bank: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = [*MAPS, "--bank", bank, "--dims", "8", "--experts", "5", "--expert", "student_t", "--half"]
    assert run("train", "--network", "cifar_alexnet", *options, "--library", tmp_path) == 0
    printed = capsys.readouterr()
    assert re.search(r"step 2 of 4: held-out loss -?\d+\.\d+, \d+ s left", printed.err)
    (entry,) = [entry for entry in PriorLibrary(tmp_path).list() if not entry.bundled]
    recipe = entry.recipe
    assert isinstance(recipe, Recipe)
    assert (recipe.bank, recipe.channels, recipe.dims, recipe.patch_size) == (bank, (0, 1, 2, 3, 7), 8, 3)
    assert recipe.maps is not None
    assert (recipe.maps.network, recipe.maps.layer, recipe.sigma) == ("cifar_alexnet", "pool2", 0.1)
    PriorLibrary(tmp_path).load(entry.key).check((96, 8, 8))
    assert run("list", "--library", tmp_path) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if entry.key in line)
    assert all(part in row.split() for part in (entry.name, "patch_experts", "pool2", "cifar_alexnet"))
    assert run("show", entry.key, "--library", tmp_path) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["family"], shown["layer"], shown["network"]) == ("patch_experts", "pool2", "cifar_alexnet")
    to = tmp_path / "filters.png"
    drawn = 25 if bank == "channelwise" else 5
    assert run("show", entry.key, "--to", to, "--columns", "5", "--scale", "1", "--library", tmp_path) == 0
    with Image.open(to) as sheet:
        assert sheet.size == (5 * 4 + 1, drawn // 5 * 4 + 1)


def test_train_goes_on_with_a_training_that_was_interrupted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("train", *QUICK, "--library", tmp_path / "whole") == 0
    with monkeypatch.context() as patched:
        patched.setattr(Announced, "__call__", _stopping_at_two)
        assert run("train", *QUICK, "--library", tmp_path / "cut") == 130
    capsys.readouterr()
    assert run("train", *QUICK, "--library", tmp_path / "cut") == 0
    said = capsys.readouterr().err
    assert "going on with a training that was interrupted" in said
    assert "step 1 of 5" not in said
    whole, cut = (
        next(entry for entry in PriorLibrary(tmp_path / name).list() if not entry.bundled) for name in ("whole", "cut")
    )
    assert whole.report.losses == cut.report.losses


def _stopping_at_two(self: Announced, step: int, steps: int, loss: float) -> None:
    if step == 2:
        raise KeyboardInterrupt


def test_train_another_family_with_fields_of_its_own(tmp_path: Path) -> None:
    fields = ["--set", "filter_size=3", "--set", "scales=1", "--set", "noise_levels=[0.1]", "--set", "crop=16"]
    options = ["--family", "convolutional_experts", "--experts", "4", "--iterations", "2", "--short-side", "24"]
    assert run("train", *options, *fields, "--library", tmp_path) == 0
    (entry,) = [entry for entry in PriorLibrary(tmp_path).list() if not entry.bundled]
    assert isinstance(entry.recipe, FieldRecipe)
    assert (entry.recipe.filter_size, entry.recipe.noise_levels, entry.recipe.experts) == (3, (0.1,), 4)


@pytest.mark.parametrize("expert", ["logistic", "student_t"])
def test_train_learns_the_prior_that_specs_and_reconstruct_mean_by_the_name(expert: str, tmp_path: Path) -> None:
    arguments = ["--expert", expert, "--patch-size", "3", "--patches", "600", "--iterations", "2"]
    assert run("train", *arguments, "--library", tmp_path) == 0
    (entry,) = [entry for entry in PriorLibrary(tmp_path).list() if not entry.bundled]
    assert entry.recipe == dataclasses.replace(default_recipe(expert, 3), patches=600, iterations=2)


def test_train_learns_the_thesiss_kind_when_asked(tmp_path: Path) -> None:
    assert run("train", *QUICK, "--unit-norms", "--sigma", "0.006", "--library", tmp_path) == 0
    (entry,) = [entry for entry in PriorLibrary(tmp_path).list() if not entry.bundled]
    assert isinstance(entry.recipe, Recipe)
    thesis = thesis_recipe("logistic")
    for field in ("sigma", "free_norms", "learning_rate", "whitening", "remove_dc", "batch"):
        assert getattr(entry.recipe, field) == getattr(thesis, field)


def test_show_draws_all_filters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    to = tmp_path / "filters.png"
    assert run("show", "student_t-8x8-512", "--to", to, "--columns", "32", "--scale", "2", "--library", tmp_path) == 0
    with Image.open(to) as drawn:
        assert drawn.size == (32 * 17 + 1, 16 * 17 + 1)
    assert "filters of student_t-8x8-512" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--order", "--view"])
def test_show_refuses_an_unknown_way_to_draw_also_when_it_only_prints(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("show", "student_t-8x8-256", option, "nosuch") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "'nosuch' is not one of" in printed.err


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
        (["train", "--network", "cifar_alexnet"], "--network: a layer is needed with it"),
        (["train", "--layer", "conv2/rleu"], "unknown layer of cifar_alexnet 'conv2/rleu'; did you mean 'conv2/relu'"),
        (["train", "--layer", "fc6/lin"], "layer 'fc6/lin' of cifar_alexnet gives no map"),
        (["train", *MAPS, "--channels", "0-x"], "--channels 0-x: '0-x' is no channel; valid: numbers and ranges"),
        (["train", *MAPS, "--channels", "0,96"], "the map has channels 0 to 95, but got 96"),
        (["train", *MAPS, "--dims", "46"], "1 <= dims <= 45 must hold for these patches, but got 46"),
        (["train", *MAPS, "--patches", "449"], "at least 450 are needed to learn 45 of 45 dimensions"),
        (["train", "--family", "denoiser", "--bank", "full"], "--bank: the family denoiser has no such field"),
        (["train", "--family", "denoisr"], "unknown family of priors 'denoisr'; did you mean 'denoiser'"),
        (["train", *QUICK, "--set", "batch"], "--set batch: FIELD=VALUE is needed"),
        (["train", *QUICK, "--set", "bach=3"], "unknown recipe field 'bach'; did you mean 'batch'"),
        (["train", *FIELD, "--set", "crop=small"], "--set crop: a whole number is needed, but got 'small'"),
        (["train", *FIELD, "--set", "noise_levels=0.1"], "--set noise_levels: a list, each a number, is needed"),
        (["train", *FIELD, "--set", 'noise_levels=[0.1, "a"]'], "--set noise_levels: a list, each a number, is needed"),
        (["train", *FIELD, "--set", "scales=true"], "--set scales: a whole number is needed, but got True"),
        (["train", "--set", 'patch_size="x"'], "--set patch_size: a whole number is needed, but got 'x'"),
        (["show", "nobody"], "unknown prior 'nobody'"),
        (["show", "logistic-8x8-512", "--to", "filters.txt"], "unknown kind of picture '.txt'"),
    ],
)
def test_bad_input_is_one_line_exit_2_and_leaves_no_prior(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments, "--library", tmp_path / "library") == 2
    error = capsys.readouterr().err
    assert message in error
    assert len([line for line in error.splitlines() if line.startswith("error:")]) == 1
    assert not list(tmp_path.rglob("*.safetensors"))


def test_a_library_that_is_a_file_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "library").write_text("a file")
    assert run("train", *QUICK, "--library", tmp_path / "library") == 2
    assert f"error: prior library {tmp_path / 'library'}: cannot be made (File exists)" in capsys.readouterr().err
