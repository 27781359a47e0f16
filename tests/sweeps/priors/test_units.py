"""Calibrated units in a sweep: raw weight = weight x unit of the core's own calibration, told, stored, and replayed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from restoration_core.calibration.calibration import Calibration
from restoration_core.calibration.measure import Calibrator, load_squares
from restoration_core.calibration.recipe import hand_crafted_key
from restoration_core.errors import InputError
from restoration_core.networks import Classifier, open_network
from restoration_core.priors import Recipe, TotalVariation, load_samples, train_patch_experts
from restoration_core.priors.maps.feature_maps import FeatureMaps, layer_maps
from sweeps.lifecycle.launch import start
from sweeps.lifecycle.replay import replay
from sweeps.lifecycle.resume import resume
from sweeps.priors import calibration as calibration_module
from sweeps.priors import recipes
from sweeps.priors.calibration import as_squares
from sweeps.priors.units import subjects, unit_of
from sweeps.spec.models import SweepSpec
from sweeps.store.export import export_trials
from sweeps.store.reader import open_reader
from sweeps.trial.pictures import load
from sweeps.trial.raw_parameters import raw_parameters
from tests.sweeps.sweeps_in_store import make_spec, store

PARAMETERS: dict[str, Any] = {
    "total_variation.weight": {"distribution": "log_uniform", "min": 0.1, "max": 10},
    "priors.conv1/relu.weight": {"values": [0.1, 1.0]},
    "priors.conv1/relu.patch_size": {"value": 3},
    "priors.conv1/relu.enabled": {"values": [False, True]},
}
pytestmark = pytest.mark.slow

MAPS = "student_t-3 on conv1/relu"


def small(expert: str, patch_size: int, *, layer: str, network: Classifier) -> Recipe:
    """Stand in for the recipe of a layer's prior, which takes minutes to train."""
    return Recipe(
        expert,
        patch_size,
        24,
        short_side=32,
        dims=20,
        sigma=0.1,
        patches=2000,
        iterations=60,
        batch=128,
        learning_rate=0.05,
        maps=layer_maps(network, layer),
    )


