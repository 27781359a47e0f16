"""What a sweep will cost, told before anything starts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from sweeps.execution.sizing import size_packs, usable_cores
from sweeps.lifecycle.launch import start
from sweeps.lifecycle.plan import plan
from sweeps.spec.load import parse_spec
from sweeps.spec.models import SweepSpec

SPEC = """
name: small
images: [sample:coffee, sample:astronaut]
image_size: 32
match: conv1/relu
method: {sampler: random, trials: 10}
budget: {iterations: 40, hours: 1.0e-9}
save: {images: all, steps: [10]}
baselines: [none]
parameters:
  total_variation.weight: {distribution: log_uniform, min: 1e-3, max: 10}
resources: {pack: 4, actors: 1}
"""


def spec(old: str = "", new: str = "") -> SweepSpec:
    return parse_spec(SPEC.replace(old, new), check=False)


def test_counts_follow_from_the_spec() -> None:
    found = plan(spec(), measured=False)
    assert (found.trials, found.baselines, found.pictures, found.rows) == (11, 1, 2, 22)
    assert found.iterations == 22 * 40
    assert (found.pack, found.batch_rows, found.actors) == (4, 8, 1)
    assert math.isnan(found.seconds)
    assert "time and memory were not measured" in found.notes


def test_a_grid_smaller_than_the_trials_asked_for_is_counted_as_it_is() -> None:
    text = SPEC.replace("sampler: random", "sampler: grid").replace("max: 10}", "max: 10, grid: 3}")
    assert plan(parse_spec(text, check=False), measured=False).trials == 4


def test_pack_and_actors_are_those_the_runner_takes() -> None:
    auto = spec("resources: {pack: 4, actors: 1}", "")
    sizing = size_packs(auto, usable_cores())
    found = plan(auto, measured=False)
    assert (found.pack, found.actors) == (sizing.width, sizing.actors)


@pytest.mark.parametrize(("less", "more"), [("none", "best"), ("best", "all")])
def test_keeping_more_pictures_takes_more_disk(less: str, more: str) -> None:
    disk = {images: plan(spec("images: all", f"images: {images}"), measured=False).disk_mb for images in (less, more)}
    assert disk[less] < disk[more]


def test_measured_seconds_are_the_iterations_of_all_packs_at_the_measured_step() -> None:
    found = plan(spec())
    assert 0 < found.step_s < 10
    assert found.seconds == pytest.approx(found.iterations / found.batch_rows * found.step_s)
    assert found.memory_mb > 100
    assert any("budget.hours" in note for note in found.notes)
    assert found.as_dict()["hours"] == pytest.approx(found.seconds / 3600)


def test_the_disk_is_what_the_store_takes(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    small = parse_spec(SPEC.replace(", hours: 1.0e-9", ""), check=False)
    start(small, runner="inprocess", store_url=f"sqlite:///{path}", mlflow_uri=None, verdict=False)
    assert plan(small).disk_mb == pytest.approx(path.stat().st_size / 1e6, rel=0.3)


def test_the_verdict_is_part_of_the_plan_in_rows_and_time() -> None:
    found = plan(spec("match:", "validate_on: [sample:rocket, sample:chelsea]\nmatch:"))
    assert found.verdict_rows == 2 * 3 * 2  # winner and baseline, seeds, pictures
    assert 0 < found.verdict_s < found.seconds
    search_s = found.iterations / found.batch_rows * found.step_s
    assert found.seconds == pytest.approx(search_s + found.verdict_s)


@pytest.mark.parametrize("old", ["baselines: [none]", "validate_on: [sample:rocket, sample:chelsea]"])
def test_without_baselines_or_validation_pictures_there_is_no_verdict_to_plan(old: str) -> None:
    text = SPEC.replace("match:", "validate_on: [sample:rocket, sample:chelsea]\nmatch:").replace(old, "")
    found = plan(parse_spec(text, check=False), measured=False)
    assert (found.verdict_rows, found.verdict_s) == (0, 0.0)