def calibrated(**changes: Any) -> SweepSpec:
    return make_spec(
        **{
            "match": {"layer": "conv3/relu"},
            "units": "calibrated",
            "parameters": PARAMETERS,
            "baselines": ["none", "mv2016-adam", {"name": "own", "parameters": {"total_variation.weight": 0.25}}],
            "method": {"sampler": "random", "trials": 5, "seed": 1},
            "save": {"images": "all"},
            "validate_on": ["sample:rocket"],
        }
        | changes
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """Run the sweep once for all tests of this file: its folder and its notices."""
    folder, lines = tmp_path_factory.mktemp("calibrated"), list[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESTORATION_PRIORS", str(folder / "priors"))
        patch.setattr(recipes, "default_recipe", small)
        start(
            calibrated(),
            runner="inprocess",
            store_url=store(folder),
            mlflow_uri=None,
            verdict=False,
            notice=lines.append,
        )
        yield folder, lines


@pytest.fixture(scope="module")
def by_hand(ran: tuple[Path, list[str]]) -> dict[str, Calibration]:
    """Measure the same two priors through the core alone; that on maps as the core's own training gives it."""
    classifier = open_network("cifar_alexnet")
    recipe = small("student_t", 3, layer="conv1/relu", network=classifier)
    maps = FeatureMaps(classifier, "conv1/relu", load_samples(32))
    on_maps, variation = train_patch_experts(recipe, maps).prior, TotalVariation(2.0)
    calibrator = Calibrator(classifier, "conv3/relu", as_squares(list(load(["sample:coffee"], 32).values())))
    return {
        "total_variation beta 2.0": calibrator.calibrate(variation, hand_crafted_key("total_variation", variation)),
        MAPS: calibrator.calibrate(on_maps, recipe.key, "conv1/relu"),
    }


def rows(folder: Path) -> list[dict[str, Any]]:
    reader = open_reader(store(folder))
    try:
        return sorted(reader.trial_rows("test"), key=lambda row: int(row["number"]))
    finally:
        reader.close()


def test_raw_weights_are_the_cores_calibration_times_the_weight(
    ran: tuple[Path, list[str]], by_hand: dict[str, Calibration]
) -> None:
    folder, lines = ran
    assert lines[0].startswith("training the student_t prior for 3 x 3 patches on conv1/relu, once: ")
    assert any(line == f"calibrating: curvature of {MAPS}" for line in lines)
    searched = [row for row in rows(folder) if row["baseline"] is None]
    assert any(row["parameters"]["priors.conv1/relu.enabled"] for row in searched)
    for row in searched:
        assert row["state"] == "complete", row["failure"]
        raw, given = row["raw_parameters"], row["parameters"]
        unit = by_hand["total_variation beta 2.0"].unit()
        assert raw["total_variation.raw_weight"] == pytest.approx(given["total_variation.weight"] * unit, rel=1e-12)
        assert not any(name.endswith(".weight") for name in raw)
        if given["priors.conv1/relu.enabled"]:
            expected = by_hand[MAPS].raw_weight(given["priors.conv1/relu.weight"])
            assert raw["priors.conv1/relu.raw_weight"] == pytest.approx(expected, rel=1e-12)
        else:
            assert "priors.conv1/relu.raw_weight" not in raw


def test_weights_of_baselines_stay_raw_and_are_no_observations(ran: tuple[Path, list[str]]) -> None:
    none, preset, own = rows(ran[0])[:3]
    assert [name for name in none["raw_parameters"] if name.endswith("weight")] == []
    assert preset["raw_parameters"]["total_variation.raw_weight"] == pytest.approx(1.4309, rel=1e-3)
    assert own["raw_parameters"]["total_variation.raw_weight"] == 0.25
    assert own["parameters"]["units"] == "raw"
    with sqlite3.connect(ran[0] / "store.db") as connection:
        (told,) = connection.execute("select distributions from trials where number = 2").fetchone()
    assert json.loads(told) == {}


def test_calibrations_are_in_the_store_beside_the_priors_and_exported_weights_are_raw_too(
    ran: tuple[Path, list[str]], by_hand: dict[str, Calibration], tmp_path: Path
) -> None:
    folder, _ = ran
    reader = open_reader(store(folder))
    try:
        keys = reader.sweep("test").versions["calibrations"]
        assert set(keys) == set(by_hand)
        for name, calibration in by_hand.items():
            blob = reader.get_prior(keys[name]["conv3/relu"])
            assert blob is not None
            kept = Calibration.from_json(blob.decode())
            assert kept.recipe == calibration.recipe
            assert kept.unit() == pytest.approx(calibration.unit(), rel=1e-12)
        export_trials(reader, "test", tmp_path / "trials.csv")
        best = reader.best("test", 3)
    finally:
        reader.close()
    column = "raw.total_variation.raw_weight"
    assert column in best.columns
    found = pd.read_csv(tmp_path / "trials.csv").set_index("number")[column]
    assert [found[row["number"]] for row in rows(folder)[3:]] == pytest.approx(
        [row["raw_parameters"]["total_variation.raw_weight"] for row in rows(folder)[3:]]
    )


def test_replay_and_resume_need_the_store_alone(
    ran: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ran[0] / "store.db", tmp_path / "store.db")
    monkeypatch.setenv("RESTORATION_PRIORS", str(tmp_path / "another machine"))

    def refused(*arguments: object, **options: object) -> None:
        raise AssertionError("calibrated again")

    monkeypatch.setattr(Calibrator, "calibrate", refused)
    number = next(row["number"] for row in rows(ran[0]) if row["parameters"].get("priors.conv1/relu.enabled"))
    report = replay(store(tmp_path), "test", number)
    assert report.identical, report
    assert report.raw_weights["priors.conv1/relu.raw_weight"] > 0
    before = {row["number"]: row["raw_parameters"] for row in rows(tmp_path)}
    with sqlite3.connect(tmp_path / "store.db") as connection:  # as a killed run leaves it
        for table in ("image_metrics", "curves", "trial_pictures"):
            connection.execute(f"delete from {table} where trial_id in (select id from trials where number >= 5)")
        connection.execute("update trials set state = 'running', finish_order = null where number >= 5")
        connection.execute("update sweeps set status = 'interrupted', verdict = null")
    outcome = resume(store(tmp_path), "test", runner="inprocess", mlflow_uri=None, verdict=False)
    assert outcome.progress["complete"] == 8
    assert {row["number"]: row["raw_parameters"] for row in rows(tmp_path)} == before
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("delete from priors where family = 'calibration'")
    with pytest.raises(InputError, match="no longer has the calibration of total_variation"):
        replay(store(tmp_path), "test", number)


def test_what_is_calibrated_on_is_searched_on_and_never_validates(ran: tuple[Path, list[str]]) -> None:
    reader = open_reader(store(ran[0]))
    try:
        view = reader.sweep("test")
        key = view.versions["calibrations"][MAPS]["conv3/relu"]
        recipe = Calibration.from_json((reader.get_prior(key) or b"").decode()).recipe
    finally:
        reader.close()
    searched, judging = (as_squares(list(load(names, 32).values())) for names in (["sample:coffee"], ["sample:rocket"]))
    assert recipe.pictures == searched.identity != judging.identity


def test_pictures_are_spread_and_called_as_the_core_calls_them(tmp_path: Path) -> None:
    squares = load_squares(None, 32)
    references = sorted(["astronaut", "chelsea", "china", "coffee", "flower", "rocket"])
    ours = as_squares(list(load([f"sample:{name}" for name in references], 32).values()))
    assert ours.identity == squares.identity
    assert torch.equal(ours.pictures, squares.pictures)
    many = [torch.full((3, 4, 4), number / 255) for number in range(100)]
    chosen = as_squares(many).pictures[:, 0, 0, 0] * 255
    assert len(chosen) == calibration_module.MOST_PICTURES
    assert chosen.round().tolist() == [place * 100 // 32 for place in range(32)]


def test_each_stage_of_a_noise_schedule_has_a_raw_weight_of_its_own() -> None:
    classifier = open_network("cifar_alexnet", "random")
    group = "priors.image"
    parameters: dict[str, Any] = {
        f"{group}.weight": {"value": 2.0},
        f"{group}.expert": {"value": "denoiser"},
        f"{group}.noise_schedule": {"value": [[0, 0.2], [6, 0.1]]},
    }
    spec = calibrated(parameters=parameters, baselines=[])
    names = [subject.name for subject in subjects(spec, classifier)]
    assert names == ["denoiser at noise 0.2", "denoiser at noise 0.1"]
    settings = {name: item["value"] for name, item in parameters.items()}
    raw = raw_parameters(spec, settings, classifier, dict(zip(names, (3.0, 5.0), strict=True)))
    assert raw[f"{group}.raw_weight"] == [[0, 6.0], [6, 10.0]]
    with pytest.raises(InputError, match=r"no calibrated unit of denoiser at noise 0\.2; there are: none"):
        raw_parameters(spec, settings, classifier, {})


def test_a_units_of_several_layers_sums_their_curvatures_at_the_smallest_error(
    by_hand: dict[str, Calibration],
) -> None:
    one = by_hand[MAPS]
    other = replace(one, level=one.level * 1.5, error=one.error * 2)
    assert unit_of([(1.0, one)]) == one.unit()
    assert unit_of([(0.5, one)]) == pytest.approx(0.5 * one.unit())
    assert unit_of([(1.0, one), (2.0, other)]) == pytest.approx(3 * one.unit())
